/* queue/soft.h: soft_bounce: what would fail for good is deferred. State. */
#ifndef QUEUE_SOFT_H
#define QUEUE_SOFT_H

#include "queue/core.h"

/* Is this 5yz reply to be taken as a 4yz one, by the delivery's route? Then `soft` is what to defer with: the same
 * class of enhanced code, "soft_bounce: " and the reply. False for any other reply. */
bool soft_bounce(const struct queue *q, const struct delivery *d, const struct reply *r, struct reply *soft);

#endif
