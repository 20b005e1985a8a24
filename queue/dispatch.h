/* queue/dispatch.h: sites at work: dials, connections, transactions; slow start, rest and probe. State. */
#ifndef QUEUE_DISPATCH_H
#define QUEUE_DISPATCH_H

#include "queue/core.h"

/* The delivery (IDLE, routed) waits for its turn at the site. */
void dispatch_enqueue(struct queue *q, struct site *s, struct delivery *d);
/* Starts whatever may start now. */
void dispatch_pump(struct queue *q, struct site *s);
/* The rest of the site is over: one probe. With nothing waiting the site just wakes: the next mail is the probe. */
void dispatch_probe(struct queue *q, struct site *s);
/* New addresses came in: dials under way take them up. With `complete` no more will come. */
void dispatch_refresh(struct queue *q, struct site *s, bool complete);
/* The site's waiting deliveries are to be looked through: too old ones are given up, those whose domain is elsewhere
 * now leave. */
void dispatch_sweep(struct queue *q, struct site *s);
/* A slice of that, from DUE_SWEEP. */
void dispatch_sweep_slice(struct queue *q, struct site *s);
/* Sites that waited for the limit of all connections get their turn. */
void dispatch_turns(struct queue *q);
/* Once a second: goes on when the spool can be written again. */
void dispatch_resume(struct queue *q);
/* TERM: idle connections QUIT, dials end, nothing new begins. */
void dispatch_drain(struct queue *q);

#endif
