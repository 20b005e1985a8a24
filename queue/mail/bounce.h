/* queue/mail/bounce.h: the text of a bounce: RFC 3464 in the multipart/report of RFC 6522. Protocol: pure, time is an
 * argument.
 *
 * Three parts: words for a person (what failed, and what was tried over which family with what answer), the
 * message/delivery-status for programs, and the header of the message that failed. Peers' words are escaped to
 * printable ASCII (`\x1b`), wrapped and indented, so no reply can begin a line, a field or a part; the boundary is
 * chosen after the parts are written and occurs in none of them. Lines end in CRLF and are at most 998 bytes. */
#ifndef QUEUE_MAIL_BOUNCE_H
#define QUEUE_MAIL_BOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/mail/attempt.h"

enum {
	BOUNCE_HEADERS_MAX = 65536, /* of the message that failed; more is cut off at the end of a field */
	BOUNCE_RCPTS_FULL = 200, /* recipients past these are named with their status, without the words of the reply */
	BOUNCE_MAX = 16 << 20,	 /* the most that bounce_write() appends, with ENVELOPE_RCPTS_MAX recipients */
};

struct bounce_rcpt {
	const char *address;
	const struct reply *reply; /* the last one, never NULL */
	bool expired; /* given up because of its age; `reply` is why it waited. Status 4.4.7 (RFC 3463 §3.5) */
};

struct bounce_input {
	const char *hostname;
	const char *postmaster; /* address in From; NULL: MAILER-DAEMON@hostname */
	uint64_t bounce_id;	/* queue ID of the bounce itself: it stands in its Message-ID */
	uint64_t now_ms;	/* wall time */
	uint64_t id, arrival_ms;
	const char *sender; /* reverse-path of the message that failed */
	/* The last one; NULL if none was made (no route). With `used` >= 0 replies are the peer's. */
	const struct attempt *attempt;
	const struct bounce_rcpt *rcpts; /* those that failed now; equal replies best stand together */
	unsigned rcpt_count;
	/* Content of the message from its beginning: all of it or at least BOUNCE_HEADERS_MAX; what comes after the
	 * header is left out. NULL with 0 when it cannot be read. */
	const uint8_t *headers;
	size_t headers_len;
};

/* Appends the bounce to `out` and sets `*flags` to what its envelope must say: ENVELOPE_BOUNCE, and ENVELOPE_8BIT if
 * the header of the failed message holds bytes over 127. 0; -EINVAL without a recipient or for the null reverse-path
 * (never a bounce of a bounce); -E2BIG past the limit of `out`; -ENOMEM. On failure `out` is as it was. */
int bounce_write(const struct bounce_input *in, struct buf *out, unsigned *flags);

#endif
