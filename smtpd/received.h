/* smtpd/received.h: the trace field that this relay adds. Protocol: pure. */
#ifndef SMTPD_RECEIVED_H
#define SMTPD_RECEIVED_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/buf.h"
#include "conf/ip.h"

struct received {
	const char *helo; /* as the client said it: printable ASCII */
	const struct ip *client;
	const char *hostname; /* ours */
	const char *protocol; /* ESMTP, SMTP (RFC 3848) or UTF8SMTP (RFC 6531 §4.3) */
	uint64_t id;
	const int8_t *priority; /* MT-PRIORITY (RFC 6710); NULL: not given */
	const char *for_rcpt;	/* the only recipient; NULL: there are more, and each would learn of the others */
	const char *date;	/* RFC 5322 §3.3 */
};

enum { RECEIVED_MAX = 1536 };

/* Appends "Received: from HELO ([ADDRESS])…" with its CRLFs (RFC 5321 §4.4), one clause a line. A HELO that is neither
 * domain nor literal goes into a comment, cleaned, and the client's address takes its place. 0, -E2BIG, -ENOMEM. */
int received_append(struct buf *out, const struct received *r);

#endif
