/* queue/spool/recovery.h: what a spool holds at start-up: the checkpoint, then the records behind it. Plumbing.
 *
 * Headers and metas are read, bodies skipped, except those of the last batch. Which records are believed is said in
 * journal.h; nothing is changed here. The last batch is held back until recovery_settle(), because the journal writes
 * it again first and it then stands elsewhere. */
#ifndef QUEUE_SPOOL_RECOVERY_H
#define QUEUE_SPOOL_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/spool/files.h"
#include "queue/spool/record.h"
#include "queue/spool/replay.h"

/* What was seen; for the log, `relayq verify`, and the store. */
struct recovery_found {
	uint64_t segments, records,
		messages; /* records and messages of the scanned part; messages: MESSAGE and MOVED */
	uint64_t damaged; /* calls of damaged() */
	uint64_t torn;	  /* broken records of the last batch, dropped */
	uint64_t voided;  /* records of failed batches */
	uint64_t checkpoint_entries;
	bool checkpoint_used;
	uint64_t floor_ms;  /* the highest ceiling of IDs seen */
	uint64_t newest_ms; /* wall time of the newest batch */
	/* IDs whose content was said to be in a body file and that no REMOVE or VOID ended, sorted: every other body
	 * file is an orphan, if no damage hides whose it may be. */
	bool in_file_complete;
	uint64_t *in_file;
	size_t in_file_count;
};
void recovery_found_fini(struct recovery_found *f);

/* A record of the last batch, believed. */
struct recovery_record {
	struct place at;
	struct record head;
	const uint8_t *meta; /* lent by the recovery */
};

struct recovery;

struct recovery_setup {
	const struct files *files;
	int spool, journal;
	/* `relayq verify`: without the checkpoint, all records from the oldest on, with their bodies */
	bool everything;
	void (*say)(void *arg, const char *line); /* one line for each torn record; may be NULL */
	void *arg;
};

/* Reads and replays all but the last batch. 0, or negative with a line in `errors` (-ENOMEM, -EIO, what a callback
 * returned). */
int recovery_run(struct recovery **out, const struct recovery_setup *setup, const struct store_replay *replay,
	struct buf *errors);
/* The records of the last batch that are believed, in order, without VOID and COMMIT. */
const struct recovery_record *recovery_last(const struct recovery *r, size_t *count);
/* Replays the last batch; `places` (as many as recovery_last() has) says where the records stand by now, NULL: where
 * they stood. */
int recovery_settle(struct recovery *r, const struct place *places);

/* Where the journal ends, and which batches were seen. */
struct recovery_end {
	uint32_t oldest;     /* the lowest segment; 0: there is none */
	uint32_t newest;     /* the highest segment that is there or was there */
	uint32_t used;	     /* the highest in which a record was seen: those above it are ready for use */
	uint32_t current;    /* segment of the last batch that counts */
	uint32_t offset;     /* its end */
	uint64_t last_batch; /* the last that counts */
	/* what is written instead of the last batch voids this one up to `highest`; 0: nothing to void */
	uint64_t void_from;
	uint64_t highest; /* the highest number seen, whether it counts or not */
	bool settled; /* the last batch is known to be durable: the current segment may be written on from `offset` */
};
void recovery_end(const struct recovery *r, struct recovery_end *out);
/* Bytes of records seen in a scanned segment; 0 if it was not scanned. */
uint32_t recovery_segment_bytes(const struct recovery *r, uint32_t segment);
const struct recovery_found *recovery_found(const struct recovery *r);
/* Hands the findings over to the caller, then frees. `found` may be NULL; NULL is fine. */
void recovery_free(struct recovery *r, struct recovery_found *found);

#endif
