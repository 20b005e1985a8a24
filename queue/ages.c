/* queue/ages.c: state. */
#include "queue/ages.h"

#include <string.h>

enum { NARROWEST_MS = 15000 };

/* The slot in which the time lies; earlier than all: the first. */
static unsigned find_slot(const struct ages *a, uint64_t at_ms)
{
	unsigned i = a->used - 1;
	while (i > 0 && a->slots[i].from_ms > at_ms)
		i--;
	return i;
}

static void drop_slot(struct ages *a, unsigned i)
{
	memmove(a->slots + i, a->slots + i + 1, (a->used - i - 1) * sizeof *a->slots);
	a->used--;
}

/* Joins the two neighbours whose joint width is the smallest part of their age. */
static void merge(struct ages *a, uint64_t now_ms)
{
	unsigned best = 0;
	double least = 0;
	for (unsigned i = 0; i + 1 < a->used; i++) {
		uint64_t end = i + 2 < a->used ? a->slots[i + 2].from_ms : now_ms;
		double width = end > a->slots[i].from_ms ? (double)(end - a->slots[i].from_ms) : 1;
		double age = now_ms > a->slots[i].from_ms ? (double)(now_ms - a->slots[i].from_ms) : 1;
		if (i == 0 || width / age < least) {
			least = width / age;
			best = i;
		}
	}
	a->slots[best].count += a->slots[best + 1].count;
	drop_slot(a, best + 1);
}

void ages_add(struct ages *a, uint64_t arrival_ms, uint64_t now_ms)
{
	a->total++;
	if (a->used > 0 && arrival_ms < a->slots[a->used - 1].from_ms + NARROWEST_MS) {
		unsigned i = find_slot(a, arrival_ms);
		if (arrival_ms < a->slots[i].from_ms)
			a->slots[i].from_ms = arrival_ms;
		a->slots[i].count++;
		return;
	}
	if (a->used == AGES_SLOTS)
		merge(a, now_ms);
	a->slots[a->used].from_ms = arrival_ms;
	a->slots[a->used].count = 1;
	a->used++;
}

void ages_remove(struct ages *a, uint64_t arrival_ms)
{
	if (a->used == 0)
		return;
	unsigned i = find_slot(a, arrival_ms);
	a->total--;
	if (--a->slots[i].count == 0)
		drop_slot(a, i);
}

uint64_t ages_oldest(const struct ages *a)
{
	return a->used ? a->slots[0].from_ms : 0;
}

void ages_spread(const struct ages *a, uint64_t now_ms, const uint64_t *limits, unsigned limit_count, uint64_t *out)
{
	memset(out, 0, (limit_count + 1) * sizeof *out);
	for (unsigned i = 0; i < a->used; i++) {
		uint64_t age = now_ms > a->slots[i].from_ms ? now_ms - a->slots[i].from_ms : 0;
		unsigned bucket = 0;
		while (bucket < limit_count && age > limits[bucket])
			bucket++;
		out[bucket] += a->slots[i].count;
	}
}
