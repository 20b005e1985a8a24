/* queue/due.c: state. */
#include "queue/due.h"

#include <errno.h>
#include <stdlib.h>

void due_heap_init(struct due_heap *h)
{
	*h = (struct due_heap){0};
}

void due_heap_fini(struct due_heap *h)
{
	free(h->items);
	due_heap_init(h);
}

int due_reserve(struct due_heap *h, uint32_t count)
{
	if (count <= h->room)
		return 0;
	uint32_t room = h->room ? h->room : 64;
	while (room < count && room < UINT32_MAX / 2)
		room *= 2;
	struct due **items = room < count ? NULL : reallocarray(h->items, room, sizeof(struct due *));
	if (items == NULL)
		return -ENOMEM;
	h->items = items;
	h->room = room;
	return 0;
}

static void put(struct due_heap *h, uint32_t at, struct due *d)
{
	h->items[at] = d;
	d->place = at + 1;
}

static void rise(struct due_heap *h, uint32_t at, struct due *d)
{
	while (at > 0 && h->items[(at - 1) / 2]->at > d->at) {
		put(h, at, h->items[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(h, at, d);
}

static void sink(struct due_heap *h, uint32_t at, struct due *d)
{
	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= h->count)
			break;
		if (child + 1 < h->count && h->items[child + 1]->at < h->items[child]->at)
			child++;
		if (h->items[child]->at >= d->at)
			break;
		put(h, at, h->items[child]);
		at = child;
	}
	put(h, at, d);
}

int due_set(struct due_heap *h, struct due *d, uint64_t at)
{
	if (d->place == 0) {
		if (due_reserve(h, h->count + 1) != 0)
			return -ENOMEM;
		d->at = at;
		h->count++;
		rise(h, h->count - 1, d);
		return 0;
	}
	uint64_t before = d->at;
	d->at = at;
	if (at < before)
		rise(h, d->place - 1, d);
	else
		sink(h, d->place - 1, d);
	return 0;
}

void due_clear(struct due_heap *h, struct due *d)
{
	if (d->place == 0)
		return;
	uint32_t at = d->place - 1;
	d->place = 0;
	struct due *last = h->items[--h->count];
	if (last == d)
		return;
	if (at > 0 && h->items[(at - 1) / 2]->at > last->at)
		rise(h, at, last);
	else
		sink(h, at, last);
}

struct due *due_first(const struct due_heap *h)
{
	return h->count ? h->items[0] : NULL;
}
