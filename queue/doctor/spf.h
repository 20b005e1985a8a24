/* queue/doctor/spf.h: would a receiver's SPF check let mail of a domain pass from an address (RFC 7208)? Protocol:
 * pure.
 *
 * check_host() of §4. Where a macro is about what is not known of the sender, such as the local part, the result is
 * SPF_UNTOLD. Limits of §4.6.4: 10 terms that look up, 10 MX hosts, 10 PTR names, 2 terms with void look-ups (an mx is
 * one if its MX answer is void, or that of each of its hosts). */
#ifndef QUEUE_DOCTOR_SPF_H
#define QUEUE_DOCTOR_SPF_H

#include "dns/answer.h"

enum spf_result {
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR,
	SPF_UNTOLD,  /* a macro decides that depends on what is not known; `why` names it */
	SPF_PENDING, /* an answer is not known yet: run it again when it has come */
};

enum { SPF_LOOKUPS_MAX = 10, SPF_VOIDS_MAX = 2, SPF_WHY = 240 };

struct spf_verdict {
	enum spf_result result;
	char why[SPF_WHY]; /* the term that decided, or what is wrong */
	unsigned lookups, voids;
};

/* An answer of the DNS; NULL: not known yet. */
typedef const struct dns_answer *spf_look(void *arg, const char *name, enum dns_type type);

struct spf_sender {
	const char *domain; /* lower case, without a dot at its end */
	const char *local;  /* NULL: not known, or any */
	const char *helo;   /* NULL: not known */
};

void spf_check(struct spf_verdict *out, const struct spf_sender *from, const struct ip *ip, spf_look *look, void *arg);
/* "pass", …; "cannot tell" */
const char *spf_result_word(enum spf_result r);

#endif
