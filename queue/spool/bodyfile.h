/* queue/spool/bodyfile.h: collecting a message's content, in memory or, past a size, in a body file of its own.
 * Plumbing.
 *
 * The session appends on its own loop; chunks go to the disk workers two pieces of 64 KiB at a time and are freed as
 * they are written, so that a writer holds inline_limit at its start and some 200 KiB later, whatever the size of its
 * message. A writer outlives its session until its jobs are back; after body_writer_abort() no letter of it is posted
 * any more. */
#ifndef QUEUE_SPOOL_BODYFILE_H
#define QUEUE_SPOOL_BODYFILE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/body.h"
#include "conf/mailbox.h"
#include "queue/spool/layout.h"
#include "queue/spool/worker.h"

/* What all writers share; outlives them. */
struct body_files {
	struct workers *workers;
	const struct layout *layout;
	_Atomic uint64_t inline_limit; /* content up to this size stays in memory */
	_Atomic uint64_t body_memory;  /* past this use in all, content over 16 KiB goes to files */
	_Atomic uint64_t written;      /* bytes to files since the start */
};

struct body_writer;
/* See body_writer_new() in queue/spool/store.h. */
struct body_writer *body_writer_open(
	struct body_files *files, uint64_t id, struct mailbox *home, void (*drained)(void *arg), void *arg);
/* Copies. 0; 1: taken, but append no more until `drained`; negative: the content cannot be stored (-ENOSPC → 452, else
 * 451); what was appended is lost and the writer must be aborted (or finished, which says the same error). */
int body_writer_append(struct body_writer *w, const void *p, size_t n);
uint64_t body_writer_size(const struct body_writer *w);
/* Ends the content: `done(arg, err, body)` runs at home, later, never from within this call; the file, if any, is
 * written and synced with its directory then. The caller owns the reference; NULL if err is not 0. The writer is freed
 * behind `done`; until then it may still be aborted. */
void body_writer_finish(struct body_writer *w, void (*done)(void *arg, int err, struct body *body), void *arg);
/* Home's thread. Drops all, unlinks the file; no callback comes any more. NULL is fine. */
void body_writer_abort(struct body_writer *w);

#endif
