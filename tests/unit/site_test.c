/* tests/unit/site_test.c: a site among others: nothing that goes wrong beside it, or with one of its dials, makes its
 * mail wait for longer than it must. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/route.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

/* ---- answers that are still to come ---- */

/* The mail was removed while one family's answer was still to come: the dial must not wait for it for ever. */
static void test_domain_leaves_while_asked_for(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	dns_one("d.example", "MX");
	dns_one(SITE, "AAAA");
	struct dial *d = dial_to(SITE);
	assert_non_null(d);
	assert_true(d->more);
	index_remove(&fx.q, find(5), "gone");
	commit_all();
	route_trim(&fx.q);
	assert_int_equal(dns_waiting(), 0);
	assert_false(d->more);
	dial_end(d, "2001:db8::1 refused");
	/* and the site is as good as new */
	pass(MINUTES(10));
	many(6, 1);
	answer(connect_site(SITE, "192.0.2.1"), "250 ok");
	fixture_end();
}

/* The last answer shows that a host is this relay: the list is cut, and that is another site. */
static void test_site_changes_while_asked_for(void **state)
{
	static const struct endpoint own[] = {{.ip = {FAMILY_IPV4, {192, 0, 2, 99}}, .port = 25}};
	(void)state;
	fixture_begin(NULL);
	fx.q.self.addresses = own;
	fx.q.self.address_count = 1;
	zone("d.example", "MX", "OK 10 a.x 20 b.x");
	zone("b.x", "A", "OK 192.0.2.99");
	zone("b.x", "AAAA", "NODATA");
	mail(5, NULL, "b@d.example");
	dns_one("d.example", "MX");
	dns_one("a.x", "AAAA");
	struct dial *d = dial_to("a.x");
	assert_non_null(d);
	assert_true(d->more);
	dns_run();
	assert_int_equal(fx.q.site_count, 2);
	assert_false(d->more);
	run_due(); /* what waited there went on */
	assert_int_equal(fx.dial_count, 2);
	dial_end(d, "2001:db8::1 refused");
	assert_non_null(offered(fx.dials[0], "192.0.2.1"));
	answer(dial_end(fx.dials[0], "192.0.2.1 ok"), "250 ok");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

/* A host is asked for anew: until its second family answers, the addresses known so far stay. */
static void test_addresses_stay_while_asked_for(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone("d.example", "MX", "OK 10 mx.x");
	zone("e.example", "MX", "OK 10 mx.x");
	mail(5, NULL, "b@d.example");
	struct connection *c = connect_site("mx.x", "192.0.2.1");
	answer(c, "250 ok");
	commit_all();
	close_connection(c);
	zone("mx.x", "AAAA", "OK 2001:db8::2");
	mail(6, NULL, "b@e.example");
	dns_one("e.example", "MX");
	dns_one("mx.x", "AAAA");
	struct dial *d = dial_to("mx.x");
	assert_non_null(d);
	assert_non_null(offered(d, "2001:db8::2"));
	assert_null(offered(d, "2001:db8::1"));
	assert_non_null(offered(d, "192.0.2.1"));
	/* the answer says that they are gone */
	zone("mx.x", "A", "NODATA");
	dns_run();
	assert_int_equal(site_named("mx.x")->candidate_count, 1);
	fixture_end();
}

/* An answer has run out: whoever comes before the next one is there waits for it, and goes where it says. */
static void test_waits_for_the_new_answer(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 1);
	struct connection *c = connect_site(SITE, "192.0.2.1");
	answer(c, "250 ok");
	commit_all();
	fx.clock += HOURS(25);
	zone("d.example", "MX", "OK 10 new.x");
	many(2, 2);
	assert_int_equal(state_of(2, "b@d.example"), DELIVERY_ROUTING);
	assert_int_equal(state_of(3, "b@d.example"), DELIVERY_ROUTING);
	assert_int_equal(dns_waiting(), 1);
	dns_run();
	assert_non_null(dial_to("new.x"));
	assert_int_equal(c->count, 1);
	fixture_end();
}

/* ---- which path ---- */

