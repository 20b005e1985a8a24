/* tests/unit/schedule_test.c: the way of a message through the queue, from the index until it is gone; look-ups; holds,
 * releases, removals and retries in every state. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/hops.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

static void test_delivered(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_ROUTING);
	dns_run();
	assert_int_equal(fx.dial_count, 1);
	struct connection *c = dial_end(dial_to("mx.d.example"), "2001:db8::1 ok");
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_ACTIVE);
	assert_string_equal(sending_to(c), "b@d.example");
	assert_string_equal(c->sent->sender, "a@sender.example");
	answer(c, "250 2.0.0 taken");
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_SETTLING);
	assert_string_equal(fx.journal, "OUTCOME 5 0=delivered\n");
	commit_all();
	assert_null(find(5));
	assert_int_equal(fx.forgotten_count, 0);
	assert_int_equal(fx.dials_made, 1);
	assert_true(c->open); /* idle, for the next one */
	fixture_end();
}

static void test_body_file_is_forgotten(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail_stored(5, "b@d.example", BEGIN, true);
	struct connection *c = connect_site("mx.d.example", "2001:db8::1");
	assert_null(c->sent->body);
	assert_int_equal(fx.pins, 1);
	answer(c, "250 ok");
	assert_int_equal(fx.pins, 0);
	assert_int_equal(fx.forgotten_count, 0); /* not before it is durable */
	commit_all();
	assert_int_equal(fx.forgotten_count, 1);
	assert_int_equal(fx.forgotten[0], 5);
	fixture_end();
}

/* What the look-up says ends the attempt with that reason. */
static void test_lookup_answers(void **state)
{
	static const struct {
		const char *text, *journal;
		const char *reason; /* deferred: begins so */
	} rows[] = {
		{"OK 0 .", "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed\n", NULL},
		{"NXDOMAIN", "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed\n", NULL},
		{"SERVFAIL", "OUTCOME 5 0=deferred\n", "451 4.4.3 MX lookup of d.example"},
		{"TIMEOUT", "OUTCOME 5 0=deferred\n", "451 4.4.3 MX lookup of d.example"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fixture_begin(NULL);
		zone("d.example", "MX", rows[i].text);
		mail(5, NULL, "b@d.example");
		dns_run();
		assert_string_equal(fx.journal, rows[i].journal);
		commit_all();
		assert_int_equal(fx.dials_made, 0);
		if (rows[i].reason == NULL) {
			assert_null(find(5));
			assert_int_equal(fx.q.messages.count, 1); /* the bounce */
		} else {
			assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
			const char *reason = delivery_of(5, "b@d.example")->reason;
			assert_memory_equal(reason, rows[i].reason, strlen(rows[i].reason));
			/* the next attempt asks again */
			zone("d.example", "MX", "OK 10 mx.d.example");
			pass(MINUTES(6));
			answer(connect_site("mx.d.example", "192.0.2.1"), "250 ok");
			commit_all();
			assert_null(find(5));
		}
		fixture_end();
	}
}

static void test_addresses_that_mail_cannot_go_to(void **state)
{
	static const char *const addresses[] = {"b", "b@[192.0.2.300]", "b@[nonsense]", "b@[127.0.0.1]"};
	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		fixture_begin(NULL);
		mail(5, NULL, addresses[i]);
		assert_string_equal(fx.journal, "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed\n");
		fixture_end();
	}
}

