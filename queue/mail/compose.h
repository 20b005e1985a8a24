/* queue/mail/compose.h: the text of a notice: a multipart/report of RFC 6522. Protocol: pure, time is an argument.
 *
 * Three parts: words for a person (queue/mail/words.h), the report for programs (queue/mail/report.h), and the message
 * or its header (queue/mail/returned.h). The boundary is chosen after the parts are written and occurs in none of them.
 * Lines end in CRLF and are at most 998 bytes.
 *
 * UTF-8 (RFC 6533): where the notice goes to a UTF-8 address its next hop must have SMTPUTF8 anyway, and it is written
 * in the message/global forms. Everywhere else UTF-8 addresses stand in their ASCII form and UTF-8 headers are encoded,
 * so that any next hop can take the notice. */
#ifndef QUEUE_MAIL_COMPOSE_H
#define QUEUE_MAIL_COMPOSE_H

#include "conf/buf.h"
#include "queue/mail/notice.h"

/* Stands in double bounces; a message that has this field is never the cause of another one. */
#define NOTICE_DOUBLE_FIELD "X-relay64-Double-Bounce"

/* Appends the notice to `out` and sets `*flags` to what its envelope must say: ENVELOPE_BOUNCE; ENVELOPE_8BIT if it
 * holds bytes over 127; ENVELOPE_SMTPUTF8 and ENVELOPE_HEADER_8BIT if it goes to a UTF-8 address. 0; -EINVAL without a
 * recipient or anybody to send it to; -E2BIG past the limit of `out`; -ENOMEM. On failure `out` is as it was. */
int notice_write(const struct notice *in, struct buf *out, unsigned *flags);

#endif
