/* queue/control/causes.h: recipients that wait, counted by site and by why (queue/control/normalise.h). State.
 *
 * Memory is bounded: past CAUSES_MAX groups what belongs to none of them is counted together. */
#ifndef QUEUE_CONTROL_CAUSES_H
#define QUEUE_CONTROL_CAUSES_H

#include <stdbool.h>
#include <stdint.h>

enum { CAUSES_MAX = 5000 };

struct cause {
	const char *site, *reason;
	uint64_t recipients, messages;
	uint64_t id;	    /* of the oldest message */
	uint64_t oldest_ms; /* when that arrived */
	uint64_t newest_ms;
};

struct causes;

struct causes *causes_new(void); /* NULL without memory */
void causes_free(struct causes *c);
/* One recipient of message `id`. Messages come one after another, in the order of their IDs. */
void causes_add(struct causes *c, const char *site, const char *reason, uint64_t id, uint64_t arrival_ms);
/* Between two slices: texts that causes_add() was given may be gone, and others at their places. */
void causes_forget_texts(struct causes *c);
/* Sorts, the fullest first; then causes_at() may be called, and causes_add() no more. */
void causes_sort(struct causes *c);
/* NULL behind the last. */
const struct cause *causes_at(const struct causes *c, unsigned i);
/* What is in none of the groups from `from` on … and in none at all. */
uint64_t causes_others(const struct causes *c, unsigned from);

#endif
