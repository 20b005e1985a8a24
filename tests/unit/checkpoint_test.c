/* tests/unit/checkpoint_test.c: the index on disk: believed whole or not at all, never over the journal. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "queue/spool/checkpoint.h"
#include "spool_fixture.h"

enum { SMALL = 16384 };

struct seen {
	unsigned heads, entries;
	struct checkpoint_head head;
	uint64_t ids;
	int answer;
};

static int on_head(void *arg, const struct checkpoint_head *head)
{
	struct seen *s = arg;
	s->heads++;
	s->head = *head;
	return 0;
}

static int on_entry(void *arg, const struct envelope *e, struct place content, struct place newest, bool in_file)
{
	struct seen *s = arg;
	assert_int_equal(content.segment, e->id);
	assert_int_equal(newest.offset, e->id + 1);
	assert_int_equal(in_file, e->id % 2);
	s->ids += e->id;
	s->entries++;
	return s->answer;
}

static int load(struct spool *s, struct seen *seen)
{
	*seen = (struct seen){.answer = seen->answer};
	return checkpoint_load(&s->faults.files, s->layout.spool, seen, on_head, on_entry);
}

static void envelope_of(struct envelope *e, struct envelope_rcpt *rcpt, uint64_t id)
{
	*rcpt = (struct envelope_rcpt){.address = "to@example.org"};
	*e = (struct envelope){.id = id,
		.sender = "a@example.org",
		.client = "",
		.helo = "",
		.reason = "",
		.rcpts = rcpt,
		.rcpt_count = 1};
}

static int write_checkpoint(struct spool *s, uint64_t from, uint64_t to, uint32_t segment, size_t every)
{
	struct checkpoint *c;
	struct checkpoint_head head = {{segment, 640}, 5, 6, 7, 1};
	struct envelope e;
	struct envelope_rcpt rcpt;
	assert_int_equal(checkpoint_begin(&c, &s->faults.files, s->layout.spool, &head), 0);
	for (uint64_t id = from; id <= to; id++) {
		envelope_of(&e, &rcpt, id);
		assert_true(checkpoint_add(c, &e, (struct place){(uint32_t)id, 0}, (struct place){0, (uint32_t)id + 1},
				    id % 2) >= 0);
		if (every && id % every == 0)
			checkpoint_write(c, checkpoint_cut(c));
	}
	return checkpoint_finish(c);
}

static void open_dir(struct spool *s)
{
	struct buf errors;
	spool_init(s, SMALL);
	buf_init(&errors, 1000);
	assert_int_equal(layout_open(&s->layout, &s->faults.files, s->dir, &errors), 0);
	buf_fini(&errors);
}

static void round_trip(void **state)
{
	(void)state;
	struct spool s;
	struct seen seen = {0};
	open_dir(&s);
	assert_int_equal(load(&s, &seen), -ENOENT);
	assert_int_equal(write_checkpoint(&s, 1, 100, 9, 7), 0);
	assert_int_equal(load(&s, &seen), 0);
	assert_int_equal(seen.entries, 100);
	assert_int_equal(seen.ids, 5050);
	assert_int_equal(seen.head.at.segment, 9);
	assert_int_equal(seen.head.at.offset, 640);
	assert_int_equal(seen.head.batch, 5);
	assert_int_equal(seen.head.ceiling_ms, 6);
	assert_int_equal(seen.head.newest_ms, 7);
	assert_int_equal(seen.head.oldest, 1);
	/* the next replaces it */
	assert_int_equal(write_checkpoint(&s, 1, 3, 10, 0), 0);
	assert_int_equal(load(&s, &seen), 0);
	assert_int_equal(seen.entries, 3);
	char path[128];
	assert_int_equal(access(spool_path(&s, "index.1", path, sizeof(path)), F_OK), -1);
	/* an empty one is one */
	assert_int_equal(write_checkpoint(&s, 1, 0, 11, 0), 0);
	assert_int_equal(load(&s, &seen), 0);
	assert_int_equal(seen.heads, 1);
	assert_int_equal(seen.entries, 0);
	seen.answer = -ENOMEM;
	assert_int_equal(write_checkpoint(&s, 1, 3, 12, 0), 0);
	assert_int_equal(load(&s, &seen), -ENOMEM);
	spool_fini(&s);
}

