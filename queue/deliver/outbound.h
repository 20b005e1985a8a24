/* queue/deliver/outbound.h: what one I/O loop holds of dials and connections. Plumbing.
 *
 * One for each loop's thread, reached through ioloop.deliver; used on that thread alone. */
#ifndef QUEUE_DELIVER_OUTBOUND_H
#define QUEUE_DELIVER_OUTBOUND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "conf/ioloop.h"

struct connection;
struct dialling;

enum { OUTBOUND_READ = 65536 };

struct outbound {
	LIST_HEAD(, connection) connections;
	LIST_HEAD(, dialling) dials;
	bool draining;		       /* TERM: nothing new is begun … */
	uint64_t deadline_ms;	       /* … and what is under way ends by then */
	uint8_t buffer[OUTBOUND_READ]; /* what is read is consumed at once, so one is enough for all */
};

struct outbound *outbound_of(struct ioloop *loop);

#endif
