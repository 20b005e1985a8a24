/* queue/control/control.h: the control socket, by which relayq asks the queue and acts on it. Plumbing; the queue
 * thread's loop.
 *
 * What is said on it is in queue/control/protocol.h. Everything is bounded: connections (limits { control }), the
 * request line, what waits to be written to a client (CONTROL_HIGH_WATER; nothing more is produced past it until the
 * client reads), the time a client may be idle or not read (limits { command_time }). Long answers are made in slices,
 * one client's slice a turn of the loop, so other clients and the mail have theirs. A client that closes its side is
 * gone: all of it is cancelled. */
#ifndef QUEUE_CONTROL_CONTROL_H
#define QUEUE_CONTROL_CONTROL_H

#include "conf/buf.h"
#include "conf/ioloop.h"
#include "queue/control/inspect.h"

enum {
	CONTROL_HIGH_WATER = 262144, /* bytes: answers pause above this */
	CONTROL_OUT_MAX =
		16777216, /* bytes: what cannot pause (the attempts of one message) ends the client above this */
};

struct control;

/* Binds the path `control` of queue_conf(q), mode 0660, and listens. Only under the spool's lock: a stale socket there
 * is replaced without a gap; one that answers is -EADDRINUSE, what is no socket is -EEXIST. The path's last folder is
 * made (0755) if only that is missing. On failure a line in `errors` says what and how to mend it. Before the loop runs
 * or on its thread. */
int control_open(struct control **out, struct ioloop *loop, struct queue *q, struct buf *errors);
/* The loop's thread: closes the socket and all clients, removes the path if it still is ours; `closed` comes when the
 * last handle is closed; the control is freed then. */
void control_close(struct control *c, void (*closed)(void *arg), void *arg);

#endif
