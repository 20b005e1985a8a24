/* tests/unit/journal_test.c: what the journal promises: the crash table of queue/spool/journal.h, row by row. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/spool/segment.h"
#include "spool_fixture.h"

enum { SMALL = 16384 };

static struct place nowhere;

static void assert_content(struct spool *s, uint64_t id, const char *expected)
{
	struct model_message *m = model_live(&s->model, id);
	assert_non_null(m);
	char *content = spool_content(s, m->content);
	assert_non_null(content);
	assert_string_equal(content, expected);
	free(content);
}

static void round_trip(void **state)
{
	(void)state;
	struct spool s;
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m1 = commit_message(1, "a@example.org", "one"), *m2 = commit_in_file(2, "", 77, 99);
	assert_int_equal(spool_write(&s, m1, m2, NULL, NULL), 0);
	struct commit *o = commit_outcome(1, m1->place), *h = commit_reason(RECORD_HOLD, 2, "because", m2->place);
	journal_set_ceiling(s.journal, 12345);
	assert_int_equal(journal_ceiling(s.journal), 0);
	assert_int_equal(spool_write(&s, o, h, NULL, NULL), 0);
	assert_int_equal(journal_ceiling(s.journal), 12345);
	spool_close(&s);

	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(s.model.count, 2);
	assert_int_equal(s.model.damaged, 0);
	assert_content(&s, 1, "one");
	assert_int_equal(model_find(&s.model, 1)->outcomes, 1);
	assert_int_equal(model_find(&s.model, 1)->newest.offset, o->place.offset);
	assert_true(model_find(&s.model, 2)->held);
	assert_true(model_find(&s.model, 2)->in_file);
	assert_string_equal(model_find(&s.model, 2)->reason, "because");
	assert_int_equal(s.found.floor_ms, 12345);
	assert_int_equal(s.found.newest_ms, 2000);
	assert_int_equal(s.found.in_file_count, 1);
	assert_int_equal(s.found.in_file[0], 2);
	assert_int_equal(spool_segment_files(&s), 1); /* closed in order: the segment is written on */
	commit_drop(m1);
	commit_drop(m2);
	commit_drop(o);
	commit_drop(h);
	spool_fini(&s);
}

/* ---- failed batches ---- */

static void fail_next(struct spool *s, enum call kind, int times, int with)
{
	s->faults.fail_kind = (int)kind;
	s->faults.fail_after = 0;
	s->faults.fail_times = times;
	s->faults.fail_with = with;
}

/* Rows 11 and 12: the batch whose sync failed never was, its outcome is given again. */
static void failed_sync_is_voided(void **state)
{
	(void)state;
	struct spool s;
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m1 = commit_message(1, "a@example.org", "one"), *m2 = commit_message(2, "", "two");
	assert_int_equal(spool_write(&s, m1, NULL, NULL, NULL), 0);
	struct commit *o = commit_outcome(1, m1->place);
	fail_next(&s, CALL_DATASYNC, 1, -EIO);
	assert_int_equal(spool_write(&s, m2, o, NULL, NULL), -EIO);
	assert_true(journal_broken(s.journal));

	assert_int_equal(spool_recover(&s), 0); /* a crash now: everything is found in the page cache */
	assert_non_null(model_live(&s.model, 2));
	assert_int_equal(model_find(&s.model, 1)->outcomes, 1);

	unsigned syncs = s.faults.count[CALL_DATASYNC];
	assert_int_equal(spool_write(&s, o, NULL, NULL, NULL), 0);
	assert_false(journal_broken(s.journal));
	assert_int_equal(o->place.segment, 2);
	assert_in_range(s.faults.count[CALL_DATASYNC] - syncs, 1, 2); /* a new segment's and the batch's */
	assert_int_equal(spool_recover(&s), 0);
	assert_null(model_live(&s.model, 2));
	assert_int_equal(model_find(&s.model, 1)->outcomes, 1);
	assert_int_equal(s.model.damaged, 0);
	assert_int_equal(s.found.voided, 3);
	spool_kill(&s);
	assert_int_equal(spool_open(&s), 0);
	assert_null(model_live(&s.model, 2));
	assert_int_equal(model_find(&s.model, 1)->outcomes, 1);
	assert_int_equal(model_find(&s.model, 1)->newest.segment, 3); /* written again */
	spool_close(&s);
	assert_int_equal(spool_recover(&s), 0);
	assert_null(model_live(&s.model, 2));
	assert_int_equal(model_find(&s.model, 1)->outcomes, 1);
	assert_int_equal(s.model.damaged, 0);
	commit_drop(m1);
	commit_drop(m2);
	commit_drop(o);
	spool_fini(&s);
}

