/* tests/unit/dispatch_test.c: sites at work: how many connections, rest and probe. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

/* ---- how many ---- */

static void test_slow_start(void **state)
{
	(void)state;
	fixture_begin("limits {\n site_connections = 5\n}\n");
	many(1, 200);
	dns_run();
	assert_int_equal(fx.dial_count, 1); /* no path is known: one race */
	dial_end(fx.dials[0], "192.0.2.1 ok");
	assert_int_equal(fx.dial_count, 1); /* two in all */
	win_all("192.0.2.1 ok");
	assert_int_equal(sending(), 2);
	unsigned most = 2, last = 2;
	for (unsigned i = 0; i < 150; i++) {
		answer(sender(), "250 ok");
		commit_all();
		win_all("192.0.2.1 ok");
		assert_true(open_connections() <= last + 1); /* by one at a time */
		last = open_connections();
		most = last > most ? last : most;
	}
	assert_int_equal(most, 5);
	fixture_end();
}

static void test_reuse_before_dials(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 1);
	struct connection *c = connect_site(SITE, "192.0.2.1");
	for (uint64_t id = 2; id < 12; id++) {
		answer(c, "250 ok");
		commit_all();
		mail(id, "", "b@d.example");
		assert_int_equal(state_of(id, "b@d.example"), DELIVERY_ACTIVE);
	}
	assert_int_equal(c->count, 11);
	assert_int_equal(fx.dials_made, 1);
	fixture_end();
}

/* A connection that ends its life between two messages takes no more, and its end makes room. */
static void test_not_reusable(void **state)
{
	(void)state;
	fixture_begin("limits {\n site_connections = 1\n}\n");
	many(1, 2);
	struct connection *c = connect_site(SITE, "192.0.2.1");
	assert_int_equal(fx.dial_count, 0);
	end_transaction(c, TRANSACTION_ANSWERED, FAULT_LOAD, "250 ok");
	assert_false(c->open);
	assert_int_equal(fx.dial_count, 1);
	fixture_end();
}

static void test_load_lowers(void **state)
{
	(void)state;
	fixture_begin("limits {\n site_connections = 8\n}\n");
	many(1, 400);
	dns_run();
	dial_end(fx.dials[0], "192.0.2.1 ok");
	for (unsigned i = 0; i < 200; i++) {
		win_all("192.0.2.1 ok");
		answer(sender(), "250 ok");
		commit_all();
	}
	win_all("192.0.2.1 ok");
	assert_int_equal(open_connections(), 8);
	end_transaction(sender(), TRANSACTION_ANSWERED, FAULT_LOAD, "450 busy");
	assert_int_equal(open_connections(), 7);
	assert_int_equal(site_named(SITE)->window / 16, 4);
	/* those over the half go as soon as they are idle; no new one comes */
	for (unsigned i = 0; i < 3; i++) {
		struct connection *c = sender();
		answer(c, "250 ok");
		assert_true(c->quit);
		close_connection(c);
		commit_all();
	}
	struct connection *c = sender();
	answer(c, "250 ok");
	assert_false(c->quit);
	assert_int_equal(sending(), 4);
	/* another 421 at the same time is the same one; a minute later there is one connection more, and so on */
	end_transaction(c, TRANSACTION_LOST, FAULT_LOAD, "-");
	assert_int_equal(site_named(SITE)->window / 16, 4);
	fixture_end();
}

