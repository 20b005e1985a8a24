/* queue/retry.h: when to try again. Protocol: pure; chance is an argument. */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

/* Milliseconds to wait after the `failures`-th failure in a row (from 1): retry { first }, doubled each time, at most {
 * max }; the first after a greylisting-like answer: { greylist }, never more than { first }. Jitter of a tenth either
 * way from `chance` (any 32 random bits), so that mail deferred together does not come back together. */
uint64_t retry_delay(const struct conf *c, unsigned failures, bool greylisting, uint32_t chance);

#endif
