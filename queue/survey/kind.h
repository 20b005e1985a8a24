/* queue/survey/kind.h: which families the mail servers of a domain have. Protocol: pure.
 *
 *   MX hosts (or the implicit one: the domain itself)   kind
 *   addresses of both families                          SURVEY_BOTH
 *   of one, and the other one's are known not to be     SURVEY_IPV4, SURVEY_IPV6
 *   null MX (RFC 7505)                                  SURVEY_NULL_MX
 *   MX records, none of whose names has an address      SURVEY_DANGLING
 *   no such domain, or neither MX nor A nor AAAA        SURVEY_NOWHERE
 *   a look-up failed that could change the answer       SURVEY_NO_ANSWER
 *
 * The preference does not matter: mail arrives over the worst one, too. A host on a loopback address is none. An IPv6
 * address that a DNS64 server made up is none either: beyond this network nobody has it. */
#ifndef QUEUE_SURVEY_KIND_H
#define QUEUE_SURVEY_KIND_H

#include "dns/mx.h"
#include "dns/nat64.h"

enum survey_kind {
	SURVEY_UNASKED,
	SURVEY_BOTH,
	SURVEY_IPV4,
	SURVEY_IPV6,
	SURVEY_NULL_MX,
	SURVEY_DANGLING,
	SURVEY_NOWHERE,
	SURVEY_NO_ANSWER,
	SURVEY_KIND_COUNT
};

/* Where made-up addresses are. */
struct survey_synthesis {
	struct prefix items[CONF_NAT64_MAX + NAT64_PREFIXES_MAX + 2];
	size_t count;
};

/* "both", "ipv4", …, as in files and JSON. */
const char *survey_word(enum survey_kind k);
/* SURVEY_UNASKED: no such word, or that of none. */
enum survey_kind survey_kind_of(const char *word, size_t len);

/* The prefixes set aside for translators (RFC 6052 §2.1, RFC 8215) and those of the configuration. */
void survey_synthesis_init(struct survey_synthesis *s, const struct conf_nat64 *nat64);
/* And those that an answer about AAAA of NAT64_NAME tells. */
void survey_synthesis_learn(struct survey_synthesis *s, const struct dns_answer *answer);

/* `mx` is complete, and was asked for both families. */
enum survey_kind survey_judge(const struct mx *mx, const struct survey_synthesis *s);

#endif