/* A disk that fails for a long time: the journal keeps trying, with one file, and is right again afterwards. */
static void long_failure(void **state)
{
	(void)state;
	struct spool s;
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m1 = commit_message(1, "a@example.org", "one"), *h = commit_reason(RECORD_HOLD, 1, "x", nowhere);
	assert_int_equal(spool_write(&s, m1, NULL, NULL, NULL), 0);
	assert_int_equal(journal_prepare(s.journal), 0);
	for (int i = 0; i < 20; i++) {
		fail_next(&s, i % 2 ? CALL_WRITE : CALL_DATASYNC, 1, i % 3 ? -EIO : -ENOSPC);
		if (i && i % 4 != 1) /* the batch; else the segment that is made for it */
			s.faults.fail_after = i % 2 ? 3 : 1;
		int err = spool_write(&s, h, NULL, NULL, NULL);
		assert_int_equal(err, i % 3 ? -EIO : -ENOSPC);
		assert_true(journal_broken(s.journal));
		assert_in_range(spool_segment_files(&s), 1, 3);
	}
	s.faults.fail_kind = -1;
	assert_int_equal(spool_write(&s, h, NULL, NULL, NULL), 0);
	spool_kill(&s);
	assert_int_equal(spool_recover(&s), 0);
	assert_true(model_find(&s.model, 1)->held);
	assert_int_equal(s.model.damaged, 0);
	assert_int_equal(s.model.stray, 0);
	commit_drop(m1);
	commit_drop(h);
	spool_fini(&s);
}

/* Row 12: a VOID batch that is not whole does not count, at whatever byte it ends; nor does it make the failed batch
 * damage. */
static void torn_void(void **state)
{
	(void)state;
	struct spool s;
	static const uint8_t zeros[SMALL];
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m1 = commit_message(1, "a@example.org", "one"), *m2 = commit_message(2, "", "two");
	struct commit *m3 = commit_message(3, "c@example.org", "three");
	assert_int_equal(spool_write(&s, m1, NULL, NULL, NULL), 0);
	struct commit *o = commit_outcome(1, m1->place);
	fail_next(&s, CALL_DATASYNC, 1, -EIO);
	assert_int_equal(spool_write(&s, m2, o, NULL, NULL), -EIO);
	assert_int_equal(spool_write(&s, o, m3, NULL, NULL), 0);
	uint32_t end = s.mark.offset;
	spool_kill(&s);
	char path[128];
	int fd = open(spool_path(&s, "journal/0000000002.seg", path, sizeof(path)), O_RDWR | O_CLOEXEC);
	uint8_t bytes[SMALL];
	assert_int_equal(pread(fd, bytes, end, 0), end);
	while (bytes[end - 1] == 0)
		end--;
	for (uint32_t byte = end - 1; byte >= SEGMENT_FIRST; byte--) {
		assert_int_equal(pwrite(fd, zeros, end - byte, byte), end - byte);
		assert_int_equal(spool_recover(&s), 0);
		assert_non_null(
			model_live(&s.model, 2)); /* the failed batch is the last one: what is whole of it counts */
		assert_null(model_live(&s.model, 3));
		assert_int_equal(model_find(&s.model, 1)->outcomes, 1);
		assert_int_equal(s.model.damaged, 0);
	}
	/* Every single byte of it broken, with nothing behind: likewise, or (padding) not at all. */
	for (uint32_t byte = SEGMENT_FIRST; byte < end; byte++) {
		assert_int_equal(pwrite(fd, bytes, end, 0), end);
		bytes[byte] ^= 0x40;
		assert_int_equal(pwrite(fd, bytes + byte, 1, byte), 1);
		bytes[byte] ^= 0x40;
		assert_int_equal(spool_recover(&s), 0);
		assert_int_equal(s.model.damaged, 0);
		assert_int_equal(model_find(&s.model, 1)->outcomes, 1);
		assert_true(!model_live(&s.model, 2) == !!model_live(&s.model, 3));
	}
	/* Start-up goes on from there, and says nothing of damage ever after. */
	assert_int_equal(pwrite(fd, zeros, 100, SEGMENT_FIRST + 64), 100);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m4 = commit_message(4, "d@example.org", "four");
	assert_int_equal(spool_write(&s, m4, NULL, NULL, NULL), 0);
	spool_close(&s);
	assert_int_equal(spool_recover(&s), 0);
	assert_int_equal(s.model.damaged, 0);
	assert_int_equal(s.found.torn, 0);
	assert_content(&s, 2, "two");
	assert_content(&s, 4, "four");
	close(fd);
	commit_drop(m1);
	commit_drop(m2);
	commit_drop(m3);
	commit_drop(m4);
	commit_drop(o);
	spool_fini(&s);
}