static void test_literal(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@[IPv6:2001:db8::7]");
	assert_int_equal(dns_waiting(), 0);
	assert_int_equal(fx.dial_count, 1);
	assert_non_null(offered(fx.dials[0], "2001:db8::7"));
	answer(dial_end(fx.dials[0], "2001:db8::7 ok"), "250 ok");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

static void test_route_of_the_configuration(void **state)
{
	(void)state;
	fixture_begin("route d.example {\n relay = [192.0.2.77]:2525\n}\n");
	mail(5, NULL, "b@d.example");
	assert_int_equal(dns_waiting(), 0);
	assert_int_equal(fx.dial_count, 1);
	assert_int_equal(offered(fx.dials[0], "192.0.2.77")->to.port, 2525);
	fixture_end();
}

/* A came first: the race waits for AAAA, 50 ms at the most. */
static void test_each_lookup_once(void **state)
{
	(void)state;
	fixture_begin(NULL);
	for (uint64_t id = 1; id <= 100; id++)
		mail(id, NULL, "b@d.example");
	assert_int_equal(dns_waiting(), 1);
	dns_run();
	assert_int_equal(fx.dial_count, 1);
	assert_int_equal(site_named("mx.d.example")->ready.count, 100);
	fixture_end();
}

/* Domains behind the same hosts are one site. */
static void test_domains_share_a_site(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone("d.example", "MX", "OK 10 mx1.x 10 mx2.x");
	zone("e.example", "MX", "OK 10 mx2.x 10 mx1.x");
	zone("f.example", "MX", "OK 10 mx1.x 20 mx2.x");
	mail(1, NULL, "b@d.example");
	mail(2, NULL, "b@e.example");
	mail(3, NULL, "b@f.example");
	dns_run();
	assert_int_equal(fx.q.site_count, 2);
	assert_ptr_equal(delivery_of(1, "b@d.example")->site, delivery_of(2, "b@e.example")->site);
	assert_ptr_not_equal(delivery_of(1, "b@d.example")->site, delivery_of(3, "b@f.example")->site);
	fixture_end();
}

static void test_thousand_recipients(void **state)
{
	char *list = malloc(40000);
	size_t n = 0;
	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		n += (size_t)snprintf(list + n, 40000 - n, "%su%u@d%u.example", i ? " " : "", i, i % 100);
	fixture_begin("limits {\n address_connections = 100\n}\n"); /* all at one address */
	struct message *m = mail(5, NULL, list);
	free(list);
	assert_int_equal(m->delivery_count, 100);
	dns_run();
	assert_int_equal(fx.dial_count, 100);
	/* one domain refuses one recipient, one defers all, the rest takes all */
	unsigned refused = 0;
	while (fx.dial_count > 0) {
		struct connection *c = dial_end(fx.dials[0], "192.0.2.1 ok");
		assert_int_equal(c->sent->rcpt_count, 10);
		if (refused++ == 0)
			answer(c, "250 a|250 a|550 no|250 a|250 a|250 a|250 a|250 a|250 a|250 a");
		else
			answer(c, "250 a");
	}
	commit_all();
	assert_null(find(5));
	assert_int_equal(fx.q.messages.count, 1); /* one bounce */
	fixture_end();
}

/* ---- holds, removals ---- */

enum stage { AT_ROUTING, AT_READY, AT_ACTIVE, AT_OTHER_PATH, AT_SETTLING, AT_DEFERRED, STAGES };

/* Brings message 5 there. Its connection, if it has one. */
static struct connection *bring(enum stage stage)
{
	struct connection *c;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	if (stage == AT_ROUTING)
		return NULL;
	dns_run();
	if (stage == AT_READY)
		return NULL;
	c = dial_end(dial_to("mx.d.example"), "2001:db8::1 ok");
	if (stage == AT_ACTIVE)
		return c;
	if (stage == AT_SETTLING) {
		end_transaction(c, TRANSACTION_UNKNOWN, FAULT_RESET, "-");
		return NULL;
	}
	answer(c, "450 4.2.0 not now");
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DIALLING);
	if (stage == AT_OTHER_PATH)
		return NULL;
	answer(dial_end(dial_to("mx.d.example"), "192.0.2.1 ok"), "450 4.2.0 not now either");
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	return NULL;
}

/* What is under way comes to its end; nothing new may begin for the message. */
static void let_end(struct connection *c)
{
	dns_run();
	commit_all();
	if (c != NULL)
		answer(c, "450 4.2.0 not now");
	while (fx.dial_count > 0)
		dial_end(fx.dials[0], "192.0.2.1 ok");
	commit_all();
}

