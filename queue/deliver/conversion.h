/* queue/deliver/conversion.h: one transaction's content, converted for its peer: first surveyed, then fed. Plumbing.
 *
 * On the I/O loop alone. The content is read twice, from memory or from the spool. What is possible, and how long the
 * result is, is known before MAIL. */
#ifndef QUEUE_DELIVER_CONVERSION_H
#define QUEUE_DELIVER_CONVERSION_H

#include "queue/deliver/transaction.h"
#include "queue/mime/convert.h"
#include "queue/spool/store.h"

/* Surveys the content of `t`, which gets its `conversion`; `done` may run within the call. With status 0 the
 * transaction has the size and the flags of the converted content. -EILSEQ: it cannot be converted, and all recipients
 * without an answer have ours (5.6.3). Another negative code: it cannot be read. Returns 0, or -ENOMEM without `done`.
 */
int conversion_start(struct transaction *t, enum mime_target target, struct store *store, struct mailbox *home,
	void (*done)(struct transaction *t, int status));
void conversion_free(struct conversion *c); /* any state: `done` does not come afterwards; NULL is fine */

/* After the survey: the converted content in pieces, as feed_start() and feed_next() (queue/deliver/feed.h). */
int conversion_begin(struct conversion *c, void (*ready)(void *arg), void *arg);
int conversion_next(struct conversion *c, const uint8_t **p, size_t *n);

#endif
