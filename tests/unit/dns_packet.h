/* tests/unit/dns_packet.h: DNS packets by hand, for tests: right ones and wrong ones. */
#ifndef TESTS_UNIT_DNS_PACKET_H
#define TESTS_UNIT_DNS_PACKET_H

#include <stddef.h>
#include <stdint.h>

enum { PACKET_QR = 0x8000, PACKET_TC = 0x0200, PACKET_RD = 0x0100, PACKET_RA = 0x0080, PACKET_AD = 0x0020 };
enum packet_section { PACKET_ANSWER = 1, PACKET_AUTHORITY = 2, PACKET_ADDITIONAL = 3 };

struct packet {
	uint8_t bytes[65535];
	size_t len;
};

/* Header and question; `flags` holds the rcode too. */
void packet_begin(struct packet *p, unsigned id, unsigned flags, const char *name, unsigned type);
/* A record of class IN; the count of its section grows. */
void packet_add(struct packet *p, enum packet_section section, const char *owner, unsigned type, uint32_t ttl,
	const void *rdata, size_t len);
/* Writes a name without compression; "" is the root; returns its length. */
size_t packet_name(uint8_t *out, const char *name);
/* "60 A 192.0.2.1; 60 MX 10 mx.example; 60 CNAME there.example; 60 A 192.0.2.2": each record's owner is the name before
 * it, `name` at first, the target after a CNAME. */
void packet_records(struct packet *p, const char *name, const char *text);
/* The SOA of `example` in the authority section. */
void packet_soa(struct packet *p, uint32_t ttl, uint32_t minimum);

#endif
