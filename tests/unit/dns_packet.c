/* tests/unit/dns_packet.c: for tests. */
#include "tests/unit/dns_packet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"

static void put(struct packet *p, const void *bytes, size_t n)
{
	assert(n <= sizeof p->bytes - p->len);
	if (n != 0)
		memcpy(p->bytes + p->len, bytes, n);
	p->len += n;
}

static void put16(struct packet *p, unsigned v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	put(p, b, 2);
}

static void put32(struct packet *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p, v & 0xffff);
}

size_t packet_name(uint8_t *out, const char *name)
{
	size_t n = 0;
	while (*name != 0) {
		size_t label = strcspn(name, ".");
		out[n++] = (uint8_t)label;
		memcpy(out + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	out[n++] = 0;
	return n;
}

static void put_name(struct packet *p, const char *name)
{
	uint8_t wire[512];
	put(p, wire, packet_name(wire, name));
}

void packet_begin(struct packet *p, unsigned id, unsigned flags, const char *name, unsigned type)
{
	p->len = 0;
	put16(p, id);
	put16(p, flags);
	put16(p, 1);
	for (int i = 0; i < 3; i++)
		put16(p, 0);
	put_name(p, name);
	put16(p, type);
	put16(p, 1);
}

void packet_add(struct packet *p, enum packet_section section, const char *owner, unsigned type, uint32_t ttl,
	const void *rdata, size_t len)
{
	uint8_t *count = p->bytes + 4 + 2 * section;
	unsigned n = (unsigned)(count[0] << 8 | count[1]) + 1;
	count[0] = (uint8_t)(n >> 8);
	count[1] = (uint8_t)n;
	put_name(p, owner);
	put16(p, type);
	put16(p, 1);
	put32(p, ttl);
	put16(p, (unsigned)len);
	put(p, rdata, len);
}

void packet_records(struct packet *p, const char *name, const char *text)
{
	char owner[256];
	snprintf(owner, sizeof owner, "%s", name);
	while (*text != 0) {
		char type[8], value[256] = "";
		unsigned ttl, preference = 0;
		int used = 0;
		uint8_t rdata[512];
		assert(sscanf(text, " %u %7s%n", &ttl, type, &used) == 2);
		text += used;
		if (strcmp(type, "MX") == 0) {
			assert(sscanf(text, " %u%n", &preference, &used) == 1);
			text += used;
		}
		used = 0;
		sscanf(text, " %255[^; ]%n", value, &used);
		text += used;
		text += strspn(text, "; ");
		rdata[0] = (uint8_t)(preference >> 8);
		rdata[1] = (uint8_t)preference;
		if (strcmp(type, "A") == 0) {
			assert(inet_pton(AF_INET, value, rdata) == 1);
			packet_add(p, PACKET_ANSWER, owner, DNS_A, ttl, rdata, 4);
		} else if (strcmp(type, "AAAA") == 0) {
			assert(inet_pton(AF_INET6, value, rdata) == 1);
			packet_add(p, PACKET_ANSWER, owner, DNS_AAAA, ttl, rdata, 16);
		} else if (strcmp(type, "MX") == 0) {
			size_t n = packet_name(rdata + 2, strcmp(value, ".") == 0 ? "" : value);
			packet_add(p, PACKET_ANSWER, owner, DNS_MX, ttl, rdata, n + 2);
		} else {
			assert(strcmp(type, "CNAME") == 0);
			packet_add(p, PACKET_ANSWER, owner, DNS_CNAME, ttl, rdata, packet_name(rdata, value));
			snprintf(owner, sizeof owner, "%s", value);
		}
	}
}

void packet_soa(struct packet *p, uint32_t ttl, uint32_t minimum)
{
	uint8_t rdata[128];
	size_t n = packet_name(rdata, "ns.example");
	n += packet_name(rdata + n, "hostmaster.example");
	memset(rdata + n, 0, 20);
	for (int i = 0; i < 4; i++)
		rdata[n + 16 + i] = (uint8_t)(minimum >> (24 - 8 * i));
	packet_add(p, PACKET_AUTHORITY, "example", 6, ttl, rdata, n + 20);
}