/* 421 as the greeting of one more connection, while others live. */
static void test_load_at_the_greeting(void **state)
{
	(void)state;
	fixture_begin("limits {\n site_connections = 8\n}\n");
	many(1, 400);
	dns_run();
	dial_end(fx.dials[0], "192.0.2.1 ok");
	while (open_connections() < 5) {
		win_all("192.0.2.1 ok");
		answer(sender(), "250 ok");
		commit_all();
	}
	while (fx.dial_count == 0) {
		answer(sender(), "250 ok");
		commit_all();
	}
	assert_int_equal(open_connections(), 5);
	win_all("2001:db8::1 load, 192.0.2.1 load");
	assert_int_equal(site_named(SITE)->window / 16, 3);
	for (unsigned i = 0; i < 2; i++) {
		struct connection *c = sender();
		answer(c, "250 ok");
		assert_true(c->quit);
		close_connection(c);
		commit_all();
	}
	/* for a minute however many messages change nothing */
	for (unsigned i = 0; i < 20; i++) {
		answer(sender(), "250 ok");
		commit_all();
		assert_int_equal(fx.dial_count, 0);
	}
	assert_int_equal(open_connections(), 3);
	pass(SECONDS(61));
	assert_int_equal(fx.dial_count, 1);
	win_all("192.0.2.1 load");
	/* told again: half of what there is, and for longer */
	assert_int_equal(site_named(SITE)->window / 16, 2);
	pass(SECONDS(61));
	for (unsigned i = 0; i < 20; i++) {
		struct connection *c = sender();
		answer(c, "250 ok");
		commit_all();
		if (c->quit && c->open)
			close_connection(c);
	}
	assert_int_equal(open_connections(), 2);
	assert_int_equal(fx.dial_count, 0);
	pass(SECONDS(61));
	/* then each success counts again */
	for (unsigned i = 0; i < 3 && fx.dial_count == 0; i++) {
		answer(sender(), "250 ok");
		commit_all();
	}
	assert_int_equal(fx.dial_count, 1);
	fixture_end();
}

