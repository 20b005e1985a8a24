/* queue/due.h: what is to happen when: a heap of times, held in the things that wait. State; time is an argument. */
#ifndef QUEUE_DUE_H
#define QUEUE_DUE_H

#include <stdint.h>

/* Held in a delivery, site or domain. All zero: not waiting. */
struct due {
	uint64_t at;	/* steady milliseconds, see queue/core.h */
	uint32_t place; /* in the heap, from 1; 0: not in it */
	uint8_t kind;	/* the owner's: what holds this */
};

struct due_heap {
	struct due **items;
	uint32_t count;
	uint32_t room;
};

void due_heap_init(struct due_heap *h);
void due_heap_fini(struct due_heap *h);
/* Makes sure that `count` things can wait, so that due_set() cannot fail. 0 or -ENOMEM. */
int due_reserve(struct due_heap *h, uint32_t count);
/* Waits until `at`, or moves the time if it waits already. -ENOMEM only if nothing was reserved. */
int due_set(struct due_heap *h, struct due *d, uint64_t at);
void due_clear(struct due_heap *h, struct due *d); /* not waiting is fine */
/* The earliest, or NULL. */
struct due *due_first(const struct due_heap *h);

#endif
