/* queue/settle.h: what an attempt came to: rows for its recipients, then outcome, deferral, bounce. State.
 *
 * settle_begin() … settle_rcpt() … settle_end(). After settle_end() the delivery belongs to this file until the outcome
 * is durable; then it is finished, held, or deferred until its next time. */
#ifndef QUEUE_SETTLE_H
#define QUEUE_SETTLE_H

#include "queue/core.h"

/* Gives the delivery its tries, if it has none. 0 or -ENOMEM. */
int settle_begin(struct queue *q, struct delivery *d);
/* The path over which the attempt goes on, behind those that a race tried for it. */
void settle_paths(struct queue *q, struct delivery *d, const struct path_try *paths, unsigned count, int used);
void settle_rcpt(struct queue *q, struct delivery *d, uint16_t index, enum rcpt_status status, const struct reply *r);
/* Makes room for all that the attempt may come to when `answers` recipients are answered now: its rows, and the record.
 * 0 or -ENOMEM. */
int settle_reserve(struct queue *q, struct delivery *d, unsigned answers);
/* Has this recipient its final answer in this attempt already? */
bool settle_answered(const struct delivery *d, uint16_t index);
/* Deliveries so far are made durable although the attempt goes on over another path, so that a crash does not repeat
 * them. */
void settle_interim(struct queue *q, struct delivery *d);
/* Ends the attempt. Recipients without an answer are deferred with `rest`. `next_at` (steady; 0: by the delivery's own
 * schedule) is when the deferred ones are due again. */
void settle_end(struct queue *q, struct delivery *d, const struct reply *rest, uint64_t next_at);
/* The same for the attempt that found no path to the site: it is written as deferred until the next probe, but goes
 * back to those that wait for the site, as it is due when that is greeted. */
void settle_end_at_rest(struct queue *q, struct delivery *d, const struct reply *rest, uint64_t probe_at);
/* An attempt that ended before any path: all recipients get this reply; 5yz fails them (unless
 * soft_bounce), else they are deferred. */
void settle_all(struct queue *q, struct delivery *d, const struct reply *r);
/* The delivery's route discards: all recipients are done, without a notice. */
void settle_discard(struct queue *q, struct delivery *d, const char *route);
/* An operator gives the message back: all recipients that are not finished fail with 5.7.0 "returned by the operator:
 * REASON", held ones too, by one outcome with one notice; while some of it is in transfer, when that ends. */
void settle_return(struct queue *q, struct message *m, const char *reason);
/* The attempt of a delivery whose message is withdrawn or redirected ends without a further path. If nobody was
 * answered it comes to nothing: no outcome. Then the message is held, removed, returned, or goes where it is to. */
void settle_cancel(struct queue *q, struct delivery *d);
/* The message is about to be withdrawn: what some recipients were answered in an attempt that waits for its next
 * connection is written down before. Until that is durable the message is in transfer. */
void settle_answers(struct queue *q, struct message *m);
/* For a delivery that waits without an attempt of its own (IDLE now) while there is something to be said of it: if it
 * is too old it fails, if its sender is to be told of the wait that is done, and it waits on until `next_at` (steady).
 * `fault` (may be NULL) and `why`: what it waits for. */
void settle_waiting(
	struct queue *q, struct delivery *d, const struct attempt *fault, const struct reply *why, uint64_t next_at);

#endif
