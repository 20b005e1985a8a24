/* queue/spool/sidestate.h: small files in spool/state that may be lost without losing mail. Plumbing; blocks.
 *
 *	 0  u32  magic "r64s"
 *	 4  u32  version of the content, its owner's
 *	 8  u64  length of the content
 *	16  u64  XXH3-64 of the content, seed 0
 *	24       content
 *
 * A file is written beside, synced, renamed, and its directory synced: what stands there is whole, the old or the new.
 * Numbers are big-endian. */
#ifndef QUEUE_SPOOL_SIDESTATE_H
#define QUEUE_SPOOL_SIDESTATE_H

#include "conf/buf.h"
#include "conf/mailbox.h"
#include "queue/spool/files.h"
#include "queue/spool/worker.h"

enum { SIDESTATE_MAX = 8 << 20 }; /* bytes of content */

/* Appends the content of state/NAME below the open directory `spool`. 0; -ENOENT; -EBADMSG: what stands there is no
 * such file, of another version, or damaged; else negative. */
int sidestate_read(const struct files *files, int spool, const char *name, uint32_t version, struct buf *out);
/* Replaces it. 0, -E2BIG, or negative. */
int sidestate_write(const struct files *files, int spool, const char *name, uint32_t version, const void *p, size_t n);

/* One file that its owner writes again and again, by a disk worker: see store_write_state(). Zeroed by the owner, who
 * sets the first four; the owner's thread alone. */
struct sidestate {
	const char *name;
	uint32_t version;
	struct mailbox *home; /* the owner's */
	struct buf content;   /* what is to be written: set it anew, then store_write_state() */
	int status;	      /* of the last write */
	/* private */
	const struct files *files;
	struct workers *workers;
	int spool;
	struct buf writing;
	bool busy, again;
	struct job job;
};
/* Once no worker has it any more. */
void sidestate_fini(struct sidestate *s);

#endif
