/* queue/mail/address.h: mail addresses as MAIL and RCPT carry them. Protocol: pure.
 *
 * RFC 5321 §4.1.2 and §4.5.3.1. An address that was read here is in one form everywhere: the local part as the client
 * wrote it, then "@" and the domain in lower case, or an address literal in its canonical text ("[192.0.2.1]",
 * "[IPv6:2001:db8::1]"). With SMTPUTF8 (RFC 6531) a local part may be UTF-8; a domain in UTF-8 becomes its A-labels.
 * The null reverse-path is "". General address literals are refused: nothing is registered that they could name.
 * Percent signs and bangs in a local part mean nothing here: the domain behind the last "@" is the only one, and a
 * second "@" outside quotes is a syntax error. */
#ifndef QUEUE_MAIL_ADDRESS_H
#define QUEUE_MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/ip.h"

enum {
	ADDRESS_LOCAL_MAX = 64,
	ADDRESS_PATH_MAX = 256,			 /* with its brackets and source route */
	ADDRESS_TEXT = ADDRESS_PATH_MAX - 2 + 1, /* room for any address read here, with the closing 0 */
	DOMAIN_MAX = 253,			 /* the 255 octets of DNS as text */
	DOMAIN_LABEL_MAX = 63,
};

enum address_result {
	ADDRESS_OK,
	ADDRESS_SYNTAX,
	ADDRESS_TOO_LONG, /* local part, domain, label or path */
	ADDRESS_8BIT,	  /* bytes over 127: not without SMTPUTF8 (RFC 6531) */
};

enum {
	ADDRESS_NULL = 1,	/* "<>" may stand here (MAIL) */
	ADDRESS_POSTMASTER = 2, /* "<postmaster>" may (RCPT); it is given back without a domain */
	ADDRESS_UTF8 = 4,	/* SMTPUTF8 was said */
};

/* Reads a path in angle brackets from the beginning of `in`; a source route is dropped. `*used` tells how many bytes it
 * took. Both are untouched unless ADDRESS_OK. */
enum address_result address_read_path(
	char out[ADDRESS_TEXT], const uint8_t *in, size_t len, size_t *used, unsigned allowed);

/* Is it a domain: labels of letters, digits, hyphens (not at their ends) and, for the sake of real names,
 * underscores? */
bool domain_is_valid(const char *text, size_t len);
/* Reads "[192.0.2.1]" or "[IPv6:2001:db8::1]". 0 or -EINVAL. An IPv4-mapped one becomes the IPv4 address that it is. */
int literal_read(struct ip *out, const char *text, size_t len);
enum { LITERAL_TEXT = IP_TEXT + 8 };
const char *literal_format(const struct ip *ip, char out[LITERAL_TEXT]);

/* The domain of an address that was read here, within it; "" for the null path and a bare postmaster. */
const char *address_domain(const char *address);
/* The same address without the quotes of its local part: `"a"@x`, `"\a"@x` and `a@x` are one mailbox (RFC 5321
 * §4.1.2). It is for comparing alone: what needed its quotes cannot be read any more. Gives `address` itself where
 * nothing is quoted, else `out`. */
const char *address_unquoted(const char *address, char out[ADDRESS_TEXT]);
/* Is this domain an address literal? */
bool domain_is_literal(const char *domain);

#endif
