/* tests/unit/deadline_test.c: times that the sender names: DELIVERBY and FUTURERELEASE. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/index.h"
#include "queue/replay.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"
#define RETURN ENVELOPE_BY_RETURN
#define NOTIFY ENVELOPE_BY_NOTIFY

static const struct envelope_rcpt one = {.address = "b@d.example"};

static void begin(const char *settings)
{
	fixture_begin(settings);
	zone(SITE, "AAAA", "NODATA");
}

static void by(unsigned flags, uint64_t by_ms)
{
	mail_of((struct envelope){.id = 5, .flags = flags, .by_ms = by_ms, .rcpts = &one, .rcpt_count = 1});
}

static void attempt(const char *replies)
{
	dns_run();
	if (fx.dial_count > 0)
		dial_end(fx.dials[0], "192.0.2.1 ok");
	for (unsigned i = 0; i < fx.connection_count; i++)
		if (fx.connections[i]->sent != NULL)
			answer(fx.connections[i], replies);
}

/* The text of the notice that waits to be stored; "" if none does. */
static const char *notice(void)
{
	static char out[32768];
	size_t n = 0;
	out[0] = '\0';
	if (fx.commit_count == 0 || fx.commits[0]->type != RECORD_MESSAGE)
		return out;
	assert_int_equal(fx.commit_count, 1);
	for (const struct body_chunk *k = fx.commits[0]->content->first; k != NULL; k = k->next) {
		memcpy(out + n, k->data, k->len);
		n += k->len;
	}
	out[n] = '\0';
	return out;
}

static void is_late(const char *text)
{
	assert_non_null(strstr(text, "Action: failed\r\nStatus: 5.4.7\r\n"));
	assert_non_null(strstr(text, "Deliver-By-Date: "));
	assert_non_null(strstr(text, "within the time that was asked for"));
}

/* ---- mode R ---- */

/* It waits for its next attempt: its time comes first, to the second, and nothing is tried any more. */
static void test_return_while_deferred(void **state)
{
	(void)state;
	begin("retry {\n first = 1h\n max = 1h\n}\n");
	by(RETURN, BEGIN + MINUTES(10));
	attempt("450 4.2.2 mailbox full");
	commit_all();
	pass(MINUTES(10) - 1);
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	assert_int_equal(fx.commit_count, 0);
	journal_clear();
	pass(1);
	is_late(notice());
	assert_non_null(strstr(notice(), "Diagnostic-Code: x-relay64; 450 4.2.2 mailbox full"));
	assert_string_equal(fx.journal, "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed\n");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

/* Wherever it waits: for the look-up, for a connection, for a resting site. */
static void test_return_wherever_it_waits(void **state)
{
	(void)state;
	for (unsigned row = 0; row < 3; row++) {
		begin(NULL);
		by(RETURN, BEGIN + MINUTES(2));
		if (row > 0)
			dns_run();
		if (row == 2) {
			dial_end(dial_to(SITE), "192.0.2.1 refused");
			commit_all();
			run_due();
			dns_run();
		}
		static const enum delivery_state states[] = {DELIVERY_ROUTING, DELIVERY_READY, DELIVERY_READY};
		assert_int_equal(state_of(5, "b@d.example"), states[row]);
		pass(MINUTES(2));
		is_late(notice());
		if (row == 2)
			assert_non_null(strstr(notice(), "connection refused"));
		commit_all();
		assert_null(find(5));
		if (row == 0)
			dns_run();
		fixture_end();
	}
}

/* In transfer when its time comes: the answer counts, and a deferral is the end. */
static void test_return_in_transfer(void **state)
{
	(void)state;
	static const struct {
		const char *reply, *journal;
	} rows[] = {
		{"250 ok", "OUTCOME 5 0=delivered\n"},
		{"450 4.2.0 later", "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed\n"},
		{"550 5.1.1 no", "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed\n"},
	};
	for (unsigned row = 0; row < 3; row++) {
		begin(NULL);
		by(RETURN, BEGIN + MINUTES(2));
		struct connection *c = connect_site(SITE, "192.0.2.1");
		pass(MINUTES(3));
		assert_int_equal(state_of(5, "b@d.example"), DELIVERY_ACTIVE);
		answer(c, rows[row].reply);
		assert_string_equal(fx.journal, rows[row].journal);
		if (row == 1)
			is_late(notice());
		if (row == 2)
			assert_non_null(strstr(notice(), "Status: 5.1.1\r\n"));
		commit_all();
		assert_null(find(5));
		fixture_end();
	}
}

static void test_return_and_notify(void **state)
{
	(void)state;
	const struct envelope_rcpt never = {.address = "b@d.example", .notify = NOTIFY_NEVER};
	begin(NULL);
	mail_of((struct envelope){
		.id = 5, .flags = RETURN, .by_ms = BEGIN + MINUTES(2), .rcpts = &never, .rcpt_count = 1});
	pass(MINUTES(2));
	assert_string_equal(fx.journal, "OUTCOME 5 0=failed\n");
	commit_all();
	assert_null(find(5));
	dns_run();
	fixture_end();
}

/* What an operator holds is the operator's; its time counts when it is released. */
static void test_return_while_held(void **state)
{
	(void)state;
	begin(NULL);
	by(RETURN, BEGIN + MINUTES(2));
	index_hold(&fx.q, find(5), ENVELOPE_HELD, "wait", true);
	pass(MINUTES(5));
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_HELD);
	index_release(&fx.q, find(5), true);
	schedule_message(&fx.q, find(5));
	is_late(notice());
	commit_all();
	assert_null(find(5));
	dns_run();
	fixture_end();
}

