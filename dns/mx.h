/* dns/mx.h: from a domain or host to MX hosts and their addresses of both families. State: it owns no socket and reads
 * no clock; it asks through dns/resolver.h.
 *
 * What the results mean (RFC 5321 §5.1, RFC 7505; the table is the design's "Route"):
 *   null MX                                            MX_FAILED  556 5.1.10
 *   NXDOMAIN, or neither MX nor A nor AAAA             MX_FAILED  550 5.1.2
 *   MX names that all authoritatively have no address  MX_FAILED  550 5.4.4 (never the domain's own A)
 *   MX lookup SERVFAIL or time-out                     MX_DEFERRED 451 4.4.3
 *   no address known, and some address lookup failed   MX_DEFERRED 451 4.4.3
 *   no MX: the domain itself is the one host, preference 0 (implicit MX)
 *   MX names that are this relay itself cut the list there: hosts of the same or a worse preference go;
 *     if none is left                                  MX_FAILED  550 5.4.6
 *   a host (skip_mx) that has no address               MX_FAILED  550 5.4.4
 *   a host or literal that is this relay itself        MX_FAILED  550 5.4.6
 *   no address of the one family that is wanted        MX_DEFERRED 451 4.4.4
 *   a literal of a mail address that is this relay     MX_FAILED  550 5.4.6; loopback addresses always are
 *
 * A host or literal (a next hop that was configured) is this relay only where it listens: at its own name or address,
 * and that very port. So a filter on this machine may be a next hop. What strangers name is ours at any loopback
 * address too.
 *
 * MX names that can be none (IP literals as text, odd bytes) are skipped. Addresses that belong to nobody (unspecified,
 * multicast, broadcast, IPv4 in an AAAA record) and those of this relay are left out; a host is this relay only if both
 * families are known and it has no other address, as a failed look-up may hide others and 5.4.6 is for good.
 *
 * Address records that cannot be reached from here are still candidates here; that is the queue's matter. */
#ifndef DNS_MX_H
#define DNS_MX_H

#include "dns/resolver.h"

enum mx_state { MX_PENDING, MX_HOSTS, MX_FAILED, MX_DEFERRED };

enum mx_part { MX_PART_PENDING, MX_PART_HAVE, MX_PART_EMPTY, MX_PART_FAILED };

struct mx_host {
	char name[DNS_NAME_MAX]; /* "" for a literal */
	uint16_t preference;
	bool secure; /* all address answers so far, failures apart */
	struct {
		enum mx_part state;
		struct ip *items;
		size_t count;
		uint64_t known_ms; /* monotonic: when the answer came */
	} family[2];		   /* [0] IPv4, [1] IPv6 */
};

struct mx {
	/* read these in the callback and after; do not write */
	enum mx_state state; /* MX_HOSTS: the list of hosts is known; their addresses may still come */
	int code;	     /* MX_FAILED, MX_DEFERRED: reply code, */
	char enhanced[12];   /* enhanced status code */
	char reason[256];    /* and a text for people, with the names */
	bool implicit;
	bool cut;      /* this relay itself was among them: what is not better went */
	bool complete; /* no question is under way any more */
	bool secure;   /* the MX answer was */
	/* monotonic: ask again after this; set once complete; dns { failure } to dns { ttl_max } from then */
	uint64_t expires_ms;
	struct mx_host *hosts; /* sorted by preference; equal ones in the order of the answer; duplicates merged */
	size_t count;
	enum family prefer;	   /* FAMILY_NONE: IPv6 */
	uint64_t resolution_delay; /* milliseconds, race { resolution_delay } */
};

/* Called whenever something new is known; `mx` may be freed in it. Never from within mx_start(). */
typedef void mx_changed(void *arg, struct mx *mx);

/* What to look up. */
struct mx_wanted {
	const char *name;   /* domain or host, lower case A-labels; for a literal: NULL */
	struct ip literal;  /* used if `name` is NULL: one host, one address, no question asked */
	bool skip_mx;	    /* `name` is a host */
	uint16_t port;	    /* at which the hosts are asked; 0: 25 */
	enum family prefer; /* the one for which mx_ready_at() waits; FAMILY_NONE: IPv6 */
	enum family only;   /* FAMILY_NONE: addresses of both families; else the others are not even asked for */
	bool foreign; /* `literal` comes from a mail address: it cannot be this relay, nor an address that no host has
		       */
};

/* Names (lower case) and addresses that are this relay. */
struct mx_self {
	const char *const *names;
	size_t name_count;
	const struct endpoint *addresses; /* a host all of whose addresses are here, with its port, is this relay too */
	size_t address_count;
};
/* NULL without memory. `wanted` and `self` (may be NULL) are copied. What needs no question (a literal) or gets no
 * place (dns { queries }) is complete at the return, and `changed` is never called. */
struct mx *mx_start(struct resolver *r, const struct conf *conf, const struct mx_wanted *wanted,
	const struct mx_self *self, uint64_t now_ms, mx_changed *changed, void *arg);
void mx_free(struct mx *mx); /* cancels what is under way; NULL is fine */

/* When the race to the best preference may start, RFC 8305 §3: at once when both families of some host of the best
 * preference are answered, or AAAA has come with an address, or everything of that preference is known; 50 ms
 * (`resolution_delay`) after A came first; an empty or failed answer of one family never blocks the other.
 * Where IPv4 is preferred the two change their parts. Returns 0 for now, UINT64_MAX for not yet (or never: MX_FAILED,
 * MX_DEFERRED), else the monotonic time. If no host of the best preference has an address the next preference counts.
 */
uint64_t mx_ready_at(const struct mx *mx, uint64_t now_ms);

#endif
