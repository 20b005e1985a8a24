/* dns/nat64.c: protocol. */
#include "dns/nat64.h"

#include <errno.h>
#include <string.h>

#include "conf/pref64.h"

enum { U_OCTET = 8, WELL_KNOWN = 2 };

static const struct nat64_prefix well_known = {.ip = {FAMILY_IPV6, {0, 0x64, 0xff, 0x9b}}, .bits = 96};
static const struct prefix local_use = {.ip = {FAMILY_IPV6, {0, 0x64, 0xff, 0x9b, 0, 1}}, .bits = 48};

/* ---- prefixes ---- */

int nat64_prefix_check(const struct prefix *p, struct nat64_prefix *out)
{
	if (pref64_fault(p) != NULL)
		return -EINVAL;
	*out = (struct nat64_prefix){.ip = p->ip, .bits = p->bits};
	return 0;
}

static struct prefix as_prefix(const struct nat64_prefix *p)
{
	return (struct prefix){.ip = p->ip, .bits = (uint8_t)p->bits};
}

bool nat64_prefix_equal(const struct nat64_prefix *a, const struct nat64_prefix *b)
{
	return a->bits == b->bits && ip_equal(&a->ip, &b->ip);
}

const char *nat64_prefix_format(const struct nat64_prefix *p, char out[PREFIX_TEXT])
{
	struct prefix prefix = as_prefix(p);
	return prefix_format(&prefix, out);
}

bool nat64_is_set_aside(const struct nat64_prefix *p)
{
	return nat64_prefix_equal(p, &well_known) || (p->bits >= local_use.bits && prefix_contains(&local_use, &p->ip));
}

/* ---- addresses ---- */

/* IPv4 that is not global; `nowhere`: never another host's address either. */
static const struct {
	struct prefix prefix;
	bool nowhere;
} not_global[] = {
	{{{FAMILY_IPV4, {0}}, 8}, true}, {{{FAMILY_IPV4, {10}}, 8}, false}, {{{FAMILY_IPV4, {100, 64}}, 10}, false},
	{{{FAMILY_IPV4, {127}}, 8}, true}, {{{FAMILY_IPV4, {169, 254}}, 16}, true},
	{{{FAMILY_IPV4, {172, 16}}, 12}, false}, {{{FAMILY_IPV4, {192, 0, 0}}, 24}, false},
	{{{FAMILY_IPV4, {192, 0, 2}}, 24}, false}, {{{FAMILY_IPV4, {192, 88, 99}}, 24}, false},
	{{{FAMILY_IPV4, {192, 168}}, 16}, false}, {{{FAMILY_IPV4, {198, 18}}, 15}, false},
	{{{FAMILY_IPV4, {198, 51, 100}}, 24}, false}, {{{FAMILY_IPV4, {203, 0, 113}}, 24}, false},
	{{{FAMILY_IPV4, {224}}, 3}, true}, /* multicast, reserved, broadcast */
};

static bool may_be_embedded(const struct nat64_prefix *p, const struct ip *ipv4)
{
	bool global_only = nat64_prefix_equal(p, &well_known);
	for (size_t i = 0; i < sizeof not_global / sizeof not_global[0]; i++)
		if ((global_only || not_global[i].nowhere) && prefix_contains(&not_global[i].prefix, ipv4))
			return false;
	return true;
}

/* The place in an IPv6 address of an IPv4 address' octet: they stand in a row behind the prefix, but for the octet of
 * bits 64 to 71. */
static unsigned place(unsigned bits, unsigned octet)
{
	unsigned at = bits / 8 + octet;
	return bits / 8 <= U_OCTET && at >= U_OCTET ? at + 1 : at;
}

int nat64_synthesise(const struct nat64_prefix *p, const struct ip *ipv4, struct ip *out)
{
	if (ipv4->family != FAMILY_IPV4)
		return -EINVAL;
	if (!may_be_embedded(p, ipv4))
		return -EPERM;
	struct ip ip = p->ip;
	for (unsigned i = 0; i < 4; i++)
		ip.bytes[place(p->bits, i)] = ipv4->bytes[i];
	*out = ip;
	return 0;
}

int nat64_extract(const struct nat64_prefix *p, const struct ip *ipv6, struct ip *ipv4)
{
	struct prefix prefix = as_prefix(p);
	uint8_t bytes[4];
	if (ipv6->family != FAMILY_IPV6 || ipv6->bytes[U_OCTET] != 0 || !prefix_contains(&prefix, ipv6))
		return -ENOENT;
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = ipv6->bytes[place(p->bits, i)];
	*ipv4 = ip_from_bytes(FAMILY_IPV4, bytes);
	return 0;
}

/* ---- discovery ---- */

static const uint8_t known_addresses[WELL_KNOWN][4] = {{192, 0, 0, 170}, {192, 0, 0, 171}};

/* Where `ipv4` may stand by RFC 6052 §2.2, and how often it does on octet bounds at all, in a row or around the octet
 * of bits 64 to 71. */
static unsigned occurrences(const uint8_t in[16], const uint8_t ipv4[4], unsigned *bits)
{
	unsigned count = 0;
	*bits = 0;
	for (unsigned at = 0; at + 4 <= 16; at++)
		count += memcmp(in + at, ipv4, 4) == 0;
	for (unsigned length = 32; length <= 96; length += length == 64 ? 32 : 8) {
		uint8_t there[4];
		for (unsigned i = 0; i < 4; i++)
			there[i] = in[place(length, i)];
		if (memcmp(there, ipv4, 4) != 0)
			continue;
		*bits = length;
		count += place(length, 0) + 3 != place(length, 3); /* not one of those in a row */
	}
	return count;
}

/* 0 or -ENOENT. */
static int find_prefix(const struct ip *ip, struct nat64_prefix *out)
{
	struct prefix p = {.ip.family = FAMILY_IPV6};
	if (ip->family != FAMILY_IPV6 || ip->bytes[U_OCTET] != 0)
		return -ENOENT;
	for (unsigned i = 0; i < WELL_KNOWN; i++) {
		unsigned bits;
		if (occurrences(ip->bytes, known_addresses[i], &bits) == 1 && bits > p.bits)
			p.bits = (uint8_t)bits;
	}
	memcpy(p.ip.bytes, ip->bytes, p.bits / 8);
	return nat64_prefix_check(&p, out) == 0 ? 0 : -ENOENT;
}

/* The smaller the earlier it is to be used. */
static unsigned rank(const struct nat64_prefix *p)
{
	return nat64_prefix_equal(p, &well_known) ? 1 : p->bits == 96 ? 0 : 128 - p->bits;
}

size_t nat64_discover(const struct dns_answer *answer, struct nat64_prefix out[NAT64_PREFIXES_MAX], size_t *left_out)
{
	size_t count = 0;
	*left_out = 0;
	for (size_t i = 0; i < answer->count; i++) {
		struct nat64_prefix p;
		if (find_prefix(&answer->records[i].ip, &p) != 0)
			continue;
		size_t at = 0;
		while (at < count && rank(&out[at]) <= rank(&p) && !nat64_prefix_equal(&out[at], &p))
			at++;
		if (at < count && nat64_prefix_equal(&out[at], &p))
			continue;
		if (count == NAT64_PREFIXES_MAX) {
			++*left_out;
			if (at == count)
				continue;
			count--; /* the last one gives its place */
		}
		memmove(&out[at + 1], &out[at], (count - at) * sizeof *out);
		out[at] = p;
		count++;
	}
	return count;
}
