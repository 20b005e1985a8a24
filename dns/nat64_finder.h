/* dns/nat64_finder.h: the prefixes of this network's NAT64 translators: those of the configuration, or what AAAA of
 * ipv4only.arpa tells (RFC 7050). State: one thread's, time is an argument; it asks through dns/resolver.h.
 *
 * nat64 = auto: asked at the first tick, again when the answer's TTL runs out (10 s before, RFC 7050 §3), not sooner
 * than dns { nat64_min } and not later than { nat64_max }. What a question tells holds until the next one is answered:
 *   AAAA with prefixes              they are in use, those before are not any more
 *   AAAA without any, NODATA, NXDOMAIN   there is no translator
 *   SERVFAIL, time-out, no place    what was known stays; asked again after dns { failure }, then twice as long each
 *                                   time up to { nat64_min }
 *
 * Who is believed (RFC 7050 §7): a forged answer would lead the mail for all IPv4-only hosts to another's translator.
 * Prefixes set aside for translators, 64:ff9b::/96 and 64:ff9b:1::/48, lead nobody out of the network and are believed
 * from any resolver; others only if all resolvers are on this machine or the operator has named them in dns { servers
 * }, not from what DHCP or a router advertisement wrote into /etc/resolv.conf. What is not believed is logged. */
#ifndef DNS_NAT64_FINDER_H
#define DNS_NAT64_FINDER_H

#include "dns/nat64.h"
#include "dns/resolver.h"

struct nat64_finder;

/* Called when other prefixes are in use, or the same ones in another order of preference that the configuration gives:
 * from the resolver or from nat64_finder_configure(), as the last thing done there. */
typedef void nat64_changed(void *arg);

/* Prefixes of the configuration are there at the return, `changed` is not called for them. `changed` may be NULL.
 * 0 or -ENOMEM. */
int nat64_finder_open(struct nat64_finder **out, struct resolver *resolver, const struct conf *conf,
	nat64_changed *changed, void *arg);
/* Asks if it is time; to be called about once a second. `now_ms` is monotonic, as in dns_done. */
void nat64_finder_tick(struct nat64_finder *f, uint64_t now_ms);
/* Takes up another configuration, after resolver_configure() has. With `auto` the prefixes are asked for anew at the
 * next tick, what was found stays until then. */
void nat64_finder_configure(struct nat64_finder *f, const struct conf *conf);
/* Before resolver_close(). NULL is fine. */
void nat64_finder_close(struct nat64_finder *f);

/* Those in use, in the order in which addresses are to be synthesised with them; lent until the next call of anything
 * above or of the resolver's callback. */
const struct nat64_prefix *nat64_prefixes(const struct nat64_finder *f, size_t *count);
/* Is the address within one of them, whoever made it? Then `ipv4` (may be NULL) is the one behind it; where several
 * prefixes contain it the longest counts. */
bool nat64_is_synthesised(const struct nat64_finder *f, const struct ip *ipv6, struct ip *ipv4);

#endif
