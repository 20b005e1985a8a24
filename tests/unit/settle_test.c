/* tests/unit/settle_test.c: what attempts come to: retry times, bounces, giving up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/counter.h"
#include "conf/log.h"
#include "queue/index.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"

/* One attempt to the end, over one path, with these replies; its records are durable. */
static void attempt(const char *replies)
{
	dns_run();
	if (fx.dial_count > 0)
		dial_end(fx.dials[0], "192.0.2.1 ok");
	for (unsigned i = 0; i < fx.connection_count; i++)
		if (fx.connections[i]->sent != NULL)
			answer(fx.connections[i], replies);
}

static void single_path(void)
{
	zone(SITE, "AAAA", "NODATA");
}

static void test_retry_times(void **state)
{
	static const uint64_t minutes[] = {5, 10, 20, 40, 60, 60};
	static const uint32_t chances[] = {0, 30000, UINT32_MAX};
	(void)state;
	for (unsigned c = 0; c < 3; c++) {
		fixture_begin(NULL);
		single_path();
		fx.chance = chances[c];
		mail(5, NULL, "b@d.example");
		for (unsigned i = 0; i < sizeof minutes / sizeof minutes[0]; i++) {
			attempt("450 4.2.0 mailbox busy");
			commit_all();
			const struct delivery *d = delivery_of(5, "b@d.example");
			assert_int_equal(d->state, DELIVERY_DEFERRED);
			assert_int_equal(d->attempts, i + 1);
			uint64_t wait = d->due.at - core_now(&fx.q), mean = MINUTES(minutes[i]);
			if (mean < HOURS(1))
				assert_in_range(wait, mean - mean / 10, mean + mean / 10);
			else /* `max` is the ceiling of the jitter too */
				assert_in_range(wait, MINUTES(48), HOURS(1));
			assert_int_equal(fx.dial_count, 0);
			pass(wait);
		}
		fixture_end();
	}
}

static void test_bounce(void **state)
{
	(void)state;
	fixture_begin(NULL);
	single_path();
	mail(5, "s@sender.example", "b@d.example c@d.example");
	uint64_t sent = counter_get(COUNTER_bounces_sent);
	attempt("550 5.1.1 nobody here|250 ok");
	/* the failure and its bounce: one group, and the message is still here */
	assert_int_equal(fx.commit_count, 1);
	assert_string_equal(fx.journal, "MESSAGE 0 <> s@sender.example + OUTCOME 5 0=failed 1=delivered\n");
	assert_non_null(find(5));
	assert_int_equal(find(5)->open, 2);
	commit_all();
	assert_null(find(5));
	assert_int_equal(counter_get(COUNTER_bounces_sent), sent + 1);
	assert_int_equal(fx.q.messages.count, 1);
	/* it goes its way like any other */
	assert_int_equal(dns_waiting(), 1);
	dns_run();
	struct connection *c = dial_end(dial_to("mx.sender.example"), "192.0.2.1 ok");
	assert_string_equal(c->sent->sender, "");
	assert_string_equal(sending_to(c), "s@sender.example");
	/* never a bounce of a bounce */
	uint64_t dropped = counter_get(COUNTER_bounces_dropped);
	answer(c, "550 5.1.1 nobody here");
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	assert_int_equal(counter_get(COUNTER_bounces_dropped), dropped + 1);
	fixture_end();
}