static void test_remove(void **state)
{
	(void)state;
	for (enum stage s = 0; s < STAGES; s++) {
		struct connection *c = bring(s);
		index_remove(&fx.q, find(5), "by hand");
		let_end(c);
		if (find(5) != NULL)
			fail_msg("stage %d: %s", s, fx.journal);
		assert_non_null(strstr(fx.journal, "REMOVE 5 by hand\n"));
		assert_int_equal(sending(), 0);
		fixture_end();
	}
}

static void test_hold_and_release(void **state)
{
	(void)state;
	for (enum stage s = 0; s < STAGES; s++) {
		struct connection *c = bring(s);
		index_hold(&fx.q, find(5), ENVELOPE_HELD, "wait", false);
		let_end(c);
		if (state_of(5, "b@d.example") != DELIVERY_HELD)
			fail_msg("stage %d: %d", s, state_of(5, "b@d.example"));
		assert_non_null(strstr(fx.journal, "HOLD 5 wait\n"));
		assert_int_equal(sending(), 0);
		assert_int_equal(fx.q.held, 1);
		/* time passes it by */
		pass(DAYS(6));
		assert_int_equal(state_of(5, "b@d.example"), DELIVERY_HELD);
		index_release(&fx.q, find(5), false);
		schedule_message(&fx.q, find(5));
		commit_all();
		assert_non_null(strstr(fx.journal, "RELEASE 5\n"));
		assert_int_equal(fx.q.held, 0);
		while (find(5) != NULL) {
			pass(MINUTES(5));
			dns_run();
			while (fx.dial_count > 0)
				dial_end(fx.dials[0], "192.0.2.1 ok");
			for (unsigned i = 0; i < fx.connection_count; i++)
				if (fx.connections[i]->sent != NULL)
					answer(fx.connections[i], "250 ok");
			commit_all();
		}
		fixture_end();
	}
}

/* Held in one domain's attempt while another domain's is over: the first ends, and nothing else begins. */
static void test_hold_and_remove_of_two_domains(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example c@e.example");
	dns_run();
	struct connection *d = dial_end(dial_to("mx.d.example"), "192.0.2.1 ok");
	struct connection *e = dial_end(dial_to("mx.e.example"), "192.0.2.1 ok");
	index_hold(&fx.q, find(5), ENVELOPE_HELD, "wait", false);
	index_remove(&fx.q, find(5), "gone");
	answer(d, "250 ok");
	commit_all();
	assert_non_null(find(5));
	assert_non_null(strstr(fx.journal, "REMOVE 5 gone\n")); /* a crash does not bring it back */
	answer(e, "550 no");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

static void test_retry_of_a_deferred_one(void **state)
{
	(void)state;
	bring(AT_DEFERRED);
	for (unsigned i = 0; i < fx.connection_count; i++)
		close_connection(fx.connections[i]);
	schedule_retry(&fx.q, find(5));
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_READY);
	/* the path where it was turned away goes first; as that fails now, the other one has it */
	assert_true(offered(fx.dials[0], "2001:db8::1")->first);
	answer(dial_end(fx.dials[0], "2001:db8::1 refused, 192.0.2.1 ok"), "250 ok");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

/* The wall clock steps a day ahead or back: what waits, waits as long as before, and the wall time of it moves. */
static void test_clock_step(void **state)
{
	static const int64_t steps[] = {(int64_t)DAYS(1), -(int64_t)DAYS(1)};
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned early = 0; early < 2; early++) {
			fixture_begin(NULL);
			mail(5, NULL, "b@d.example");
			struct connection *c = connect_site("mx.d.example", "2001:db8::1");
			end_transaction(c, TRANSACTION_UNKNOWN, FAULT_RESET, "-");
			if (early) /* between the attempt's end and its outcome */
				fx.q.shift += steps[i];
			commit_all();
			if (!early)
				fx.q.shift += steps[i];
			assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
			uint64_t at = delivery_of(5, "b@d.example")->due.at;
			assert_in_range(at, core_now(&fx.q) + SECONDS(270), core_now(&fx.q) + SECONDS(330));
			assert_int_equal(core_wall(&fx.q, at), at + (uint64_t)steps[i]);
			fixture_end();
		}
}

