/* dns/answer.h: one DNS answer, read from a packet. Protocol: pure, no socket, no clock.
 *
 * RFC 1035, 2308 (negative answers and their TTL), 7505 (null MX). The name asked for is followed through CNAMEs in the
 * packet (bounded); records of other names are ignored. Everything is bounds-checked: a packet is hostile. */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/ip.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };

enum dns_status {
	DNS_OK,	      /* at least one record */
	DNS_NODATA,   /* the name exists, no record of the type */
	DNS_NXDOMAIN, /* no such name */
	DNS_SERVFAIL, /* a server says that it failed (SERVFAIL, REFUSED, FORMERR …) or talks nonsense */
	DNS_TIMEOUT,  /* no server answered */
};

enum { DNS_NAME_MAX = 254 }; /* text, with the closing 0 */

struct dns_record {
	uint16_t preference;	 /* MX */
	char name[DNS_NAME_MAX]; /* MX, CNAME, PTR: lower case, no dot at the end; "" is the root */
	struct ip ip;		 /* A, AAAA */
	uint8_t *data;		 /* TLSA, TXT: rdata as it came */
	size_t len;
};

struct dns_answer {
	enum dns_status status;
	bool secure;	 /* AD bit, from a resolver that is trusted with it */
	bool local;	 /* all resolvers are on this machine; set by dns/resolver.h */
	uint32_t ttl;	 /* seconds, the least of the chain; of negative answers by RFC 2308 (0 without SOA) */
	char detail[96]; /* for people: "SERVFAIL from [::1]:53", "time-out after 10 s (3 servers)" */
	struct dns_record *records;
	size_t count;
};

/* Reads the packet that answers `name` and `type`. At most `most` records are kept, in the order of the packet: the
 * first ones, but MX of the best preferences. Names that do not fit as text are "\\". `detail` is the rcode's name, if
 * not NOERROR. An empty answer that a server without recursion gives without SOA (a referral) is DNS_SERVFAIL.
 *
 * 0; -EBADMSG if it is no such answer (wrong question, cut, looping, lying lengths); -ENOMEM. */
int dns_answer_parse(
	struct dns_answer *out, const uint8_t *packet, size_t len, const char *name, enum dns_type type, size_t most);
void dns_answer_fini(struct dns_answer *a);

#endif
