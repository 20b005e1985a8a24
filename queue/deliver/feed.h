/* queue/deliver/feed.h: the content of a transaction as its peer gets it: as it is stored, or converted. Plumbing. */
#ifndef QUEUE_DELIVER_FEED_H
#define QUEUE_DELIVER_FEED_H

#include "queue/deliver/source.h"

struct feed {
	const struct transaction *of; /* NULL: none */
	struct source source;
};

/* `ready(arg)` runs at `home` when a piece may be there after feed_next() said 0. 0 or -ENOMEM. */
int feed_start(struct feed *f, const struct transaction *t, struct store *store, struct mailbox *home,
	void (*ready)(void *arg), void *arg);
/* 1: a piece, lent until the next call; 0: wait for `ready`; 2: the end, all was right; negative: it cannot be read,
 * and -EBADMSG says that it is damaged. */
int feed_next(struct feed *f, const uint8_t **p, size_t *n);
void feed_stop(struct feed *f); /* any state; `ready` does not come afterwards */

#endif
