/* queue/deadline.h: what comes with time alone, without an attempt: the time of DELIVERBY (RFC 2852), the release of
 * mail that its sender held back (FUTURERELEASE, RFC 4865), warnings of delay and the end of mail that waits for a
 * resting site. State. */
#ifndef QUEUE_DEADLINE_H
#define QUEUE_DEADLINE_H

#include "queue/core.h"

/* The message has come into the index, or was released by an operator: waits for its time of DELIVERBY, if it has one
 * that is still to come to something. */
void deadline_watch(struct queue *q, struct message *m);
/* DUE_MESSAGE: with mode R what is left of it fails with 5.4.7, but for what is in transfer (that is looked at when its
 * attempt ends) and what an operator holds (when it is released); with mode N its sender is told once. */
void deadline_due(struct queue *q, struct message *m);
/* Must the delivery (IDLE) not be tried now? Then it waits: for its release, or it has just failed for its time. Held
 * back mail is looked at once a minute at least, in case the clock is set. */
bool deadline_stops(struct queue *q, struct delivery *d);
/* Has a delivery that waits for its resting or suspended site become too old, or is its sender to be told that it
 * waits? Then does that, and true: the delivery is settled and comes back by itself. */
bool deadline_at_rest(struct queue *q, struct delivery *d);
/* Too many notices are being made for more to be begun by time alone: the caller waits a moment. The functions above do
 * so themselves, but for deadline_at_rest(). */
bool deadline_busy(const struct queue *q);

#endif
