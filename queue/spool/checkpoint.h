/* queue/spool/checkpoint.h: spool/index.NNN: the index as it stood at a place of the journal. Plumbing.
 *
 * Never trusted over the journal: it only saves the scan of what stands before its place. Written as index.NNN.tmp,
 * synced, renamed, directory synced, older ones unlinked. Believed as a whole or not at all:
 *
 *	head   u32 magic "r64i", u32 version 1, u32 segment, u32 offset, u64 batch, u64 ceiling_ms, u64 newest_ms,
 *	       u32 oldest, u32 0, u64 nonce, u64 XXH3-64 of the above
 *	block  u32 length (1..CHECKPOINT_BLOCK), u32 entries, u64 checksum, then `length` bytes of entries
 *	entry  u32 length of the rest, content place, newest place (u32 segment, u32 offset each), u8 in_file, envelope
 *	tail   u32 0, u32 0, u64 checksum, u64 number of entries in all
 *
 * A block's checksum is XXH3-64 of its bytes, seeded with the nonce, the block's offset and its two lengths. */
#ifndef QUEUE_SPOOL_CHECKPOINT_H
#define QUEUE_SPOOL_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/mail/envelope.h"
#include "queue/spool/files.h"
#include "queue/spool/place.h"

enum { CHECKPOINT_BLOCK = 16 << 20 };

struct checkpoint_head {
	struct place at;     /* the journal's end when it was begun: scan from here */
	uint64_t batch;	     /* the last one before it */
	uint64_t ceiling_ms; /* of IDs */
	uint64_t newest_ms;  /* wall time */
	uint32_t oldest;     /* segment */
};

/* ---- writing: the index's owner adds and cuts blocks, a worker writes them in order and finishes; side by side
 * ---- */

struct checkpoint;
struct checkpoint_block;
enum { CHECKPOINT_FULL = 1 << 20 };

/* Nothing is written yet. -ENOMEM. */
int checkpoint_begin(struct checkpoint **out, const struct files *files, int spool, const struct checkpoint_head *head);
/* The owner: adds an entry to the open block. 0; 1: the block is full, cut it; -ENOMEM, -E2BIG: not added. */
int checkpoint_add(
	struct checkpoint *c, const struct envelope *e, struct place content, struct place newest, bool in_file);
/* The owner: hands over what was added since the last cut; NULL if nothing was. */
struct checkpoint_block *checkpoint_cut(struct checkpoint *c);
/* The worker: writes and frees the block. 0 or negative; a failure is kept and also comes from checkpoint_finish(). */
int checkpoint_write(struct checkpoint *c, struct checkpoint_block *block);
/* The worker, when the last block is written and the owner adds no more (what was not cut is written here): syncs,
 * renames, syncs the directory, unlinks older ones; frees. 0, or negative: the older checkpoint stays. */
int checkpoint_finish(struct checkpoint *c);
/* Unlinks all checkpoints, durably: the next start scans the whole journal. A worker, none being written. */
int checkpoint_drop(const struct files *files, int spool);
/* Unlinks the temporary file and frees. NULL is fine. */
void checkpoint_abort(struct checkpoint *c);

/* ---- reading, at the start ---- */

/* The newest checkpoint that can be believed as a whole: first its head, then its entries in order. What a callback
 * returns other than 0 ends the reading. 0; -ENOENT: none can be believed, scan everything; else negative. */
int checkpoint_load(const struct files *files, int spool, void *arg,
	int (*head)(void *arg, const struct checkpoint_head *head),
	int (*entry)(void *arg, const struct envelope *e, struct place content, struct place newest, bool in_file));

#endif
