/* queue/deliver/outlet.h: what an SMTP client says, on its way into the socket and to the peer's TCP. Plumbing.
 *
 * One write is under way at most; what the kernel takes at once costs no allocation. On the I/O loop alone. */
#ifndef QUEUE_DELIVER_OUTLET_H
#define QUEUE_DELIVER_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "queue/deliver/client.h"

struct outlet_write;

struct outlet {
	uv_tcp_t *tcp;
	struct client *client;
	/* The write that had to wait has ended; also when the socket closes. */
	void (*written)(void *arg, bool taken);
	void *arg;
	struct outlet_write *writing; /* what the kernel did not take at once; NULL: nothing */
};

/* `tcp` and `client` are lent as long as the outlet is used. */
void outlet_init(
	struct outlet *o, uv_tcp_t *tcp, struct client *client, void (*written)(void *arg, bool taken), void *arg);
bool outlet_is_free(const struct outlet *o);
/* Do bytes of the content, lent to the client, still wait? */
bool outlet_holds_content(const struct outlet *o);
/* Sends what the client shows, once the outlet is free. `*budget` bytes may go straight to the kernel in this turn.
 * 1: some was sent, or waits; 0: nothing now; or libuv's negative code: the connection is lost. */
int outlet_send(struct outlet *o, size_t *budget);
/* Bytes that the client gave away and the kernel has not taken. */
uint64_t outlet_unsent(const struct outlet *o);
/* Bytes that the peer's TCP has acknowledged, and whether any are on the way. */
uint64_t outlet_acknowledged(const struct outlet *o, bool *under_way);

#endif
