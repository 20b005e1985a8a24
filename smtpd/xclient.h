/* smtpd/xclient.h: reading the arguments of XCLIENT and XFORWARD, by which a host says on whose behalf it speaks.
 * Protocol: pure.
 *
 * As in Postfix's XCLIENT_README and XFORWARD_README: NAME=value pairs, names without regard to case, values in xtext
 * (RFC 3461 §4; what older hosts send without it is xtext too), [UNAVAILABLE] and [TEMPUNAVAIL] for what is not known.
 * Each value is bounded, and printable ASCII that stands for itself in a log and a header field: as in Postfix any
 * other byte becomes '?'. */
#ifndef SMTPD_XCLIENT_H
#define SMTPD_XCLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/ip.h"
#include "smtpd/piece.h"

/* X(name, in XCLIENT, in XFORWARD) */
#define XCLIENT_ATTRIBUTES(X)                                                                                          \
	X(NAME, 1, 1)                                                                                                  \
	X(ADDR, 1, 1)                                                                                                  \
	X(PORT, 1, 1)                                                                                                  \
	X(PROTO, 1, 1)                                                                                                 \
	X(HELO, 1, 1)                                                                                                  \
	X(LOGIN, 1, 0)                                                                                                 \
	X(DESTADDR, 1, 0)                                                                                              \
	X(DESTPORT, 1, 0)                                                                                              \
	X(REVERSE_NAME, 1, 0)                                                                                          \
	X(IDENT, 0, 1)                                                                                                 \
	X(SOURCE, 0, 1)

enum xclient_attribute {
#define X(name, client, forward) XCLIENT_##name,
	XCLIENT_ATTRIBUTES(X)
#undef X
		XCLIENT_COUNT
};

enum { XCLIENT_VALUE_MAX = 255, XCLIENT_PROTO_MAX = 64 };

struct xclient {
	uint32_t said;	/* a bit for each attribute that was named */
	uint32_t known; /* … and that has a value */
	struct endpoint client, listener;
	char name[XCLIENT_VALUE_MAX + 1], reverse_name[XCLIENT_VALUE_MAX + 1];
	char helo[XCLIENT_VALUE_MAX + 1], login[XCLIENT_VALUE_MAX + 1], ident[XCLIENT_VALUE_MAX + 1];
	char proto[XCLIENT_PROTO_MAX + 1];
	char source[8]; /* LOCAL, REMOTE */
};

static inline bool xclient_has(const struct xclient *x, enum xclient_attribute which)
{
	return (x->known & 1u << which) != 0;
}

/* Adds what `args` say to `x`, which begins as all zeros; `forward`: of XFORWARD. False: they are no valid list of
 * attributes, and `x` is as before. */
bool xclient_read(struct xclient *x, bool forward, const struct piece *args);

#endif
