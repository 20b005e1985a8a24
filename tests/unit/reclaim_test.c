/* tests/unit/reclaim_test.c: segments freed, messages copied forward, checkpoints; all in slices while messages come
 * and end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/index.h"
#include "queue/control/inspect.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

static struct reclaim *reclaim;

/* `count` messages from `first` in segment 1 of the journal, none of them on its way. */
static void begin(uint64_t first, unsigned count)
{
	fixture_begin(NULL);
	fx.q.draining = false;
	for (unsigned i = 0; i < count; i++) {
		mail_stored(first + i, "b@d.example", BEGIN, false);
		index_hold(&fx.q, find(first + i), ENVELOPE_HELD, "wait", true);
	}
	fx.end = (struct place){2, 0};
	fx.oldest = 1;
	reclaim = reclaim_new(&fx.q);
	assert_non_null(reclaim);
}

static void end(void)
{
	assert_true(reclaim_idle(reclaim));
	reclaim_free(reclaim);
	fixture_end();
}

/* All slices and all that they ask for. */
static void work(void)
{
	for (unsigned i = 0; i < 1000 && !reclaim_idle(reclaim); i++) {
		reclaim_slice(reclaim);
		histories_done();
		bodies_done(0);
		commit_all();
	}
}

static void test_free_when_nothing_lives(void **state)
{
	(void)state;
	begin(1, 2);
	reclaim_tick(reclaim);
	assert_int_equal(fx.freed_count, 0);
	index_remove(&fx.q, find(1), "x");
	commit_all();
	reclaim_tick(reclaim);
	assert_int_equal(fx.freed_count, 0);
	index_remove(&fx.q, find(2), "x");
	commit_all();
	/* for want of memory not all is known: nothing is freed */
	fx.q.incomplete = true;
	reclaim_tick(reclaim);
	assert_int_equal(fx.freed_count, 0);
	fx.q.incomplete = false;
	reclaim_tick(reclaim);
	assert_int_equal(fx.freed_count, 1);
	assert_int_equal(fx.freed[0], 1);
	end();
}

static void test_move(void **state)
{
	(void)state;
	begin(1, 1200);
	fx.wanted = 1;
	reclaim_tick(reclaim);
	assert_false(reclaim_idle(reclaim));
	/* at most so many at once */
	while (reclaim_slice(reclaim))
		;
	assert_int_equal(fx.history_count, 16);
	assert_int_equal(fx.freed_count, 0);
	work();
	assert_int_equal(index_live_in(&fx.q, 1), 0);
	assert_int_equal(index_live_in(&fx.q, 2), 1200);
	assert_int_equal(find(600)->content.segment, 2);
	assert_int_equal(find(600)->newest.segment, 2);
	assert_int_equal(fx.pins, 0);
	reclaim_tick(reclaim);
	assert_int_equal(fx.freed_count, 1);
	end();
}

/* A message ends or is removed at each step of its move. */
static void test_messages_end_meanwhile(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 4; step++) {
		begin(1, 10);
		fx.wanted = 1;
		reclaim_tick(reclaim);
		if (step > 0)
			reclaim_slice(reclaim);
		if (step > 1)
			histories_done();
		if (step > 2)
			bodies_done(0);
		for (uint64_t id = 1; id <= 10; id += 2)
			index_remove(&fx.q, find(id), "x");
		while (fx.commit_count > 0)
			commit_one(0);
		work();
		for (uint64_t id = 1; id <= 10; id++)
			assert_true((find(id) == NULL) == (id % 2 == 1));
		assert_int_equal(index_live_in(&fx.q, 1), 0);
		assert_int_equal(index_live_in(&fx.q, 2), 5);
		reclaim_tick(reclaim);
		assert_int_equal(fx.freed_count, 1);
		end();
	}
}

/* An outcome is on its way to the disk when its message is to be moved: MOVED behind it would bring back at the next
 * start the recipient that has its mail. */
