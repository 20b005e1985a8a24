/* queue/doctor/spf_macro.h: macros in the domains of an SPF record (RFC 7208 §7). Protocol: pure. */
#ifndef QUEUE_DOCTOR_SPF_MACRO_H
#define QUEUE_DOCTOR_SPF_MACRO_H

#include "dns/answer.h"

/* What the letters stand for. A text that is NULL is not known. */
struct spf_macros {
	const char *local;     /* l: local part of the sender; s with `sender` */
	const char *sender;    /* o: domain of the sender */
	const char *domain;    /* d: domain whose record it is */
	const char *helo;      /* h */
	const struct ip *ip;   /* i, and v */
	const char *validated; /* p */
};

/* One macro at `text`, which begins with %: its length; 0: it is none. `letter` is in lower case, 0 for %%, %_ and %-.
 */
size_t spf_macro_length(const char *text, char *letter);
/* Has a text that is well formed a macro of this letter? */
bool spf_macro_uses(const char *text, char letter);
/* Expands a text that is well formed, in lower case, without a dot at its end; of what is too long for a name labels
 * go away at the left (§7.3). 0; -ENODATA: a letter is not known, `letter` says which; -E2BIG: far too long. */
int spf_macro_expand(char out[DNS_NAME_MAX], const char *text, const struct spf_macros *m, char *letter);

#endif
