/* queue/reach/reach.h: which addresses this host can reach itself, from its addresses and routes. State.
 *
 * An address is direct if some route of this host leads to it and this host has an address of that family from which
 * to send. With `families` = auto:
 *   - In each table of routes the longest prefix decides, of equal ones the least metric; unreachable, prohibit,
 *     blackhole and throw lead nowhere, nor does a route behind a dead interface. One table that leads there is enough:
 *     the rules that choose among tables are not looked at.
 *   - No source is an address that is loopback, link-local, tentative or deprecated.
 *   - A unique local source (RFC 4193) reaches unique local addresses, those of NAT64, and what a route more special
 * than the default leads to; with a default route alone it reaches no global address.
 *   - Loopback is direct; an IPv6 link-local address never is, as it names no interface.
 * Where nothing is known (no netlink, or more routes than limits { host_routes }) every address counts as direct.
 * With another word of `families` the family alone decides. All functions take NULL for "all is direct". */
#ifndef QUEUE_REACH_REACH_H
#define QUEUE_REACH_REACH_H

#include "conf/conf.h"
#include "dns/nat64.h"
#include "queue/reach/netlink.h"

/* What one look at the kernel's tables found. */
struct picture {
	struct netlink_route *routes; /* of both families; as they came until it is taken up */
	size_t count, room;
	size_t most;		 /* limits { host_routes } */
	bool overflow;		 /* there are more */
	bool ipv4, ipv6, local;	 /* sources: IPv4, global IPv6, unique local IPv6 */
	bool ipv4_any, ipv6_any; /* addresses of whatever kind but loopback and link-local */
};

/* Adds an address or a route; other items are ignored. 0 or -ENOMEM. */
int picture_add(struct picture *p, const struct netlink_item *item);
void picture_free(struct picture *p); /* empties it; `most` stays */

enum { REACH_PREFIXES = 16, REACH_TEXT = 160 };

struct reach;
struct reach *reach_new(void); /* nothing is known yet; NULL without memory */
void reach_free(struct reach *r);

/* These return whether anything is different now; then the generation is another. */
bool reach_configure(struct reach *r, enum conf_families families);
/* Takes over what the picture holds. */
bool reach_take(struct reach *r, struct picture *p);
/* The kernel cannot be asked. */
bool reach_forget(struct reach *r);
/* The prefixes of NAT64, at most REACH_PREFIXES of them. */
bool reach_set_prefixes(struct reach *r, const struct nat64_prefix *prefixes, size_t count);

unsigned reach_generation(const struct reach *r);
bool reach_direct(const struct reach *r, const struct ip *ip);
/* Is there any address of that family that is direct, beyond loopback? */
bool reach_has(const struct reach *r, enum family family);
/* The address through which NAT64 leads to this IPv4 address. 0; -ENOENT: none does. */
int reach_nat64(const struct reach *r, const struct ip *ipv4, struct ip *out);
/* May the address stand behind some known prefix (RFC 6052 §3.1)? */
bool reach_embeds(const struct reach *r, const struct ip *ipv4);
/* The IPv4 address to which an IPv6 address inside of a known prefix leads, by the longest of them. 0; -ENOENT: it is
 * inside of none. */
int reach_behind(const struct reach *r, const struct ip *ipv6, struct ip *ipv4);
bool reach_has_nat64(const struct reach *r);   /* is a prefix known? */
bool reach_leads_nat64(const struct reach *r); /* … and are its addresses direct? */
/* Why addresses of the family are not direct, to stand behind "and": "this host has no IPv6 route". */
const char *reach_why(const struct reach *r, enum family family, char out[REACH_TEXT]);
/* What is there of one family: "default route", "12 routes", "no address", "no route", "not known", … */
const char *reach_family(const struct reach *r, enum family family, char out[REACH_TEXT]);
/* The prefixes: "64:ff9b::/96, 2001:db8:64::/96", or "none". */
const char *reach_prefixes(const struct reach *r, char out[REACH_TEXT]);
/* All of it on one line: "IPv4: default route; IPv6: no address; NAT64: none" */
const char *reach_describe(const struct reach *r, char out[3 * REACH_TEXT]);

#endif