static void test_outcome_meanwhile(void **state)
{
	(void)state;
	for (unsigned written = 0; written < 2; written++) {
		begin(1, 0);
		zone("mx.d.example", "AAAA", "NODATA");
		mail(5, NULL, "b@d.example c@d.example");
		uint32_t segment = find(5)->content.segment;
		fx.end.segment = segment + 1;
		fx.wanted = segment;
		struct connection *c = connect_site("mx.d.example", "192.0.2.1");
		reclaim_tick(reclaim);
		reclaim_slice(reclaim);
		histories_done();
		answer(c, "250 ok|450 4.2.0 later");
		if (written)
			commit_all(); /* the attempt is not in the history that was read */
		bodies_done(0);
		commit_all();
		assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 1=deferred\n");
		work();
		fx.wanted = segment; /* the next tick begins anew */
		reclaim_tick(reclaim);
		work();
		assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 1=deferred\nMOVED 5\n");
		assert_int_equal(index_live_in(&fx.q, segment), 0);
		assert_int_equal(fx.pins, 0);
		end();
	}
}

static int act(enum queue_action action, uint64_t id, const char *reason)
{
	const struct queue_order o = {.action = action, .reason = reason, .to = "", .who = "x"};
	return queue_act(&fx.q, &o, id);
}

/* A damaged content does not keep its segment for ever: what is left of it moves on, and is never delivered. */
static void test_damaged(void **state)
{
	(void)state;
	begin(1, 3);
	index_release(&fx.q, find(3), true);
	fx.wanted = 1;
	reclaim_tick(reclaim);
	reclaim_slice(reclaim);
	histories_done();
	assert_int_equal(fx.body_count, 3);
	assert_false(fx.bodies[0]->remains);
	for (unsigned i = 0; i < 3; i++)
		bodies_done_one(-EBADMSG);
	assert_int_equal(fx.body_count, 3);
	assert_true(fx.bodies[0]->remains);
	work();
	assert_int_equal(fx.q.damaged, 3);
	assert_int_equal(index_live_in(&fx.q, 2), 3);
	reclaim_tick(reclaim);
	assert_int_equal(fx.freed_count, 1);
	assert_string_equal(fx.journal, "MOVED 3\nMOVED 2\nMOVED 1\n");
	assert_int_equal(act(QUEUE_RELEASE, 1, NULL), -EBADMSG);
	assert_int_equal(act(QUEUE_RELEASE, 3, NULL), -EBADMSG);
	assert_int_equal(act(QUEUE_RETRY, 3, NULL), -EBUSY);
	index_release(&fx.q, find(1), true); /* as the start finds an old RELEASE */
	schedule_message(&fx.q, find(1));
	dns_run();
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_HELD);
	assert_int_equal(state_of(3, "b@d.example"), DELIVERY_HELD);
	assert_int_equal(fx.dials_made, 0);
	assert_int_equal(act(QUEUE_REMOVE, 1, NULL), 0);
	commit_all();
	assert_null(find(1));
	end();
}

/* What is damaged on disk and whole in memory is written whole. */
static void test_damaged_but_in_memory(void **state)
{
	(void)state;
	begin(1, 1);
	struct message *m = find(1);
	m->body = body_new();
	assert_int_equal(body_append(m->body, "x\r\n", 3), 0);
	TAILQ_INSERT_TAIL(&fx.q.with_body, m, with_body);
	fx.wanted = 1;
	reclaim_tick(reclaim);
	reclaim_slice(reclaim);
	histories_done();
	bodies_done(-EBADMSG);
	assert_int_equal(fx.commit_count, 1);
	assert_ptr_equal(fx.commits[0]->content, m->body);
	work();
	assert_int_equal(fx.q.damaged, 0);
	assert_int_equal(m->flags, ENVELOPE_HELD);
	end();
}

