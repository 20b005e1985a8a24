/* queue/deliver/source.h: the content of a transaction as it is stored: its body in memory, or the spool. Plumbing. */
#ifndef QUEUE_DELIVER_SOURCE_H
#define QUEUE_DELIVER_SOURCE_H

#include "queue/deliver/transaction.h"
#include "queue/spool/store.h"

struct source {
	const struct body_chunk *chunk;
	struct content_reader *reader;
	bool lent;
};

/* `ready(arg)` runs at `home` when a piece may be there after source_next() said 0. 0 or -ENOMEM. */
int source_open(struct source *s, const struct transaction *t, struct store *store, struct mailbox *home,
	void (*ready)(void *arg), void *arg);
/* 1: a piece, lent until the next call; 0: wait for `ready`; 2: the end, all was right; negative: it cannot be read,
 * and -EBADMSG says that it is damaged. */
int source_next(struct source *s, const uint8_t **p, size_t *n);
void source_close(struct source *s); /* any state; `ready` does not come afterwards */

#endif
