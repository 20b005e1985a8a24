/* queue/mail/draft.h: a part of a notice in the making. Protocol: pure.
 *
 * Lines end in CRLF. What others wrote (addresses, replies, names) comes in through draft_clean() and draft_wrapped()
 * alone: escaped to printable ASCII (`\x1b`), or to UTF-8 without controls where that is allowed; so nobody's words can
 * begin a line, a field or a part. The first error stays, and nothing is added behind it. */
#ifndef QUEUE_MAIL_DRAFT_H
#define QUEUE_MAIL_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/mail/reply.h"

enum {
	DRAFT_CLEAN = REPLY_TEXT_MAX * 4 + 64, /* room for any text that comes in, escaped */
	DRAFT_LINE = 990,		       /* of what others wrote: below 998 with room for a fold */
};

struct draft {
	struct buf text;
	int err;   /* the first one */
	bool utf8; /* UTF-8 of others may stand here as it is */
};

void draft_init(struct draft *d, size_t limit, bool utf8);
void draft_fini(struct draft *d);
void draft_put(struct draft *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void draft_bytes(struct draft *d, const void *bytes, size_t n);
/* Others' words without line ends, cut to fit. */
const char *draft_clean(const struct draft *d, char out[DRAFT_CLEAN], const char *text);
/* Writes `lead`, then the text's words, wrapped at 76 columns; further lines begin with `indent` (never empty). A word
 * that is too long for any line is cut. */
void draft_wrapped(struct draft *d, const char *lead, const char *indent, const char *text);
/* One line, `lead` and an address, which is not taken apart; only one too long for any line is wrapped. */
void draft_address(struct draft *d, const char *lead, const char *address);
/* Adds the bytes in quoted-printable (RFC 2045 §6.7); LF and CRLF are line ends. */
void draft_quoted(struct draft *d, const uint8_t *p, size_t n);
/* Does it hold bytes over 127? */
bool draft_is_8bit(const struct draft *d);

#endif