/* A domain's MX changed: what waits at the old, dead site goes to the new one. */
static void test_mx_changed(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone("d.example", "MX", "OK 10 old.x");
	zone("e.example", "MX", "OK 10 old.x");
	for (uint64_t id = 1; id <= 500; id++)
		mail(id, NULL, id % 2 ? "b@d.example" : "b@e.example");
	dns_run();
	dial_end(dial_to("old.x"), "192.0.2.1 refused");
	commit_all();
	zone("d.example", "MX", "OK 10 new.x");
	pass(HOURS(2)); /* the answers run out meanwhile */
	for (unsigned i = 0; i < 40; i++) {
		dns_run();
		pass(MINUTES(6));
		struct dial *d = dial_to("old.x");
		if (d != NULL)
			dial_end(d, "192.0.2.1 refused");
		commit_all();
	}
	unsigned at_new = 0;
	for (uint64_t id = 1; id <= 500; id++) {
		const struct delivery *d = delivery_of(id, id % 2 ? "b@d.example" : "b@e.example");
		at_new += strcmp(d->site->lane.site, "new.x") == 0;
	}
	assert_int_equal(at_new, 250);
	assert_non_null(dial_to("new.x"));
	fixture_end();
}

/* The domain went away while its mail waited for a dead site: it fails with that, all of it. */
static void test_domain_vanished(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone("d.example", "MX", "OK 10 old.x");
	for (uint64_t id = 1; id <= 50; id++)
		mail(id, "", "b@d.example");
	dns_run();
	dial_end(dial_to("old.x"), "192.0.2.1 refused");
	commit_all();
	zone("d.example", "MX", "NXDOMAIN");
	for (unsigned i = 0; i < 200 && fx.q.messages.count > 0; i++) {
		dns_run();
		pass(MINUTES(1));
		struct dial *d = dial_to("old.x");
		if (d != NULL)
			dial_end(d, "192.0.2.1 refused");
		commit_all();
	}
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* The look-up at a rest's end fails: the others still get their probe. */
static void test_lookup_fails_at_the_end_of_a_rest(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone("d.example", "MX", "OK 10 mx.x");
	zone("e.example", "MX", "OK 10 mx.x");
	mail(1, NULL, "b@e.example");
	mail(2, NULL, "b@d.example");
	mail(3, NULL, "b@e.example");
	dns_run();
	dial_end(dial_to("mx.x"), "192.0.2.1 refused"); /* the first in line has the attempt */
	commit_all();
	index_remove(&fx.q, find(1), "gone");
	commit_all();
	fx.clock += HOURS(2);
	zone("d.example", "MX", "SERVFAIL");
	unsigned minutes = 0;
	while (dial_to("mx.x") == NULL && minutes++ < 5) {
		dns_run();
		commit_all();
		pass(MINUTES(1));
	}
	assert_non_null(dial_to("mx.x"));
	fixture_end();
}

/* Retry by hand of mail that waits for a resting site probes it, also if the answers have run out. */
static void test_retry_probes(void **state)
{
	(void)state;
	for (unsigned row = 0; row < 3; row++) {
		fixture_begin(NULL);
		mail(1, NULL, "b@d.example");
		mail(2, NULL, "c@d.example");
		dns_run();
		dial_end(dial_to("mx.d.example"), "192.0.2.1 refused");
		commit_all();
		assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DEFERRED);
		if (row == 0)
			run_due(); /* it waits with the others again */
		assert_int_equal(state_of(2, "c@d.example"), DELIVERY_READY);
		assert_int_equal(fx.dial_count, 0);
		if (row == 2)
			delivery_of(1, "b@d.example")->domain->hops->expires_ms = fx.clock;
		schedule_retry(&fx.q, row == 1 ? find(2) : find(1));
		dns_run();
		assert_int_equal(fx.dial_count, 1);
		answer(dial_end(fx.dials[0], "192.0.2.1 ok"), "250 ok");
		fixture_end();
	}
}