static void test_all_connections(void **state)
{
	(void)state;
	fixture_begin("limits {\n connections = 4\n}\n");
	for (unsigned i = 0; i < 8; i++) {
		char rcpt[64];
		snprintf(rcpt, sizeof rcpt, "b@d%u.example", i);
		mail(i + 1, "", rcpt);
	}
	dns_run();
	/* four, and a reserve for sites that have nothing yet */
	unsigned begun = fx.dial_count;
	assert_in_range(begun, 4, 6);
	win_all("192.0.2.1 ok");
	assert_int_equal(open_connections(), begun);
	/* each that closes gives a place to the next site in turn */
	for (unsigned i = 0; i < 20 && fx.q.messages.count > 0; i++) {
		struct connection *c = sender();
		answer(c, "250 ok");
		commit_all();
		close_connection(c);
		win_all("192.0.2.1 ok");
		assert_true(open_connections() <= begun);
	}
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* All sites at one address: its limit holds, and who found no room goes on when there is some. */
static void test_address_limit(void **state)
{
	(void)state;
	fixture_begin("limits {\n address_connections = 2\n}\n");
	for (unsigned i = 0; i < 4; i++) {
		char name[64];
		snprintf(name, sizeof name, "mx.d%u.example", i);
		zone(name, "AAAA", "NODATA");
		snprintf(name, sizeof name, "b@d%u.example", i);
		mail(i + 1, "", name);
		dns_run();
		win_all("192.0.2.1 ok");
	}
	assert_int_equal(open_connections(), 2);
	assert_int_equal(fx.dial_count, 0);
	for (unsigned i = 0; i < 4; i++) {
		struct connection *c = sender();
		assert_non_null(c);
		answer(c, "250 ok");
		commit_all();
		close_connection(c);
		dispatch_turns(&fx.q);
		win_all("192.0.2.1 ok");
	}
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* ... also for the probe of a resting site. */
static void test_address_limit_and_probe(void **state)
{
	(void)state;
	fixture_begin("limits {\n address_connections = 1\n}\n");
	zone(SITE, "AAAA", "NODATA");
	zone("mx.e.example", "AAAA", "NODATA");
	many(1, 2);
	dns_run();
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	commit_all();
	mail(10, "", "b@e.example");
	struct connection *c = connect_site("mx.e.example", "192.0.2.1");
	pass(MINUTES(6));
	assert_int_equal(fx.dial_count, 0);
	answer(c, "250 ok");
	commit_all();
	close_connection(c);
	assert_non_null(dial_to(SITE));
	fixture_end();
}

/* A site that answers 4yz to all over one path: the second paths do not go past its limit. */
static void test_second_paths_stay_in_the_limit(void **state)
{
	(void)state;
	fixture_begin("limits {\n site_connections = 4\n}\n");
	many(1, 300);
	dns_run();
	dial_end(fx.dials[0], "192.0.2.1 ok");
	unsigned most = 0;
	for (unsigned i = 0; i < 400 && sender() != NULL; i++) {
		answer(sender(), i < 50 ? "250 ok" : "450 4.2.0 no");
		commit_all();
		while (fx.dial_count > 0) {
			bool v6 = offered(fx.dials[0], "2001:db8::1") != NULL;
			dial_end(fx.dials[0], v6 ? "2001:db8::1 ok" : "192.0.2.1 ok");
		}
		for (unsigned k = 0; k < fx.connection_count; k++)
			if (fx.connections[k]->quit && fx.connections[k]->open)
				close_connection(fx.connections[k]);
		most = open_connections() > most ? open_connections() : most;
	}
	assert_in_range(most, 4, 5);
	fixture_end();
}

/* ---- rest ---- */

static void test_rest(void **state)
{
	(void)state;
	fixture_begin("retry {\n first = 5m\n max = 1h\n}\n");
	many(1, 3);
	dns_run();
	dial_end(dial_to(SITE), "2001:db8::1 connect-timeout, 192.0.2.1 refused");
	commit_all();
	struct site *s = site_named(SITE);
	assert_true(s->resting);
	/* mail that comes meanwhile makes no attempt */
	mail(10, "", "b@d.example");
	assert_int_equal(state_of(10, "b@d.example"), DELIVERY_READY);
	assert_int_equal(delivery_of(10, "b@d.example")->attempts, 0);
	assert_int_equal(fx.dial_count, 0);
	/* others are not touched */
	mail(11, "", "b@e.example");
	answer(connect_site("mx.e.example", "192.0.2.1"), "250 ok");
	commit_all();
	assert_null(find(11));

	uint64_t rests[] = {300, 600, 1200, 2400, 3600, 3600};
	uint64_t asleep = fx.clock;
	for (unsigned i = 0; i < sizeof rests / sizeof rests[0]; i++) {
		uint64_t from = SECONDS(rests[i]) * 9 / 10, to = SECONDS(rests[i]) * 11 / 10;
		if (to > HOURS(1)) { /* `max` is the ceiling of the jitter too */
			from = MINUTES(48);
			to = HOURS(1);
		}
		assert_in_range(s->due.at, asleep + fx.q.base + from, asleep + fx.q.base + to);
		uint64_t end = s->due.at - fx.q.base;
		pass(end - fx.clock - 1);
		assert_int_equal(fx.dials_made, i + 2);
		pass(1);
		dns_run();
		assert_int_equal(fx.dials_made, i + 3); /* one probe */
		assert_int_equal(fx.dial_count, 1);
		asleep = fx.clock;
		dial_end(fx.dials[0], "192.0.2.1 refused");
		assert_int_equal(fx.dial_count, 0);
		commit_all();
	}
	/* greeted: all goes, slowly at first */
	pass(s->due.at - fx.q.base - fx.clock);
	dns_run();
	assert_int_equal(fx.dial_count, 1);
	dial_end(fx.dials[0], "192.0.2.1 ok");
	assert_false(s->resting);
	assert_int_equal(fx.q.resting, 0);
	assert_int_equal(fx.dial_count, 1); /* two in all */
	for (unsigned i = 0; i < 20 && fx.q.messages.count > 0; i++) {
		win_all("192.0.2.1 ok");
		if (sender() != NULL)
			answer(sender(), "250 ok");
		commit_all();
	}
	assert_int_equal(fx.q.messages.count, 0);
	assert_int_equal(fx.clock, asleep + (fx.clock - asleep));
	fixture_end();
}

/* A rest that ends with nothing waiting: the next mail is the probe. */
static void test_rest_with_nothing_waiting(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 1);
	dns_run();
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	commit_all();
	index_remove(&fx.q, find(1), "gone");
	commit_all();
	pass(MINUTES(10));
	assert_int_equal(fx.q.resting, 0);
	many(2, 3);
	dns_run();
	assert_int_equal(fx.dial_count, 1);
	dial_end(fx.dials[0], "192.0.2.1 refused");
	assert_int_equal(fx.q.resting, 1);
	/* the second rest is longer */
	assert_in_range(site_named(SITE)->due.at - core_now(&fx.q), MINUTES(9), MINUTES(11));
	fixture_end();
}

/* What waited for the site alone goes when it is greeted, the one that made the failed attempt too. */
static void test_retry_wakes_all(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 5);
	dns_run();
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	commit_all();
	pass(SECONDS(10));
	schedule_retry(&fx.q, find(3));
	dial_end(dial_to(SITE), "192.0.2.1 ok");
	for (unsigned i = 0; i < 20; i++) {
		win_all("192.0.2.1 ok");
		if (sender() != NULL)
			answer(sender(), "250 ok");
		commit_all();
		run_due();
	}
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* Too old mail at a resting site is given up behind a failed probe, in slices. */
static void test_give_up_at_rest(void **state)
{
	(void)state;
	fixture_begin(NULL);
	for (uint64_t id = 1; id <= 1000; id++)
		mail_stored(id, "b@d.example", id % 2 ? BEGIN - DAYS(6) : BEGIN, false);
	dns_run();
	pass(1); /* all of them are at the site */
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	unsigned before = fx.commit_count;
	assert_true(before <= 1);
	unsigned longest = 0;
	for (unsigned i = 0; i < 100; i++) {
		unsigned now = fx.commit_count;
		schedule_run(&fx.q, 1);
		longest = fx.commit_count - now > longest ? fx.commit_count - now : longest;
		assert_in_range(fx.commit_count, 0, 100); /* as many bounces as are made at a time */
		if (i % 8 == 0)
			commit_all();
		fx.clock += 10;
	}
	assert_in_range(longest, 1, 100);
	commit_all();
	unsigned left = 0;
	for (uint64_t id = 1; id <= 1000; id++)
		if (find(id) != NULL) {
			assert_int_equal(id % 2, 0);
			left++;
		}
	assert_int_equal(left, 500);
	fixture_end();
}

/* Not before `no_expiry_until`, and not without an attempt. */
static void test_no_expiry(void **state)
{
	(void)state;
	fixture_begin(NULL);
	fx.q.no_expiry_until = BEGIN + HOURS(1);
	mail_stored(1, "b@d.example", BEGIN - DAYS(6), false);
	mail_stored(2, "b@d.example", BEGIN - DAYS(6), false);
	dns_run();
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	run_due();
	commit_all();
	assert_non_null(find(1));
	assert_non_null(find(2));
	while (fx.clock < HOURS(1) + 1000) {
		pass(MINUTES(1));
		dns_run();
		if (fx.dial_count > 0 && fx.clock < HOURS(1))
			dial_end(fx.dials[0], "192.0.2.1 refused");
		commit_all();
	}
	assert_non_null(find(1));
	assert_non_null(find(2));
	for (unsigned i = 0; i < 120 && fx.dial_count == 0; i++) {
		pass(MINUTES(1));
		dns_run();
	}
	assert_non_null(find(1)); /* the hour is over, but nothing was tried since */
	dial_end(fx.dials[0], "192.0.2.1 refused");
	for (unsigned i = 0; i < 3; i++) {
		run_due();
		commit_all();
	}
	pass(HOURS(2));
	dns_run();
	if (fx.dial_count > 0)
		dial_end(fx.dials[0], "192.0.2.1 refused");
	pass(1);
	commit_all();
	assert_null(find(1));
	assert_null(find(2));
	fixture_end();
}

/* A dial fails while another connection lives: no rest. */
static void test_a_dial_fails_beside_a_connection(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 4);
	struct connection *c = connect_site(SITE, "192.0.2.1");
	assert_int_equal(fx.dial_count, 1);
	dial_end(fx.dials[0], "192.0.2.1 refused");
	assert_false(site_named(SITE)->resting);
	assert_int_equal(fx.dial_count, 0);
	for (unsigned i = 0; i < 4; i++) {
		answer(c, "250 ok");
		commit_all();
		while (fx.dial_count > 0)
			dial_end(fx.dials[0], "192.0.2.1 refused");
	}
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* ---- the spool cannot be written ---- */

static void test_store_broken(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 3);
	struct connection *c = connect_site(SITE, "192.0.2.1");
	fx.room = STORE_BROKEN;
	answer(c, "450 4.2.0 no"); /* no second path either */
	win_all("192.0.2.1 ok");
	assert_int_equal(sending(), 0);
	mail(10, "", "b@e.example");
	dns_run();
	assert_int_equal(fx.dial_count, 0);
	dispatch_resume(&fx.q);
	assert_int_equal(fx.dial_count, 0);
	fx.room = STORE_OK;
	dispatch_resume(&fx.q);
	assert_non_null(dial_to("mx.e.example"));
	assert_true(sending() > 0);
	fixture_end();
}

