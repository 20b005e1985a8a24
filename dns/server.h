/* dns/server.h: one DNS server: packets out, packets in, over UDP and, if cut there, TCP. Plumbing: c-ares on libuv.
 *
 * One c-ares channel a server, with a single try: which server comes next, and when, is the resolver's matter. */
#ifndef DNS_SERVER_H
#define DNS_SERVER_H

#include <uv.h>

#include "conf/ip.h"
#include "dns/answer.h"

enum dns_reply {
	DNS_REPLY_PACKET, /* for this id, from this server, with this question; not looked into otherwise */
	DNS_REPLY_NONE,	  /* none in time, or the server cannot be reached */
	DNS_REPLY_CLOSED  /* dns_server_close() */
};

/* One question under way; embedded in the asker, who must keep it until the reply. */
struct dns_exchange {
	/* Called exactly once, maybe before dns_server_ask() returns; must not close the server. The packet is lent;
	 * `why` says why there is none. */
	void (*reply)(void *arg, enum dns_reply what, const uint8_t *packet, size_t len, const char *why);
	void *arg;
};

struct dns_server;

/* `timeout_ms` of one try. `closed` is called when the loop holds no handle of it any more. 0 or a negative code. */
int dns_server_new(struct dns_server **out, uv_loop_t *loop, const struct endpoint *at, uint64_t timeout_ms,
	void (*closed)(void *arg), void *arg);
/* Replies DNS_REPLY_CLOSED to everybody who waits, then frees the server; `closed` may be called before the return.
 * Never from within a reply. */
void dns_server_close(struct dns_server *s);
/* Asks with RD and AD set; `edns` adds an OPT record with 1,232 bytes (without it: for servers that know no EDNS). */
void dns_server_ask(struct dns_server *s, const char *name, enum dns_type type, bool edns, struct dns_exchange *x);
const char *dns_server_text(const struct dns_server *s); /* "[::1]:53" */

#endif
