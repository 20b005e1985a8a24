/* queue/ages.c: state. */
#include "queue/ages.h"

#include <stdbool.h>
#include <string.h>

enum { NARROWEST_MS = 15000 };

/* The slot in which the time lies, or the last one before it; earlier than all: the first. */
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
		double width = (double)(a->slots[i + 1].to_ms - a->slots[i].from_ms) + 1;
		double age = now_ms > a->slots[i].from_ms ? (double)(now_ms - a->slots[i].from_ms) : 1;
		if (i == 0 || width / age < least) {
			least = width / age;
			best = i;
		}
	}
	a->slots[best].to_ms = a->slots[best + 1].to_ms;
	a->slots[best].count += a->slots[best + 1].count;
	drop_slot(a, best + 1);
}

/* Takes it into a slot that is there. Slots never overlap, so that ages_remove() finds the same one again. */
static bool take_in(struct ages *a, uint64_t arrival_ms)
{
	if (a->used == 0)
		return false;
	unsigned i = find_slot(a, arrival_ms);
	if (arrival_ms >= a->slots[i].from_ms) {
		if (arrival_ms > a->slots[i].to_ms && arrival_ms - a->slots[i].from_ms >= NARROWEST_MS)
			return false;
		if (arrival_ms > a->slots[i].to_ms)
			a->slots[i].to_ms = arrival_ms;
	} else if (a->slots[i].to_ms - arrival_ms < NARROWEST_MS) {
		a->slots[i].from_ms = arrival_ms;
	} else {
		return false;
	}
	a->slots[i].count++;
	return true;
}

void ages_add(struct ages *a, uint64_t arrival_ms, uint64_t now_ms)
{
	a->total++;
	if (take_in(a, arrival_ms))
		return;
	if (a->used == AGES_SLOTS) {
		merge(a, now_ms);
		if (take_in(a, arrival_ms))
			return;
	}
	unsigned at = a->used;
	while (at > 0 && a->slots[at - 1].from_ms > arrival_ms)
		at--;
	memmove(a->slots + at + 1, a->slots + at, (a->used - at) * sizeof *a->slots);
	a->slots[at].from_ms = a->slots[at].to_ms = arrival_ms;
	a->slots[at].count = 1;
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
		uint64_t middle = a->slots[i].from_ms + (a->slots[i].to_ms - a->slots[i].from_ms) / 2;
		uint64_t age = now_ms > middle ? now_ms - middle : 0;
		unsigned bucket = 0;
		while (bucket < limit_count && age > limits[bucket])
			bucket++;
		out[bucket] += a->slots[i].count;
	}
}