/* ---- segments ---- */

static char *text_of(size_t n, char c)
{
	char *text = calloc(1, n + 1);
	memset(text, c, n);
	return text;
}

static void batches_stay_in_one_segment(void **state)
{
	(void)state;
	struct spool s;
	struct commit *m[12];
	char *text = text_of(3000, 'x'), *huge = text_of(SMALL, 'y');
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	for (unsigned i = 0; i < 12; i++) {
		m[i] = commit_message(i + 1, "a@example.org", text);
		assert_int_equal(spool_write(&s, m[i], NULL, NULL, NULL), 0);
		assert_true(m[i]->place.offset + journal_bytes(m[i]) <= SMALL - RECORD_HEADER);
		if (journal_wants_prepare(s.journal))
			assert_int_equal(journal_prepare(s.journal), 0);
		assert_false(journal_wants_prepare(s.journal));
	}
	assert_int_equal(m[11]->place.segment, 3);
	struct commit *big = commit_message(99, "a@example.org", huge);
	assert_true(journal_bytes(big) > journal_batch_max(s.journal));
	assert_int_equal(spool_write(&s, big, NULL, NULL, NULL), -EMSGSIZE);
	assert_false(journal_broken(s.journal));
	struct journal_status status;
	journal_status(s.journal, &status);
	assert_int_equal(status.oldest, 1);
	assert_int_equal(status.current, 3);
	assert_int_equal(status.ready, 1);
	assert_true(status.bytes > 12ul * 3000);
	assert_true(journal_segment_bytes(s.journal, 1) > 3ul * 3000);
	spool_close(&s);
	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(s.model.count, 12);
	for (unsigned i = 0; i < 12; i++)
		assert_content(&s, i + 1, text);
	assert_true(journal_segment_bytes(s.journal, 1) > 3ul * 3000);
	for (unsigned i = 0; i < 12; i++)
		commit_drop(m[i]);
	commit_drop(big);
	free(text);
	free(huge);
	spool_fini(&s);
}

/* A worker that waited while the commit thread made a segment for want of a ready one must not make the same again:
 * what is written to the first would be in no directory. */
static struct {
	int (*open)(void *arg, int dir, const char *name, int flags, mode_t mode);
	struct journal *journal;
	unsigned times;
} meeting;

static int open_and_prepare(void *arg, int dir, const char *name, int flags, mode_t mode)
{
	int fd = meeting.open(arg, dir, name, flags, mode);
	struct journal *j = meeting.journal;
	meeting.journal = NULL;
	if (j && strstr(name, ".seg") && (flags & O_ACCMODE) == O_RDWR) {
		meeting.times++;
		assert_int_equal(journal_prepare(j), 0);
	} else {
		meeting.journal = j;
	}
	return fd;
}

