/* queue/spool/snapshot.h: a checkpoint being taken in slices by the queue thread, and written by a worker. Plumbing. */
#ifndef QUEUE_SPOOL_SNAPSHOT_H
#define QUEUE_SPOOL_SNAPSHOT_H

#include <stdbool.h>

#include "queue/spool/checkpoint.h"
#include "queue/spool/worker.h"

enum { SNAPSHOT_BLOCKS = 2 }; /* of a checkpoint, 1 MiB each, that may wait for the disk */

struct snapshot;
struct snapshot_block {
	struct job job;
	struct snapshot *snapshot;
	struct checkpoint_block *block;
	bool busy;
};

/* All members are the queue thread's, but for `err` when the last job is under way. */
struct snapshot {
	struct workers *workers;
	struct checkpoint *checkpoint;
	struct checkpoint_head head;
	const struct files *files;
	int spool;
	struct mailbox *home;
	void (*begun)(void *arg);
	void *begun_arg;
	void (*done)(void *arg, int err);
	void *done_arg;
	struct letter fence;
	struct job_chain chain;
	struct snapshot_block blocks[SNAPSHOT_BLOCKS];
	struct job last;
	int err;
	bool dropped; /* with `done`: there was no space, and the older ones are gone, too */
	bool active, whole;
	bool full;  /* the open block is, and the others wait for the disk */
	bool asked; /* for an entry meanwhile */
};

void snapshot_init(struct snapshot *s, struct workers *workers);
/* The workers have stopped. */
void snapshot_fini(struct snapshot *s);
/* These three as store_checkpoint_begin(), _add() and _end() in queue/spool/store.h. */
int snapshot_begin(struct snapshot *s, const struct files *files, int spool, const struct checkpoint_head *head,
	struct mailbox *home, void (*begun)(void *arg), void *arg);
int snapshot_add(struct snapshot *s, const struct envelope *e, struct place content, struct place newest, bool in_file);
void snapshot_end(struct snapshot *s, bool whole, void (*done)(void *arg, int err), void *arg);

#endif
