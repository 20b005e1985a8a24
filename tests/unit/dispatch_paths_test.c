/* tests/unit/dispatch_paths_test.c: over which path a site's mail goes: second paths, greylisting, families, lost
 * sessions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "queue/index.h"
#include "tests/unit/queue_fixture.h"

/* The session is lost before the addresses of the other family are known: the attempt waits for them. */
static void test_the_other_family_comes_late(void **state)
{
	(void)state;
	for (int found = 0; found < 2; found++) {
		fixture_begin(NULL);
		zone(SITE, "A", found ? "OK 192.0.2.1" : "SERVFAIL");
		mail(5, NULL, "b@d.example");
		dns_one("d.example", "MX");
		dns_one(SITE, "AAAA");
		struct connection *c = dial_end(dial_to(SITE), "2001:db8::1 ok");
		assert_false(c->last_path);
		end_transaction(c, TRANSACTION_LOST, FAULT_CLOSED, "-");
		assert_int_equal(fx.dial_count, 1);
		assert_true(fx.dials[0]->more);
		assert_null(offered(fx.dials[0], "2001:db8::1"));
		dns_run();
		if (found) {
			assert_non_null(offered(fx.dials[0], "192.0.2.1"));
			answer(dial_end(fx.dials[0], "192.0.2.1 ok"), "250 ok");
			commit_all();
			assert_null(find(5));
		} else {
			assert_null(dial_end(fx.dials[0], ""));
			commit_all();
			assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
			assert_non_null(strstr(delivery_of(5, "b@d.example")->reason, "closed"));
		}
		fixture_end();
	}
}

static void test_another_family_after_4yz(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone(SITE, "A", "OK 192.0.2.1 192.0.2.2");
	zone(SITE, "AAAA", "OK 2001:db8::1 2001:db8::2");
	mail(5, NULL, "b@d.example c@d.example e@d.example");
	struct connection *c = connect_site(SITE, "2001:db8::1");
	assert_false(c->last_path);
	answer(c, "250 ok|450 4.2.0 later|250 ok");
	/* one of three: the other path for that one alone; what was delivered is written at once */
	assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 2=delivered\n");
	assert_int_equal(fx.dial_count, 1);
	assert_null(offered(fx.dials[0], "2001:db8::1"));
	assert_false(offered(fx.dials[0], "2001:db8::2")->first);
	assert_true(offered(fx.dials[0], "192.0.2.1")->first);
	assert_true(offered(fx.dials[0], "192.0.2.2")->first);
	struct connection *other = dial_end(fx.dials[0], "192.0.2.1 ok");
	assert_string_equal(sending_to(other), "c@d.example");
	assert_true(other->last_path);
	/* sessions_per_attempt = 2: no third */
	answer(other, "450 4.2.0 later, too");
	assert_int_equal(fx.dial_count, 0);
	commit_all();
	assert_int_equal(state_of(5, "c@d.example"), DELIVERY_DEFERRED);
	assert_int_equal(find(5)->open, 1);
	assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 2=delivered\n"
					"OUTCOME 5 0=delivered 1=deferred 2=delivered\n");
	fixture_end();
}

/* An idle connection over the other family is used before a new one is made. */
static void test_idle_connection_as_second_path(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 2);
	dns_run();
	struct connection *v4 = dial_end(fx.dials[0], "192.0.2.1 ok");
	struct connection *v6 = dial_end(fx.dials[0], "2001:db8::1 ok");
	answer(v6, "250 ok");
	commit_all();
	answer(v4, "450 4.2.0 no");
	assert_int_equal(fx.dial_count, 0);
	assert_non_null(v6->sent);
	answer(v6, "250 ok");
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

static void test_next_attempt_begins_where_greylisted(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	answer(c, "451 4.7.1 greylisted");
	struct connection *other = dial_end(fx.dials[0], "2001:db8::1 ok");
	answer(other, "451 4.7.1 greylisted");
	commit_all();
	close_connection(c);
	close_connection(other);
	/* a minute, a tenth either way */
	pass(SECONDS(53));
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	pass(SECONDS(14));
	assert_int_equal(fx.dial_count, 1);
	assert_true(offered(fx.dials[0], "192.0.2.1")->first);
	assert_false(offered(fx.dials[0], "2001:db8::1")->first);
	fixture_end();
}

/* Only idle connections to another path: it gets one of its own; if that fails, any other will do. */
static void test_greylisted_path_is_dialled(void **state)
{
	(void)state;
	for (unsigned row = 0; row < 3; row++) {
		fixture_begin(NULL);
		mail(5, NULL, "b@d.example");
		struct connection *c = connect_site(SITE, "192.0.2.1");
		answer(c, "451 4.7.1 greylisted");
		struct connection *other = dial_end(fx.dials[0], "2001:db8::1 ok");
		answer(other, "451 4.7.1 greylisted");
		commit_all();
		close_connection(c);
		pass(SECONDS(70));
		assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DIALLING);
		assert_true(offered(fx.dials[0], "192.0.2.1")->first);
		if (row == 2)
			index_hold(&fx.q, find(5), ENVELOPE_HELD, "wait", false);
		c = dial_end(fx.dials[0], row == 1 ? "192.0.2.1 refused, 2001:db8::1 refused" : "192.0.2.1 ok");
		if (row == 2)
			assert_int_equal(state_of(5, "b@d.example"), DELIVERY_HELD);
		else
			answer(row == 1 ? other : c, "250 ok");
		fixture_end();
	}
}

