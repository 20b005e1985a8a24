/* queue/spool/journal.h: the append-only record of every message, in segments, a batch at a time. Plumbing.
 *
 * Synchronous, without threads of its own. The commit thread's loop is: gather commits, journal_write(), report. One
 * worker at a time calls journal_prepare() when journal_wants_prepare() says so: it makes segments ahead and recycles
 * freed ones, so that no zeros are written on the commit path unless none is ready.
 *
 * A batch is written with one writev (more only past IOV_MAX) at the end of the current segment, closed by a COMMIT
 * record, and synced once. Batches lie one behind the other without gaps and never span segments. The next batch begins
 * only when the sync of the last has returned 0; so the first believable record of batch N + 1 proves that N was
 * durable.
 *
 * When a write or sync fails, the segment is abandoned: never written or synced again. Nobody knows what of the batch
 * is on disk, so the next batch goes to another segment and begins with a VOID that names the failed batch (and failed
 * batches since) and the messages in it; the caller gives the failed batch's outcomes, holds and removes again with it.
 * All records of such a batch bear RECORD_AGAIN: as the last batch of a journal it counts whole or not at all, and if
 * it does not count, the batch before it is the last. */
#ifndef QUEUE_SPOOL_JOURNAL_H
#define QUEUE_SPOOL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/spool/commit.h"
#include "queue/spool/files.h"
#include "queue/spool/recovery.h"
#include "queue/spool/replay.h"

/* clang-format off */
/* The crash table: what a crash (kill -9, or power loss: any subset of the sectors that were written and not synced is on disk) can leave,
 * and what start-up does with it. Assumed of the disk: a sector that is written again with the bytes it has keeps them.
 *
 *     step                                can leave                      start-up
 *  1  first start: directories made       some of them                   makes the rest
 *  2  a segment being made                NNN.tmp of any content         unlinks *.tmp
 *  3  ... synced and renamed, directory   NNN.tmp, or an empty segment   as 2; or: a segment ready for use
 *     not synced
 *  4  freed segment: new headers being    the old segment; one or both   as before it was freed: its records tell
 *     written                             headers may be new             nothing that later ones do not end or move; it
 *                                                                        will be freed again
 *  5  ... synced, not renamed             old name, header of another    unlinks it
 *                                         number
 *  6  ... renamed                         a ready segment with records   another seed: none of them is believed
 *                                         of its earlier life
 *  7  surplus freed segment unlinked      the segment, or not            as 4, or nothing to do
 *  8  segment freed, the COMMIT that      the segment                    as 4 (files are touched only when that COMMIT
 *     says so not durable                                                is durable, the oldest first)
 *  9  batch written, not synced           any part of it                 whole records and groups are kept, broken ones
 *                                                                        dropped and reported; then 13
 * 10  batch synced, nobody told           all of it                      kept: a message without its 250 may be
 *                                                                        delivered; then 13
 * 11  sync failed, no VOID written yet    as 9                           as 9
 * 12  VOID batch written, not synced      any part of it                 whole: the failed batch never was. Not whole:
 *                                                                        the VOID batch never was, the failed one is as
 *                                                                        9
 * 13  start-up itself writes what it      any part of it                 as 12, so nothing kept is lost however often
 *     kept of the last batch again, in a                                 this happens. (What was read may be in the
 *     new segment behind a VOID for the                                  page cache alone, or the leftover of a failed
 *     old batch                                                          sync: nothing is built upon it before it is
 *                                                                        synced)
 *     ... synced, then an empty batch     the batch; the empty one or    empty last batch: nothing to write again, the
 *                                         not                            segment is written on; else once more
 * 14  body file written, its MESSAGE not  a body file without a message  unlinks it (layout.h) and counts it
 *     durable
 * 15  message ended durably, its body     a body file                    the caller of replay calls store_forget();
 *     file not unlinked                                                  later it is as 14
 * 16  checkpoint being written            index.NNN.tmp                  unlinks it, the older checkpoint serves
 * 17  ... renamed, older not unlinked     two checkpoints                the newest that can be believed
 * 18  closed: an empty batch written      that batch, or not             as 13's last line, or as 9
 *
 * What is not a crash but damage: a broken record in a batch that is not the last, a batch missing in the row, a segment that is
 * unreadable, cut short or missing at or above the `oldest` of the last COMMIT. Reported (replay.h, damaged()), everything else
 * kept. Records of a group of which one is broken do not count either: the message that they would have changed stays as it
 * was. */