/* The notice cannot be stored: nothing has failed, and it is tried again, though it is late. */
static void test_return_not_stored(void **state)
{
	(void)state;
	begin(NULL);
	by(RETURN, BEGIN + MINUTES(2));
	pass(MINUTES(2));
	is_late(notice());
	journal_clear();
	commit_one(-ENOSPC);
	assert_string_equal(fx.journal, "OUTCOME 5 0=deferred\n");
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	pass(MINUTES(6));
	is_late(notice());
	commit_all();
	assert_null(find(5));
	dns_run();
	fixture_end();
}

/* Not while the clock is doubtful; then at once. */
static void test_return_doubtful_clock(void **state)
{
	(void)state;
	begin(NULL);
	fx.q.no_expiry_until = BEGIN + HOURS(1);
	by(RETURN, BEGIN - MINUTES(2));
	pass(HOURS(1) - 1);
	assert_int_equal(fx.commit_count, 0);
	pass(1);
	is_late(notice());
	commit_all();
	dns_run();
	fixture_end();
}

/* A step of the wall clock brings the time nearer, or moves it away. */
static void test_return_clock_steps(void **state)
{
	(void)state;
	begin(NULL);
	by(RETURN, BEGIN + HOURS(2));
	pass(MINUTES(5));
	fx.q.shift += (int64_t)HOURS(2);
	pass(MINUTES(1));
	is_late(notice());
	commit_all();
	dns_run();
	fixture_end();

	begin(NULL);
	by(RETURN, BEGIN + MINUTES(10));
	pass(MINUTES(9) + SECONDS(30));
	fx.q.shift -= (int64_t)HOURS(1);
	pass(HOURS(1));
	assert_int_equal(fx.commit_count, 0);
	pass(MINUTES(1));
	is_late(notice());
	commit_all();
	dns_run();
	fixture_end();
}

static void test_return_after_a_restart(void **state)
{
	(void)state;
	struct store_replay r;
	begin(NULL);
	replay_calls(&r, &fx.q);
	struct envelope e = {.id = 5,
		.arrival_ms = BEGIN - HOURS(1),
		.by_ms = BEGIN + MINUTES(10),
		.flags = RETURN,
		.sender = "a@sender.example",
		.client = "",
		.helo = "",
		.reason = "",
		.rcpts = &(struct envelope_rcpt){.address = "b@d.example", .attempts = 1, .next_ms = BEGIN + HOURS(1)},
		.rcpt_count = 1};
	assert_int_equal(r.message(r.arg, RECORD_MESSAGE, &e, (struct place){1, 64}, (struct place){1, 64}, false), 0);
	schedule_all(&fx.q);
	pass(MINUTES(10) - 1);
	assert_int_equal(fx.commit_count, 0);
	pass(1);
	is_late(notice());
	commit_all();
	assert_null(find(5));
	fixture_end();
}

/* ---- mode N ---- */

