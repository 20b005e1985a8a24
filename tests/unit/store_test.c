/* tests/unit/store_test.c: commits, answers, failures of the disk, and what a reopened store says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "conf/id.h"
#include "tests/unit/storebench.h"

#define NORMAL "batch_limit = 512K\n"
/* Long enough never to pass in a test: what is written was written for another reason. */
#define NEVER "outcome_delay = 5s\nmin_free = 0"

static int setup_with(void **state, const char *settings)
{
	struct bench *b = malloc(sizeof *b);
	assert_non_null(b);
	bench_make(b, settings);
	*state = b;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, NORMAL "min_free = 0");
}

static int setup_slow(void **state)
{
	return setup_with(state, NORMAL NEVER);
}

static int setup_full(void **state)
{
	return setup_with(state, NORMAL "min_free = 1000G");
}

static int setup_small_batches(void **state)
{
	return setup_with(state, "inline_limit = 32K\nbatch_limit = 64K\nmin_free = 0");
}

static int teardown(void **state)
{
	bench_remove(*state);
	free(*state);
	return 0;
}

static void reopen(struct bench *b)
{
	bench_close(b);
	assert_int_equal(bench_open(b), 0);
	assert_int_equal(b->damaged, 0);
}

static void test_what_was_committed_is_replayed(void **state)
{
	struct bench *b = *state;
	struct note n;
	for (uint64_t id = 1; id <= 5; id++) {
		note_message(&n, b, id, id * 1000);
		assert_int_equal(note_commit(&n), 0);
		note_fini(&n);
	}
	for (unsigned i = 0; i < 3; i++) {
		note_outcome(&n, b, 2, 1000 + i);
		assert_int_equal(note_commit(&n), 0);
		note_fini(&n);
	}
	const struct {
		enum record_type type;
		uint64_t id;
		const char *text;
	} rows[] = {{RECORD_HOLD, 3, "why"}, {RECORD_HOLD, 4, "why"}, {RECORD_RELEASE, 4, ""},
		{RECORD_REMOVE, 5, "gone"}, {RECORD_REDIRECT, 3, "[mx.example]:25"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		note_text(&n, b, rows[i].type, rows[i].id, rows[i].text);
		assert_int_equal(note_commit(&n), 0);
		note_fini(&n);
	}
	for (unsigned round = 0; round < 2; round++) { /* the last batch is written again at each start */
		reopen(b);
		assert_int_equal(b->count, 4);
		for (uint64_t id = 1; id <= 4; id++) {
			const struct bench_message *m = bench_find(b, id);
			assert_non_null(m);
			assert_int_equal(m->outcomes, id == 2 ? 3 : 0);
			assert_int_equal(m->held, id == 3);
			assert_int_equal(bench_read(b, m->content), id * 1000);
		}
	}
}

/* One batch: every letter for the queue comes before any for a session. */
static void test_queue_hears_before_the_sessions(void **state)
{
	struct bench *b = *state;
	enum { MANY = 20 };
	static struct note notes[MANY + 1];
	uint64_t batches = counter_get(COUNTER_journal_batches);
	for (unsigned i = 0; i < MANY; i++) {
		note_outcome(&notes[i], b, 100 + i, 5);
		note_post(&notes[i]);
	}
	note_message(&notes[MANY], b, 1, 500); /* takes the waiting ones along */
	note_post(&notes[MANY]);
	unsigned last_first = 0, first_second = UINT32_MAX;
	for (unsigned i = 0; i <= MANY; i++) {
		assert_int_equal(note_wait(&notes[i]), 0);
		if (notes[i].first > last_first)
			last_first = notes[i].first;
		if (notes[i].second < first_second)
			first_second = notes[i].second;
		assert_true(notes[i].c.place.segment != 0);
		note_fini(&notes[i]);
	}
	assert_true(last_first < first_second);
	assert_int_equal(counter_get(COUNTER_journal_batches) - batches, 1);
}

static void test_outcomes_alone_are_written_in_the_end(void **state)
{
	struct bench *b = *state;
	struct note n;
	note_outcome(&n, b, 9, 5);
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
}

/* One letter only, whichever of the two is asked for; none at all. */
static void test_letters_as_asked_for(void **state)
{
	struct bench *b = *state;
	struct note a, c, d;
	note_text(&d, b, RECORD_RELEASE, 1, "");
	d.c.first_to = d.c.second_to = NULL;
	note_post(&d);
	note_text(&a, b, RECORD_RELEASE, 1, "");
	a.c.second_to = NULL;
	note_post(&a);
	while (a.first == 0)
		post_wait(&b->home);
	note_text(&c, b, RECORD_RELEASE, 1, "");
	c.c.first_to = NULL;
	note_post(&c);
	assert_int_equal(note_wait(&c), 0);
	assert_int_equal(c.first, 0);
	assert_int_equal(a.second, 0);
	assert_int_equal(d.first + d.second, 0);
	assert_int_equal(d.c.status, 0);
	note_fini(&a);
	note_fini(&c);
	note_fini(&d);
}

static void test_close_writes_what_was_posted(void **state)
{
	struct bench *b = *state;
	struct note n, o;
	note_message(&n, b, 1, 100);
	note_post(&n);
	note_outcome(&o, b, 1, 5);
	note_post(&o);
	bench_close(b);
	assert_int_equal(n.c.status, 0);
	assert_int_equal(o.c.status, 0);
	assert_true(o.second > 0);
	note_fini(&n);
	note_fini(&o);
	assert_int_equal(bench_open(b), 0);
	assert_int_equal(b->count, 1);
	assert_int_equal(b->live[0].outcomes, 1);
}

/* The sync fails: the message and the bounce with its outcome are refused; the outcome that came along is kept, written
 * behind a VOID by itself, and the store is broken until then. */
static void failed_batch(struct bench *b, enum fault_call call, unsigned times)
{
	struct note before, kept, failed, bounce, answered;
	note_message(&before, b, 1, 100);
	assert_int_equal(note_commit(&before), 0);
	note_outcome(&kept, b, 1, 5);
	note_post(&kept);
	note_message(&bounce, b, 3, 700);
	note_outcome(&answered, b, 1, 6);
	bounce.c.group = &answered.c;
	note_message(&failed, b, 2, 300);
	faults_on("commit");
	faults_set(call, EIO, 0, times);
	note_post(&bounce);
	note_post(&failed);
	assert_int_equal(note_wait(&bounce), -EIO);
	assert_int_equal(note_wait(&failed), -EIO);
	assert_int_equal(failed.first, 0); /* the queue never hears of it */
	assert_int_equal(bounce.first, 0);
	assert_int_equal(answered.first + answered.second, 0);
	if (kept.second == 0 && times > 3) /* 50, 100, 200 ms to go */
		assert_int_equal(store_room(b->store, 0), STORE_BROKEN);
	assert_int_equal(note_wait(&kept), 0);
	assert_int_equal(faults_seen(call), times);
	struct note after;
	note_message(&after, b, 4, 100);
	assert_int_equal(note_commit(&after), 0);
	assert_int_equal(store_room(b->store, 0), STORE_OK);
	note_fini(&before);
	note_fini(&kept);
	note_fini(&bounce);
	note_fini(&answered);
	note_fini(&failed);
	note_fini(&after);
	reopen(b);
	assert_int_equal(b->count, 2);
	assert_non_null(bench_find(b, 4));
	assert_int_equal(bench_find(b, 1)->outcomes, 1);
}

static void test_failed_sync(void **state)
{
	failed_batch(*state, FAULT_DATASYNC, 1);
}

static void test_failed_syncs_for_a_while(void **state)
{
	failed_batch(*state, FAULT_DATASYNC, 5);
}

static void test_failed_write(void **state)
{
	failed_batch(*state, FAULT_WRITE, 1);
}

/* While it is broken new messages are refused at once, outcomes wait; closing then does not hang. */
static void test_broken_until_the_end(void **state)
{
	struct bench *b = *state;
	struct note kept, failed, second, late;
	note_outcome(&kept, b, 1, 5);
	note_post(&kept);
	note_message(&failed, b, 2, 300);
	note_message(&second, b, 3, 300);
	faults_set(FAULT_DATASYNC, EIO, 0, UINT32_MAX);
	note_post(&failed);
	assert_int_equal(note_wait(&failed), -EIO);
	assert_int_equal(store_room(b->store, 0), STORE_BROKEN);
	note_post(&second);
	assert_int_equal(note_wait(&second), -EIO);
	note_outcome(&late, b, 1, 6);
	note_post(&late);
	bench_close(b);
	assert_int_equal(kept.second + late.second, 0);
	note_fini(&kept);
	note_fini(&failed);
	note_fini(&second);
	note_fini(&late);
	faults_clear();
	assert_int_equal(bench_open(b), 0);
	assert_int_equal(b->damaged, 0);
	struct note again;
	note_message(&again, b, 5, 300);
	assert_int_equal(note_commit(&again), 0);
	note_fini(&again);
}

/* No segment can be made: what is left of the journal is for outcomes, and mail comes in again when there is space. */
static void test_outcomes_keep_a_reserve(void **state)
{
	struct bench *b = *state;
	struct note n;
	faults_set(FAULT_OPEN, ENOSPC, 0, UINT32_MAX);
	int status = 0;
	uint64_t id = 1;
	for (; status == 0 && id < 200; id++) {
		note_message(&n, b, id, 60000);
		status = note_commit(&n);
		note_fini(&n);
	}
	assert_int_equal(status, -ENOSPC);
	for (unsigned i = 0; i < 20; i++) {
		store_tick(b->store, clock_wall_ms());
		note_outcome(&n, b, 1, i);
		assert_int_equal(note_commit(&n), 0);
		note_fini(&n);
	}
	assert_int_equal(store_room(b->store, 0), STORE_FULL);
	note_message(&n, b, id, 300);
	assert_int_equal(note_commit(&n), -ENOSPC);
	note_fini(&n);
	faults_clear();
	for (unsigned i = 0; i < 1000 && store_room(b->store, 0) != STORE_OK; i++) {
		store_tick(b->store, clock_wall_ms());
		note_outcome(&n, b, 1, i);
		assert_int_equal(note_commit(&n), 0);
		note_fini(&n);
	}
	note_message(&n, b, id, 300);
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
}

static void test_a_record_over_the_largest_batch(void **state)
{
	struct bench *b = *state;
	struct note n;
	static uint8_t large[1 << 20];
	note_text(&n, b, RECORD_HOLD, 1, "x");
	n.c.meta = large;
	n.c.meta_len = sizeof large;
	assert_int_equal(note_commit(&n), -EMSGSIZE);
	note_fini(&n);
}

/* More than batch_limit at once: several batches, each answered. */
static void test_batches_are_bounded(void **state)
{
	struct bench *b = *state;
	enum { MANY = 30 };
	static struct note notes[MANY];
	for (unsigned i = 0; i < MANY; i++)
		note_message(&notes[i], b, 1 + i, 30000);
	uint64_t batches = counter_get(COUNTER_journal_batches);
	for (unsigned i = 0; i < MANY; i++)
		note_post(&notes[i]);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(note_wait(&notes[i]), 0);
		note_fini(&notes[i]);
	}
	assert_true(counter_get(COUNTER_journal_batches) - batches >= MANY / 2);
	reopen(b);
	assert_int_equal(b->count, MANY);
}

