/* queue/notifier.h: makes the notices that an outcome asks for: reads the message's content as far as they need it,
 * writes their texts, hands them to the entry that they are stored with. State. */
#ifndef QUEUE_NOTIFIER_H
#define QUEUE_NOTIFIER_H

#include "queue/entry.h"

/* For an entry (not posted yet) whose outcome asks for notices of these kinds (telling_kinds()). `ready` comes now or
 * later; `made` is false if one of them could not be made (no memory, no ID): then none of them stays in the entry, and
 * its failed recipients have to stay in the queue. */
void notifier_start(
	struct queue *q, struct entry *e, unsigned kinds, void (*ready)(struct queue *q, struct entry *e, bool made));
/* So many notices are being made and written that what can wait should: what is begun in sweeps, not what an attempt
 * came to (those are as many as connections at the most). */
bool notifier_busy(const struct queue *q);
/* Has this turn of the queue thread begun as many notices as it has time for? notifier_busy() says so too. */
bool notifier_slice_full(const struct queue *q);
/* They are durable: takes them into the index and has them scheduled. */
void notifier_stored(struct queue *q, struct entry *e);

#endif
