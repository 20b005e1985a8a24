/* tests/unit/store_reclaim_test.c: segments are freed, pinned and used again, checkpoints written, and exactly the live
 * messages stay. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "tests/unit/storebench.h"

static int setup(void **state)
{
	struct bench *b = malloc(sizeof *b);
	assert_non_null(b);
	bench_make(b, "batch_limit = 512K\ninline_limit = 64K\nmin_free = 0\noutcome_delay = 0s\ncheckpoint = 2M");
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_remove(*state);
	free(*state);
	return 0;
}

static void add(struct bench *b, uint64_t id, uint64_t size)
{
	struct note n;
	note_message(&n, b, id, size);
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
}

static void end(struct bench *b, uint64_t id)
{
	struct note n;
	bool in_file = bench_find(b, id)->in_file;
	note_text(&n, b, RECORD_REMOVE, id, "done");
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
	if (in_file)
		store_forget(b->store, id);
}

/* As the queue thread does it: moves what lives in the segment, then frees it. */
static unsigned empty_segment(struct bench *b, uint32_t segment)
{
	unsigned moved = 0;
	for (size_t i = 0; i < b->count; i++) {
		struct bench_message *m = &b->live[i];
		if (m->content.segment != segment)
			continue;
		struct note n;
		struct body *body = bench_copy(b, m->content);
		assert_non_null(body);
		assert_int_equal(body->size, m->size);
		note_moved(&n, b, m, body);
		assert_int_equal(note_commit(&n), 0);
		note_fini(&n);
		moved++;
	}
	store_free_segment(b->store, segment);
	return moved;
}

/* A record that does nothing, so that what waits for a durable COMMIT goes on. */
static void nudge(struct bench *b)
{
	struct note n;
	note_text(&n, b, RECORD_RELEASE, 999999, "");
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
	store_tick(b->store, clock_wall_ms());
}

static unsigned lowest_segment(struct bench *b)
{
	unsigned lowest, highest;
	bench_segments(b, &lowest, &highest);
	return lowest;
}

/* Waits until the file of the segment is used for another one. */
static void await_reuse(struct bench *b, unsigned segment)
{
	for (unsigned i = 0; i < 5000 && lowest_segment(b) <= segment; i++)
		nudge(b);
	assert_true(lowest_segment(b) > segment);
}