/* clang-format on */

struct journal;

struct journal_setup {
	const struct files *files; /* must outlive the journal */
	int spool;		   /* open directories (layout.h); must outlive the journal */
	int journal;
	uint32_t segment_size; /* of new segments; a multiple of 64 */
	uint64_t wall_ms;      /* now */
	/* One line for each record of the last batch that was dropped; may be NULL. */
	void (*say)(void *arg, const char *line);
	void *arg;
};

/* Reads checkpoint and journal, replays them, writes again what step 13 says, and makes the first segment if there is
 * none. The lock is held. 0, or negative with a line in `errors`. `found` (not NULL) is what recovery saw;
 * recovery_found_fini() it. */
int journal_open(struct journal **out, const struct journal_setup *setup, const struct store_replay *replay,
	struct recovery_found *found, struct buf *errors);
/* Writes an empty batch, so that the next start knows the last one to be durable, and frees. NULL is fine. */
void journal_close(struct journal *j, uint64_t wall_ms);

/* ---- the commit thread ---- */

/* Bytes and records that this commit, its whole group, adds to a batch. */
uint64_t journal_bytes(const struct commit *c);
unsigned journal_records(const struct commit *c);
/* The most bytes of commits that a batch can hold (RECORD_BATCH_MAX records at most): a commit over this is refused up
 * front with -EMSGSIZE; batches are gathered below it. */
uint64_t journal_batch_max(const struct journal *j);

/* Where the journal ends: everything before it is durable. */
struct journal_mark {
	uint32_t segment;
	uint32_t offset;
	uint64_t batch; /* the last one before it */
};

/* Makes `count` commits (each with its group) durable as one batch, in this order; 0 of them is fine (a new ceiling of
 * IDs). 0: every c->place is set, `end` is where the journal ends now. Negative: nothing of it counts; c->status is
 * left to the caller, who gives all but the groups with a MESSAGE again later, first of all. May make a segment itself,
 * slowly, if none is ready. Files 0..3 ms otherwise. */
int journal_write(
	struct journal *j, struct commit *const *batch, size_t count, uint64_t wall_ms, struct journal_mark *end);
/* A failed batch waits for its VOID: outcomes cannot be made durable now. Try again at growing intervals with
 * journal_write(), without new messages. Any thread. */
bool journal_broken(const struct journal *j);
/* The ceiling of IDs that the next batches carry; durable when journal_write() returns 0. Never lowered. */
void journal_set_ceiling(struct journal *j, uint64_t ceiling_ms);
/* The ceiling that is durable: found at the start or written since. Any thread. */
uint64_t journal_ceiling(const struct journal *j);

/* ---- segments; any thread ---- */

/* The oldest segment holds nothing that is needed any more (and nobody reads it). Its file is used again once a COMMIT
 * that says so is durable, by journal_prepare(). Only the oldest; -EINVAL for another or the current one. */
int journal_free(struct journal *j, uint32_t segment);
/* Is there work for journal_prepare()? After each journal_write(), at the start, and after journal_free(). */
bool journal_wants_prepare(struct journal *j);
/* A disk worker, one at a time: recycles or unlinks freed segments, makes one ready if too few are. 0 or negative (try
 * later). */
int journal_prepare(struct journal *j);

struct journal_status {
	uint32_t oldest;  /* segment; those below are freed */
	uint32_t current; /* is written now */
	uint32_t ready;	  /* segments made ahead */
	uint32_t offset;  /* end of the journal in the current one */
	uint32_t segment_size;
	uint64_t bytes;	  /* in records of segments oldest..current, dead or alive */
	uint64_t written; /* bytes written since the start: for checkpoint_wanted */
};
void journal_status(struct journal *j, struct journal_status *out);
/* Bytes of records in one segment (0: not known). Reclaim compares it with what lives there. */
uint64_t journal_segment_bytes(struct journal *j, uint32_t segment);

#endif
