/* queue/retry.c: state. */
#include "queue/retry.h"

struct retry_times retry_of(const struct queue *q, const struct delivery *d)
{
	return policy_of(q->conf, core_route(q, d)).retry;
}

uint64_t retry_delay(const struct retry_times *times, unsigned failures, bool greylisting, uint32_t chance)
{
	uint64_t delay = times->first;
	if (failures <= 1 && greylisting && times->greylist < delay)
		delay = times->greylist;
	for (unsigned i = 1; i < failures && delay < times->max; i++)
		delay *= 2;
	if (delay > times->max)
		delay = times->max;
	uint64_t tenth = delay / 10;
	if (delay + tenth > times->max)
		delay = times->max - tenth; /* the ceiling is one, and the jitter stays as wide */
	return delay - tenth + (tenth ? chance % (2 * tenth + 1) : 0);
}
