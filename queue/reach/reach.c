/* queue/reach/reach.c: state. */
#include "queue/reach/reach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"

enum { TABLES = 16 };

/* The routes of one family and length: a run of the sorted array. */
struct group {
	size_t first, count;
};

struct reach {
	enum conf_families families;
	bool known;
	unsigned generation;
	struct picture now; /* its routes are sorted, each prefix once a table */
	struct group groups[2][129];
	unsigned group_count[2]; /* the longest prefixes first */
	struct nat64_prefix prefixes[REACH_PREFIXES];
	size_t prefix_count;
};

/* ---- pictures ---- */

static bool is_link_local(const struct ip *ip)
{
	if (ip->family == FAMILY_IPV4)
		return ip->bytes[0] == 169 && ip->bytes[1] == 254;
	return ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

/* RFC 4193 */
static bool is_unique_local(const struct ip *ip)
{
	return ip->family == FAMILY_IPV6 && (ip->bytes[0] & 0xfe) == 0xfc;
}

static void add_address(struct picture *p, const struct netlink_address *a)
{
	if (ip_is_loopback(&a->ip) || is_link_local(&a->ip))
		return;
	bool ipv4 = a->ip.family == FAMILY_IPV4;
	p->ipv4_any |= ipv4;
	p->ipv6_any |= !ipv4;
	if (!a->usable)
		return;
	p->ipv4 |= ipv4;
	p->local |= is_unique_local(&a->ip);
	p->ipv6 |= !ipv4 && !is_unique_local(&a->ip);
}

int picture_add(struct picture *p, const struct netlink_item *item)
{
	if (item->kind == NETLINK_IS_ADDRESS)
		add_address(p, &item->address);
	if (item->kind != NETLINK_IS_ROUTE || p->overflow)
		return 0;
	if (p->count >= p->most) {
		p->overflow = true;
		COUNT(limit_host_routes);
		return 0;
	}
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct netlink_route *routes = reallocarray(p->routes, room, sizeof *routes);
		if (routes == NULL)
			return -ENOMEM;
		p->routes = routes;
		p->room = room;
	}
	p->routes[p->count++] = item->route;
	return 0;
}

void picture_free(struct picture *p)
{
	free(p->routes);
	*p = (struct picture){.most = p->most};
}

/* By family, the longest first, then by prefix, table, metric; of equal ones that which leads somewhere. */
static int compare_routes(const void *left, const void *right)
{
	const struct netlink_route *a = left, *b = right;
	if (a->to.ip.family != b->to.ip.family)
		return a->to.ip.family < b->to.ip.family ? -1 : 1;
	if (a->to.bits != b->to.bits)
		return a->to.bits > b->to.bits ? -1 : 1;
	int order = ip_compare(&a->to.ip, &b->to.ip);
	if (order != 0)
		return order;
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	if (a->metric != b->metric)
		return a->metric < b->metric ? -1 : 1;
	return (int)b->leads - (int)a->leads;
}

static bool same_place(const struct netlink_route *a, const struct netlink_route *b)
{
	return a->table == b->table && a->to.bits == b->to.bits && ip_equal(&a->to.ip, &b->to.ip);
}

/* Sorts, and leaves of each table's equal prefixes the one that decides. */
static void settle(struct picture *p)
{
	size_t n = 0;
	if (p->count > 0)
		qsort(p->routes, p->count, sizeof *p->routes, compare_routes);
	for (size_t i = 0; i < p->count; i++)
		if (n == 0 || !same_place(&p->routes[n - 1], &p->routes[i]))
			p->routes[n++] = p->routes[i];
	p->count = n;
	if (p->overflow)
		p->count = 0; /* which of them came first says nothing */
}

static bool same_picture(const struct picture *a, const struct picture *b)
{
	if (a->count != b->count || a->overflow != b->overflow || a->ipv4 != b->ipv4 || a->ipv6 != b->ipv6 ||
		a->local != b->local || a->ipv4_any != b->ipv4_any || a->ipv6_any != b->ipv6_any)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_place(&a->routes[i], &b->routes[i]) || a->routes[i].leads != b->routes[i].leads)
			return false;
	return true;
}

/* ---- what is known ---- */