/* The family that goes first does so with its healthy addresses: the broken one is not every dial's first try. */
static void test_preferred_family_has_a_broken_address(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone(SITE, "A", "OK 192.0.2.1 192.0.2.2");
	many(1, 1);
	dns_run();
	struct connection *c =
		dial_end(fx.dials[0], "2001:db8::1 connect-timeout, 192.0.2.1 connect-timeout, 192.0.2.2 ok");
	answer(c, "250 ok");
	close_connection(c);
	many(2, 1);
	assert_false(offered(fx.dials[0], "192.0.2.2")->doubtful);
	assert_true(offered(fx.dials[0], "192.0.2.1")->doubtful);
	assert_true(offered(fx.dials[0], "2001:db8::1")->doubtful);
	/* the other family after 4yz: only where it is not known to be broken */
	c = dial_end(fx.dials[0], "192.0.2.2 ok");
	answer(c, "450 4.2.0 later");
	assert_int_equal(fx.dial_count, 1);
	assert_false(offered(fx.dials[0], "2001:db8::1")->first);
	fixture_end();
}

/* A path that answers EHLO and then closes: the others come first, for this mail and the next. */
static void test_closed_before_mail(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 1);
	end_transaction(connect_site(SITE, "2001:db8::1"), TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	assert_true(offered(fx.dials[0], "2001:db8::1")->doubtful);
	assert_false(offered(fx.dials[0], "192.0.2.1")->doubtful);
	struct connection *c = dial_end(fx.dials[0], "192.0.2.1 ok");
	answer(c, "250 ok");
	commit_all();
	/* a connection that has carried mail may close when it likes */
	many(2, 1);
	end_transaction(c, TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	assert_false(offered(fx.dials[0], "192.0.2.1")->doubtful);
	fixture_end();
}

/* ---- dials that fail ---- */

/* Many dials fail at the same moment: that is one failure, of the site and of the path. */
static void test_dials_that_fail_together(void **state)
{
	(void)state;
	fixture_begin("limits {\n site_connections = 6\n}\n");
	many(1, 300);
	dns_run();
	dial_end(fx.dials[0], "2001:db8::1 ok");
	for (unsigned i = 0; i < 150; i++) {
		while (fx.dial_count > 0)
			dial_end(fx.dials[0], "2001:db8::1 ok");
		answer(sender(), "250 ok");
		commit_all();
	}
	assert_int_equal(open_connections(), 6);
	struct connection *c;
	while ((c = sender()) != NULL)
		end_transaction(c, TRANSACTION_UNSTARTED, FAULT_RESET, "-");
	assert_true(fx.dial_count > 3);
	while (fx.dial_count > 0)
		dial_end(fx.dials[0], "2001:db8::1 refused, 192.0.2.1 refused");
	struct site *s = site_named(SITE);
	assert_true(s->resting);
	assert_int_equal(s->failures, 1);
	assert_in_range(s->due.at - core_now(&fx.q), MINUTES(5) * 9 / 10, MINUTES(5) * 11 / 10);
	commit_all();
	pass(MINUTES(4));
	/* one failure: the second wait of a probe is twice as long */
	const struct track *path = &memory_address(fx.q.memory, &s->candidates[0].to)->track;
	assert_int_equal(path->in_a_row, 1);
	fixture_end();
}

/* No descriptor was left: the paths were not tried, so the site does not rest as if they had failed. */
static void test_want_of_something_here(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 2);
	dns_run();
	dial_end(dial_to(SITE), "2001:db8::1 local, 192.0.2.1 local");
	assert_string_equal(fx.journal, "");
	assert_int_equal(delivery_of(1, "b@d.example")->attempts, 0);
	assert_int_equal(fx.dial_count, 0);
	pass(SECONDS(6));
	assert_int_equal(fx.dial_count, 1);
	dial_end(dial_to(SITE), "2001:db8::1 local, 192.0.2.1 refused");
	assert_int_equal(site_named(SITE)->failures, 1);
	assert_in_range(site_named(SITE)->due.at - core_now(&fx.q), MINUTES(4), MINUTES(6));
	fixture_end();
}

/* While one delivery looks for a second path the others do not wait for that race. */
static void test_second_path_holds_nobody_up(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 1);
	struct connection *c = connect_site(SITE, "2001:db8::1");
	end_transaction(c, TRANSACTION_LOST, FAULT_SILENT_LATER, "-");
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DIALLING);
	assert_int_equal(fx.dial_count, 1);
	many(2, 1);
	assert_int_equal(fx.dial_count, 2);
	assert_non_null(offered(fx.dials[1], "2001:db8::1"));
	/* but only one for all, as the paths are doubtful now */
	many(3, 3);
	assert_int_equal(fx.dial_count, 2);
	fixture_end();
}

