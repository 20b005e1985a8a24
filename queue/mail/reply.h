/* queue/mail/reply.h: an SMTP reply, ours or a peer's, as data. Protocol: pure.
 *
 * RFC 5321 §4.2, RFC 2034/3463. A peer's reply is never an error code of ours. */
#ifndef QUEUE_MAIL_REPLY_H
#define QUEUE_MAIL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REPLY_TEXT_MAX = 512, REPLY_ENHANCED = 12 };

struct reply {
	uint16_t code;		       /* 200..599; 0: there was none */
	char enhanced[REPLY_ENHANCED]; /* "5.7.1"; "" if the peer gave none */
	char text[REPLY_TEXT_MAX];     /* lines joined by a blank, without codes, printable; cut with "..." */
	bool own;		       /* this relay says so, not the peer */
};

/* Fills a reply of our own making. `enhanced` may be "". */
void reply_set(struct reply *r, unsigned code, const char *enhanced, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Do both say the same? */
bool reply_equal(const struct reply *a, const struct reply *b);
/* "550 5.1.1 No such user"; cut to `size`. */
const char *reply_format(const struct reply *r, char *out, size_t size);
/* 2 for 2yz … 5 for 5yz; 0 without a reply. */
unsigned reply_class(const struct reply *r);
/* A 4yz that looks like greylisting: 450/451/421-free wording or 4.7.1, so that the first retry comes soon. */
bool reply_is_greylisting(const struct reply *r);
/* To RCPT: does it say that this is one recipient more than a transaction may have (RFC 5321 §4.5.3.1.10)? That is 452,
 * or 552 from servers that follow RFC 821, with X.5.3, with such words, or, for 452, with nothing that says otherwise.
 */
bool reply_is_too_many(const struct reply *r);

/* Collects a possibly multi-line reply from bytes: RFC 5321 §4.2.1, strict about codes (three digits, the same on each
 * line), tolerant about a bare LF and a missing text. Bounded by lines and bytes. */
struct reply_parser {
	struct reply reply; /* complete after REPLY_COMPLETE */
	unsigned lines_left;
	size_t bytes_left;
	size_t line_length;
	char line[1024]; /* the longer rest of a line is counted and dropped */
	bool started;
	bool cut; /* the last line was longer than `line` holds */
};
enum reply_event { REPLY_MORE, REPLY_LINE, REPLY_COMPLETE, REPLY_BAD, REPLY_TOO_LONG };
void reply_parser_init(struct reply_parser *p, unsigned max_lines, size_t max_bytes);
/* Takes bytes up to the end of one line at the most; `*used` says how many. REPLY_LINE: one line of a multi-line reply
 * was read and more follow. After REPLY_LINE and REPLY_COMPLETE the text of that line alone stands in p->line,
 * 0-terminated, without code: for EHLO keywords. After REPLY_COMPLETE, BAD or TOO_LONG the parser must be initialised
 * again. */
enum reply_event reply_parser_feed(struct reply_parser *p, const uint8_t *in, size_t len, size_t *used);

#endif
