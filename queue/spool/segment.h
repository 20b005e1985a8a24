/* queue/spool/segment.h: a file of the journal: its name, its seed, reading a record of it. Plumbing.
 *
 * journal/NNNNNNNNNN.seg has a fixed size. Its first and its last 64 bytes are the same header, twice so that one bad
 * sector does not take the whole segment along:
 *
 *	 0  u32  magic "r64s"     4  u32  version, 1     8  u32  number     12  u32  size of the file
 *	16  u64  seed            24  zeros              56  u64  XXH3-64 of bytes 0..55
 *
 * Records stand in between, from SEGMENT_FIRST on. */
#ifndef QUEUE_SPOOL_SEGMENT_H
#define QUEUE_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/spool/files.h"
#include "queue/spool/record.h"

enum { SEGMENT_NAME = 24, SEGMENT_FIRST = 64, SEGMENT_SIZE_MIN = 4096 };

struct segment {
	const struct files *files;
	int fd;
	uint32_t number;
	uint32_t size; /* of the file as it is: less than what the header says if it was cut */
	uint32_t made; /* the size that it was made with */
	uint64_t seed;
};

const char *segment_name(uint32_t number, char out[SEGMENT_NAME]);
/* The number in a name of exactly that form, else 0. */
uint32_t segment_name_parse(const char *name);

/* Opens a segment in the directory `journal`. -ENOENT; -EBADMSG: neither header can be believed; -ESTALE: it was freed
 * and is about to get another number (journal.h, step 5). */
int segment_open(struct segment *out, const struct files *files, int journal, uint32_t number, bool write);
void segment_close(struct segment *s); /* fine on a closed one */
/* Bytes where records may stand end here. */
uint32_t segment_end(const struct segment *s);

/* Reads and believes the header at `offset` and, if `meta` is not NULL, the meta behind it (appended). -EBADMSG if
 * either is broken. */
int segment_read(const struct segment *s, uint32_t offset, struct record *out, struct buf *meta);
/* Where the body of that record begins. */
uint64_t segment_body_at(uint32_t offset, const struct record *r);
/* Reads the whole body through a small buffer: 0, or -EBADMSG if its checksum is wrong, or it should name a file and
 * does not. */
int segment_check_body(const struct segment *s, uint32_t offset, const struct record *r);

/* Makes a segment of zeros under its final name, synced with its directory; whatever stood there before is replaced.
 * Leaves at worst a file "*.tmp". */
int segment_make(const struct files *files, int journal, uint32_t number, uint32_t size);
/* Gives the file of the freed segment `from` a new number and seed: headers synced in place, then renamed, directory
 * synced. -EBADMSG and nothing done if its size is not `size`. */
int segment_recycle(const struct files *files, int journal, uint32_t from, uint32_t number, uint32_t size);

#endif
