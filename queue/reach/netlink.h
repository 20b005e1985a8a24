/* queue/reach/netlink.h: what the kernel says of addresses and routes (rtnetlink(7)), message by message. Protocol:
 * pure; what cannot be read is an error, nothing is read past the end. */
#ifndef QUEUE_REACH_NETLINK_H
#define QUEUE_REACH_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/ip.h"

enum netlink_kind {
	NETLINK_IS_OTHER, /* of no matter here: cached routes, multicast, messages of another kind */
	NETLINK_IS_ADDRESS,
	NETLINK_IS_ROUTE,
	NETLINK_IS_LINK,  /* an interface changed: IPv4 routes may have gone without a word of their own */
	NETLINK_IS_DONE,  /* the end of a dump */
	NETLINK_IS_ERROR, /* what was asked is refused, or messages were lost */
};

struct netlink_address {
	struct ip ip;
	bool usable; /* as a source: not of the host alone, not tentative, failed or deprecated (RFC 4862) */
};

struct netlink_route {
	struct prefix to; /* 0 bits: the default */
	uint32_t table, metric;
	/* Packets leave by it: not unreachable, prohibited, a black hole or thrown on, and not behind a dead interface.
	 */
	bool leads;
};

struct netlink_item {
	enum netlink_kind kind;
	uint32_t sequence; /* of the request that it answers */
	bool torn;	   /* the tables changed during this dump: it is worth nothing */
	int error;	   /* IS_ERROR, IS_DONE: negative code, 0 */
	struct netlink_address address;
	struct netlink_route route;
};

struct netlink_reader {
	const uint8_t *at;
	size_t left;
};

/* The next message of a datagram. 1; 0: there is none; -EBADMSG: what is left cannot be read. */
int netlink_next(struct netlink_reader *r, struct netlink_item *out);

enum netlink_dump { DUMP_ADDRESSES, DUMP_IPV4_ROUTES, DUMP_IPV6_ROUTES, DUMP_COUNT };
enum { NETLINK_REQUEST = 64, NETLINK_GROUPS = 5 };
/* Writes the request for a whole table; its length. */
size_t netlink_ask(uint8_t out[NETLINK_REQUEST], enum netlink_dump what, uint32_t sequence);
/* The groups in which changes are told. */
extern const int netlink_groups[NETLINK_GROUPS];

#endif