static void expect_all(struct bench *b)
{
	for (size_t i = 0; i < b->count; i++)
		assert_int_equal(bench_read(b, b->live[i].content), b->live[i].size);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* The index before and after a new start name the same messages. */
static void expect_same_after_reopen(struct bench *b)
{
	static uint64_t before[BENCH_MESSAGES], after[BENCH_MESSAGES];
	size_t count = b->count;
	for (size_t i = 0; i < count; i++)
		before[i] = b->live[i].id;
	bench_close(b);
	assert_int_equal(bench_open(b), 0);
	assert_int_equal(b->damaged, 0);
	assert_int_equal(b->count, count);
	for (size_t i = 0; i < count; i++)
		after[i] = b->live[i].id;
	qsort(before, count, sizeof *before, by_id);
	qsort(after, count, sizeof *after, by_id);
	assert_memory_equal(before, after, count * sizeof *before);
	expect_all(b);
}

/* Many times the size of the journal goes through it while a few messages stay: it stays small, and they stay. */
static void test_exactly_the_live_ones_stay(void **state)
{
	struct bench *b = *state;
	unsigned moved = 0, most = 0, checkpoints = 0;
	for (uint64_t id = 1; id <= 700; id++) {
		add(b, id, id % 70 == 0 ? 100000 : 20000 + id * 37 % 40000);
		if (id % 50 != 0 && id % 70 != 0)
			end(b, id);
		uint64_t live = 0;
		for (size_t i = 0; i < b->count; i++)
			live += b->live[i].size;
		uint32_t segment = store_reclaim_wanted(b->store, live);
		if (segment != 0)
			moved += empty_segment(b, segment);
		if (store_checkpoint_wanted(b->store)) {
			assert_int_equal(bench_checkpoint(b), 0);
			checkpoints++;
		}
		unsigned lowest, highest, count = bench_segments(b, &lowest, &highest);
		most = count > most ? count : most;
	}
	assert_int_equal(b->count, 14 + 10 - 2);
	assert_int_equal(spooldir_bodies(&b->spool), 10);
	assert_true(moved > 0);
	assert_true(checkpoints > 3);
	assert_true(lowest_segment(b) > 5); /* used again */
	assert_true(most <= 16);
	expect_all(b);
	expect_same_after_reopen(b);
	assert_int_equal(bench_checkpoint(b), 0);
	expect_same_after_reopen(b);
}

static void test_pinned_segment_is_not_used_again(void **state)
{
	struct bench *b = *state;
	add(b, 1, 60000);
	struct place first = b->live[0].content;
	store_pin(b->store, first);
	for (uint64_t id = 2; store_oldest_segment(b->store) != first.segment; id++)
		add(b, id, 60000); /* until another one is written */
	for (uint64_t id = 100; b->live[b->count - 1].content.segment < first.segment + 2; id++)
		add(b, id, 60000);
	empty_segment(b, first.segment);
	store_pin(b->store, first);
	empty_segment(b, first.segment + 1); /* the next one has to wait for the oldest */
	for (unsigned i = 0; i < 50; i++)
		nudge(b);
	store_unpin(b->store, first);
	assert_int_equal(lowest_segment(b), first.segment);
	assert_int_equal(bench_read(b, first), 60000); /* what a delivery reads meanwhile */
	store_unpin(b->store, first);
	await_reuse(b, first.segment + 1);
	expect_same_after_reopen(b);
	store_pin(b->store, (struct place){99999, 64}); /* places that are none */
	store_unpin(b->store, (struct place){99999, 64});
	store_unpin(b->store, (struct place){0, 0});
}

/* The checkpoint names a message whose end stands in a segment that is freed: the segment stays until a newer
 * checkpoint, else a start would bring the message back. */
static void test_freed_segment_waits_for_a_newer_checkpoint(void **state)
{
	struct bench *b = *state;
	add(b, 1, 60000);
	add(b, 2, 1000);
	assert_int_equal(bench_checkpoint(b), 0); /* begins in the first segment */
	end(b, 1);
	uint32_t oldest;
	for (uint64_t id = 10; (oldest = store_oldest_segment(b->store)) == 0; id++)
		add(b, id, 60000);
	assert_false(store_checkpoint_wanted(b->store));
	empty_segment(b, oldest);
	for (unsigned i = 0; i < 50; i++)
		nudge(b);
	assert_int_equal(lowest_segment(b), oldest);
	assert_true(store_checkpoint_wanted(b->store));
	expect_same_after_reopen(b); /* the same is true in the next run */
	assert_int_equal(store_oldest_segment(b->store), oldest);
	empty_segment(b, oldest);
	for (unsigned i = 0; i < 50; i++)
		nudge(b);
	assert_int_equal(lowest_segment(b), oldest);
	assert_int_equal(bench_checkpoint(b), 0);
	await_reuse(b, oldest);
	expect_same_after_reopen(b);
}

static void test_only_the_oldest_is_wanted(void **state)
{
	struct bench *b = *state;
	assert_int_equal(store_oldest_segment(b->store), 0); /* it is being written */
	assert_int_equal(store_reclaim_wanted(b->store, 0), 0);
	for (uint64_t id = 1; store_oldest_segment(b->store) == 0; id++)
		add(b, id, 60000);
	uint32_t oldest = store_oldest_segment(b->store);
	assert_int_equal(store_reclaim_wanted(b->store, 0), oldest); /* nothing lives: all may go */
	assert_int_equal(store_reclaim_wanted(b->store, 1 << 20), 0);
	assert_int_equal(store_reclaim_wanted(b->store, UINT64_MAX), 0);
	store_free_segment(b->store, oldest + 1); /* being written: refused */
	store_free_segment(b->store, 12345);
	assert_int_equal(store_oldest_segment(b->store), oldest);
}

static void on_done(void *arg, int err)
{
	*(int *)arg = err;
}

static void on_begun(void *arg)
{
	(*(unsigned *)arg)++;
}

/* A large index: the disk is given time; one that was not whole leaves the older one. */
static void test_checkpoint_in_many_blocks(void **state)
{
	struct bench *b = *state;
	enum { ENTRIES = 40000 };
	add(b, 1, 100);
	struct bench_message m = b->live[0];
	unsigned begun = 0;
	uint64_t before = counter_get(COUNTER_checkpoints);
	for (unsigned round = 0; round < 2; round++) {
		int done = 1;
		begun = 0;
		assert_int_equal(store_checkpoint_begin(b->store, &b->home.box, on_begun, &begun), 0);
		while (begun == 0)
			post_wait(&b->home);
		for (uint64_t i = 0; i < ENTRIES; i++) {
			struct envelope_rcpt rcpt = {.address = "someone@example.net"};
			struct envelope e = {.id = 1,
				.size = 100,
				.sender = "1@example.org",
				.client = "192.0.2.1",
				.helo = "client.example",
				.reason = "",
				.rcpts = &rcpt,
				.rcpt_count = 1};
			begun = 0;
			int err;
			while ((err = store_checkpoint_add(b->store, &e, m.content, m.newest, false)) == 1)
				while (begun == 0)
					post_wait(&b->home);
			assert_int_equal(err, 0);
		}
		store_checkpoint_end(b->store, round == 0, on_done, &done);
		while (done == 1)
			post_wait(&b->home);
		assert_int_equal(done, round == 0 ? 0 : -ECANCELED);
	}
	assert_int_equal(counter_get(COUNTER_checkpoints) - before, 1);
	expect_same_after_reopen(b);
}

static void test_checkpoint_that_cannot_be_written(void **state)
{
	struct bench *b = *state;
	add(b, 1, 100);
	assert_int_equal(bench_checkpoint(b), 0);
	add(b, 2, 100);
	faults_on("disk");
	faults_set(FAULT_WRITE, ENOSPC, 0, UINT32_MAX);
	assert_int_equal(bench_checkpoint(b), -ENOSPC);
	faults_clear();
	add(b, 3, 100);
	expect_same_after_reopen(b);
	assert_int_equal(bench_checkpoint(b), 0);
	expect_same_after_reopen(b);
}

/* A full disk: the checkpoint for which a freed segment waits cannot be written, and its space is what that needs. */
static void test_freed_segment_on_a_full_disk(void **state)
{
	struct bench *b = *state;
	add(b, 1, 60000);
	add(b, 2, 1000);
	assert_int_equal(bench_checkpoint(b), 0);
	end(b, 1);
	uint32_t oldest;
	for (uint64_t id = 10; (oldest = store_oldest_segment(b->store)) == 0; id++)
		add(b, id, 60000);
	empty_segment(b, oldest);
	nudge(b);
	assert_true(store_checkpoint_wanted(b->store));
	faults_on("disk");
	faults_set(FAULT_WRITE, ENOSPC, 0, UINT32_MAX);
	assert_int_equal(bench_checkpoint(b), -ENOSPC);
	faults_clear();
	await_reuse(b, oldest);
	assert_false(store_checkpoint_wanted(b->store));
	expect_same_after_reopen(b);
}

/* When space is short, less of the journal may be dead. */
static void test_short_of_space(void **state)
{
	struct bench *b = *state;
	for (uint64_t id = 1; id <= 90; id++)
		add(b, id, 60000);
	uint32_t oldest = store_oldest_segment(b->store);
	assert_int_equal(store_reclaim_wanted(b->store, 1 << 20), 0);
	struct conf tight = *b->conf;
	tight.spool_io.min_free = UINT64_MAX / 2;
	store_configure(b->store, &tight);
	assert_int_equal(store_room(b->store, 0), STORE_FULL);
	assert_int_equal(store_reclaim_wanted(b->store, 1 << 20), oldest);
	assert_int_equal(store_reclaim_wanted(b->store, 5 << 20), 0);
	store_configure(b->store, b->conf);
}

/* The space that bodies took since it was measured last counts. */
static void test_space_between_measurements(void **state)
{
	struct bench *b = *state;
	struct conf changed = *b->conf;
	uint64_t size = 1 << 20, free = 0;
	for (uint64_t step = UINT64_C(1) << 50; step > 0; step /= 2) /* what the store measured at its start */
		free += store_room(b->store, free + step) == STORE_OK ? step : 0;
	changed.spool_io.min_free = free - 3 * size;
	store_configure(b->store, &changed);
	assert_int_equal(store_room(b->store, 2 * size), STORE_OK);
	add(b, 1, 2 * size);
	assert_int_equal(store_room(b->store, 2 * size), STORE_FULL);
	assert_int_equal(store_room(b->store, size / 2), STORE_OK);
	store_configure(b->store, b->conf);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_exactly_the_live_ones_stay),
		T(test_pinned_segment_is_not_used_again),
		T(test_freed_segment_waits_for_a_newer_checkpoint),
		T(test_only_the_oldest_is_wanted),
		T(test_checkpoint_in_many_blocks),
		T(test_checkpoint_that_cannot_be_written),
		T(test_freed_segment_on_a_full_disk),
		T(test_short_of_space),
		T(test_space_between_measurements),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