/* "What happened to my mail?": the lines that name its ID, from the outcome to the end, and the way to its bounce. */
static void test_log_answers(void **state)
{
	(void)state;
	static char text[16384];
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	fixture_begin(NULL);
	single_path();
	assert_int_equal(log_start(ends[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO, sizeof text), 0);
	mail(5, "s@sender.example", "b@d.example c@d.example");
	attempt("550 5.1.1 nobody here|250 ok");
	commit_all();
	log_stop();
	ssize_t n = read(ends[0], text, sizeof text - 1);
	assert_true(n > 0);
	text[n] = '\0';
	static const char *const rows[] = {
		" failed id=0000000000005 from=<s@sender.example> to=<b@d.example> site=mx.d.example host=mx.d.example "
		"address=192.0.2.1:25 family=ipv4 queue=",
		" delivered id=0000000000005 from=<s@sender.example> to=<c@d.example> site=mx.d.example ",
		" original=0000000000005 kind=failed to=<s@sender.example> size=",
		" finished id=0000000000005 from=<s@sender.example> age=",
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strstr(text, rows[i]) == NULL)
			fail_msg("no \"%s\" in:\n%s", rows[i], text);
	close(ends[0]);
	close(ends[1]);
	fixture_end();
}

static void test_null_sender(void **state)
{
	(void)state;
	fixture_begin(NULL);
	single_path();
	uint64_t dropped = counter_get(COUNTER_bounces_dropped);
	mail(5, "", "b@d.example");
	attempt("550 no");
	assert_string_equal(fx.journal, "OUTCOME 5 0=failed\n");
	commit_all();
	assert_null(find(5));
	assert_int_equal(fx.q.messages.count, 0);
	assert_int_equal(counter_get(COUNTER_bounces_dropped), dropped + 1);
	fixture_end();
}

/* The text of the bounce that waits to be stored. */
static void bounce_text(char *out, size_t size)
{
	size_t n = 0;
	assert_int_equal(fx.commit_count, 1);
	for (const struct body_chunk *c = fx.commits[0]->content->first; c != NULL && n + c->len < size; c = c->next) {
		memcpy(out + n, c->data, c->len);
		n += c->len;
	}
	out[n] = '\0';
}

/* The original is read from the spool, which may take its time, or fail. */
static void test_bounce_of_stored_mail(void **state)
{
	static const char *const back[] = {"message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n",
		"message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n", "text/rfc822-headers\r\n\r\n\r\n--",
		"text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--"};
	(void)state;
	for (unsigned row = 0; row < 4; row++) {
		char text[8192];
		fixture_begin(row == 3 ? "limits {\n bounce_size = 10\n}\n" : NULL);
		single_path();
		fx.slow_content = row == 1;
		if (row == 2)
			fx.content = NULL;
		mail_stored(5, "b@d.example", BEGIN, false);
		attempt("550 no");
		if (row == 1) {
			assert_int_equal(fx.commit_count, 0);
			/* it is looked at meanwhile: neither goes wrong */
			index_hold(&fx.q, find(5), ENVELOPE_HELD, "wait", false);
			index_remove(&fx.q, find(5), "gone");
			fixture_content();
			commit_one(0); /* the hold */
			commit_one(0); /* the removal */
		}
		bounce_text(text, sizeof text);
		assert_non_null(strstr(text, back[row]));
		commit_all();
		assert_null(find(5));
		assert_non_null(strstr(fx.journal, "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed\n"));
		fixture_end();
	}
}

/* The bounce cannot be stored: who failed stays, who was delivered is done, and that is written. */
static void test_bounce_not_stored(void **state)
{
	(void)state;
	fixture_begin(NULL);
	single_path();
	mail(5, NULL, "b@d.example c@d.example e@d.example");
	attempt("550 no|250 ok|450 4.2.0 later");
	journal_clear();
	commit_one(-ENOSPC);
	assert_string_equal(fx.journal, "OUTCOME 5 0=deferred 1=delivered 2=deferred\n");
	commit_all();
	assert_int_equal(find(5)->open, 2);
	assert_int_equal(fx.q.messages.count, 1);
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	pass(MINUTES(6));
	journal_clear();
	attempt("550 no|250 ok");
	assert_string_equal(fx.journal, "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed 2=delivered\n");
	commit_all();
	assert_null(find(5));
	assert_int_equal(fx.q.messages.count, 1);
	fixture_end();
}

/* No ID can be given while the spool cannot be written: no bounce, so nothing has failed. */
static void test_bounce_not_made(void **state)
{
	(void)state;
	fixture_begin(NULL);
	single_path();
	fx.id_ceiling_ms = 1;
	mail(5, NULL, "b@d.example");
	attempt("550 no");
	assert_string_equal(fx.journal, "OUTCOME 5 0=deferred\n");
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	assert_int_equal(fx.q.messages.count, 1);
	fx.id_ceiling_ms = BEGIN + DAYS(100);
	pass(MINUTES(6));
	attempt("550 no");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

static void test_remove_while_a_bounce_fails(void **state)
{
	(void)state;
	fixture_begin(NULL);
	single_path();
	mail(5, NULL, "b@d.example");
	attempt("550 no");
	index_remove(&fx.q, find(5), "gone");
	commit_one(-EIO);
	commit_all();
	assert_null(find(5));
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

static void test_give_up(void **state)
{
	(void)state;
	fixture_begin("retry {\n give_up = 5d\n}\n");
	single_path();
	uint64_t expired = counter_get(COUNTER_recipients_expired);
	mail_stored(5, "b@d.example", BEGIN - DAYS(5) + SECONDS(1), false);
	attempt("450 4.2.0 later");
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED); /* a second too young */
	pass(MINUTES(4));
	assert_non_null(find(5)); /* too old now, but only an attempt ends it */
	pass(MINUTES(2));
	journal_clear();
	attempt("450 4.2.0 later");
	assert_string_equal(fx.journal, "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed\n");
	commit_all();
	assert_null(find(5));
	assert_int_equal(counter_get(COUNTER_recipients_expired), expired + 1);
	fixture_end();
}

/* A bounce says that mail was given up for its age (4.4.7) when it was, not when the peer's words sound like it. */
static void test_status_of_the_bounce(void **state)
{
	static const struct {
		uint64_t age;
		const char *reply, *status;
	} rows[] = {
		{DAYS(6), "450 4.2.0 later", "Status: 4.4.7"},
		{DAYS(1), "550 5.4.7 too old for us", "Status: 5.4.7"},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[8192];
		fixture_begin(NULL);
		single_path();
		mail_stored(5, "b@d.example", BEGIN - rows[i].age, false);
		attempt(rows[i].reply);
		bounce_text(text, sizeof text);
		assert_non_null(strstr(text, rows[i].status));
		commit_all();
		fixture_end();
	}
}

/* Not while the clock is doubtful. */
static void test_give_up_not_yet(void **state)
{
	(void)state;
	fixture_begin(NULL);
	single_path();
	fx.q.no_expiry_until = BEGIN + HOURS(1);
	mail_stored(5, "b@d.example", BEGIN - DAYS(6), false);
	for (unsigned i = 0; fx.clock + MINUTES(30) < HOURS(1); i++) {
		attempt("450 4.2.0 later");
		commit_all();
		assert_non_null(find(5));
		pass(delivery_of(5, "b@d.example")->due.at - core_now(&fx.q));
	}
	pass(HOURS(1));
	attempt("450 4.2.0 later");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

/* Records of one message go one after another; each names the one before. */
static void test_records_in_order(void **state)
{
	(void)state;
	fixture_begin(NULL);
	single_path();
	zone("mx.e.example", "AAAA", "NODATA");
	mail(5, NULL, "b@d.example c@e.example");
	dns_run();
	struct connection *d = dial_end(dial_to(SITE), "192.0.2.1 ok");
	struct connection *e = dial_end(dial_to("mx.e.example"), "192.0.2.1 ok");
	answer(d, "450 4.2.0 later");
	answer(e, "250 ok");
	index_hold(&fx.q, find(5), ENVELOPE_HELD, "wait", false);
	struct place before = find(5)->newest;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fx.commit_count, 1);
		assert_memory_equal(&fx.commits[0]->previous, &before, sizeof before);
		commit_one(0);
		before = find(5)->newest;
	}
	assert_int_equal(fx.commit_count, 0);
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_HELD);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retry_times),
		cmocka_unit_test(test_bounce),
		cmocka_unit_test(test_log_answers),
		cmocka_unit_test(test_null_sender),
		cmocka_unit_test(test_bounce_of_stored_mail),
		cmocka_unit_test(test_bounce_not_stored),
		cmocka_unit_test(test_bounce_not_made),
		cmocka_unit_test(test_remove_while_a_bounce_fails),
		cmocka_unit_test(test_give_up),
		cmocka_unit_test(test_status_of_the_bounce),
		cmocka_unit_test(test_give_up_not_yet),
		cmocka_unit_test(test_records_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