/* Flipped or cut anywhere: nothing of it is told, the older one serves. */
static void broken_anywhere(void **state)
{
	(void)state;
	struct spool s;
	struct seen seen = {0};
	char path[128], older[128];
	open_dir(&s);
	assert_int_equal(write_checkpoint(&s, 1, 5, 9, 2), 0);
	assert_int_equal(
		rename(spool_path(&s, "index.1", older, sizeof(older)), spool_path(&s, "index.12", path, sizeof(path))),
		0);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t bytes[4096];
	ssize_t n = read(fd, bytes, sizeof(bytes));
	assert_in_range(n, 200, sizeof(bytes) - 1);
	for (int with_older = 0; with_older < 2; with_older++) {
		for (ssize_t i = 0; i < n; i++) {
			uint8_t flipped = bytes[i] ^ (uint8_t)(1 << i % 8);
			assert_int_equal(pwrite(fd, &flipped, 1, i), 1);
			assert_int_equal(load(&s, &seen), with_older ? 0 : -ENOENT);
			assert_int_equal(seen.heads, with_older);
			assert_int_equal(seen.entries, with_older ? 2 : 0);
			assert_int_equal(pwrite(fd, bytes + i, 1, i), 1);
		}
		for (ssize_t i = n - 1; i >= 0; i--) {
			assert_int_equal(ftruncate(fd, i), 0);
			assert_int_equal(load(&s, &seen), with_older ? 0 : -ENOENT);
		}
		assert_int_equal(pwrite(fd, bytes, (size_t)n, 0), n);
		assert_int_equal(load(&s, &seen), 0);
		assert_int_equal(seen.entries, 5);
		/* for the second round: an older one with two entries */
		char aside[128];
		assert_int_equal(rename(path, spool_path(&s, "aside", aside, sizeof(aside))), 0);
		unlink(older);
		assert_int_equal(write_checkpoint(&s, 1, 2, 8, 0), 0);
		assert_int_equal(rename(aside, path), 0);
	}
	close(fd);
	spool_fini(&s);
}

/* Rows 16 and 17: whatever call fails, the older checkpoint or the new one is there, whole. */
static void dies_at_every_step(void **state)
{
	(void)state;
	for (unsigned at = 1;; at++) {
		struct spool s;
		struct seen seen = {0};
		open_dir(&s);
		assert_int_equal(write_checkpoint(&s, 1, 5, 9, 0), 0);
		s.faults.changes = 0;
		s.faults.die_at = at;
		int err = write_checkpoint(&s, 1, 8, 10, 3);
		bool lived = s.faults.changes < at;
		assert_true(err == 0 || !lived);
		s.faults.die_at = 0;
		assert_int_equal(load(&s, &seen), 0);
		assert_true(seen.entries == 8 || (err && seen.entries == 5));
		layout_close(&s.layout);
		assert_int_equal(spool_open(&s), 0); /* unlinks what is left */
		char path[128];
		assert_int_equal(access(spool_path(&s, "index.2.tmp", path, sizeof(path)), F_OK), -1);
		spool_fini(&s);
		if (lived)
			break;
		assert_in_range(at, 1, 30);
	}
}

static struct checkpoint_head head_of(struct spool *s)
{
	return (struct checkpoint_head){.at = {s->mark.segment, s->mark.offset},
		.batch = s->mark.batch,
		.ceiling_ms = journal_ceiling(s->journal),
		.newest_ms = 1500,
		.oldest = 1};
}

static void add(struct checkpoint *c, struct commit *m)
{
	struct envelope *e;
	assert_int_equal(envelope_decode(&e, m->meta, m->meta_len), 0);
	assert_true(checkpoint_add(c, e, m->place, m->place, m->content->file) >= 0);
	envelope_free(e);
}

