/* queue/core.c: state. */
#include "queue/core.h"

#include <stdlib.h>

uint64_t core_now(const struct queue *q)
{
	return q->clock() + q->base;
}

const struct conf_route *core_route(const struct queue *q, const struct delivery *d)
{
	return conf_route(q->conf, address_domain_of(d->message->rcpts[d->first].address));
}

uint64_t core_wall(const struct queue *q, uint64_t steady)
{
	return steady + (uint64_t)q->shift;
}

uint64_t core_steady(const struct queue *q, uint64_t wall)
{
	return wall - (uint64_t)q->shift;
}