static void test_drain(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail_stored(1, "b@d.example", BEGIN - DAYS(6), false);
	mail(2, NULL, "c@d.example");
	mail(3, NULL, "b@e.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	dispatch_drain(&fx.q);
	end_transaction(c, TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	while (fx.dial_count > 0)
		dial_end(fx.dials[0], "");
	commit_all();
	/* nothing was tried: nothing is written, nothing given up */
	assert_string_equal(fx.journal, "");
	assert_int_equal(sending() + fx.dial_count, 0);
	assert_non_null(find(1));
	fixture_end();
}

static void test_unreadable(void **state)
{
	static const struct {
		int error;
		bool held;
	} rows[] = {{-EBADMSG, true}, {-ENOENT, true}, {-EIO, false}};
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		fixture_begin(NULL);
		mail_stored(5, "b@d.example c@d.example", BEGIN, false);
		struct connection *c = connect_site(SITE, "192.0.2.1");
		c->sent->error = rows[i].error;
		end_transaction(c, TRANSACTION_LOCAL, FAULT_LOCAL, "550 no|-");
		commit_all();
		assert_non_null(strstr(fx.journal, "OUTCOME 5 0=failed 1=deferred\n"));
		assert_int_equal(state_of(5, "c@d.example"), rows[i].held ? DELIVERY_HELD : DELIVERY_DEFERRED);
		assert_int_equal(fx.q.damaged, rows[i].held);
		fixture_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_start),
		cmocka_unit_test(test_reuse_before_dials),
		cmocka_unit_test(test_not_reusable),
		cmocka_unit_test(test_load_lowers),
		cmocka_unit_test(test_load_at_the_greeting),
		cmocka_unit_test(test_all_connections),
		cmocka_unit_test(test_address_limit),
		cmocka_unit_test(test_address_limit_and_probe),
		cmocka_unit_test(test_second_paths_stay_in_the_limit),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_rest_with_nothing_waiting),
		cmocka_unit_test(test_retry_wakes_all),
		cmocka_unit_test(test_give_up_at_rest),
		cmocka_unit_test(test_no_expiry),
		cmocka_unit_test(test_a_dial_fails_beside_a_connection),
		cmocka_unit_test(test_store_broken),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_unreadable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