/* With the journal: only what stands behind the checkpoint's place is read; the rest comes from it. */
static void with_the_journal(void **state)
{
	(void)state;
	struct spool s;
	struct checkpoint *c;
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	journal_set_ceiling(s.journal, 777);
	struct commit *m1 = commit_message(1, "a@example.org", "one"), *m2 = commit_in_file(2, "", 5, 6);
	assert_int_equal(spool_write(&s, m1, m2, NULL, NULL), 0);
	struct checkpoint_head head = head_of(&s);
	assert_int_equal(checkpoint_begin(&c, &s.faults.files, s.layout.spool, &head), 0);
	struct commit *m3 = commit_message(3, "c@example.org", "three");
	assert_int_equal(spool_write(&s, m3, NULL, NULL, NULL), 0); /* meanwhile: told twice */
	add(c, m1);
	add(c, m2);
	add(c, m3);
	assert_int_equal(checkpoint_finish(c), 0);
	struct commit *r = commit_reason(RECORD_REMOVE, 1, "", m1->place);
	assert_int_equal(spool_write(&s, r, NULL, NULL, NULL), 0);
	spool_kill(&s);

	assert_int_equal(spool_recover(&s), 0);
	assert_true(s.found.checkpoint_used);
	assert_int_equal(s.found.checkpoint_entries, 3);
	assert_int_equal(s.found.messages, 1);
	assert_int_equal(s.found.floor_ms, 777);
	assert_null(model_live(&s.model, 1));
	assert_non_null(model_live(&s.model, 2));
	assert_non_null(model_live(&s.model, 3));
	assert_int_equal(s.model.damaged, 0);
	assert_int_equal(s.found.in_file_count, 1);

	/* Broken: everything is read from the journal. */
	char path[128];
	int fd = open(spool_path(&s, "index.1", path, sizeof(path)), O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 100), 1);
	close(fd);
	assert_int_equal(spool_recover(&s), 0);
	assert_false(s.found.checkpoint_used);
	assert_null(model_live(&s.model, 1));
	assert_non_null(model_live(&s.model, 3));
	assert_int_equal(s.found.floor_ms, 777);
	commit_drop(m1);
	commit_drop(m2);
	commit_drop(m3);
	commit_drop(r);
	spool_fini(&s);
}

/* At the very end of the journal, as at TERM: nothing to scan, nothing to write again. A journal that lost its end
 * behind that place, or the segment itself, is damage. */
static void at_the_end(void **state)
{
	(void)state;
	struct spool s;
	struct checkpoint *c;
	spool_init(&s, SMALL);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m1 = commit_message(1, "a@example.org", "one");
	assert_int_equal(spool_write(&s, m1, NULL, NULL, NULL), 0);
	struct checkpoint_head head = head_of(&s);
	assert_int_equal(checkpoint_begin(&c, &s.faults.files, s.layout.spool, &head), 0);
	add(c, m1);
	assert_int_equal(checkpoint_finish(c), 0);
	spool_kill(&s);
	assert_int_equal(spool_open(&s), 0);
	assert_int_equal(s.found.records, 0);
	assert_int_equal(s.model.damaged, 0);
	assert_non_null(model_live(&s.model, 1));
	struct commit *m2 = commit_message(2, "b@example.org", "two");
	assert_int_equal(spool_write(&s, m2, NULL, NULL, NULL), 0);
	assert_int_equal(m2->place.segment, 1); /* written on where it ended */
	assert_int_equal(m2->place.offset, head.at.offset);
	spool_kill(&s);
	assert_int_equal(spool_recover(&s), 0);
	assert_int_equal(s.model.count, 2);

	char path[128];
	assert_int_equal(unlink(spool_path(&s, "journal/0000000001.seg", path, sizeof(path))), 0);
	assert_int_equal(spool_open(&s), 0);
	assert_true(s.model.damaged > 0);
	assert_true(model_find(&s.model, 1)->damaged);
	assert_false(s.found.in_file_complete);
	struct commit *m3 = commit_message(3, "c@example.org", "three");
	assert_int_equal(spool_write(&s, m3, NULL, NULL, NULL), 0);
	assert_true(m3->place.segment > 1); /* numbers only grow */
	spool_close(&s);
	commit_drop(m1);
	commit_drop(m2);
	commit_drop(m3);
	spool_fini(&s);
}

/* An entry that no caller cuts has its bound. */
static void bounded(void **state)
{
	(void)state;
	struct spool s;
	struct checkpoint *c;
	struct checkpoint_head head = {{1, 64}, 1, 1, 1, 1};
	struct envelope e;
	struct envelope_rcpt rcpt;
	open_dir(&s);
	assert_int_equal(checkpoint_begin(&c, &s.faults.files, s.layout.spool, &head), 0);
	envelope_of(&e, &rcpt, 1);
	unsigned told = 0;
	int err = 0;
	for (unsigned i = 0; i < 1000000 && err >= 0; i++) {
		err = checkpoint_add(c, &e, head.at, head.at, false);
		told += err == 1;
	}
	assert_int_equal(err, -E2BIG);
	assert_true(told > 0);
	checkpoint_abort(c);
	spool_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(broken_anywhere),
		cmocka_unit_test(dies_at_every_step),
		cmocka_unit_test(with_the_journal),
		cmocka_unit_test(at_the_end),
		cmocka_unit_test(bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