static void test_twenty_mebibytes_bit_exact(void **state)
{
	struct bench *b = *state;
	struct note n;
	note_message(&n, b, 0x123456789a, 20 << 20);
	assert_int_equal(n.c.content->file, 0x123456789a);
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
	assert_int_equal(bench_read(b, bench_find(b, 0x123456789a)->content), 20 << 20);
	reopen(b);
	assert_int_equal(b->count, 1);
	assert_true(b->live[0].in_file);
	assert_int_equal(bench_read(b, b->live[0].content), 20 << 20);
	store_forget(b->store, 0x123456789a);
	bench_close(b);
	assert_int_equal(spooldir_bodies(&b->spool), 0);
}

static void test_bodies_without_messages_go(void **state)
{
	struct bench *b = *state;
	struct note kept, refused, orphan;
	note_message(&kept, b, 1, 300000);
	assert_int_equal(note_commit(&kept), 0);
	note_message(&refused, b, 2, 300000);
	note_message(&orphan, b, 3, 300000);
	assert_int_equal(spooldir_bodies(&b->spool), 3);
	store_discard_body(b->store, body_ref(refused.c.content));
	bench_close(b);
	assert_int_equal(spooldir_bodies(&b->spool), 2);
	assert_int_equal(bench_open(b), 0);
	assert_int_equal(spooldir_bodies(&b->spool), 1);
	assert_int_equal(bench_read(b, bench_find(b, 1)->content), 300000);
	note_fini(&kept);
	note_fini(&refused);
	note_fini(&orphan);
}

