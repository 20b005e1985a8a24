/* queue/route.h: from a recipient's domain to the site that takes its mail. State. */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "queue/core.h"

/* An IDLE delivery that is due goes to its site, or waits for its domain's look-up, or ends with the look-up's
 * answer. */
void route_delivery(struct queue *q, struct delivery *d);
/* The resolution delay of a domain is over. */
void route_domain_due(struct queue *q, struct domain *domain);
/* Has the domain an answer that still holds? */
bool route_is_fresh(const struct queue *q, const struct domain *domain);
/* The route that names the delivery's domain, in the configuration in force now; NULL: none does. */
const struct conf_route *route_of(const struct queue *q, const struct delivery *d);
/* What is to be looked up for a domain by the configuration's routes: `wanted->name` lives as long as `domain` and the
 * route. Returns the port. -EINVAL: the domain is an address literal that cannot be read. */
int route_wanted(const struct conf *c, const char *domain, const struct conf_route **route, struct mx_wanted *wanted,
	uint16_t *port);
/* Frees domains that nobody points to, a few at a time. */
void route_trim(struct queue *q);
/* The end: ends all look-ups (before the resolver is closed) … */
void route_stop(struct queue *q);
/* … and frees all domains (when no delivery is left). */
void route_free_all(struct queue *q);

#endif
