/* dns/nat64.h: IPv4 addresses embedded in IPv6 ones for a NAT64 translator (RFC 6052), and the prefixes that a DNS64
 * server gives away (RFC 7050). Protocol: pure, no socket, no clock. */
#ifndef DNS_NAT64_H
#define DNS_NAT64_H

#include "conf/conf.h"
#include "dns/answer.h"

/* The name that has IPv4 addresses alone, 192.0.0.170 and 192.0.0.171: its AAAA records are a DNS64 server's. */
#define NAT64_NAME "ipv4only.arpa"

enum { NAT64_PREFIXES_MAX = CONF_NAT64_MAX };

/* What pref64_fault() (conf/pref64.h) finds no fault with. */
struct nat64_prefix {
	struct ip ip;
	unsigned bits; /* 32, 40, 48, 56, 64 or 96 */
};

/* 0, or -EINVAL if it cannot be a translator's (`out` untouched). */
int nat64_prefix_check(const struct prefix *p, struct nat64_prefix *out);
bool nat64_prefix_equal(const struct nat64_prefix *a, const struct nat64_prefix *b);
const char *nat64_prefix_format(const struct nat64_prefix *p, char out[PREFIX_TEXT]);
/* Within 64:ff9b::/96 (RFC 6052 §2.1) or 64:ff9b:1::/48 (RFC 8215): set aside for translators. Nobody can be routed
 * such addresses but by the network that the packet is in. */
bool nat64_is_set_aside(const struct nat64_prefix *p);

/* The address of `ipv4` behind the prefix, RFC 6052 §2.3; the suffix is 0. 0; -EINVAL: not an IPv4 address;
 * -EPERM: an address that is never another host's (this network, loopback, link-local, multicast and reserved ones),
 * or, with 64:ff9b::/96, one that is not global (RFC 6052 §3.1: those of RFC 5735 §3, and 100.64.0.0/10 of RFC 6598).
 * `out` is then untouched. */
int nat64_synthesise(const struct nat64_prefix *p, const struct ip *ipv4, struct ip *out);
/* The address embedded in `ipv6`, RFC 6052 §2.3; any suffix is passed over (it is for the future). 0; -ENOENT: not
 * within the prefix, or bits 64 to 71 are not 0 (`ipv4` untouched). */
int nat64_extract(const struct nat64_prefix *p, const struct ip *ipv6, struct ip *ipv4);

/* The prefixes in an answer about AAAA of NAT64_NAME, RFC 7050 §3: each address is searched for 192.0.0.170 and .171 at
 * the six places of RFC 6052 §2.2. One that is there twice on octet bounds says nothing, and the other one is looked
 * for; where both are there once the place further behind counts, as what is behind an embedded address is its suffix.
 * Addresses with neither, or whose prefix is none, are passed over: somebody answers for names that have no AAAA.
 *
 * Returns how many different ones there are in `out`, in the order in which they are to be used: /96 of the network
 * itself, 64:ff9b::/96, then the longest; equal ones as in the answer. `left_out` addresses were of prefixes for which
 * no place was left. */
size_t nat64_discover(const struct dns_answer *answer, struct nat64_prefix out[NAT64_PREFIXES_MAX], size_t *left_out);

#endif
