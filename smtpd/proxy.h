/* smtpd/proxy.h: the header that a balancer sends before what its client says: PROXY protocol, version 1 (a line) and 2
 * (binary). Protocol: pure: bytes in, addresses out.
 *
 * haproxy's proxy-protocol.txt. Nothing of a header is kept but the addresses, so its length needs no other bound than
 * the protocol's own: 107 bytes for a line, 16 + 65,535 in binary. Type-length-values are skipped, but for CRC32C: it
 * is checked if it is there. */
#ifndef SMTPD_PROXY_H
#define SMTPD_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/ip.h"

enum proxy_result {
	PROXY_MORE,    /* all bytes belong to the header, and it goes on */
	PROXY_CLIENT,  /* complete: `client` speaks, through the balancer */
	PROXY_UNKNOWN, /* complete: somebody speaks whom the balancer cannot name (UNKNOWN, AF_UNSPEC, AF_UNIX, UDP) */
	PROXY_LOCAL,   /* complete: the balancer itself speaks: a health check */
	PROXY_WRONG,   /* no header, or not a valid one */
};

enum { PROXY_LINE = 107, PROXY_FIXED = 16, PROXY_ADDRESSES = 36 };

struct proxy {
	enum proxy_result result;
	uint8_t stage;
	uint8_t head[PROXY_LINE]; /* the line; or the fixed part, then the addresses */
	uint8_t head_len;
	uint32_t left;		 /* version 2: bytes of the header behind the fixed part that have not come */
	uint32_t crc, told;	 /* computed; told by the header, if has_crc */
	uint8_t tlv[3], tlv_len; /* type and length of the value that comes in */
	uint16_t value_left;
	bool has_crc;
	struct endpoint client, listener; /* PROXY_CLIENT: who connected, and to where; a port may be 0 */
};

void proxy_init(struct proxy *p);
/* Takes bytes up to the header's last one; `*used` tells how many. What comes behind is the client's. To be called
 * again only after MORE. */
enum proxy_result proxy_read(struct proxy *p, const uint8_t *in, size_t len, size_t *used);

#endif