/* Idle connections to both: the one to the greylisting path is taken. */
static void test_greylisted_path_among_idle_ones(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	answer(c, "451 4.7.1 greylisted");
	answer(dial_end(fx.dials[0], "2001:db8::1 ok"), "451 4.7.1 greylisted");
	commit_all();
	pass(SECONDS(70));
	assert_non_null(c->sent);
	fixture_end();
}

static void test_lost_before_the_dot(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	struct connection *c = connect_site(SITE, "2001:db8::1");
	end_transaction(c, TRANSACTION_LOST, FAULT_SILENT_LATER, "-");
	assert_int_equal(fx.dial_count, 1);
	assert_null(offered(fx.dials[0], "2001:db8::1"));
	answer(dial_end(fx.dials[0], "192.0.2.1 ok"), "250 ok");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

static void test_unknown_after_the_dot(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	end_transaction(connect_site(SITE, "2001:db8::1"), TRANSACTION_UNKNOWN, FAULT_RESET, "-");
	assert_int_equal(fx.dial_count, 0);
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	assert_in_range(delivery_of(5, "b@d.example")->due.at, BEGIN + SECONDS(270), BEGIN + SECONDS(330));
	fixture_end();
}

static void test_unstarted(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	dns_run();
	for (unsigned i = 0; i < 2; i++) {
		struct connection *c = dial_end(dial_to(SITE), "192.0.2.1 ok");
		end_transaction(c, TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
		assert_int_equal(state_of(5, "b@d.example"), DELIVERY_READY);
		assert_string_equal(fx.journal, "");
	}
	end_transaction(dial_end(dial_to(SITE), "192.0.2.1 ok"), TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	fixture_end();
}

/* On the second path: only paths that were not tried are dialled again, and the first answers stay. */
static void test_unstarted_on_the_second_path(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	answer(connect_site(SITE, "2001:db8::1"), "450 4.2.0 later");
	end_transaction(dial_end(fx.dials[0], "192.0.2.1 ok"), TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	assert_int_equal(fx.dial_count, 1);
	assert_null(offered(fx.dials[0], "2001:db8::1"));
	end_transaction(dial_end(fx.dials[0], "192.0.2.1 ok"), TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	end_transaction(dial_end(fx.dials[0], "192.0.2.1 ok"), TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	assert_int_equal(fx.dial_count, 0);
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	assert_string_equal(delivery_of(5, "b@d.example")->reason, "450 4.2.0 later");
	fixture_end();
}

static void test_no_second_path_works(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	answer(connect_site(SITE, "2001:db8::1"), "450 4.2.0 later");
	dial_end(fx.dials[0], "192.0.2.1 refused");
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	assert_string_equal(delivery_of(5, "b@d.example")->reason, "450 4.2.0 later");
	assert_false(site_named(SITE)->resting);
	fixture_end();
}

/* A family that failed while the other was greeted goes second for a while. */
static void test_family_is_learned(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 1);
	dns_run();
	dial_end(fx.dials[0], "2001:db8::1 connect-timeout, 192.0.2.1 ok");
	answer(sender(), "250 ok");
	commit_all();
	close_connection(fx.connections[0]);
	many(2, 1);
	assert_false(offered(fx.dials[0], "192.0.2.1")->doubtful);
	assert_true(offered(fx.dials[0], "2001:db8::1")->doubtful);
	dial_end(fx.dials[0], "192.0.2.1 ok");
	answer(sender(), "250 ok");
	commit_all();
	close_connection(fx.connections[1]);
	pass(MINUTES(6)); /* long enough for a probe: until that was greeted nothing changes for mail */
	many(3, 1);
	assert_true(offered(fx.dials[0], "2001:db8::1")->doubtful);
	dial_end(fx.dials[0], "192.0.2.1 ok");
	assert_int_equal(fx.probe_count, 1);
	dial_end(fx.probes[0], "2001:db8::1 ok");
	answer(sender(), "250 ok");
	commit_all();
	close_connection(fx.connections[2]);
	many(4, 1);
	assert_false(offered(fx.dials[0], "2001:db8::1")->doubtful);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_other_family_comes_late),
		cmocka_unit_test(test_another_family_after_4yz),
		cmocka_unit_test(test_idle_connection_as_second_path),
		cmocka_unit_test(test_next_attempt_begins_where_greylisted),
		cmocka_unit_test(test_greylisted_path_is_dialled),
		cmocka_unit_test(test_greylisted_path_among_idle_ones),
		cmocka_unit_test(test_lost_before_the_dot),
		cmocka_unit_test(test_unknown_after_the_dot),
		cmocka_unit_test(test_unstarted),
		cmocka_unit_test(test_unstarted_on_the_second_path),
		cmocka_unit_test(test_no_second_path_works),
		cmocka_unit_test(test_family_is_learned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
