/* tests/unit/batch_test.c: messages whose recipients do not go in one transaction: RCPTMAX, "too many recipients",
 * RCPTDOMAINMAX; and what a route or a server's replies say of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue/batch.h"
#include "queue/dispatch.h"
#include "queue/index.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"
#define FIVE "a@d.example b@d.example c@d.example e@d.example f@d.example"
#define TOO_MANY "452 4.5.3 too many recipients"

/* A connection whose server says RCPTMAX=`most`, brought there by a message that it has taken already. */
static struct connection *connection_of(unsigned most)
{
	mail(1, "", "x@d.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	c->info.peer.rcpt_max = most;
	answer(c, "250 ok");
	commit_all();
	journal_clear();
	return c;
}

/* Two at a time, over the same connection, as one attempt. What was delivered is on the disk before the next begins. */
static void test_rcpt_max(void **state)
{
	(void)state;
	fixture_begin(NULL);
	struct connection *c = connection_of(2);
	mail(5, NULL, FIVE);
	assert_string_equal(sending_to(c), "a@d.example b@d.example");
	answer(c, "250 ok");
	assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 1=delivered\n");
	assert_string_equal(sending_to(c), "c@d.example e@d.example");
	commit_all();
	assert_string_equal(sending_to(c), "c@d.example e@d.example");
	answer(c, "250 ok");
	assert_string_equal(sending_to(c), "f@d.example");
	answer(c, "250 ok");
	assert_null(c->sent);
	commit_all();
	assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 1=delivered\n"
					"OUTCOME 5 2=delivered 3=delivered\n"
					"OUTCOME 5 0=delivered 1=delivered 2=delivered 3=delivered "
					"4=delivered\n");
	assert_int_equal(fx.dials_made, 1);
	fixture_end();
}

