/* queue/spool/record.h: one record of the journal on disk: encode, decode, scan a run of bytes. Protocol: pure.
 *
 * A record begins on a 64-byte bound: a header of 64 bytes, the meta, the body, zeros up to the next bound. Numbers are
 * big-endian.
 *
 *	 0  u32  magic "r64j"                  32  u32  segment  \ of the message's
 *	 4  u8   version, 1                    36  u32  offset   / record before this one
 *	 5  u8   type                          40  u64  checksum of the meta
 *	 6  u8   flags, below                  48  u64  checksum of the body
 *	 7  u8   0                             56  u64  checksum of bytes 0..55
 *	 8  u64  queue ID; 0: none
 *	16  u32  length of the meta
 *	20  u32  length of the body
 *	24  u64  number of the batch
 *
 * Checksums are XXH3-64, seeded with the segment's seed plus the record's offset. The seed is drawn anew each time a
 * segment is made or recycled (queue/spool/segment.h), so neither an earlier life of the segment is believed, nor a
 * record at a place that is not its own, nor what looks like a record inside the content of a message: nobody outside
 * knows the seed.
 *
 * meta by type: MESSAGE the envelope; MOVED the envelope and the last attempts (record_moved_*); OUTCOME the attempt;
 * HOLD, REMOVE and RETURN the reason as text; RELEASE nothing; REDIRECT the next hop as text; VOID struct record_void;
 *COMMIT struct record_commit. body: content of MESSAGE and MOVED, or with RECORD_IN_FILE a reference to spool/body
 *(struct record_reference). */
#ifndef QUEUE_SPOOL_RECORD_H
#define QUEUE_SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/spool/place.h"

enum { RECORD_TYPE_END = RECORD_RETURN + 1 };
const char *record_type_name(enum record_type t); /* "message" …; "?" out of range */

enum record_flag {
	/* A group's first and last record; a record alone has both. A group counts whole or not at all. */
	RECORD_GROUP_FIRST = 1,
	RECORD_GROUP_LAST = 2,
	/* In each record of a batch that stands in for those which its VOID names: as the last one it counts whole or
	 * not at all. */
	RECORD_AGAIN = 4,
	RECORD_IN_FILE = 8,
};

enum {
	RECORD_ALIGN = 64,
	RECORD_HEADER = 64,
	RECORD_REFERENCE = 24,
	RECORD_REASON_MAX = 512,
	RECORD_META_MAX = 16 << 20,
	RECORD_BATCH_MAX = 16384, /* records in one batch: bounds what a COMMIT lists */
};

struct record {
	enum record_type type;
	uint8_t flags;
	uint64_t id;
	uint32_t meta_len;
	uint32_t body_len;
	uint64_t batch;
	struct place previous;
	uint64_t meta_sum;
	uint64_t body_sum;
};

/* The seed of the checksums of the record at `offset` of a segment with seed `segment_seed`. */
uint64_t record_seed(uint64_t segment_seed, uint32_t offset);
uint64_t record_sum(uint64_t seed, const void *p, size_t n); /* n may be 0 */

/* Bytes that a record takes up in the journal, padding included. */
uint64_t record_span(uint32_t meta_len, uint32_t body_len);
/* meta_sum and body_sum are the caller's work (a body may lie in pieces). */
void record_encode(const struct record *r, uint64_t seed, uint8_t out[RECORD_HEADER]);
/* 0, or -EBADMSG: no header of this seed, a version or type that is not known, lengths out of range. */
int record_decode(struct record *r, uint64_t seed, const uint8_t in[RECORD_HEADER]);

/* The next offset >= `from`, on a bound, where a whole believable header stands in `bytes` (which begin at the
 * segment's offset `base`, on a bound); `end` (base + n, rounded down) if there is none. */
uint32_t record_scan(
	const uint8_t *bytes, size_t n, uint32_t base, uint32_t from, uint64_t segment_seed, struct record *out);

struct record_reference {
	uint64_t file; /* conf/body.h */
	uint64_t size;
	uint64_t checksum;
};
void record_reference_encode(const struct record_reference *r, uint8_t out[RECORD_REFERENCE]);
int record_reference_decode(struct record_reference *r, const uint8_t *p, size_t n); /* -EBADMSG */

/* COMMIT: what the batch holds, so that a record whose header is broken can still be named. */
struct record_listed {
	uint8_t type;
	uint32_t offset;
	uint64_t id;
};
struct record_commit {
	uint32_t first;	     /* offset of the batch's first byte, in the same segment */
	uint64_t ceiling_ms; /* IDs lie below it */
	uint64_t wall_ms;    /* when it was written */
	uint32_t oldest;     /* segments below it hold nothing any more */
	uint32_t count;
	const uint8_t *list; /* read with record_commit_at() */
};
enum { RECORD_COMMIT_FIXED = 28, RECORD_LISTED = 13 };
/* The COMMIT's meta is built in place: the fixed part, then `count` times record_listed_encode(). */
void record_commit_encode(const struct record_commit *c, uint8_t out[RECORD_COMMIT_FIXED]);
void record_listed_encode(const struct record_listed *l, uint8_t out[RECORD_LISTED]);
int record_commit_decode(struct record_commit *c, const void *p, size_t n);	  /* lends; -EBADMSG */
struct record_listed record_commit_at(const struct record_commit *c, uint32_t i); /* i < count */

/* VOID: the batches `from`..`to` count as never written; `count` messages in them were refused. */
struct record_void {
	uint64_t from, to;
	uint32_t count;
	const uint8_t *ids; /* read with record_void_at() */
};
int record_void_encode(uint64_t from, uint64_t to, const uint64_t *ids, uint32_t count, struct buf *out);
int record_void_decode(struct record_void *v, const void *p, size_t n); /* lends; -EBADMSG */
uint64_t record_void_at(const struct record_void *v, uint32_t i);

/* MOVED: the envelope's bytes, then those of at most 255 attempts, oldest first. */
struct record_moved {
	const uint8_t *envelope;
	size_t envelope_len;
	unsigned attempts;
	struct reader rest; /* record_moved_next() reads from it */
};
int record_moved_begin(struct buf *out, const void *envelope, size_t n, unsigned attempts);
int record_moved_add(struct buf *out, const void *attempt, size_t n);
int record_moved_decode(struct record_moved *m, const void *p, size_t n); /* lends; -EBADMSG */
/* The next attempt's bytes; NULL at the end. */
const uint8_t *record_moved_next(struct record_moved *m, size_t *n);

#endif