static void test_second_daemon_is_told(void **state)
{
	struct bench *b = *state;
	struct store *other = NULL;
	struct buf errors;
	const struct store_replay none = {0};
	char pid[16];
	buf_init(&errors, 4096);
	assert_int_equal(store_open(&other, b->conf, &none, &errors), -EBUSY);
	assert_null(other);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	assert_non_null(strstr((const char *)errors.data, pid));
	buf_fini(&errors);
}

static void test_min_free(void **state)
{
	struct bench *b = *state;
	struct note n;
	assert_int_equal(store_room(b->store, 0), STORE_FULL);
	note_outcome(&n, b, 1, 5); /* outcomes do not mind */
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
	struct conf relaxed = *b->conf;
	relaxed.spool_io.min_free = 0;
	store_configure(b->store, &relaxed);
	assert_int_equal(store_room(b->store, 0), STORE_OK);
	assert_int_equal(store_room(b->store, UINT64_MAX / 2), STORE_FULL);
}

/* The ceiling is durable before it is published, and the next run begins above it. */
static void test_ceiling_of_ids(void **state)
{
	struct bench *b = *state;
	uint64_t now = clock_wall_ms();
	uint64_t first = atomic_load(store_id_ceiling_ms(b->store));
	assert_true(first > now + 1800000 && first < now + 7200000);
	store_tick(b->store, now); /* nothing is due */
	store_tick(b->store, now + 3000000);
	struct note n;
	for (unsigned i = 0; i < 100 && atomic_load(store_id_ceiling_ms(b->store)) == first; i++) {
		note_message(&n, b, 1 + i, 10);
		assert_int_equal(note_commit(&n), 0);
		note_fini(&n);
	}
	uint64_t second = atomic_load(store_id_ceiling_ms(b->store));
	assert_int_equal(second, now + 3000000 + 3600000);
	uint64_t before = clock_wall_ms();
	reopen(b);
	assert_true(store_id_floor_ms(b->store) >= second);
	assert_true(store_newest_ms(b->store) <= clock_wall_ms() && store_newest_ms(b->store) + 60000 > before);
	struct id_giver g;
	id_giver_init(&g, 1, store_id_floor_ms(b->store), store_id_ceiling_ms(b->store));
	uint64_t id = id_next(&g, clock_wall_ms());
	assert_true(id != 0 && id_time_ms(id) >= second);
}

