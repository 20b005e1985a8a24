/* conf/ioloop.h: a thread with a libuv loop and a mailbox. Plumbing.
 *
 * The I/O loops and the queue thread are such threads. Letters posted to `mailbox` are opened on the loop's thread, in
 * slices, so that sockets get their turn between them. */
#ifndef CONF_IOLOOP_H
#define CONF_IOLOOP_H

#include <stdbool.h>
#include <uv.h>

#include "conf/mailbox.h"

struct ioloop {
	uv_loop_t uv;
	struct mailbox mailbox;
	unsigned number; /* I/O loops: 0 and up */
	char name[16];	 /* of the thread */
	void *smtpd;	 /* what each user of the loop keeps there for itself */
	void *deliver;
	/* private */
	uv_async_t wake;
	uv_idle_t more;
	uv_thread_t thread;
	bool running;
};

/* 0 or a negative libuv code. */
int ioloop_init(struct ioloop *loop, const char *name, unsigned number);
/* Starts the thread. Handles may be put on the loop before this, from the caller's thread. */
int ioloop_start(struct ioloop *loop);
/* The loop's own thread: closes the mailbox and its handles; the thread ends once all other handles are closed too.
 * Letters that are posted afterwards are never opened. */
void ioloop_finish(struct ioloop *loop);
/* Another thread: waits for the end of the loop's thread and frees what ioloop_init() made. Returns 0, or -EBUSY if
 * handles were left open. */
int ioloop_join(struct ioloop *loop);
/* The loop's own thread: opens what lies in the mailbox now, so that what was posted before an event is seen before
 * that event is handled. */
void ioloop_catch_up(struct ioloop *loop);

#endif
