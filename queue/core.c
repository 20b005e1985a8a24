/* queue/core.c: state. */
#include "queue/core.h"

uint64_t core_now(const struct queue *q)
{
	return q->clock() + q->base;
}

uint64_t core_wall(const struct queue *q, uint64_t steady)
{
	return steady + (uint64_t)q->shift;
}

uint64_t core_steady(const struct queue *q, uint64_t wall)
{
	return wall - (uint64_t)q->shift;
}