/* One warning at its time, and delivery goes on as if nothing had been. */
static void test_notify_once(void **state)
{
	(void)state;
	for (unsigned row = 0; row < 2; row++) {
		const struct envelope_rcpt rcpt = {.address = "b@d.example", .notify = row ? NOTIFY_FAILURE : 0};
		begin("retry {\n first = 1h\n max = 1h\n}\n");
		mail_of((struct envelope){
			.id = 5, .flags = NOTIFY, .by_ms = BEGIN + MINUTES(10), .rcpts = &rcpt, .rcpt_count = 1});
		attempt("450 4.2.2 mailbox full");
		commit_all();
		uint64_t at = delivery_of(5, "b@d.example")->due.at;
		pass(MINUTES(10));
		const char *text = notice();
		assert_non_null(strstr(text, "Action: delayed\r\nStatus: 4.4.7\r\n"));
		assert_non_null(strstr(text, "Will-Retry-Until: "));
		assert_non_null(strstr(text, "450 4.2.2 mailbox full"));
		commit_all();
		const struct delivery *d = delivery_of(5, "b@d.example");
		assert_int_equal(d->due.at, at);
		assert_int_equal(d->attempts, 1);
		assert_string_equal(d->reason, "450 4.2.2 mailbox full");
		struct message *m;
		for (uint64_t id = 5; (m = idmap_next(&fx.q.messages, id, &id)) != NULL;)
			index_hold(&fx.q, m, ENVELOPE_HELD, "test", true);
		pass(at - core_now(&fx.q));
		attempt("450 4.2.2 mailbox full");
		assert_string_equal(notice(), "");
		commit_all();
		assert_int_equal(find(5)->rcpts[0].told, TOLD_BY);
		fixture_end();
	}
}

static void test_notify_never(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpt = {.address = "b@d.example", .notify = NOTIFY_NEVER};
	begin("retry {\n first = 1h\n max = 1h\n}\n");
	mail_of((struct envelope){
		.id = 5, .flags = NOTIFY, .by_ms = BEGIN + MINUTES(10), .rcpts = &rcpt, .rcpt_count = 1});
	attempt("450 4.2.2 mailbox full");
	commit_all();
	pass(MINUTES(11));
	assert_int_equal(fx.commit_count, 0);
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	fixture_end();
}

/* In transfer at its time: told with the outcome, if there is still something to tell. */
static void test_notify_in_transfer(void **state)
{
	(void)state;
	for (unsigned row = 0; row < 2; row++) {
		begin(NULL);
		by(NOTIFY, BEGIN + MINUTES(2));
		struct connection *c = connect_site(SITE, "192.0.2.1");
		pass(MINUTES(3));
		answer(c, row ? "450 4.2.0 later" : "250 ok");
		if (row)
			assert_non_null(strstr(notice(), "Action: delayed\r\nStatus: 4.4.7\r\n"));
		else
			assert_string_equal(notice(), "");
		commit_all();
		fixture_end();
	}
}

/* ---- held for release ---- */

static void release_at(uint64_t release_ms)
{
	mail_of((struct envelope){.id = 5, .release_ms = release_ms, .rcpts = &one, .rcpt_count = 1});
}

/* Nothing is tried before, however long that is, and the reason says so; at its time it goes. */
static void test_release(void **state)
{
	(void)state;
	begin(NULL);
	release_at(BEGIN + DAYS(7));
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	assert_string_equal(delivery_of(5, "b@d.example")->reason, "held for release at 2027-01-22T08:00:00.000Z");
	pass(DAYS(7) - 1);
	assert_int_equal(dns_waiting(), 0);
	assert_int_equal(fx.commit_count, 0);
	pass(1);
	attempt("250 ok");
	assert_string_equal(fx.journal, "OUTCOME 5 0=delivered\n");
	commit_all();
	fixture_end();
}

/* `relayq retry` does not send it early. */
static void test_release_and_retry(void **state)
{
	(void)state;
	begin(NULL);
	release_at(BEGIN + HOURS(7));
	schedule_retry(&fx.q, find(5));
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	assert_int_equal(dns_waiting(), 0);
	index_hold(&fx.q, find(5), ENVELOPE_HELD, "wait", true);
	index_release(&fx.q, find(5), true);
	schedule_message(&fx.q, find(5));
	assert_int_equal(dns_waiting(), 0);
	pass(HOURS(7));
	assert_int_equal(dns_waiting(), 1);
	attempt("250 ok");
	commit_all();
	fixture_end();
}