static void made_by_two_at_once(void **state)
{
	(void)state;
	struct spool s;
	struct commit *m[6];
	char *text = text_of(3000, 'x');
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	meeting.open = s.faults.files.open;
	meeting.journal = s.journal;
	meeting.times = 0;
	s.faults.files.open = open_and_prepare;
	for (unsigned i = 0; i < 6; i++) {
		m[i] = commit_message(i + 1, "a@example.org", text);
		assert_int_equal(spool_write(&s, m[i], NULL, NULL, NULL), 0);
	}
	assert_int_equal(m[5]->place.segment, 2);
	assert_int_equal(meeting.times, 1);
	spool_kill(&s);
	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(s.model.count, 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_content(&s, i + 1, text);
		commit_drop(m[i]);
	}
	free(text);
	spool_fini(&s);
}

/* A segment made ahead that cannot be believed any more, or that somebody removed, is made anew. */
static void ready_segment_goes_bad(void **state)
{
	(void)state;
	for (int gone = 0; gone < 2; gone++) {
		struct spool s;
		struct commit *m[6];
		char path[256], *text = text_of(3000, 'x');
		static const uint8_t junk[SMALL] = {1, 2, 3};
		spool_init(&s, SMALL);
		assert_int_equal(spool_open(&s), 0);
		assert_int_equal(journal_prepare(s.journal), 0);
		spool_path(&s, "journal/0000000002.seg", path, sizeof(path));
		assert_int_equal(access(path, F_OK), 0);
		FILE *f = gone ? NULL : fopen(path, "w");
		if (f) {
			assert_int_equal(fwrite(junk, 1, sizeof(junk), f), sizeof(junk));
			fclose(f);
		} else {
			assert_int_equal(unlink(path), 0);
		}
		for (unsigned i = 0; i < 6; i++) {
			m[i] = commit_message(i + 1, "a@example.org", text);
			assert_int_equal(spool_write(&s, m[i], NULL, NULL, NULL), 0);
		}
		assert_int_equal(m[5]->place.segment, 2);
		spool_kill(&s);
		assert_int_equal(spool_open(&s), 0);
		for (unsigned i = 0; i < 6; i++) {
			assert_content(&s, i + 1, text);
			commit_drop(m[i]);
		}
		free(text);
		spool_fini(&s);
	}
}

/* Rows 4 to 8: a freed segment is used again when a COMMIT says so, and its earlier life is never believed. */
static void recycled_segments(void **state)
{
	(void)state;
	struct spool s;
	char *text = text_of(5000, 'x');
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	uint64_t id = 1;
	uint32_t oldest = 1;
	for (unsigned round = 0; round < 30; round++) {
		struct commit *m = commit_message(id++, "a@example.org", text);
		assert_int_equal(spool_write(&s, m, NULL, NULL, NULL), 0);
		struct commit *r = commit_reason(RECORD_REMOVE, m->id, "", m->place);
		assert_int_equal(spool_write(&s, r, NULL, NULL, NULL), 0);
		assert_int_equal(journal_free(s.journal, s.mark.segment), -EINVAL); /* is written now */
		if (s.mark.segment > oldest + 1) {
			assert_int_equal(journal_free(s.journal, oldest + 1), -EINVAL); /* oldest first */
			assert_int_equal(journal_free(s.journal, oldest), 0);
			oldest++;
		}
		if (journal_wants_prepare(s.journal))
			assert_int_equal(journal_prepare(s.journal), 0);
		assert_in_range(spool_segment_files(&s), 1, 5);
		commit_drop(m);
		commit_drop(r);
	}
	assert_true(s.mark.segment > 10);
	spool_kill(&s);
	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(s.model.damaged, 0);
	for (uint64_t i = 1; i < id; i++)
		assert_null(model_live(&s.model, i));
	free(text);
	spool_fini(&s);
}

