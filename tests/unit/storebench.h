/* tests/unit/storebench.h: a store in a directory of its own, and an index of what it says is live. */
#ifndef TESTS_UNIT_STOREBENCH_H
#define TESTS_UNIT_STOREBENCH_H

#include "queue/spool/store.h"
#include "tests/unit/post.h"
#include "tests/unit/spooldir.h"

enum { BENCH_MESSAGES = 4096 };

struct bench_message {
	uint64_t id, size;
	struct place content, newest;
	bool in_file, held;
	unsigned outcomes;
};

struct bench {
	struct spooldir spool;
	struct conf *conf;
	struct store *store;
	struct post home; /* of everything */
	struct bench_message live[BENCH_MESSAGES];
	size_t count;
	unsigned damaged, removed;
	uint64_t next_id;
	/* of the body writer */
	unsigned done;
	int err;
	struct body *body;
	/* of reader, history, checkpoint */
	unsigned ready, begun, checkpointed;
	int checkpoint_err;
};

/* Makes directory and store; `settings` go into the block `storage`. */
void bench_make(struct bench *b, const char *settings);
void bench_remove(struct bench *b);
/* Replays into an empty index. 0 or what store_open() said. */
int bench_open(struct bench *b);
void bench_close(struct bench *b);
struct bench_message *bench_find(struct bench *b, uint64_t id);

/* One commit and what became of it. */
struct note {
	struct commit c;
	struct bench *bench;
	unsigned first, second; /* place in the order of all letters opened; 0: not yet */
	struct buf meta;
	uint64_t size;
};
extern unsigned note_letters; /* letters opened so far */

/* A message of `size` bytes whose sender names its ID; the body is made by a writer and stays the note's until
 * note_fini(). */
void note_message(struct note *n, struct bench *b, uint64_t id, uint64_t size);
void note_outcome(struct note *n, struct bench *b, uint64_t id, uint64_t when_ms);
void note_text(struct note *n, struct bench *b, enum record_type type, uint64_t id, const char *text);
void note_moved(struct note *n, struct bench *b, const struct bench_message *m, struct body *body);
void note_post(struct note *n);
/* Opens letters until it is answered; returns its status. */
int note_wait(struct note *n);
/* Post, wait, and keep the index: a success changes it as the replay would. */
int note_commit(struct note *n);
void note_fini(struct note *n);

/* The whole content as pieces came: how many bytes, or negative; each is checked against what was written. */
int64_t bench_read(struct bench *b, struct place content);
/* The content as store_read_body() gives it; NULL and b->err if it cannot be read. */
struct body *bench_copy(struct bench *b, struct place content);
/* A checkpoint of all that is in the index. Its result. */
int bench_checkpoint(struct bench *b);
/* Segments in the journal's folder; the lowest and highest number. */
unsigned bench_segments(const struct bench *b, unsigned *lowest, unsigned *highest);
uint8_t bench_pattern(uint64_t at);

#endif