/* The only connection is busy for hours, the dial beside it failed: it is tried again. */
static void test_dial_beside_a_busy_connection(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 4);
	struct connection *c = connect_site(SITE, "192.0.2.1");
	dial_end(fx.dials[0], "192.0.2.1 refused");
	pass(SECONDS(50));
	assert_int_equal(fx.dial_count, 0);
	pass(SECONDS(15));
	assert_int_equal(fx.dial_count, 1);
	answer(dial_end(fx.dials[0], "192.0.2.1 ok"), "250 ok");
	assert_non_null(c->sent);
	assert_int_equal(sending(), 2);
	fixture_end();
}

/* A site without a connection knows no path: one race, however well it went before. */
static void test_one_race_after_a_pause(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many(1, 60);
	dns_run();
	for (unsigned i = 0; i < 200 && fx.q.messages.count > 0; i++) {
		while (fx.dial_count > 0)
			dial_end(fx.dials[0], "2001:db8::1 ok");
		answer(sender(), "250 ok");
		commit_all();
	}
	assert_true(open_connections() > 2);
	for (unsigned i = 0; i < fx.connection_count; i++)
		if (fx.connections[i]->open)
			close_connection(fx.connections[i]);
	many(100, 50);
	assert_int_equal(fx.dial_count, 1);
	dial_end(fx.dials[0], "2001:db8::1 ok");
	assert_true(fx.dial_count > 1);
	fixture_end();
}

/* ---- limits of addresses ---- */

/* Dials count too, and as long as they last. */
static void test_address_limit_counts_dials(void **state)
{
	(void)state;
	fixture_begin("limits {\n address_connections = 3\n}\n");
	for (unsigned i = 0; i < 10; i++) {
		char name[64];
		snprintf(name, sizeof name, "mx.d%u.example", i);
		zone(name, "AAAA", "NODATA");
		snprintf(name, sizeof name, "b@d%u.example", i);
		mail(i + 1, "", name);
	}
	dns_run();
	assert_int_equal(fx.dial_count, 3);
	unsigned most = 0;
	while (fx.q.messages.count > 0) {
		struct connection *c = NULL;
		if (fx.dial_count > 0)
			c = dial_end(fx.dials[0], "192.0.2.1 ok");
		most = fx.dial_count + open_connections() > most ? fx.dial_count + open_connections() : most;
		assert_non_null(c);
		answer(c, "250 ok");
		commit_all();
		close_connection(c);
	}
	assert_int_equal(most, 3);
	fixture_end();
}