static void on_history(struct store_history *h)
{
	(*(unsigned *)h->arg)++;
}

static void test_history_walks_back(void **state)
{
	struct bench *b = *state;
	struct note n;
	note_message(&n, b, 7, 1234);
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
	for (unsigned i = 0; i < 25; i++) {
		note_outcome(&n, b, 7, 1000 + i);
		assert_int_equal(note_commit(&n), 0);
		note_fini(&n);
		if (i == 10) {
			note_text(&n, b, RECORD_HOLD, 7, "why");
			assert_int_equal(note_commit(&n), 0);
			note_fini(&n);
		}
	}
	unsigned done = 0;
	struct store_history h = {
		.home = &b->home.box, .done = on_history, .arg = &done, .newest = bench_find(b, 7)->newest};
	store_read_history(b->store, &h);
	while (done == 0)
		post_wait(&b->home);
	assert_int_equal(h.status, 0);
	assert_int_equal(h.envelope->id, 7);
	assert_int_equal(h.envelope->size, 1234);
	assert_int_equal(h.attempt_count, ATTEMPTS_KEPT);
	for (unsigned i = 0; i < ATTEMPTS_KEPT; i++)
		assert_int_equal(h.attempts[i]->when_ms, 1000 + 25 - ATTEMPTS_KEPT + i);

	/* folded into a MOVED record, with one more behind it */
	struct buf meta;
	buf_init(&meta, 1 << 20);
	assert_int_equal(store_encode_moved(h.envelope, h.attempts, h.attempt_count, &meta), 0);
	struct body *body = bench_copy(b, bench_find(b, 7)->content);
	struct note moved;
	note_moved(&moved, b, bench_find(b, 7), body);
	moved.c.meta = meta.data;
	moved.c.meta_len = meta.len;
	assert_int_equal(note_commit(&moved), 0);
	note_fini(&moved);
	buf_fini(&meta);
	store_history_fini(&h);
	note_outcome(&n, b, 7, 2000);
	assert_int_equal(note_commit(&n), 0);
	note_fini(&n);
	h = (struct store_history){
		.home = &b->home.box, .done = on_history, .arg = &done, .newest = bench_find(b, 7)->newest};
	done = 0;
	store_read_history(b->store, &h);
	while (done == 0)
		post_wait(&b->home);
	assert_int_equal(h.status, 0);
	assert_int_equal(h.attempt_count, ATTEMPTS_KEPT);
	assert_int_equal(h.attempts[ATTEMPTS_KEPT - 1]->when_ms, 2000);
	assert_int_equal(h.attempts[ATTEMPTS_KEPT - 2]->when_ms, 1024);
	assert_int_equal(h.attempts[0]->when_ms, 1006);
	store_history_fini(&h);

	/* a place that is none */
	h = (struct store_history){.home = &b->home.box, .done = on_history, .arg = &done, .newest = {1, 100}};
	done = 0;
	store_read_history(b->store, &h);
	while (done == 0)
		post_wait(&b->home);
	assert_int_equal(h.status, -EBADMSG);
	assert_null(h.envelope);
	store_history_fini(&h);
}

int main(void)
{
#define T(f, s) cmocka_unit_test_setup_teardown(f, s, teardown)
	const struct CMUnitTest tests[] = {
		T(test_what_was_committed_is_replayed, setup),
		T(test_queue_hears_before_the_sessions, setup_slow),
		T(test_outcomes_alone_are_written_in_the_end, setup),
		T(test_letters_as_asked_for, setup),
		T(test_close_writes_what_was_posted, setup_slow),
		T(test_failed_sync, setup_slow),
		T(test_failed_syncs_for_a_while, setup_slow),
		T(test_failed_write, setup_slow),
		T(test_broken_until_the_end, setup_slow),
		T(test_outcomes_keep_a_reserve, setup),
		T(test_a_record_over_the_largest_batch, setup),
		T(test_batches_are_bounded, setup_small_batches),
		T(test_twenty_mebibytes_bit_exact, setup),
		T(test_bodies_without_messages_go, setup),
		T(test_second_daemon_is_told, setup),
		T(test_min_free, setup_full),
		T(test_ceiling_of_ids, setup),
		T(test_history_walks_back, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
