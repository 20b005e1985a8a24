/* conf/ip.h: addresses and prefixes of both families. Protocol: pure, no socket, no clock.
 *
 * An IPv4-mapped IPv6 address (::ffff:a.b.c.d) never leaves this module as IPv6: parsing and reading a sockaddr turn it
 * into the IPv4 address that it is, so that no rule can be passed by writing an address another way. */
#ifndef CONF_IP_H
#define CONF_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum family { FAMILY_NONE = 0, FAMILY_IPV4 = 4, FAMILY_IPV6 = 6 };

struct ip {
	uint8_t family;	   /* enum family */
	uint8_t bytes[16]; /* network order; IPv4 uses the first 4, the rest is 0 */
};

struct endpoint {
	struct ip ip;
	uint16_t port; /* host order */
};

struct prefix {
	struct ip ip; /* host bits are 0 */
	uint8_t bits; /* 0..32 or 0..128 */
};

enum { IP_TEXT = 46, ENDPOINT_TEXT = 56, PREFIX_TEXT = 52 };

/* Reads an IPv4 or IPv6 literal without brackets, port or zone. 0 or -EINVAL (`out` untouched). */
int ip_parse(struct ip *out, const char *text);
/* The address of 4 (IPv4) or 16 (IPv6) bytes in network order. */
struct ip ip_from_bytes(enum family family, const uint8_t *bytes);
/* Writes the canonical text (RFC 5952) into `out` and returns it. FAMILY_NONE becomes "none". */
const char *ip_format(const struct ip *ip, char out[IP_TEXT]);
bool ip_equal(const struct ip *a, const struct ip *b);
/* Total order for sorting: IPv4 before IPv6, then by bytes. */
int ip_compare(const struct ip *a, const struct ip *b);
bool ip_is_loopback(const struct ip *ip);

/* Reads ADDRESS or ADDRESS/BITS. 0; -EINVAL if it is no such thing; -ERANGE if host bits are set.
 * A mapped prefix of 96 bits or more becomes the IPv4 prefix; a shorter prefix that lies within ::ffff:0:0/96 cannot
 * be, and one that contains it stays IPv6. */
int prefix_parse(struct prefix *out, const char *text);
const char *prefix_format(const struct prefix *p, char out[PREFIX_TEXT]);
bool prefix_contains(const struct prefix *p, const struct ip *ip);

/* Reads "192.0.2.1:25" or "[2001:db8::1]:25"; a port of 1..65535 is a must. 0 or -EINVAL. */
int endpoint_parse(struct endpoint *out, const char *text);
/* "192.0.2.1:25" or "[2001:db8::1]:25" */
const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT]);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
/* Returns the length of the address written to `out`. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);
/* 0, or -EAFNOSUPPORT for anything but AF_INET and AF_INET6. */
int endpoint_from_sockaddr(struct endpoint *out, const struct sockaddr *sa);

#endif