/* Fills segments 1 to 3 with messages 1 to 9, three each. */
static void three_segments(struct spool *s)
{
	char *text = text_of(4500, 'x');
	spool_init(s, SMALL);
	assert_int_equal(spool_open(s), 0);
	for (uint64_t id = 1; id <= 9; id++) {
		struct commit *m = commit_message(id, "a@example.org", text);
		assert_int_equal(spool_write(s, m, NULL, NULL, NULL), 0);
		assert_int_equal(m->place.segment, (id + 2) / 3);
		commit_drop(m);
	}
	free(text);
}

/* Row 5: the headers of a freed segment are new already, its name is not. */
static void freed_and_not_renamed(void **state)
{
	(void)state;
	struct spool s;
	char path[128];
	three_segments(&s);
	for (uint64_t id = 1; id <= 3; id++) {
		struct commit *r = commit_reason(RECORD_REMOVE, id, "", nowhere);
		assert_int_equal(spool_write(&s, r, NULL, NULL, NULL), 0);
		commit_drop(r);
	}
	assert_int_equal(journal_prepare(s.journal), 0);
	assert_int_equal(journal_free(s.journal, 1), 0);
	assert_false(journal_wants_prepare(s.journal)); /* row 8: no COMMIT says so yet */
	assert_int_equal(spool_write(&s, NULL, NULL, NULL, NULL), 0);
	assert_true(journal_wants_prepare(s.journal));
	fail_next(&s, CALL_RENAME, -1, -EIO);
	assert_int_equal(journal_prepare(s.journal), -EIO);
	s.faults.fail_kind = -1;
	spool_kill(&s);
	assert_int_equal(access(spool_path(&s, "journal/0000000001.seg", path, sizeof(path)), F_OK), 0);
	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(s.model.damaged, 0);
	assert_int_equal(s.model.count, 6);
	struct journal_status status;
	journal_status(s.journal, &status);
	assert_int_equal(status.oldest, 2);
	spool_fini(&s);
}

/* A segment that somebody took away is said to be missing, wherever it stood; the others are read. */
static void missing_segments(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t left;
	} rows[] = {{"journal/0000000001.seg", 6}, {"journal/0000000002.seg", 6}};
	for (size_t i = 0; i < 2; i++) {
		struct spool s;
		char path[128];
		three_segments(&s);
		spool_close(&s);
		assert_int_equal(unlink(spool_path(&s, rows[i].name, path, sizeof(path))), 0);
		assert_int_equal(spool_open(&s), 0);
		assert_int_equal(s.model.count, rows[i].left);
		assert_true(s.model.damaged_unknown > 0);
		assert_false(s.found.in_file_complete);
		spool_fini(&s);
	}
}

/* A disk that cannot read some sectors costs what stands there and no more. */
static void unreadable_sectors(void **state)
{
	(void)state;
	struct spool s;
	three_segments(&s);
	spool_close(&s);
	s.faults.bad_from = 4608; /* in each segment: the end of the first record, the second's header */
	s.faults.bad_to = 5120;
	assert_int_equal(spool_recover(&s), 0);
	assert_non_null(model_live(&s.model, 1));
	assert_null(model_live(&s.model, 2));
	assert_non_null(model_live(&s.model, 3));
	assert_non_null(model_live(&s.model, 9));
	assert_int_equal(s.model.count, 6);
	assert_true(s.model.damaged >= 3);
	s.faults.bad_to = 0;
	spool_fini(&s);
}

/* A start whose own writing fails is a failed start, with a line that says so; the next one finds everything. */
static void start_on_a_full_disk(void **state)
{
	(void)state;
	struct spool s;
	three_segments(&s);
	spool_kill(&s);
	fail_next(&s, CALL_WRITE, -1, -ENOSPC);
	s.faults.fail_after = 1; /* the lock */
	assert_int_equal(spool_open(&s), -ENOSPC);
	assert_non_null(strstr(s.errors, "No space left"));
	s.faults.fail_kind = -1;
	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(s.model.count, 9);
	assert_int_equal(s.model.damaged, 0);
	spool_fini(&s);
}

