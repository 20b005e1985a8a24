/* queue/retry.h: when to try again. State: what it looks at is the queue's; chance is an argument. */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include "conf/policy.h"
#include "queue/core.h"

/* The schedule of the delivery's route, in the configuration in force now. */
struct retry_times retry_of(const struct queue *q, const struct delivery *d);
/* Milliseconds to wait after the `failures`-th failure in a row (from 1): `first`, doubled each time, at most `max`;
 * the first after a greylisting-like answer: `greylist`. Jitter of a tenth either way from `chance` (any 32 random
 * bits), so that mail deferred together does not come back together. */
uint64_t retry_delay(const struct retry_times *times, unsigned failures, bool greylisting, uint32_t chance);

#endif
