/* queue/schedule.h: what is due now. State. */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "queue/core.h"

/* A message that has just come into the index, or was released: each delivery is held, waits for its time, or goes on
 * its way. */
void schedule_message(struct queue *q, struct message *m);
/* The same for every message after the start-up's replay. */
void schedule_all(struct queue *q);
/* All its deliveries are due now, or as soon as their attempts are written down; redirected ones leave the site where
 * they wait; the sites of those that wait for a resting one are probed. */
void schedule_retry(struct queue *q, struct message *m);
/* Does what is due, `budget` things at the most. Returns when it wants to be called again (steady; 0: at once;
 * UINT64_MAX: nothing waits). */
uint64_t schedule_run(struct queue *q, unsigned budget);

#endif
