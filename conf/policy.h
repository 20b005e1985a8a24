/* conf/policy.h: what holds for the mail of one route: what the route says, and what it inherits from the blocks
 * `retry` and `limits` and the top level. Protocol: pure. */
#ifndef CONF_POLICY_H
#define CONF_POLICY_H

#include "conf/conf.h"

/* When mail is tried again and given up, in milliseconds. */
struct retry_times {
	uint64_t first, max; /* wait before the second attempt, doubled each time up to `max` */
	uint64_t greylist;   /* after an answer that looks like greylisting; never later than `first` */
	uint64_t give_up;
	uint64_t warn; /* 0: never */
};

struct policy {
	uint64_t connections; /* to one site */
	uint64_t messages;    /* over one connection */
	uint64_t recipients;  /* in one transaction; 0: as many as the next hop takes */
	struct retry_times retry;
	enum family prefer, only; /* FAMILY_NONE: neither */
	bool soft_bounce;
	bool policy_failover;
	/* The route has limits, prefer or only of its own: it shares no site with other routes to the same hosts, or
	 * nobody's limits would hold. */
	bool own_site;
};

/* `route` may be NULL: by MX, as for all. */
struct policy policy_of(const struct conf *c, const struct conf_route *route);

/* The next hops for mail that only `family` reaches, where this host does not have it: the route's own, else those of
 * the top level. NULL: none, or the route names the next hops for all of its mail. */
const struct conf_relay *policy_family_relay(const struct conf *c, const struct conf_route *route, enum family family);

#endif