struct reach *reach_new(void)
{
	return calloc(1, sizeof(struct reach));
}

void reach_free(struct reach *r)
{
	if (r == NULL)
		return;
	picture_free(&r->now);
	free(r);
}

unsigned reach_generation(const struct reach *r)
{
	return r != NULL ? r->generation : 0;
}

bool reach_configure(struct reach *r, enum conf_families families)
{
	bool changed = r->families != families;
	r->families = families;
	r->generation += changed;
	return changed;
}

static void find_groups(struct reach *r)
{
	r->group_count[0] = r->group_count[1] = 0;
	for (size_t i = 0; i < r->now.count; i++) {
		const struct netlink_route *route = &r->now.routes[i];
		unsigned f = route->to.ip.family == FAMILY_IPV6;
		struct group *last = r->group_count[f] > 0 ? &r->groups[f][r->group_count[f] - 1] : NULL;
		if (last != NULL && r->now.routes[last->first].to.bits == route->to.bits)
			last->count++;
		else
			r->groups[f][r->group_count[f]++] = (struct group){.first = i, .count = 1};
	}
}

bool reach_take(struct reach *r, struct picture *p)
{
	settle(p);
	bool changed = !r->known || !same_picture(&r->now, p);
	size_t most = p->most;
	picture_free(&r->now);
	r->now = *p;
	*p = (struct picture){.most = most};
	r->known = true;
	r->generation += changed;
	find_groups(r);
	return changed;
}

bool reach_forget(struct reach *r)
{
	bool changed = r->known;
	picture_free(&r->now);
	find_groups(r);
	r->known = false;
	r->generation += changed;
	return changed;
}

bool reach_set_prefixes(struct reach *r, const struct nat64_prefix *prefixes, size_t count)
{
	count = count < REACH_PREFIXES ? count : REACH_PREFIXES;
	bool changed = count != r->prefix_count;
	for (size_t i = 0; i < count; i++) {
		changed |= r->prefixes[i].bits != prefixes[i].bits || !ip_equal(&r->prefixes[i].ip, &prefixes[i].ip);
		r->prefixes[i] = prefixes[i];
	}
	r->prefix_count = count;
	r->generation += changed;
	return changed;
}

/* ---- is an address direct? ---- */

static struct ip masked(const struct ip *ip, unsigned bits)
{
	struct ip out = {.family = ip->family};
	memcpy(out.bytes, ip->bytes, bits / 8);
	if (bits % 8 != 0)
		out.bytes[bits / 8] = (uint8_t)(ip->bytes[bits / 8] & (0xff00u >> (bits % 8)));
	return out;
}

/* The first route of the group to that prefix; `count` if there is none. */
static size_t find(const struct netlink_route *routes, size_t count, const struct ip *prefix)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ip_compare(&routes[middle].to.ip, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && ip_equal(&routes[low].to.ip, prefix) ? low : count;
}

struct tables {
	uint32_t decided[TABLES]; /* those in which a longer prefix leads nowhere */
	unsigned count;
};

static bool is_decided(const struct tables *t, uint32_t table)
{
	for (unsigned i = 0; i < t->count; i++)
		if (t->decided[i] == table)
			return true;
	return false;
}

/* The length of the prefix by which some table leads there; -1: none does. */
static int lookup(const struct reach *r, const struct ip *ip)
{
	unsigned f = ip->family == FAMILY_IPV6;
	struct tables t = {.count = 0};
	for (unsigned g = 0; g < r->group_count[f]; g++) {
		const struct group *group = &r->groups[f][g];
		const struct netlink_route *routes = &r->now.routes[group->first];
		struct ip prefix = masked(ip, routes->to.bits);
		for (size_t i = find(routes, group->count, &prefix);
			i < group->count && ip_equal(&routes[i].to.ip, &prefix); i++) {
			if (is_decided(&t, routes[i].table))
				continue;
			if (routes[i].leads || t.count == TABLES)
				return routes[i].to.bits;
			t.decided[t.count++] = routes[i].table;
		}
	}
	return -1;
}

