/* tests/unit/replay_test.c: what the spool tells at the start becomes the index: legal orders of records, repeated
 * ones, and damage. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue/index.h"
#include "queue/replay.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

static struct store_replay calls;

static void begin(void)
{
	fixture_begin(NULL);
	fx.q.draining = true; /* nothing is delivered here */
	replay_calls(&calls, &fx.q);
}

static const char *const addresses[] = {"a@d.example", "b@d.example", "c@e.example"};

/* A MESSAGE or MOVED record with the recipients of which the mask has a bit. */
static int record(enum record_type type, uint64_t id, unsigned mask, unsigned flags, uint32_t segment)
{
	struct envelope_rcpt rcpts[3];
	unsigned n = 0;
	for (unsigned i = 0; i < 3; i++)
		if (mask >> i & 1)
			rcpts[n++] = (struct envelope_rcpt){.address = addresses[i], .index = (uint16_t)i};
	const struct envelope e = {.id = id,
		.arrival_ms = BEGIN - HOURS(1),
		.size = 100,
		.flags = flags,
		.sender = "s@s.example",
		.client = "",
		.helo = "",
		.reason = flags & ENVELOPE_HELD ? "wait" : "",
		.rcpts = rcpts,
		.rcpt_count = n};
	struct place at = {segment, 64};
	return calls.message(calls.arg, type, &e, at, at, false);
}

/* "0=delivered 2=deferred": an OUTCOME; deferred ones until `next` (wall). */
static void outcome(uint64_t id, const char *rows, uint64_t next)
{
	struct attempt *a = attempt_new(BEGIN - MINUTES(30), "mx.x");
	struct reply r;
	unsigned index;
	char word[16];
	int used;
	for (; sscanf(rows, "%u=%15s %n", &index, word, &used) == 2; rows += used) {
		enum rcpt_status s = word[2] == 'l' ? RCPT_DELIVERED : word[2] == 'i' ? RCPT_FAILED : RCPT_QUEUED;
		reply_set(&r, s == RCPT_DELIVERED ? 250 : s == RCPT_FAILED ? 550 : 450, "", "%s", word);
		assert_int_equal(attempt_set_rcpt(a, (uint16_t)index, s, &r), 0);
	}
	a->next_ms = next;
	assert_int_equal(calls.outcome(calls.arg, id, a, (struct place){7, 128}), 0);
	attempt_free(a);
}

static void test_orders(void **state)
{
	(void)state;
	begin();
	/* unknown ones end without a word */
	outcome(4, "0=delivered", 0);
	assert_int_equal(calls.removed(calls.arg, 4), 0);
	assert_int_equal(calls.held(calls.arg, 4, true, "x", (struct place){1, 0}), 0);
	assert_int_equal(fx.q.messages.count, 0);

	assert_int_equal(record(RECORD_MESSAGE, 5, 7, 0, 1), 0);
	assert_int_equal(index_live_in(&fx.q, 1), 1);
	outcome(5, "0=delivered 1=deferred", BEGIN + MINUTES(9));
	assert_int_equal(find(5)->open, 2);
	assert_int_equal(find(5)->newest.segment, 7);
	assert_string_equal(delivery_of(5, "b@d.example")->reason, "450 deferred");
	assert_int_equal(delivery_of(5, "b@d.example")->attempts, 1);
	assert_int_equal(delivery_of(5, "c@e.example")->attempts, 0);
	schedule_all(&fx.q);
	assert_int_equal(delivery_of(5, "b@d.example")->due.at, BEGIN + MINUTES(9));
	assert_int_equal(delivery_of(5, "c@e.example")->due.at, BEGIN);
	fixture_end();
}

/* The last recipient's outcome ends it; so do REMOVE, and a MOVED record without recipients. */
static void test_ends(void **state)
{
	(void)state;
	begin();
	record(RECORD_MESSAGE, 5, 7, 0, 1);
	outcome(5, "0=delivered 1=failed", 0);
	outcome(5, "2=delivered", 0);
	assert_null(find(5));
	record(RECORD_MESSAGE, 6, 7, ENVELOPE_HELD, 1);
	assert_int_equal(fx.q.held, 1);
	calls.removed(calls.arg, 6);
	assert_null(find(6));
	record(RECORD_MESSAGE, 7, 7, 0, 1);
	assert_int_equal(record(RECORD_MOVED, 7, 0, 0, 2), 0);
	assert_null(find(7));
	assert_int_equal(index_live_in(&fx.q, 1), 0);
	assert_int_equal(index_live_in(&fx.q, 2), 0);
	fixture_end();
}

