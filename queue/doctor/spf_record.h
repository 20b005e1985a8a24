/* queue/doctor/spf_record.h: an SPF record, read (RFC 7208 §3 to §6, grammar §12). Protocol: pure.
 *
 * Domains stay as they stand in it; spf_macro_expand() makes names of them. */
#ifndef QUEUE_DOCTOR_SPF_RECORD_H
#define QUEUE_DOCTOR_SPF_RECORD_H

#include "dns/answer.h"

enum spf_mechanism { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS, SPF_MECHANISMS };

enum { SPF_TERMS_MAX = 512, SPF_RECORD_MAX = 8192 };

struct spf_term {
	enum spf_mechanism mechanism;
	char qualifier;	       /* + - ~ ? */
	const char *name;      /* domain-spec, well formed; "": the domain itself */
	struct prefix network; /* SPF_IP4, SPF_IP6 */
	uint8_t bits4, bits6;  /* SPF_A, SPF_MX: 32 and 128 if not given */
};

struct spf_record {
	char *text; /* the names stand in it */
	struct spf_term *terms;
	size_t count;
	const char *redirect; /* domain-spec, well formed; "": none */
};

/* The text of the TXT record (its strings put together) if it is an SPF record (§4.5): its length; 0 if it is none;
 * -E2BIG past SPF_RECORD_MAX. */
int spf_record_text(const struct dns_record *txt, char out[SPF_RECORD_MAX + 1]);
/* 0; -EINVAL and in `why` the term that is wrong; -ENOMEM. */
int spf_record_parse(struct spf_record *out, const char *text, char why[160]);
void spf_record_fini(struct spf_record *r);
const char *spf_mechanism_name(enum spf_mechanism m);

#endif
