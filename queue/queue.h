/* queue/queue.h: the queue thread: it opens the spool, owns all mail, and is asked and told from other threads.
 * Plumbing. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "conf/buf.h"
#include "conf/conf.h"
#include "conf/ioloop.h"
#include "queue/submission.h"

struct queue_thread;

/* Locks and reads the spool, opens resolver and control socket; all on the caller's thread, before any loop runs. 0; or
 * a negative code with lines in `errors`. The loops must outlive it. */
int queue_open(
	struct queue_thread **out, struct conf *conf, struct ioloop *loops, unsigned loop_count, struct buf *errors);
/* Where sessions hand in what they received. */
const struct submission_desk *queue_desk(const struct queue_thread *t);
uint64_t queue_id_floor_ms(const struct queue_thread *t);
const _Atomic uint64_t *queue_id_ceiling_ms(const struct queue_thread *t);
uint64_t queue_message_count(const struct queue_thread *t); /* found by queue_open() */
/* Opens the sockets of the configuration's oracles (queue/oracle/oracle.h), before the start. 0; or a negative code with
 * lines in `errors`. */
int queue_listen(struct queue_thread *t, struct buf *errors);
/* Starts the thread and begins to deliver. */
int queue_start(struct queue_thread *t);
/* Another thread: takes up a configuration. 0 or -ENOMEM. */
int queue_reload(struct queue_thread *t, struct conf *conf);
/* Another thread: nothing new is begun; what is under way has `drain_ms`. After queue_finish() was called too (no
 * session is left that could post), outcomes are on disk and the checkpoint is written: `done` on the queue thread.
 * Again with 0: skips the wait. */
void queue_drain(struct queue_thread *t, uint64_t drain_ms, void (*done)(void *arg), void *arg);
void queue_finish(struct queue_thread *t);
/* After `done`: ends the thread, closes the spool, frees all. The I/O loops have ended. Also after queue_open() without
 * a start. */
void queue_close(struct queue_thread *t);

#endif