/* A content that cannot be read now keeps its segment; one that cannot be read for long is damaged. */
static void test_unreadable(void **state)
{
	(void)state;
	begin(1, 3);
	fx.wanted = 1;
	for (unsigned n = 0; n < 3; n++) {
		reclaim_tick(reclaim);
		assert_false(reclaim_idle(reclaim));
		reclaim_slice(reclaim);
		histories_done();
		for (unsigned i = 0; i < 3; i++)
			bodies_done_one(-EIO);
		work();
		assert_int_equal(fx.q.damaged, n < 2 ? 0 : 3);
		assert_int_equal(index_live_in(&fx.q, 1), n < 2 ? 3 : 0);
		reclaim_tick(reclaim);
		assert_int_equal(fx.freed_count, n < 2 ? 0 : 1);
		/* not again and again: every ten minutes */
		assert_true(reclaim_idle(reclaim));
		fx.clock += MINUTES(10);
	}
	end();
}

static void test_checkpoint(void **state)
{
	(void)state;
	begin(1, 1300);
	fx.checkpoint_wanted = true;
	reclaim_tick(reclaim);
	assert_false(reclaim_slice(reclaim)); /* not before the store says so */
	assert_int_equal(fx.checkpoint_entries, 0);
	checkpoint_begun();
	assert_true(reclaim_slice(reclaim));
	assert_int_equal(fx.checkpoint_entries, 500);
	/* behind the cursor and before it: messages end, and one comes */
	for (uint64_t id = 400; id < 700; id++) {
		index_remove(&fx.q, find(id), "x");
	}
	commit_all();
	mail(5000, NULL, "b@d.example");
	/* the disk is behind */
	fx.checkpoint_room = 100;
	reclaim_slice(reclaim);
	assert_int_equal(fx.checkpoint_entries, 600);
	assert_false(reclaim_slice(reclaim));
	fx.checkpoint_room = UINT32_MAX;
	checkpoint_begun();
	while (reclaim_slice(reclaim))
		;
	/* each once: 500, then 700 to 1300, and the new one */
	assert_int_equal(fx.checkpoint_entries, 500 + 601 + 1);
	assert_int_equal(fx.checkpoints, 1);
	assert_memory_equal(fx.checkpoint, "1 2 3 4 5 ", 10);
	end();
}

static void test_no_checkpoint_while_draining(void **state)
{
	(void)state;
	begin(1, 3);
	fx.q.draining = true;
	fx.checkpoint_wanted = true;
	fx.wanted = 1;
	reclaim_tick(reclaim);
	assert_true(reclaim_idle(reclaim));
	end();
}

static int ended;

static void on_none(void *arg, int err)
{
	assert_ptr_equal(arg, &ended);
	assert_int_not_equal(err, 0);
	ended++;
}

/* The journal has a message that the index does not know for want of memory: a checkpoint would have the next start
 * lose it. */
static void test_no_checkpoint_without_all(void **state)
{
	(void)state;
	begin(1, 3);
	ended = 0;
	fx.checkpoint_wanted = true;
	fx.q.incomplete = true;
	reclaim_tick(reclaim);
	assert_true(reclaim_idle(reclaim));
	reclaim_checkpoint(reclaim, on_none, &ended);
	assert_int_equal(ended, 1);
	/* it turns out while one is being written */
	fx.q.incomplete = false;
	reclaim_tick(reclaim);
	checkpoint_begun();
	fx.q.incomplete = true;
	while (reclaim_slice(reclaim))
		;
	assert_true(reclaim_idle(reclaim));
	assert_int_equal(fx.checkpoints, 0);
	end();
}

static void on_last(void *arg, int err)
{
	assert_ptr_equal(arg, &ended);
	assert_int_equal(err, 0);
	ended++;
}

static void test_last_checkpoint(void **state)
{
	(void)state;
	ended = 0;
	begin(1, 3);
	fx.q.draining = true;
	reclaim_checkpoint(reclaim, on_last, &ended);
	assert_int_equal(ended, 0);
	checkpoint_begun();
	while (reclaim_slice(reclaim))
		;
	assert_int_equal(ended, 1);
	assert_int_equal(fx.checkpoint_entries, 3);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_free_when_nothing_lives),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_messages_end_meanwhile),
		cmocka_unit_test(test_outcome_meanwhile),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_damaged_but_in_memory),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_no_checkpoint_without_all),
		cmocka_unit_test(test_checkpoint),
		cmocka_unit_test(test_no_checkpoint_while_draining),
		cmocka_unit_test(test_last_checkpoint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