static bool is_nat64(const struct reach *r, const struct ip *ip)
{
	/* RFC 6052 §2.1, RFC 8215 */
	static const struct prefix known[] = {
		{.ip = {.family = FAMILY_IPV6, .bytes = {0x00, 0x64, 0xff, 0x9b}}, .bits = 96},
		{.ip = {.family = FAMILY_IPV6, .bytes = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}}, .bits = 48},
	};
	struct ip ipv4;
	return prefix_contains(&known[0], ip) || prefix_contains(&known[1], ip) || reach_behind(r, ip, &ipv4) == 0;
}

/* Can the sources that there are be of use for a route of that length? */
static bool has_source(const struct reach *r, const struct ip *ip, int bits)
{
	if (ip->family == FAMILY_IPV4)
		return r->now.ipv4;
	return r->now.ipv6 || (r->now.local && (is_unique_local(ip) || bits > 0 || is_nat64(r, ip)));
}

bool reach_direct(const struct reach *r, const struct ip *ip)
{
	if (r == NULL || ip_is_loopback(ip) || r->families == FAMILIES_BOTH)
		return true;
	if (r->families != FAMILIES_AUTO)
		return ip->family == (r->families == FAMILIES_IPV6 ? FAMILY_IPV6 : FAMILY_IPV4);
	if (!r->known || r->now.overflow)
		return true;
	if (ip->family == FAMILY_IPV6 && is_link_local(ip))
		return false;
	int bits = lookup(r, ip);
	return bits >= 0 && has_source(r, ip, bits);
}

/* Routes of the family that lead beyond this host. */
static size_t count_routes(const struct reach *r, enum family family)
{
	size_t n = 0;
	for (size_t i = 0; i < r->now.count; i++) {
		const struct netlink_route *route = &r->now.routes[i];
		bool host = route->to.bits == (family == FAMILY_IPV6 ? 128 : 32);
		n += route->to.ip.family == family && route->leads && !host && !ip_is_loopback(&route->to.ip) &&
		     !is_link_local(&route->to.ip);
	}
	return n;
}

bool reach_has(const struct reach *r, enum family family)
{
	if (r == NULL || r->families == FAMILIES_BOTH)
		return true;
	if (r->families != FAMILIES_AUTO)
		return family == (r->families == FAMILIES_IPV6 ? FAMILY_IPV6 : FAMILY_IPV4);
	if (!r->known || r->now.overflow)
		return true;
	bool source = family == FAMILY_IPV6 ? r->now.ipv6 || r->now.local : r->now.ipv4;
	for (size_t i = 0; source && i < r->now.count; i++)
		if (r->now.routes[i].to.ip.family == family && r->now.routes[i].leads &&
			!ip_is_loopback(&r->now.routes[i].to.ip) && !is_link_local(&r->now.routes[i].to.ip))
			return true;
	return false;
}

/* ---- NAT64 ---- */

int reach_nat64(const struct reach *r, const struct ip *ipv4, struct ip *out)
{
	struct ip made;
	for (size_t i = 0; r != NULL && i < r->prefix_count; i++)
		if (nat64_synthesise(&r->prefixes[i], ipv4, &made) == 0 && reach_direct(r, &made)) {
			*out = made;
			return 0;
		}
	return -ENOENT;
}

int reach_behind(const struct reach *r, const struct ip *ipv6, struct ip *ipv4)
{
	unsigned longest = 0;
	struct ip found;
	for (size_t i = 0; r != NULL && i < r->prefix_count; i++)
		if (r->prefixes[i].bits > longest && nat64_extract(&r->prefixes[i], ipv6, &found) == 0) {
			longest = r->prefixes[i].bits;
			*ipv4 = found;
		}
	return longest > 0 ? 0 : -ENOENT;
}

bool reach_has_nat64(const struct reach *r)
{
	return r != NULL && r->prefix_count > 0;
}

bool reach_embeds(const struct reach *r, const struct ip *ipv4)
{
	struct ip made;
	for (size_t i = 0; r != NULL && i < r->prefix_count; i++)
		if (nat64_synthesise(&r->prefixes[i], ipv4, &made) == 0)
			return true;
	return false;
}

bool reach_leads_nat64(const struct reach *r)
{
	for (size_t i = 0; r != NULL && i < r->prefix_count; i++)
		if (reach_direct(r, &r->prefixes[i].ip))
			return true;
	return false;
}

