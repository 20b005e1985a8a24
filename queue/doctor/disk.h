/* queue/doctor/disk.h: looks at the spool and measures its syncs, on a thread of its own: a disk that hangs holds up
 * nobody. Plumbing. */
#ifndef QUEUE_DOCTOR_DISK_H
#define QUEUE_DOCTOR_DISK_H

#include <uv.h>

#include "queue/doctor/facts.h"

struct disk_look;

/* `user` is that of the configuration; may be NULL. `done(arg)` is called once from the loop, with the facts in `out`;
 * never after disk_leave(). 0 or a negative code. */
int disk_start(struct disk_look **l, uv_loop_t *loop, const char *spool, const char *user, struct fact_spool *out,
	void (*done)(void *arg), void *arg);
/* Does not wait for the thread: it frees what it has when the disk lets it. NULL is fine. */
void disk_leave(struct disk_look *l);
/* The same at once, on the calling thread; for tests. */
void disk_look(const char *spool, const char *user, struct fact_spool *out);

#endif
