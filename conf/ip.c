/* conf/ip.c: protocol. */
#include "conf/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void unmap(struct ip *ip)
{
	if (ip->family != FAMILY_IPV6 || memcmp(ip->bytes, mapped, sizeof mapped) != 0)
		return;
	uint8_t v4[4];
	memcpy(v4, ip->bytes + 12, 4);
	memset(ip->bytes, 0, sizeof ip->bytes);
	memcpy(ip->bytes, v4, 4);
	ip->family = FAMILY_IPV4;
}

static int parse_as_written(struct ip *out, const char *text)
{
	struct ip ip = {0};
	if (inet_pton(AF_INET, text, ip.bytes) == 1)
		ip.family = FAMILY_IPV4;
	else if (inet_pton(AF_INET6, text, ip.bytes) == 1)
		ip.family = FAMILY_IPV6;
	else
		return -EINVAL;
	*out = ip;
	return 0;
}

int ip_parse(struct ip *out, const char *text)
{
	struct ip ip;
	if (parse_as_written(&ip, text) != 0)
		return -EINVAL;
	unmap(&ip);
	*out = ip;
	return 0;
}

struct ip ip_from_bytes(enum family family, const uint8_t *bytes)
{
	struct ip ip = {.family = (uint8_t)family};
	memcpy(ip.bytes, bytes, family == FAMILY_IPV4 ? 4 : sizeof ip.bytes);
	unmap(&ip);
	return ip;
}

const char *ip_format(const struct ip *ip, char out[IP_TEXT])
{
	if (ip->family == FAMILY_NONE ||
		inet_ntop(ip->family == FAMILY_IPV4 ? AF_INET : AF_INET6, ip->bytes, out, IP_TEXT) == NULL)
		snprintf(out, IP_TEXT, "none");
	return out;
}

int ip_compare(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return ip_compare(a, b) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
	if (ip->family == FAMILY_IPV4)
		return ip->bytes[0] == 127;
	static const uint8_t one[16] = {[15] = 1};
	return ip->family == FAMILY_IPV6 && memcmp(ip->bytes, one, 16) == 0;
}

/* True if all bits of `bytes` from `from` on are 0. */
static bool host_bits_clear(const uint8_t bytes[16], unsigned from)
{
	for (unsigned bit = from; bit < 128; bit++)
		if (bytes[bit / 8] & (0x80u >> (bit % 8)))
			return false;
	return true;
}

/* Reads a decimal of 1 to `digits` digits, at most `max`; nothing may follow. -1 if it is not one. */
static long small_number(const char *text, size_t digits, long max)
{
	size_t length = strlen(text);
	if (length == 0 || length > digits || strspn(text, "0123456789") != length)
		return -1;
	long value = strtol(text, NULL, 10);
	return value <= max ? value : -1;
}

int prefix_parse(struct prefix *out, const char *text)
{
	char address[IP_TEXT];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	if (length >= sizeof address)
		return -EINVAL;
	memcpy(address, text, length);
	address[length] = '\0';

	struct prefix p;
	if (parse_as_written(&p.ip, address) != 0)
		return -EINVAL;
	long width = p.ip.family == FAMILY_IPV4 ? 32 : 128;
	long bits = slash ? small_number(slash + 1, 3, width) : width;
	if (bits < 0)
		return -EINVAL;
	if (!host_bits_clear(p.ip.bytes, (unsigned)bits))
		return -ERANGE;
	if (p.ip.family == FAMILY_IPV6 && bits >= 96 && memcmp(p.ip.bytes, mapped, sizeof mapped) == 0) {
		unmap(&p.ip);
		bits -= 96;
	}
	p.bits = (uint8_t)bits;
	*out = p;
	return 0;
}

const char *prefix_format(const struct prefix *p, char out[PREFIX_TEXT])
{
	char address[IP_TEXT];
	snprintf(out, PREFIX_TEXT, "%s/%u", ip_format(&p->ip, address), (unsigned)p->bits);
	return out;
}

bool prefix_contains(const struct prefix *p, const struct ip *ip)
{
	struct ip as_v6;
	if (p->ip.family == FAMILY_IPV6 && ip->family == FAMILY_IPV4) {
		/* a short IPv6 prefix may contain the whole mapped range */
		as_v6 = (struct ip){.family = FAMILY_IPV6};
		memcpy(as_v6.bytes, mapped, sizeof mapped);
		memcpy(as_v6.bytes + 12, ip->bytes, 4);
		ip = &as_v6;
	}
	if (p->ip.family != ip->family)
		return false;
	unsigned whole = p->bits / 8, rest = p->bits % 8;
	if (memcmp(p->ip.bytes, ip->bytes, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	unsigned mask = 0xffu & (0xffu << (8 - rest));
	return ((p->ip.bytes[whole] ^ ip->bytes[whole]) & mask) == 0;
}

int endpoint_parse(struct endpoint *out, const char *text)
{
	char address[IP_TEXT];
	const char *start = text, *end;
	if (*text == '[') {
		start = text + 1;
		end = strchr(start, ']');
		if (end == NULL || end[1] != ':')
			return -EINVAL;
	} else {
		end = strchr(start, ':');
		if (end == NULL)
			return -EINVAL;
	}
	size_t length = (size_t)(end - start);
	if (length >= sizeof address)
		return -EINVAL;
	memcpy(address, start, length);
	address[length] = '\0';
	long port = small_number(end + (*text == '[' ? 2 : 1), 5, 65535);
	struct ip ip;
	if (port < 1 || ip_parse(&ip, address) != 0)
		return -EINVAL;
	if ((*text == '[') != (strchr(address, ':') != NULL))
		return -EINVAL;
	out->ip = ip;
	out->port = (uint16_t)port;
	return 0;
}

const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT])
{
	char address[IP_TEXT];
	snprintf(out, ENDPOINT_TEXT, e->ip.family == FAMILY_IPV6 ? "[%s]:%u" : "%s:%u", ip_format(&e->ip, address),
		(unsigned)e->port);
	return out;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (e->ip.family == FAMILY_IPV4) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->ip.bytes, 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(e->port);
	memcpy(&in6->sin6_addr, e->ip.bytes, 16);
	return sizeof *in6;
}

int endpoint_from_sockaddr(struct endpoint *out, const struct sockaddr *sa)
{
	struct endpoint e = {0};
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
		e.ip.family = FAMILY_IPV4;
		e.port = ntohs(in->sin_port);
		memcpy(e.ip.bytes, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
		e.ip.family = FAMILY_IPV6;
		e.port = ntohs(in6->sin6_port);
		memcpy(e.ip.bytes, &in6->sin6_addr, 16);
		unmap(&e.ip);
	} else {
		return -EAFNOSUPPORT;
	}
	*out = e;
	return 0;
}