/* ---- words ---- */

static const char *name_of(enum family family)
{
	return family == FAMILY_IPV6 ? "IPv6" : "IPv4";
}

static const char *word_of(enum conf_families families)
{
	static const char *const words[] = {"auto", "ipv4", "ipv6", "both"};
	return words[families];
}

const char *reach_why(const struct reach *r, enum family family, char out[REACH_TEXT])
{
	bool any = r != NULL && (family == FAMILY_IPV6 ? r->now.ipv6_any : r->now.ipv4_any);
	bool source = r != NULL && (family == FAMILY_IPV6 ? r->now.ipv6 || r->now.local : r->now.ipv4);
	if (r != NULL && r->families != FAMILIES_AUTO)
		snprintf(out, REACH_TEXT, "%s is not used here (families = %s)", name_of(family), word_of(r->families));
	else if (!any)
		snprintf(out, REACH_TEXT, "this host has no %s address", name_of(family));
	else if (!source)
		snprintf(out, REACH_TEXT, "this host has no usable %s address (tentative or deprecated)",
			name_of(family));
	else if (family == FAMILY_IPV6 && !r->now.ipv6)
		snprintf(out, REACH_TEXT, "this host has no IPv6 address but unique local ones");
	else
		snprintf(out, REACH_TEXT, "this host has no %s route%s", name_of(family),
			reach_has(r, family) ? " there" : "");
	return out;
}

const char *reach_family(const struct reach *r, enum family family, char out[REACH_TEXT])
{
	if (r == NULL || r->families != FAMILIES_AUTO) {
		snprintf(out, REACH_TEXT, "%sused (families = %s)", reach_has(r, family) ? "" : "not ",
			word_of(r != NULL ? r->families : FAMILIES_BOTH));
		return out;
	}
	if (!r->known || r->now.overflow) {
		snprintf(out, REACH_TEXT, "%s: taken to be there", r->known ? "too many routes" : "not known");
		return out;
	}
	bool any = family == FAMILY_IPV6 ? r->now.ipv6_any : r->now.ipv4_any;
	bool source = family == FAMILY_IPV6 ? r->now.ipv6 || r->now.local : r->now.ipv4;
	bool all = false;
	for (size_t i = 0; i < r->now.count; i++)
		all |= r->now.routes[i].leads && r->now.routes[i].to.bits == 0 &&
		       r->now.routes[i].to.ip.family == family;
	size_t routes = count_routes(r, family);
	const char *local = family == FAMILY_IPV6 && !r->now.ipv6 && source ? ", unique local addresses alone" : "";
	if (!any)
		snprintf(out, REACH_TEXT, "no address");
	else if (!source)
		snprintf(out, REACH_TEXT, "no usable address (tentative or deprecated)");
	else if (all)
		snprintf(out, REACH_TEXT, "default route%s", local);
	else if (routes > 0)
		snprintf(out, REACH_TEXT, "%zu route%s, no default%s", routes, routes == 1 ? "" : "s", local);
	else
		snprintf(out, REACH_TEXT, "no route%s", local);
	return out;
}

const char *reach_prefixes(const struct reach *r, char out[REACH_TEXT])
{
	char ip[IP_TEXT];
	size_t n = 0;
	snprintf(out, REACH_TEXT, "none");
	for (size_t i = 0; r != NULL && i < r->prefix_count && n + IP_TEXT + 8 < REACH_TEXT; i++)
		n += (size_t)snprintf(out + n, REACH_TEXT - n, "%s%s/%u", i ? ", " : "",
			ip_format(&r->prefixes[i].ip, ip), r->prefixes[i].bits);
	return out;
}

const char *reach_describe(const struct reach *r, char out[3 * REACH_TEXT])
{
	char ipv4[REACH_TEXT], ipv6[REACH_TEXT], nat64[REACH_TEXT];
	snprintf(out, 3 * REACH_TEXT, "IPv4: %.140s; IPv6: %.140s; NAT64: %s", reach_family(r, FAMILY_IPV4, ipv4),
		reach_family(r, FAMILY_IPV6, ipv6), reach_prefixes(r, nat64));
	return out;
}
