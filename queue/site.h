/* queue/site.h: the table of sites: all domains behind the same hosts share one. State.
 *
 * Unused sites are kept for what they know (window, preferred family), up to limits { sites }; the longest unused
 * goes. */
#ifndef QUEUE_SITE_H
#define QUEUE_SITE_H

#include "queue/hops.h"

/* Finds or makes the site of these hosts, and gives it the limits of their route if it is that route's own. NULL
 * without memory. */
struct site *site_get(struct queue *q, const struct hops *h);
/* limits { site_connections }, or the route's own */
uint64_t site_connections(const struct queue *q, const struct site *s);
struct site *site_find(const struct queue *q, const char *name);
/* Takes up the addresses that the answer has. */
void site_take_addresses(const struct reach *r, struct site *s, const struct hops *h);
/* Has the delivery's attempt (`d` may be NULL) used the address already? */
bool site_was_tried(const struct delivery *d, const struct endpoint *to);
/* Has the site an address of the family that is not doubtful, has room, and was not tried in the delivery's attempt? */
bool site_offers(struct queue *q, const struct site *s, const struct delivery *d, enum family family);
/* What a dial may try now, with its history, sorted by preference; for `d` (may be NULL) without what it has tried.
 * `out` has room for CANDIDATES_MAX. Returns the count; `*full` says that some were left out because of
 * limits { address_connections }. */
unsigned site_candidates(
	struct queue *q, const struct site *s, const struct delivery *d, struct candidate *out, bool *full);
/* Frees the longest unused sites past the limit. */
void site_trim(struct queue *q);
void site_free_all(struct queue *q);

#endif
