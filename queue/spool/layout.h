/* queue/spool/layout.h: the spool's directories, its lock, and the names of body files. Plumbing.
 *
 *	lock          held by flock while a daemon runs; its text is the process
 *	journal/      NNNNNNNNNN.seg (segment.h)
 *	index.NNN     checkpoints (checkpoint.h)
 *	body/XX/ID    contents too large for the journal; XX: 8 bits of the ID that change every millisecond
 *	state/        what may be lost without losing mail
 *
 * Directories are 0700, files 0600. The spool directory itself is made if its parent exists. */
#ifndef QUEUE_SPOOL_LAYOUT_H
#define QUEUE_SPOOL_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/spool/files.h"

struct layout {
	const struct files *files;
	int spool, journal, body; /* open directories */
	int lock;		  /* -1: opened read-only */
};

/* Makes what is missing (synced), takes the lock, unlinks temporary files. 0, or negative with a line in `errors`:
 * -EBUSY names the process that holds the lock. */
int layout_open(struct layout *l, const struct files *files, const char *dir, struct buf *errors);
/* For reading only: makes and unlinks nothing. With `lock` the lock is taken (shared) to be sure that no daemon
 * runs. */
int layout_open_read(struct layout *l, const struct files *files, const char *dir, bool lock, struct buf *errors);
void layout_close(struct layout *l);

enum { LAYOUT_BODY_NAME = 20, LAYOUT_BODY_DIRS = 256 };
/* "XX/ID", relative to l->body. */
const char *layout_body_name(uint64_t id, char out[LAYOUT_BODY_NAME]);
/* Opens a body file: its descriptor or negative. O_CREAT makes it 0600. */
int layout_body_open(const struct layout *l, uint64_t id, int flags);
/* Makes the entry of a new body file durable; the file itself is synced by its writer, before. */
int layout_body_sync(const struct layout *l, uint64_t id);
int layout_body_unlink(const struct layout *l, uint64_t id);
/* Calls `file` for each body file (id 0: a name that is none); what it returns other than 0 ends the walk and is
 * returned. */
int layout_body_walk(const struct layout *l, void *arg, int (*file)(void *arg, uint64_t id, const char *name));
/* Unlinks every body file whose ID is not among the `count` sorted `live` ones (recovery_found.in_file), and counts
 * them. After recovery, before anybody writes a body. */
int layout_sweep_bodies(const struct layout *l, const uint64_t *live, size_t count, uint64_t *orphans);

#endif
