/* queue/ready.h: the deliveries that wait at one site for a connection, in their order. State.
 *
 * Higher MT-PRIORITY (RFC 6710) first, in the order of arrival inside one priority. A list a priority, so everything is
 * done in the same few steps however many wait. So that a steady stream of high priority starves nobody, every eighth
 * choice falls on who is longest due, whatever its priority. */
#ifndef QUEUE_READY_H
#define QUEUE_READY_H

#include "queue/mail/message.h"

enum { READY_LEVELS = 2 * PRIORITY_MAX + 1, READY_OLDEST_EVERY = 8 };

struct ready {
	struct delivery_list level[READY_LEVELS]; /* the highest priority is the first */
	unsigned counts[READY_LEVELS];
	uint32_t used; /* bit N: level N holds some */
	unsigned count;
	unsigned turn; /* of the choices, for the eighth */
	/* a sweep: the level at which it is, and how many of that it has still to see */
	unsigned sweep_level, sweep_left;
};

void ready_init(struct ready *r);
void ready_add(struct ready *r, struct delivery *d);	   /* behind those of its priority */
void ready_add_first(struct ready *r, struct delivery *d); /* before them */
void ready_remove(struct ready *r, struct delivery *d);
/* Who is next; NULL: nobody waits. Says the same until ready_chosen(). */
struct delivery *ready_first(const struct ready *r);
void ready_chosen(struct ready *r); /* the turn passes on */
/* The newest of the priority of `d`, which waits here. */
struct delivery *ready_newest(const struct ready *r, const struct delivery *d);

/* Everybody who waits now is to be seen once. */
void ready_sweep(struct ready *r);
/* The next one to be seen, taken out; who stays is added again. NULL: all were seen. */
struct delivery *ready_sweep_next(struct ready *r);

#endif
