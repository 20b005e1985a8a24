/* queue/reach/wake.h: what this host can reach has changed: what waits goes its way again. State.
 *
 * Sites with mail that waits look their addresses over, those that rest only if a family or NAT64 is there that was
 * not; mail that was deferred because nothing of its destination could be reached is due at once. */
#ifndef QUEUE_REACH_WAKE_H
#define QUEUE_REACH_WAKE_H

#include "queue/core.h"

/* At the start, and after each change: says what there is, and begins. */
void wake_all(struct queue *q);
/* A slice of the deferred mail; to be called at each turn of the loop. True: there is more. */
bool wake_slice(struct queue *q);

#endif