/* A checkpoint's entry, then the records of the time while it was written: all told again. */
static void test_told_again(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 3; i++) {
		record(RECORD_MESSAGE, 5, 7, 0, 1);
		outcome(5, "0=delivered 1=deferred", BEGIN + MINUTES(9));
		calls.held(calls.arg, 5, true, "wait", (struct place){1, 192});
		calls.held(calls.arg, 5, true, "wait", (struct place){1, 192});
		assert_int_equal(fx.q.held, 1);
		assert_int_equal(find(5)->open, 2);
		record(RECORD_MOVED, 5, 6, ENVELOPE_HELD, 2);
		assert_int_equal(index_live_in(&fx.q, 1), 0);
		assert_int_equal(index_live_in(&fx.q, 2), 1);
		assert_string_equal(find(5)->reason, "wait");
		assert_int_equal(state_of(5, "c@e.example"), DELIVERY_IDLE);
		calls.held(calls.arg, 5, false, "", (struct place){2, 192});
		calls.held(calls.arg, 5, false, "", (struct place){2, 192});
		assert_int_equal(fx.q.held, 0);
		assert_null(find(5)->reason);
		outcome(5, "1=delivered", 0);
		outcome(5, "1=delivered", 0);
		assert_int_equal(find(5)->open, 1);
	}
	assert_int_equal(fx.q.messages.count, 1);
	fixture_end();
}

/* What was delivered before an attempt went on is a record of its own, of the same attempt. */
static void test_attempts_are_counted_once(void **state)
{
	(void)state;
	begin();
	record(RECORD_MESSAGE, 5, 3, 0, 1);
	outcome(5, "0=delivered", 0);
	outcome(5, "0=delivered 1=deferred", BEGIN + MINUTES(9));
	assert_int_equal(delivery_of(5, "b@d.example")->attempts, 1);
	fixture_end();
}

static void test_held_is_not_scheduled(void **state)
{
	(void)state;
	begin();
	record(RECORD_MESSAGE, 5, 7, 0, 1);
	calls.held(calls.arg, 5, true, "wait", (struct place){1, 192});
	schedule_all(&fx.q);
	assert_int_equal(state_of(5, "a@d.example"), DELIVERY_HELD);
	assert_null(due_first(&fx.q.due));
	assert_int_equal(fx.commit_count, 0); /* nothing is written twice */
	fixture_end();
}

/* The newest word of the journal on the next hop counts; a MOVED record carries it in its envelope. */
static void test_redirect(void **state)
{
	(void)state;
	begin();
	assert_int_equal(calls.redirected(calls.arg, 4, "[mx.example]:25", (struct place){1, 0}), 0);
	record(RECORD_MESSAGE, 5, 7, 0, 1);
	assert_string_equal(message_redirect(find(5)), "");
	assert_int_equal(calls.redirected(calls.arg, 5, "[mx.example]:25", (struct place){1, 192}), 0);
	assert_string_equal(message_redirect(find(5)), "[mx.example]:25");
	assert_int_equal(find(5)->newest.offset, 192);
	assert_int_equal(calls.redirected(calls.arg, 5, "", (struct place){1, 256}), 0);
	assert_string_equal(message_redirect(find(5)), "");
	assert_int_equal(fx.commit_count, 0); /* nothing is written twice */
	fixture_end();
}

static void test_damage(void **state)
{
	(void)state;
	begin();
	record(RECORD_MESSAGE, 5, 7, 0, 1);
	calls.damaged(calls.arg, 5, (struct place){3, 64}, "checksum of an outcome");
	calls.damaged(calls.arg, 0, (struct place){3, 128}, "header");
	calls.damaged(calls.arg, 77, (struct place){3, 192}, "a message that nobody knows");
	assert_int_equal(fx.q.damaged, 1);
	assert_int_equal(fx.q.messages.count, 1);
	assert_string_equal(find(5)->reason, "checksum of an outcome");
	schedule_all(&fx.q);
	assert_int_equal(state_of(5, "a@d.example"), DELIVERY_HELD);
	/* released by hand it is mail like any other */
	index_release(&fx.q, find(5), false);
	assert_int_equal(fx.q.damaged, 0);
	schedule_message(&fx.q, find(5));
	assert_int_equal(state_of(5, "a@d.example"), DELIVERY_ROUTING);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_told_again),
		cmocka_unit_test(test_attempts_are_counted_once),
		cmocka_unit_test(test_held_is_not_scheduled),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