static void test_replayed_times(void **state)
{
	(void)state;
	fixture_begin(NULL);
	fx.q.draining = true; /* nothing begins yet */
	const struct envelope_rcpt rcpts[] = {{.address = "b@d.example", .attempts = 3, .next_ms = BEGIN + MINUTES(7)},
		{.address = "b@e.example", .index = 1},
		{.address = "b@f.example", .index = 2, .attempts = 1, .next_ms = BEGIN - DAYS(1)}};
	const struct envelope e = {.id = 9,
		.arrival_ms = BEGIN - DAYS(2),
		.size = 100,
		.sender = "",
		.client = "",
		.helo = "",
		.reason = "",
		.rcpts = rcpts,
		.rcpt_count = 3};
	struct message *m;
	assert_int_equal(index_add(&fx.q, &e, fx.end, fx.end, false, NULL, &m), 0);
	schedule_all(&fx.q);
	assert_int_equal(delivery_of(9, "b@d.example")->due.at, BEGIN + MINUTES(7));
	assert_int_equal(delivery_of(9, "b@d.example")->attempts, 3);
	assert_int_equal(delivery_of(9, "b@e.example")->due.at, BEGIN);
	assert_int_equal(delivery_of(9, "b@f.example")->due.at, BEGIN);
	fixture_end();
}

/* The clock was a month ahead when the times were written: nobody waits a month. */
static void test_times_of_a_wrong_clock(void **state)
{
	(void)state;
	for (unsigned held = 0; held < 2; held++) {
		fixture_begin(NULL);
		fx.q.draining = true;
		const struct envelope_rcpt rcpt = {
			.address = "b@d.example", .attempts = 3, .next_ms = BEGIN + DAYS(30)};
		const struct envelope e = {.id = 9,
			.arrival_ms = BEGIN + DAYS(29),
			.size = 100,
			.flags = held ? ENVELOPE_HELD : 0,
			.sender = "",
			.client = "",
			.helo = "",
			.reason = "",
			.rcpts = &rcpt,
			.rcpt_count = 1};
		struct message *m;
		assert_int_equal(index_add(&fx.q, &e, fx.end, fx.end, false, NULL, &m), 0);
		schedule_all(&fx.q);
		if (held) {
			assert_int_equal(state_of(9, "b@d.example"), DELIVERY_HELD);
			index_release(&fx.q, m, true);
			schedule_message(&fx.q, m);
		}
		assert_int_equal(delivery_of(9, "b@d.example")->due.at, BEGIN + HOURS(1));
		fixture_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delivered),
		cmocka_unit_test(test_body_file_is_forgotten),
		cmocka_unit_test(test_lookup_answers),
		cmocka_unit_test(test_addresses_that_mail_cannot_go_to),
		cmocka_unit_test(test_literal),
		cmocka_unit_test(test_route_of_the_configuration),
		cmocka_unit_test(test_each_lookup_once),
		cmocka_unit_test(test_domains_share_a_site),
		cmocka_unit_test(test_thousand_recipients),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_hold_and_release),
		cmocka_unit_test(test_hold_and_remove_of_two_domains),
		cmocka_unit_test(test_retry_of_a_deferred_one),
		cmocka_unit_test(test_clock_step),
		cmocka_unit_test(test_mx_changed),
		cmocka_unit_test(test_domain_vanished),
		cmocka_unit_test(test_lookup_fails_at_the_end_of_a_rest),
		cmocka_unit_test(test_retry_probes),
		cmocka_unit_test(test_replayed_times),
		cmocka_unit_test(test_times_of_a_wrong_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