/* A route's own limit counts like one that the server names; the smaller one holds. */
static void test_route_limit(void **state)
{
	(void)state;
	fixture_begin("route d.example {\n recipients = 3\n}\n");
	mail(5, NULL, FIVE);
	dns_run();
	struct connection *c = dial_end(fx.dials[0], "192.0.2.1 ok");
	assert_string_equal(sending_to(c), "a@d.example b@d.example c@d.example");
	c->info.peer.rcpt_max = 1;
	answer(c, "250 ok");
	assert_string_equal(sending_to(c), "e@d.example");
	answer(c, "250 ok");
	answer(c, "250 ok");
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

static void test_too_many(void **state)
{
	(void)state;
	fixture_begin(NULL);
	struct connection *c = connection_of(0);
	mail(5, NULL, FIVE);
	assert_string_equal(sending_to(c), FIVE);
	/* some other refusal in between is final for this path */
	answer(c, "250 ok|550 5.1.1 no|250 ok|" TOO_MANY "|" TOO_MANY);
	assert_string_equal(sending_to(c), "e@d.example f@d.example");
	assert_int_equal(site_named(SITE)->rcpt_limit, 2);
	answer(c, "250 ok");
	commit_all();
	assert_null(find(5));
	assert_int_equal(fx.dials_made, 1 + fx.dial_count); /* but for the bounce */

	/* the next message goes in batches of that size at once */
	mail(6, NULL, FIVE);
	assert_string_equal(sending_to(c), "a@d.example b@d.example");
	answer(c, "250 ok");
	answer(c, "250 ok");
	assert_string_equal(sending_to(c), "f@d.example");
	answer(c, "250 ok");
	commit_all();
	fixture_end();
}

/* After twenty full transactions the site is asked to take more. */
static void test_limit_grows_back(void **state)
{
	(void)state;
	fixture_begin(NULL);
	struct connection *c = connection_of(0);
	struct site *s = site_named(SITE);
	s->rcpt_limit = 1;
	for (uint64_t id = 10; id < 30; id++) {
		assert_int_equal(s->rcpt_limit, 1);
		mail(id, NULL, "a@d.example");
		answer(c, "250 ok");
		commit_all();
	}
	assert_int_equal(s->rcpt_limit, 2);
	mail(5, NULL, FIVE);
	assert_string_equal(sending_to(c), "a@d.example b@d.example");
	/* and told again that this is too much */
	answer(c, "250 ok|" TOO_MANY);
	assert_int_equal(s->rcpt_limit, 1);
	assert_string_equal(sending_to(c), "b@d.example");
	s->rcpt_limit = ENVELOPE_RCPTS_MAX - 2;
	s->rcpt_full = 0;
	answer(c, "250 ok");
	answer(c, "250 ok");
	commit_all();
	assert_int_equal(s->rcpt_limit, ENVELOPE_RCPTS_MAX - 2); /* these were not full */
	fixture_end();
}

/* Nobody was taken: then it is a deferral like any other, without a loop. 552 of old servers is none for good. */
static void test_nobody_taken(void **state)
{
	(void)state;
	static const char *const replies[] = {
		TOO_MANY, "452 too much", "552 5.5.3 too many recipients", "552 too many recipients"};
	for (unsigned i = 0; i < sizeof replies / sizeof replies[0]; i++) {
		fixture_begin(NULL);
		struct connection *c = connection_of(0);
		mail(5, NULL, FIVE);
		answer(c, replies[i]);
		assert_null(c->sent);
		struct connection *other = dial_end(fx.dials[0], "2001:db8::1 ok");
		assert_string_equal(sending_to(other), FIVE);
		answer(other, replies[i]);
		commit_all();
		assert_int_equal(fx.dial_count, 0);
		assert_int_equal(state_of(5, "a@d.example"), DELIVERY_DEFERRED);
		assert_int_equal(find(5)->open, 5);
		assert_int_equal(delivery_of(5, "a@d.example")->attempts, 1);
		assert_int_equal(site_named(SITE)->rcpt_limit, 0);
		fixture_end();
	}
}

/* 4yz for some of a batch: the others first, then these alone over the other family. */
static void test_other_path_after_the_rest(void **state)
{
	(void)state;
	fixture_begin(NULL);
	struct connection *c = connection_of(2);
	mail(5, NULL, FIVE);
	answer(c, "450 4.2.0 later|250 ok");
	assert_string_equal(sending_to(c), "c@d.example e@d.example");
	answer(c, "451 4.3.0 later");
	answer(c, "250 ok");
	assert_null(c->sent);
	struct connection *other = dial_end(fx.dials[0], "2001:db8::1 ok");
	assert_string_equal(sending_to(other), "a@d.example c@d.example e@d.example");
	other->info.peer.rcpt_max = 1;
	answer(other, "250 ok|450 4.2.0 later|250 ok");
	commit_all();
	assert_int_equal(state_of(5, "c@d.example"), DELIVERY_DEFERRED);
	assert_int_equal(find(5)->open, 1);
	assert_int_equal(delivery_of(5, "c@d.example")->attempts, 1);
	fixture_end();
}

/* The connection takes no more (MAILMAX, 421): the rest goes over the next one, be it to the same address; no 4yz, no
 * session, no attempt. */
static void test_rest_over_the_next_connection(void **state)
{
	(void)state;
	fixture_begin("race {\n sessions_per_attempt = 1\n}\n");
	struct connection *c = connection_of(2);
	mail(5, NULL, FIVE);
	for (unsigned i = 0; i < 2; i++) {
		c->sent->accepted = 2;
		end_transaction(c, TRANSACTION_ANSWERED, FAULT_CLOSED, "250 ok");
		assert_int_equal(state_of(5, "f@d.example"), DELIVERY_READY);
		assert_int_equal(fx.dial_count, 1);
		commit_all();
		c = dial_end(fx.dials[0], "192.0.2.1 ok");
		c->info.peer.rcpt_max = 2;
		if (i == 0) {
			assert_string_equal(sending_to(c), "c@d.example e@d.example f@d.example");
			answer(c, "250 ok|" TOO_MANY "|" TOO_MANY);
			assert_string_equal(sending_to(c), "e@d.example");
		}
	}
	assert_string_equal(sending_to(c), "f@d.example");
	answer(c, "250 ok");
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* Lost in a later batch: who has no answer goes elsewhere, who was delivered stays delivered. */
static void test_lost_later(void **state)
{
	(void)state;
	fixture_begin(NULL);
	struct connection *c = connection_of(2);
	mail(5, NULL, FIVE);
	answer(c, "250 ok");
	end_transaction(c, TRANSACTION_LOST, FAULT_RESET, "-");
	struct connection *other = dial_end(fx.dials[0], "2001:db8::1 ok");
	assert_string_equal(sending_to(other), "c@d.example e@d.example f@d.example");
	end_transaction(other, TRANSACTION_UNKNOWN, FAULT_CLOSED, "-");
	commit_all();
	assert_int_equal(find(5)->open, 3);
	assert_int_equal(state_of(5, "f@d.example"), DELIVERY_DEFERRED);
	fixture_end();
}

/* The connection is gone before it took the next batch: that was no attempt, the rest waits for another one. */
static void test_unstarted_rest(void **state)
{
	(void)state;
	fixture_begin(NULL);
	struct connection *c = connection_of(2);
	mail(5, NULL, FIVE);
	answer(c, "250 ok");
	end_transaction(c, TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
	commit_all();
	assert_int_equal(state_of(5, "f@d.example"), DELIVERY_READY);
	c = dial_end(fx.dials[0], "192.0.2.1 ok");
	assert_string_equal(sending_to(c), "c@d.example e@d.example f@d.example");
	answer(c, "250 ok");
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	fixture_end();
}

/* Refused at MAIL: the rest would hear the same. */
static void test_refused_message(void **state)
{
	(void)state;
	fixture_begin(NULL);
	struct connection *c = connection_of(1);
	mail(5, NULL, FIVE);
	c->sent->for_message = true;
	answer(c, "552 5.3.4 too large");
	assert_null(c->sent);
	assert_string_equal(fx.journal, "MESSAGE 0 <> a@sender.example + "
					"OUTCOME 5 0=failed 1=failed 2=failed 3=failed 4=failed\n");
	commit_all();
	fixture_end();
}

/* Held, or TERM, between two batches: the rest stays in the queue, not as delivered. */
static void test_ended_between(void **state)
{
	(void)state;
	for (unsigned drain = 0; drain < 2; drain++) {
		fixture_begin(NULL);
		struct connection *c = connection_of(2);
		struct message *m = mail(5, NULL, FIVE);
		if (drain)
			dispatch_drain(&fx.q);
		else
			index_hold(&fx.q, m, ENVELOPE_HELD, "by hand", false);
		commit_all();
		journal_clear();
		answer(c, "250 ok");
		assert_null(c->sent);
		assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 1=delivered 2=deferred 3=deferred 4=deferred\n");
		commit_all();
		assert_int_equal(find(5)->open, 3);
		assert_int_equal(state_of(5, "f@d.example"), drain ? DELIVERY_DEFERRED : DELIVERY_HELD);
		fixture_end();
	}
}

/* Ten thousand recipients one by one: it ends, each is asked for once, and the journal holds each twice at the most. */
static void test_one_by_one(void **state)
{
	(void)state;
	enum { MANY = 3000 };
	static char all[MANY * 20];
	size_t at = 0;
	for (unsigned i = 0; i < MANY; i++)
		at += (size_t)snprintf(all + at, sizeof all - at, "%sr%u@d.example", i ? " " : "", i);
	fixture_begin(NULL);
	struct connection *c = connection_of(1);
	mail(5, NULL, all);
	for (unsigned i = 0; i < MANY; i++) {
		char name[32];
		snprintf(name, sizeof name, "r%u@d.example", i);
		assert_string_equal(sending_to(c), name);
		answer(c, i % 3 ? "250 ok" : "550 5.1.1 no");
		journal_clear();
		commit_all();
	}
	assert_null(c->sent);
	assert_null(find(5));
	fixture_end();
}

/* RCPTDOMAINMAX: mail for another domain of the site needs another connection, and gets it. */
static void test_rcpt_domain_max(void **state)
{
	(void)state;
	fixture_begin("limits {\n site_connections = 1\n}\n");
	zone("other.example", "MX", "OK 10 " SITE);
	mail(1, "", "x@d.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	c->info.peer.rcpt_domain_max = 1;
	struct connection *first = c;
	mail(2, "", "x@other.example");
	dns_run();
	mail(3, "", "x@d.example");
	answer(c, "250 ok"); /* the fake learns its limit after its first message */
	commit_all();
	assert_string_equal(sending_to(c), "x@other.example");
	answer(c, "250 ok");
	commit_all();
	/* the connection is full with the other domain, and in the way: it makes room */
	assert_true(first->quit);
	close_connection(first);
	c = dial_end(fx.dials[0], "192.0.2.1 ok");
	assert_string_equal(sending_to(c), "x@d.example");
	c->info.peer.rcpt_domain_max = 2;
	mail(4, "", "x@d.example");
	mail(5, "", "x@other.example");
	answer(c, "250 ok");
	answer(c, "250 ok");
	assert_string_equal(sending_to(c), "x@other.example");
	answer(c, "250 ok");
	commit_all();
	assert_false(c->quit);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rcpt_max),
		cmocka_unit_test(test_route_limit),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_limit_grows_back),
		cmocka_unit_test(test_nobody_taken),
		cmocka_unit_test(test_other_path_after_the_rest),
		cmocka_unit_test(test_rest_over_the_next_connection),
		cmocka_unit_test(test_lost_later),
		cmocka_unit_test(test_unstarted_rest),
		cmocka_unit_test(test_refused_message),
		cmocka_unit_test(test_ended_between),
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_rcpt_domain_max),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
