/* queue/ready.c: state. */
#include "queue/ready.h"

void ready_init(struct ready *r)
{
	*r = (struct ready){.sweep_level = READY_LEVELS};
	for (unsigned i = 0; i < READY_LEVELS; i++)
		TAILQ_INIT(&r->level[i]);
}

static unsigned level_of(const struct delivery *d)
{
	return (unsigned)(PRIORITY_MAX - message_priority(d->message));
}

static void count(struct ready *r, unsigned level)
{
	r->counts[level]++;
	r->count++;
	r->used |= UINT32_C(1) << level;
}

void ready_add(struct ready *r, struct delivery *d)
{
	unsigned level = level_of(d);
	TAILQ_INSERT_TAIL(&r->level[level], d, link);
	count(r, level);
}

void ready_add_first(struct ready *r, struct delivery *d)
{
	unsigned level = level_of(d);
	TAILQ_INSERT_HEAD(&r->level[level], d, link);
	count(r, level);
}

void ready_remove(struct ready *r, struct delivery *d)
{
	unsigned level = level_of(d);
	TAILQ_REMOVE(&r->level[level], d, link);
	r->count--;
	if (--r->counts[level] == 0)
		r->used &= ~(UINT32_C(1) << level);
}

struct delivery *ready_first(const struct ready *r)
{
	if (r->used == 0)
		return NULL;
	struct delivery *first = TAILQ_FIRST(&r->level[__builtin_ctz(r->used)]);
	if (r->turn % READY_OLDEST_EVERY != READY_OLDEST_EVERY - 1)
		return first;
	for (uint32_t left = r->used; left != 0; left &= left - 1) {
		struct delivery *d = TAILQ_FIRST(&r->level[__builtin_ctz(left)]);
		if (d->since < first->since)
			first = d;
	}
	return first;
}

void ready_chosen(struct ready *r)
{
	r->turn++;
}

struct delivery *ready_newest(const struct ready *r, const struct delivery *d)
{
	return TAILQ_LAST(&r->level[level_of(d)], delivery_list);
}

void ready_sweep(struct ready *r)
{
	r->sweep_level = 0;
	r->sweep_left = r->counts[0];
}

struct delivery *ready_sweep_next(struct ready *r)
{
	while (r->sweep_level < READY_LEVELS) {
		unsigned level = r->sweep_level;
		if (r->sweep_left > 0 && r->counts[level] > 0) {
			struct delivery *d = TAILQ_FIRST(&r->level[level]);
			r->sweep_left--;
			ready_remove(r, d);
			return d;
		}
		r->sweep_level++;
		r->sweep_left = r->sweep_level < READY_LEVELS ? r->counts[r->sweep_level] : 0;
	}
	return NULL;
}
