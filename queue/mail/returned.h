/* queue/mail/returned.h: the third part of a notice: the message, or its header. Protocol: pure.
 *
 * RET=HDRS, a notice of delay or success, a message over limits { bounce_size }, one that could not be read whole, one
 * in BINARYMIME or with lines that mail may not have: the header. Else all of it (RFC 3461 §4.3, §6.2). */
#ifndef QUEUE_MAIL_RETURNED_H
#define QUEUE_MAIL_RETURNED_H

#include "queue/mail/draft.h"
#include "queue/mail/notice.h"

enum returned_type {
	RETURNED_HEADERS,	 /* text/rfc822-headers */
	RETURNED_MESSAGE,	 /* message/rfc822 */
	RETURNED_GLOBAL_HEADERS, /* message/global-headers (RFC 6533 §6): a header in UTF-8 */
	RETURNED_GLOBAL,	 /* message/global (RFC 6532 §3.7) */
};

struct returned {
	enum returned_type type;
	const char *encoding; /* "7bit", "8bit" or "quoted-printable" */
};

/* Writes what goes back, and says what that is. Where d->utf8 is not set a header with bytes over 127 is encoded, so
 * that the notice does not need SMTPUTF8. */
struct returned returned_write(struct draft *d, const struct notice *in);
/* Lines of the part's own header. */
const char *returned_content_type(const struct returned *r);

#endif