/* Its age counts from the release: for giving up and for warnings. */
static void test_age_of_released_mail(void **state)
{
	(void)state;
	begin("retry {\n first = 1h\n max = 1h\n give_up = 1d\n warn = 4h\n}\n");
	release_at(BEGIN + DAYS(3));
	pass(DAYS(3));
	attempt("450 4.2.0 later");
	assert_string_equal(notice(), "");
	commit_all();
	unsigned warned = 0, failed = 0;
	for (unsigned i = 0; i < 40 && find(5) != NULL; i++) {
		pass(delivery_of(5, "b@d.example")->due.at - core_now(&fx.q));
		attempt("450 4.2.0 later");
		uint64_t age = core_now(&fx.q) - BEGIN - DAYS(3);
		if (strstr(notice(), "Action: delayed") != NULL) {
			warned++;
			assert_in_range(age, HOURS(4), HOURS(5));
		}
		if (strstr(notice(), "Action: failed") != NULL) {
			failed++;
			assert_in_range(age, HOURS(24), HOURS(25));
		}
		commit_all();
		struct message *m;
		for (uint64_t id = 5; (m = idmap_next(&fx.q.messages, id, &id)) != NULL;)
			index_hold(&fx.q, m, ENVELOPE_HELD, "test", true);
	}
	assert_int_equal(warned, 1);
	assert_int_equal(failed, 1);
	assert_null(find(5));
	fixture_end();
}

static void test_release_clock_steps(void **state)
{
	(void)state;
	begin(NULL);
	release_at(BEGIN + HOURS(10));
	pass(MINUTES(5));
	fx.q.shift += (int64_t)HOURS(10);
	pass(MINUTES(1));
	assert_int_equal(dns_waiting(), 1);
	dns_run();
	fixture_end();

	begin(NULL);
	release_at(BEGIN + HOURS(1));
	pass(MINUTES(30));
	fx.q.shift -= (int64_t)HOURS(1);
	pass(MINUTES(89));
	assert_int_equal(dns_waiting(), 0);
	pass(MINUTES(2));
	assert_int_equal(dns_waiting(), 1);
	dns_run();
	fixture_end();
}

/* The wall clock is a little behind, and time goes on while it is looked at: not another minute for that. */
static void test_release_to_the_moment(void **state)
{
	(void)state;
	for (int behind = 0; behind < 10; behind++) {
		begin(NULL);
		release_at(BEGIN + MINUTES(1));
		pass(MINUTES(1) - 1);
		fx.q.shift -= behind;
		fx.clock++;
		fx.tick = 1;
		run_due();
		fx.tick = 0;
		pass(SECONDS(1));
		assert_int_equal(dns_waiting(), 1);
		dns_run();
		fixture_end();
	}
}

static void test_release_after_a_restart(void **state)
{
	(void)state;
	struct store_replay r;
	begin(NULL);
	replay_calls(&r, &fx.q);
	struct envelope e = {.id = 5,
		.arrival_ms = BEGIN - HOURS(1),
		.release_ms = BEGIN + DAYS(2),
		.sender = "a@sender.example",
		.client = "",
		.helo = "",
		.reason = "",
		.rcpts = &one,
		.rcpt_count = 1};
	assert_int_equal(r.message(r.arg, RECORD_MESSAGE, &e, (struct place){1, 64}, (struct place){1, 64}, false), 0);
	schedule_all(&fx.q);
	pass(DAYS(2) - 1);
	assert_int_equal(dns_waiting(), 0);
	assert_non_null(strstr(delivery_of(5, "b@d.example")->reason, "held for release at "));
	pass(1);
	assert_int_equal(dns_waiting(), 1);
	dns_run();
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_return_while_deferred),
		cmocka_unit_test(test_return_wherever_it_waits),
		cmocka_unit_test(test_return_in_transfer),
		cmocka_unit_test(test_return_and_notify),
		cmocka_unit_test(test_return_while_held),
		cmocka_unit_test(test_return_not_stored),
		cmocka_unit_test(test_return_doubtful_clock),
		cmocka_unit_test(test_return_clock_steps),
		cmocka_unit_test(test_return_after_a_restart),
		cmocka_unit_test(test_notify_once),
		cmocka_unit_test(test_notify_never),
		cmocka_unit_test(test_notify_in_transfer),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_release_and_retry),
		cmocka_unit_test(test_age_of_released_mail),
		cmocka_unit_test(test_release_clock_steps),
		cmocka_unit_test(test_release_to_the_moment),
		cmocka_unit_test(test_release_after_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
