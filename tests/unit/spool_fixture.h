/* tests/unit/spool_fixture.h: a spool in a temporary directory, commits to write into it, an index to replay it to, and
 * file calls that fail or die on demand. */
#ifndef TESTS_UNIT_SPOOL_FIXTURE_H
#define TESTS_UNIT_SPOOL_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/spool/commit.h"
#include "queue/spool/files.h"
#include "queue/spool/journal.h"
#include "queue/spool/layout.h"

/* ---- file calls ---- */

enum call { CALL_OPEN, CALL_WRITE, CALL_DATASYNC, CALL_SYNC, CALL_RENAME, CALL_UNLINK, CALL_MKDIR, CALL_KINDS };

struct undo { /* a 512-byte sector before it was written; the file is known by its inode, so it may have been closed or
		 renamed */
	uint64_t inode;
	int fd; /* a descriptor of our own */
	uint64_t at;
	bool taken_back;
	uint8_t bytes[512];
};

struct faults {
	struct files files; /* pass &faults.files */
	unsigned count[CALL_KINDS];
	unsigned changes;    /* calls so far that change the disk */
	unsigned die_at;     /* the change with this number, and all that follow, fail with -EIO undone; 0: never */
	bool half;	     /* a write that dies does its first half */
	int fail_kind;	     /* CALL_*; -1: none */
	unsigned fail_after; /* that many calls of this kind still work */
	int fail_times;	     /* then so many fail; -1: all */
	int fail_with;
	uint64_t bad_from, bad_to; /* offsets, of any file, that cannot be read */
	struct undo *undo;	   /* sectors written and not synced, oldest first */
	size_t undo_count, undo_cap;
};
void faults_init(struct faults *f);
/* The power fails: each sector that was not synced goes back to what it was if `random` says so. */
void faults_power_loss(struct faults *f, uint64_t *random);
void faults_fini(struct faults *f);

/* ---- the index ---- */

enum { MODEL_MAX = 128 };
struct model_message {
	uint64_t id;
	enum record_type type;
	char sender[64];
	struct place content, newest;
	uint64_t size;
	unsigned outcomes;
	bool in_file, held, damaged, removed;
	char reason[64];
	char redirect[64], returned[64];
};
struct model {
	struct model_message messages[MODEL_MAX];
	size_t count;
	unsigned damaged_unknown, damaged, stray; /* stray: calls for an unknown ID */
	int fail;				  /* what message() returns */
	struct store_replay replay;
};
void model_init(struct model *m);
struct model_message *model_find(struct model *m, uint64_t id);
/* Not removed, whether damaged or not. */
struct model_message *model_live(struct model *m, uint64_t id);

/* ---- the spool ---- */

struct spool {
	char dir[64];
	struct layout layout;
	struct faults faults;
	struct model model;
	struct recovery_found found;
	struct journal *journal;
	struct journal_mark mark;
	uint32_t segment_size;
	char errors[512];
};
void spool_init(struct spool *s, uint32_t segment_size); /* makes the directory, opens nothing */
int spool_open(struct spool *s);			 /* layout and journal, into a fresh model */
void spool_close(struct spool *s);			 /* in order */
void spool_kill(struct spool *s);			 /* kill -9: nothing more reaches the disk */
void spool_fini(struct spool *s);			 /* closes and removes everything */
void spool_clear(struct spool *s);			 /* closes and empties the journal, keeps the directories */
size_t spool_segment_files(const struct spool *s);
/* Recovery alone, nothing written: into a fresh model. */
int spool_recover(struct spool *s);
char *spool_path(const struct spool *s, const char *name, char *out, size_t size);

/* ---- commits ---- */

struct commit *commit_message(uint64_t id, const char *sender, const char *content);
struct commit *commit_in_file(uint64_t id, const char *sender, uint64_t size, uint64_t checksum);
struct commit *commit_moved(uint64_t id, const char *sender, const char *content, struct place previous);
struct commit *commit_outcome(uint64_t id, struct place previous);
struct commit *commit_reason(enum record_type type, uint64_t id, const char *reason, struct place previous);
struct commit *commit_group(struct commit *first, struct commit *second);
void commit_drop(struct commit *c); /* with its group */
/* Writes up to four commits (NULL ends) as one batch; they are kept. */
int spool_write(struct spool *s, struct commit *a, struct commit *b, struct commit *c, struct commit *d);
/* The content of an inline message as a fresh string; NULL if its checksum is wrong. */
char *spool_content(struct spool *s, struct place at);

#endif
