/* queue/retry.c: protocol. */
#include "queue/retry.h"

uint64_t retry_delay(const struct conf *c, unsigned failures, bool greylisting, uint32_t chance)
{
	uint64_t delay = c->retry.first;
	if (failures <= 1 && greylisting && c->retry.greylist < delay)
		delay = c->retry.greylist;
	for (unsigned i = 1; i < failures && delay < c->retry.max; i++)
		delay *= 2;
	if (delay > c->retry.max)
		delay = c->retry.max;
	uint64_t tenth = delay / 10;
	if (delay + tenth > c->retry.max)
		delay = c->retry.max - tenth; /* the ceiling is one, and the jitter stays as wide */
	return delay - tenth + (tenth ? chance % (2 * tenth + 1) : 0);
}
