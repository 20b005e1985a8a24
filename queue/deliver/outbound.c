/* queue/deliver/outbound.c: plumbing. */
#include "queue/deliver/outbound.h"

struct outbound *outbound_of(struct ioloop *loop)
{
	static _Thread_local struct outbound outbound;
	if (loop->deliver == NULL) {
		LIST_INIT(&outbound.connections);
		LIST_INIT(&outbound.dials);
		outbound.draining = false;
		loop->deliver = &outbound;
	}
	return loop->deliver;
}
