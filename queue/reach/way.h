/* queue/reach/way.h: how the addresses of next hops are reached from this host: themselves, through NAT64, or not at
 * all, and why. State.
 *
 * An IPv4 address that cannot be reached itself is reached through NAT64 if a prefix is known whose addresses can be
 * (RFC 6052). An IPv6 address inside a known prefix is that of an IPv4 host, whoever made it. */
#ifndef QUEUE_REACH_WAY_H
#define QUEUE_REACH_WAY_H

#include "queue/deliver/path.h"
#include "queue/hops.h"
#include "queue/reach/reach.h"

enum { WAY_WHY = 400 };

/* Fills `to.ip` and `real` for an address from the DNS. False: there is no way to it. */
bool way_to(const struct reach *r, const struct ip *ip, struct candidate *out);
/* Is there a way to some address of some host? */
bool way_any(const struct reach *r, const struct hops *h);
/* The one family of all addresses; FAMILY_NONE: there are some of both, or none at all. */
enum family way_family(const struct hops *h);
/* With no way to any: "has IPv6 addresses alone, and this host has no IPv6 route", to stand behind a name. */
const char *way_why(const struct reach *r, const struct hops *h, char out[WAY_WHY]);

#endif
