/* queue/age.h: how old mail is for giving up and for warning, and the times that its sender named. State; the clock is
 * the queue's.
 *
 * What the sender names is wall time (DELIVERBY, RFC 2852; FUTURERELEASE, RFC 4865): it is held against the wall clock
 * as it is now, so a step of the clock is obeyed. */
#ifndef QUEUE_AGE_H
#define QUEUE_AGE_H

#include "queue/core.h"

/* Steady: when the message came, or was released if its sender wanted it held back (RFC 4865 §4). */
uint64_t age_begin(const struct queue *q, const struct message *m);
/* Wall time at which the delivery is given up. */
uint64_t age_end_ms(const struct queue *q, const struct delivery *d);
/* Is the delivery's message older than retry { give_up }, and may it be given up now? */
bool age_expired(const struct queue *q, const struct delivery *d);
/* Has it waited for retry { warn }, and may its sender be told so now? */
bool age_warns(const struct queue *q, const struct delivery *d);
/* Has the time of DELIVERBY passed? */
bool age_late(const struct queue *q, const struct message *m);
/* Is it held back by its sender, to be released later? */
bool age_held_back(const struct queue *q, const struct message *m);

#endif
