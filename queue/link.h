/* queue/link.h: the queue's end of one connection. State. */
#ifndef QUEUE_LINK_H
#define QUEUE_LINK_H

#include "queue/core.h"

/* Takes over the dial's connection and its list of paths; idle. `closed` is called once the connection is gone and the
 * link freed. NULL without memory: then the connection is still the caller's. */
struct link *link_new(
	struct queue *q, struct site *s, struct dial *dial, void (*closed)(struct queue *q, struct site *s));
/* May the connection carry mail for the delivery's domain? Not if the peer takes no more of them over one connection
 * (LIMITS RCPTDOMAINMAX, RFC 9422). */
bool link_fits(const struct link *l, const struct delivery *d);
void link_take(struct link *l, struct work *w); /* idle → at work */
/* The work is over; a link that is not reusable waits for its end. */
void link_put_back(struct link *l, bool reusable);

#endif
