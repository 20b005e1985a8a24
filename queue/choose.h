/* queue/choose.h: which of a site's connections a delivery uses, and whose turn it is. State. */
#ifndef QUEUE_CHOOSE_H
#define QUEUE_CHOOSE_H

#include "queue/core.h"

/* An idle connection that the delivery may use, of the family that it must or should have; NULL: none. The best is the
 * one to where it was greylisted. */
struct link *choose_link(struct queue *q, const struct site *s, const struct delivery *d);
/* Idle connections that the delivery cannot use (for their family, or as they may not carry mail for one domain more)
 * are in its way: one is ended, at the limits. */
void choose_room(struct queue *q, struct site *s, const struct delivery *d);
/* Behind a backlog (`first` waits for long) fresh mail of the same priority has every second turn: the newest, or
 * NULL. */
struct delivery *choose_fresh(const struct queue *q, struct site *s, const struct delivery *first);

#endif
