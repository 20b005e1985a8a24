/* queue/pace.h: how many connections a site may have now: slow start, and 421. State; time is an argument.
 *
 * Each success lets the window grow, by one connection for as many successes as it has connections. A 421 (RFC 5321
 * §3.8), whether it comes as the greeting of one more connection or later, halves it; for a while nothing grows then,
 * longer each time, and connections over the half are closed once they are idle. */
#ifndef QUEUE_PACE_H
#define QUEUE_PACE_H

#include "queue/core.h"

enum { PACE_ONE = 16, PACE_FIRST = 2 * PACE_ONE }; /* the window counts in 1/16 of a connection */

/* Connections that the site may have now. */
unsigned pace_window(const struct site *s);
void pace_success(struct site *s, uint64_t most, uint64_t now);
/* 421, while the site had so many connections, with the one that was turned away. */
void pace_load(struct site *s, unsigned connections, uint64_t now);
/* Has the site more connections than a 421 left it? */
bool pace_surplus(const struct site *s, uint64_t now);
/* No more than it has, because one more could not be had. */
void pace_hold(struct site *s);
/* One more may be tried beside those it has, which may be busy for long; or 0, and when to ask again. */
uint64_t pace_probe(struct site *s, uint64_t now);
/* The site is back from its rest. */
void pace_restart(struct site *s);

#endif