/* What the index says stops the start: it cannot be half full. */
static void index_without_memory(void **state)
{
	(void)state;
	struct spool s;
	three_segments(&s);
	spool_close(&s);
	struct layout l;
	struct recovery *r;
	struct buf errors;
	buf_init(&errors, 1000);
	assert_int_equal(layout_open_read(&l, &s.faults.files, s.dir, false, &errors), 0);
	struct recovery_setup setup = {.files = &s.faults.files, .spool = l.spool, .journal = l.journal};
	model_init(&s.model);
	s.model.fail = -ENOMEM;
	assert_int_equal(recovery_run(&r, &setup, &s.model.replay, &errors), -ENOMEM);
	assert_true(errors.len > 0);
	buf_fini(&errors);
	layout_close(&l);
	spool_fini(&s);
}

/* ---- a crash at every step ---- */

enum { IDS = 24 };

/* What the clients know. */
struct account {
	struct spool s;
	struct {
		bool tried, acknowledged, end_tried, end_acknowledged;
		struct place at;
		char content[32];
	} mail[IDS + 1];
	bool dead;
};

static void account_write(struct account *a, struct commit *c, struct commit *d)
{
	struct commit *both[2] = {c, d};
	for (int i = 0; i < 2; i++) {
		for (struct commit *k = both[i]; k; k = k->group) {
			a->mail[k->id].tried |= k->type == RECORD_MESSAGE;
			a->mail[k->id].end_tried |= k->type == RECORD_REMOVE;
		}
	}
	bool ok = !a->dead && spool_write(&a->s, c, d, NULL, NULL) == 0;
	a->dead = !ok;
	for (int i = 0; i < 2; i++) {
		for (struct commit *k = both[i]; k; k = k->group) {
			a->mail[k->id].acknowledged |= ok && k->type == RECORD_MESSAGE;
			a->mail[k->id].end_acknowledged |= ok && k->type == RECORD_REMOVE;
			if (ok)
				a->mail[k->id].at = k->place;
		}
		commit_drop(both[i]);
	}
}

static struct commit *mail(struct account *a, uint64_t id)
{
	snprintf(a->mail[id].content, sizeof(a->mail[id].content), "content of %llu", (unsigned long long)id);
	return commit_message(id, "a@example.org", a->mail[id].content);
}

static struct commit *end(struct account *a, uint64_t id)
{
	return commit_reason(RECORD_REMOVE, id, "", a->mail[id].at);
}

static void prepare(struct account *a)
{
	if (!a->dead && journal_wants_prepare(a->s.journal))
		journal_prepare(a->s.journal); /* may fail: tried again */
}

/* Some 40 changes of the disk: messages come and end, move, segments are used up, freed and recycled. */
static void live_a_life(struct account *a)
{
	a->dead = spool_open(&a->s) != 0;
	uint64_t id = 1;
	for (unsigned round = 0; round < 3; round++) {
		account_write(a, mail(a, id), mail(a, id + 1));
		prepare(a);
		account_write(a, commit_group(mail(a, id + 2), end(a, id)), mail(a, id + 3));
		char *filler = text_of(2000, 'f');
		account_write(a, commit_message(IDS, "filler@example.org", filler), end(a, id + 1));
		free(filler);
		prepare(a);
		if (round && !a->dead) { /* the oldest segment: what lives there is moved */
			struct journal_status status;
			journal_status(a->s.journal, &status);
			struct commit *m[IDS];
			size_t n = 0;
			for (uint64_t k = 1; k < IDS; k++)
				if (a->mail[k].acknowledged && !a->mail[k].end_acknowledged &&
					a->mail[k].at.segment == status.oldest)
					m[n++] = commit_moved(k, "a@example.org", a->mail[k].content, a->mail[k].at);
			a->dead = journal_write(a->s.journal, m, n, 1, NULL) != 0;
			while (n--) {
				if (!a->dead)
					a->mail[m[n]->id].at = m[n]->place;
				commit_drop(m[n]);
			}
			if (!a->dead)
				journal_free(a->s.journal, status.oldest);
		}
		id += 4;
	}
	account_write(a, mail(a, id), NULL);
	prepare(a);
	account_write(a, end(a, id), NULL);
	prepare(a);
	spool_close(&a->s);
}

