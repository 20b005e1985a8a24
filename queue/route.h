/* queue/route.h: from a recipient's domain to the site that takes its mail. State. */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "queue/core.h"

/* An IDLE delivery that is due goes to its site, or waits for its domain's look-up, or ends with the look-up's
 * answer; or it ends here because its route discards or rejects. */
void route_delivery(struct queue *q, struct delivery *d);
/* The resolution delay of a domain is over. */
void route_domain_due(struct queue *q, struct domain *domain);
/* DUE_SERVE: the next ones of those that waited for the look-up get what came of it. */
void route_serve(struct queue *q, struct domain *domain);
/* Has the domain an answer that still holds? */
bool route_is_fresh(const struct queue *q, const struct domain *domain);
/* Does the delivery belong to other answers than those it has: was its message redirected since? Then it is to be taken
 * out of its list and to go its way again. */
bool route_moved(const struct delivery *d);
/* Frees domains that nobody points to, a few at a time. */
void route_trim(struct queue *q);
/* The end: ends all look-ups (before the resolver is closed) … */
void route_stop(struct queue *q);
/* … and frees all domains (when no delivery is left). */
void route_free_all(struct queue *q);

#endif
