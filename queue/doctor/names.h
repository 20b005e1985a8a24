/* queue/doctor/names.h: DNS answers by name and type, as far as they have come. State: it asks nobody.
 *
 * Who needs an answer looks for it; what is not known yet is noted as wanted, and whoever owns a resolver asks for what
 * is wanted and puts the answer here. So what judges answers stays pure: it is run again until it wants nothing new. */
#ifndef QUEUE_DOCTOR_NAMES_H
#define QUEUE_DOCTOR_NAMES_H

#include "dns/answer.h"

enum { NAMES_MAX = 2000, NAMES_REVERSE = 80 };

struct names;

struct names *names_new(void); /* NULL without memory */
void names_free(struct names *n);

/* The answer; or NULL: not known yet, and wanted from now on. Lent until names_free(). Past NAMES_MAX different
 * questions, without memory, and for unknown ones after names_settle(): an answer that says so. */
const struct dns_answer *names_get(struct names *n, const char *name, enum dns_type type);
/* The next question that is wanted and was not handed out yet: its number, or -1. */
int names_wanted(struct names *n, const char **name, enum dns_type *type);
/* The answer to question `number`, copied. */
void names_put(struct names *n, int number, const struct dns_answer *answer);
/* How many were handed out and have no answer yet. */
unsigned names_open(const struct names *n);
/* The time is over: what is not known is DNS_TIMEOUT from now on, with `why`. */
void names_settle(struct names *n, const char *why);

/* The name of an address's PTR record: "7.100.51.198.in-addr.arpa" (RFC 1035 §3.5), "….ip6.arpa" (RFC 3596 §2.5). */
const char *names_reverse(const struct ip *ip, char out[NAMES_REVERSE]);
/* A or AAAA. */
enum dns_type names_type_of(enum family family);
/* Has the answer this address? */
bool names_has(const struct dns_answer *a, const struct ip *ip);

#endif