static void check_account(struct account *a, const char *when, unsigned at, unsigned again)
{
	const char *why = a->s.model.damaged ? "damage" : NULL;
	for (uint64_t id = 1; id < IDS && !why; id++) {
		struct model_message *m = model_live(&a->s.model, id);
		char *content = m ? spool_content(&a->s, m->content) : NULL;
		if (m && !a->mail[id].tried)
			why = "invented";
		else if (m && a->mail[id].end_acknowledged)
			why = "came back";
		else if (!m && a->mail[id].acknowledged && !a->mail[id].end_tried)
			why = "lost";
		else if (m && (!content || strcmp(content, a->mail[id].content)))
			why = "another content";
		free(content);
		if (why)
			print_message("message %u: ", (unsigned)id);
	}
	if (why)
		fail_msg("%s, crash at change %u, again at %u: %s", when, at, again, why);
}

static void crash_everywhere(const char *what, bool half, bool power)
{
	unsigned changes = 1000;
	uint64_t random = 42;
	struct account *a = calloc(1, sizeof(*a));
	spool_init(&a->s, SEGMENT_SIZE_MIN);
	assert_int_equal(spool_open(&a->s), 0);
	for (unsigned at = 1; at < changes; at++) {
		for (unsigned again = 1; again < 14; again += 4) {
			spool_clear(&a->s);
			memset(a->mail, 0, sizeof(a->mail));
			a->s.faults.die_at = at;
			a->s.faults.half = half;
			live_a_life(a);
			if (a->s.faults.changes < at)
				changes = 0; /* it lived to its end */
			if (power)
				faults_power_loss(&a->s.faults, &random);
			a->s.faults.die_at = again; /* the start dies, too */
			a->s.faults.changes = 0;
			if (spool_open(&a->s) == 0) {
				check_account(a, what, at, again);
				again = 1000;
			}
			spool_close(&a->s);
			if (power)
				faults_power_loss(&a->s.faults, &random);
			a->s.faults.die_at = a->s.faults.changes = 0;
			assert_int_equal(spool_open(&a->s), 0);
			check_account(a, what, at, again);
			a->dead = false;
			account_write(a, mail(a, IDS - 1), NULL);
			a->s.faults.changes = 0;
			spool_kill(&a->s);
			assert_int_equal(spool_recover(&a->s), 0);
			assert_non_null(model_live(&a->s.model, IDS - 1));
			check_account(a, what, at, again);
		}
	}
	spool_fini(&a->s);
	free(a);
}

static void killed_at_every_step(void **state)
{
	(void)state;
	crash_everywhere("killed", false, false);
	crash_everywhere("killed inside a write", true, false);
}

static void power_loss_at_every_step(void **state)
{
	(void)state;
	crash_everywhere("power loss", false, true);
	crash_everywhere("power loss inside a write", true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(failed_sync_is_voided),
		cmocka_unit_test(long_failure),
		cmocka_unit_test(torn_void),
		cmocka_unit_test(batches_stay_in_one_segment),
		cmocka_unit_test(made_by_two_at_once),
		cmocka_unit_test(ready_segment_goes_bad),
		cmocka_unit_test(recycled_segments),
		cmocka_unit_test(freed_and_not_renamed),
		cmocka_unit_test(missing_segments),
		cmocka_unit_test(unreadable_sectors),
		cmocka_unit_test(start_on_a_full_disk),
		cmocka_unit_test(index_without_memory),
		cmocka_unit_test(killed_at_every_step),
		cmocka_unit_test(power_loss_at_every_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