/* No room at the better hosts is no reason to go to the worse ones. */
static void test_no_room_at_the_best(void **state)
{
	(void)state;
	fixture_begin("limits {\n address_connections = 1\n}\n");
	zone("d.example", "MX", "OK 10 a.x 20 b.x");
	zone("e.example", "MX", "OK 10 c.x");
	zone("b.x", "A", "OK 192.0.2.20");
	zone("b.x", "AAAA", "NODATA");
	mail(1, "", "b@e.example");
	dns_run();
	struct connection *c = dial_end(fx.dials[0], "192.0.2.1 ok");
	many(2, 1);
	dns_run();
	struct dial *d = dial_to("a.x");
	assert_non_null(d); /* over IPv6 there is room */
	assert_null(offered(d, "192.0.2.1"));
	assert_non_null(offered(d, "192.0.2.20"));
	struct connection *six = dial_end(d, "2001:db8::1 ok");
	answer(six, "250 ok");
	commit_all();
	many(3, 2);
	assert_int_equal(fx.dial_count, 0);
	assert_ptr_equal(six, sender() == c ? six : sender());
	answer(six, "250 ok");
	answer(six, "250 ok");
	answer(c, "250 ok");
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* The one family has no room, the other is broken: the site waits for room, not for retry's times. */
static void test_no_room_and_a_broken_family(void **state)
{
	(void)state;
	fixture_begin("limits {\n address_connections = 1\n}\n");
	zone("mx.e.example", "AAAA", "NODATA");
	mail(1, "", "b@e.example");
	struct connection *c = connect_site("mx.e.example", "192.0.2.1");
	mail(2, "", "b@d.example");
	dns_run();
	struct dial *d = dial_to(SITE);
	assert_non_null(d);
	assert_null(offered(d, "192.0.2.1"));
	dial_end(d, "2001:db8::1 refused");
	assert_int_equal(delivery_of(2, "b@d.example")->attempts, 0);
	/* the broken one alone is not worth a dial a second */
	pass(MINUTES(2));
	assert_int_equal(fx.dials_made, 2);
	answer(c, "250 ok");
	close_connection(c);
	d = dial_to(SITE);
	assert_non_null(d);
	answer(dial_end(d, "192.0.2.1 ok"), "250 ok");
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* ---- turns ---- */

/* All places are taken, most of them by a busy site: sites that have none come before its next connection, and have
 * their reserve also when they had to wait for it. */
static void test_places_go_round(void **state)
{
	(void)state;
	fixture_begin("limits {\n connections = 2\n}\n");
	many(1, 50);
	dns_run();
	struct connection *busy[2] = {dial_end(fx.dials[0], "192.0.2.1 ok"), dial_end(fx.dials[0], "192.0.2.1 ok")};
	for (unsigned i = 0; i < 4; i++) {
		char rcpt[64];
		snprintf(rcpt, sizeof rcpt, "b@e%u.example", i);
		mail(1000 + i, "", rcpt);
		dns_run();
	}
	assert_int_equal(fx.dial_count, 1); /* the reserve is one */
	struct connection *c = dial_end(dial_to("mx.e0.example"), "192.0.2.1 ok");
	answer(c, "250 ok");
	close_connection(c);
	assert_non_null(dial_to("mx.e1.example"));
	end_transaction(busy[0], TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	assert_non_null(dial_to("mx.e2.example"));
	end_transaction(busy[1], TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	assert_non_null(dial_to("mx.e3.example"));
	assert_null(dial_to(SITE));
	assert_int_equal(fx.dial_count, 3);
	/* and then it has its turn again */
	c = dial_end(dial_to("mx.e1.example"), "192.0.2.1 ok");
	answer(c, "250 ok");
	close_connection(c);
	assert_non_null(dial_to(SITE));
	fixture_end();
}

/* Fresh mail does not wait behind all that a dead site gathered. */
static void test_fresh_mail_and_backlog_take_turns(void **state)
{
	(void)state;
	fixture_begin("limits {\n site_connections = 1\n}\n");
	many(1, 400);
	dns_run();
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	commit_all();
	pass(site_named(SITE)->due.at - core_now(&fx.q));
	dns_run();
	struct connection *c = dial_end(dial_to(SITE), "192.0.2.1 ok");
	many(1001, 20);
	unsigned fresh = 0, old = 0;
	for (unsigned i = 0; i < 44; i++) {
		bool is_fresh = c->sent->id > 1000;
		fresh += is_fresh;
		old += !is_fresh;
		answer(c, "250 ok");
		commit_all();
	}
	assert_int_equal(fresh, 20);
	assert_int_equal(old, 24);
	/* the backlog keeps its order, and all goes */
	for (unsigned i = 0; i < 400 && c->sent != NULL; i++) {
		answer(c, "250 ok");
		commit_all();
	}
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domain_leaves_while_asked_for),
		cmocka_unit_test(test_site_changes_while_asked_for),
		cmocka_unit_test(test_addresses_stay_while_asked_for),
		cmocka_unit_test(test_waits_for_the_new_answer),
		cmocka_unit_test(test_preferred_family_has_a_broken_address),
		cmocka_unit_test(test_closed_before_mail),
		cmocka_unit_test(test_dials_that_fail_together),
		cmocka_unit_test(test_want_of_something_here),
		cmocka_unit_test(test_second_path_holds_nobody_up),
		cmocka_unit_test(test_dial_beside_a_busy_connection),
		cmocka_unit_test(test_one_race_after_a_pause),
		cmocka_unit_test(test_address_limit_counts_dials),
		cmocka_unit_test(test_no_room_at_the_best),
		cmocka_unit_test(test_no_room_and_a_broken_family),
		cmocka_unit_test(test_places_go_round),
		cmocka_unit_test(test_fresh_mail_and_backlog_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
