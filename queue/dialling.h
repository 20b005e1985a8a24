/* queue/dialling.h: which addresses a dial of a site is given, and how it counts there. State.
 *
 * limits { address_connections } counts connections and dials of all sites. Which of its addresses a race comes to is
 * not known before; so a dial counts at all of its best preference while it is under way, and is given only those that
 * have room. */
#ifndef QUEUE_DIALLING_H
#define QUEUE_DIALLING_H

#include "queue/core.h"

/* May the look-up of the delivery's domain bring this site more addresses? */
bool dialling_answers_come(const struct site *s, const struct delivery *d);
/* A dial with the addresses that the delivery may use now; not yet started, not yet counted. NULL: no memory, or no
 * address that has room is worth it: those of a worse preference, or known to be broken, are not while the others are
 * full. For an attempt under way it may have none, and wait for the answers that come. */
struct dial *dialling_build(struct queue *q, struct site *s, struct delivery *d, struct dialling *w);
/* Counts it at its addresses (1), or no more (-1). */
void dialling_count(struct queue *q, const struct dialling *w, int change);
/* The site has new addresses: the dial under way takes them up. `candidates`: room to work in. */
void dialling_refresh(struct queue *q, struct dialling *w, struct candidate candidates[CANDIDATES_MAX]);
/* The reply that tells most of why no path of a dial that is over worked: a peer's own words before the system's. */
void dialling_reply(const struct dial *dial, struct reply *out);

#endif
