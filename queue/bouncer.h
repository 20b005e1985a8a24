/* queue/bouncer.h: makes the bounce of an attempt: reads the original's header, writes the report, hands it to the
 * entry that it is stored with. State. */
#ifndef QUEUE_BOUNCER_H
#define QUEUE_BOUNCER_H

#include "queue/entry.h"

/* For an entry (not posted yet) whose attempt has failed recipients and whose message has a reverse-path. `ready` comes
 * now or later; `bounce` is NULL if none could be made (no memory, no ID): then its recipients have to stay in the
 * queue. */
void bouncer_start(
	struct queue *q, struct entry *e, void (*ready)(struct queue *q, struct entry *e, struct submission *bounce));
/* The bounce is durable: takes it into the index and has it scheduled. */
void bouncer_stored(struct queue *q, struct submission *bounce, uint64_t original);

#endif
