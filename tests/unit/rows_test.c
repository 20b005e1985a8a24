/* tests/unit/rows_test.c: what becomes of answers, recipient by recipient, in notices and on the disk; time is the
 * test's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/control/inspect.h"
#include "queue/index.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"
#define HAS(text, what) assert_non_null(strstr((text), (what)))
#define HAS_NOT(text, what) assert_null(strstr((text), (what)))

/* The text of the newest notice that waits for the disk, its lines joined so that folds do not matter. */
static const char *notice(void)
{
	static char text[65536];
	size_t n = 0;
	text[0] = '\0';
	for (unsigned i = 0; i < fx.commit_count; i++)
		for (const struct commit *k = fx.commits[i]; k != NULL; k = k->group) {
			if (k->type != RECORD_MESSAGE)
				continue;
			n = 0;
			for (const struct body_chunk *c = k->content->first; c != NULL; c = c->next)
				for (size_t at = 0; at < c->len && n + 1 < sizeof text; at++)
					if (c->data[at] != '\r')
						text[n++] = (char)c->data[at];
			text[n] = '\0';
		}
	return text;
}

/* The outcome that was written last. */
static struct attempt *outcome(void)
{
	struct attempt *a = NULL;
	for (unsigned i = 0; i < fx.commit_count; i++)
		for (const struct commit *k = fx.commits[i]; k != NULL; k = k->group)
			if (k->type == RECORD_OUTCOME) {
				attempt_free(a);
				assert_int_equal(attempt_decode(&a, k->meta, k->meta_len), 0);
			}
	assert_non_null(a);
	return a;
}

/* One is refused over IPv6, the other over IPv4: each answer is its own server's. */
static void test_path_of_each(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, "s@sender.example", "a@d.example b@d.example");
	struct connection *c = connect_site(SITE, "2001:db8::1");
	answer(c, "550 5.1.1 no a here|450 4.2.0 busy");
	answer(dial_end(dial_to(SITE), "192.0.2.1 ok"), "550 5.2.1 b is closed");
	HAS(notice(), "<a@d.example>\n    550 5.1.1 no a here\n    (answer of mx.d.example\n    at [2001:db8::1]:25 "
		      "over IPv6)\n");
	HAS(notice(), "<b@d.example>\n    550 5.2.1 b is closed\n    (answer of mx.d.example\n    at 192.0.2.1:25 "
		      "over IPv4)\n");
	struct attempt *a = outcome();
	assert_int_equal(attempt_path(a, &a->rcpts[0])->to.ip.family, FAMILY_IPV6);
	assert_int_equal(attempt_path(a, &a->rcpts[1])->to.ip.family, FAMILY_IPV4);
	attempt_free(a);
	commit_all();
	dns_run();
	fixture_end();
}

/* More different answers than an attempt keeps: nobody gets another one's words. */
static void test_many_answers(void **state)
{
	(void)state;
	static char rcpts[4000];
	fixture_begin(NULL);
	for (int i = 0; i < 70; i++)
		snprintf(rcpts + strlen(rcpts), 64, "%su%02d@d.example", i ? " " : "", i);
	mail(5, "s@sender.example", rcpts);
	struct connection *c = connect_site(SITE, "2001:db8::1");
	struct transaction *t = c->sent;
	for (unsigned i = 0; i < 70; i++) {
		bool taken = i == 69;
		reply_set(&t->rcpts[i].reply, taken ? 250 : 550, taken ? "2.0.0" : "5.1.1",
			taken ? "queued" : "u%02u: unknown", i);
		t->rcpts[i].reply.own = false;
		t->rcpts[i].answered = true;
	}
	t->last = t->rcpts[69].reply;
	t->accepted = 1;
	t->end = TRANSACTION_ANSWERED;
	t->reusable = true;
	c->sent = NULL;
	t->done(t);
	struct attempt *a = outcome();
	for (unsigned i = 0; i < 70; i++) {
		char text[40];
		const struct reply *r = &a->replies[a->rcpts[i].reply];
		snprintf(text, sizeof text, "u%02u: unknown", i);
		assert_int_equal(a->rcpts[i].status, i == 69 ? RCPT_DELIVERED : RCPT_FAILED);
		assert_int_equal(reply_class(r), i == 69 ? 2 : 5);
		if (i < ATTEMPT_REPLIES_WHOLE)
			assert_string_equal(r->text, text);
		else
			HAS(r->text, "(one of many answers");
	}
	attempt_free(a);
	HAS_NOT(notice(), "250 2.0.0");
	HAS_NOT(notice(), "<u69@d.example>");
	commit_all();
	dns_run();
	fixture_end();
}

/* What this relay says itself over a connection is not put into the other server's mouth. */
static void test_own_refusal(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, "s@sender.example", "a@d.example");
	struct connection *c = connect_site(SITE, "2001:db8::1");
	struct transaction *t = c->sent;
	reply_set(&t->rcpts[0].reply, 552, "5.3.4", "the message has 100 bytes, the next hop takes 10");
	t->rcpts[0].answered = true;
	t->last = t->rcpts[0].reply;
	t->end = TRANSACTION_ANSWERED;
	t->reusable = true;
	c->sent = NULL;
	t->done(t);
	HAS_NOT(notice(), "Remote-MTA:");
	HAS_NOT(notice(), "Diagnostic-Code: smtp");
	HAS_NOT(notice(), "(answer of");
	HAS(notice(), "Diagnostic-Code: x-relay64; 552 5.3.4 the message has 100 bytes");
	commit_all();
	dns_run();
	fixture_end();
}

static int act(enum queue_action action, uint64_t id)
{
	const struct queue_order o = {.action = action, .reason = "gone", .to = "", .who = "me"};
	return queue_act(&fx.q, &o, id);
}

/* The first recipient was taken, the second refused, the rest waits for a connection as this one takes no more. */
static void part_way(void)
{
	fixture_begin(NULL);
	mail(1, "", "x@d.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	c->info.peer.rcpt_max = 2;
	answer(c, "250 ok");
	commit_all();
	journal_clear();
	mail(5, "s@sender.example", "a@d.example b@d.example c@d.example");
	assert_string_equal(sending_to(c), "a@d.example b@d.example");
	end_transaction(c, TRANSACTION_ANSWERED, FAULT_LOAD, "250 ok|550 5.1.1 no b here");
	assert_int_equal(state_of(5, "c@d.example"), DELIVERY_READY);
}

/* An operator comes in between: who has an answer keeps it, and the sender is told what it was. */
static void test_answers_before_an_order(void **state)
{
	(void)state;
	static const enum queue_action actions[] = {QUEUE_BOUNCE, QUEUE_REMOVE, QUEUE_HOLD};
	for (unsigned i = 0; i < 3; i++) {
		for (int durable = 0; durable < 2; durable++) {
			part_way();
			if (durable)
				commit_all(); /* that the first one was delivered */
			assert_int_equal(act(actions[i], 5), 0);
			if (!durable)
				commit_one(0); /* … and what follows goes to the disk behind it */
			HAS(notice(), "550 5.1.1 no b here");
			HAS_NOT(notice(), "<a@d.example>");
			commit_all();
			HAS(fx.journal, "OUTCOME 5 0=delivered 1=failed 2=deferred\n");
			HAS_NOT(fx.journal, "0=failed");
			if (actions[i] == QUEUE_BOUNCE)
				HAS(fx.journal, "OUTCOME 5 2=failed\n");
			if (actions[i] == QUEUE_HOLD)
				assert_int_equal(state_of(5, "c@d.example"), DELIVERY_HELD);
			else
				assert_null(find(5));
			dns_run();
			fixture_end();
		}
	}
}

/* 421 in place of an answer: the next attempt begins there, as after any other 4yz. */
static void test_421_is_remembered(void **state)
{
	(void)state;
	fixture_begin("race { sessions_per_attempt = 1 }");
	mail(5, NULL, "a@d.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	reply_set(&c->sent->last, 421, "4.7.0", "come again");
	c->sent->last.own = false;
	end_transaction(c, TRANSACTION_ANSWERED, FAULT_LOAD, "-");
	commit_all();
	const struct endpoint *first = delivery_of(5, "a@d.example")->greylisted;
	assert_non_null(first);
	assert_int_equal(first->ip.family, FAMILY_IPV4);
	dns_run();
	fixture_end();
}

/* Its sender asked to be told of success: what is written down before the attempt goes on carries that notice, once. */
static void test_interim_tells(void **state)
{
	(void)state;
	static const struct envelope_rcpt rcpts[] = {{.address = "a@d.example", .notify = NOTIFY_SUCCESS},
		{.address = "b@d.example", .index = 1, .notify = NOTIFY_SUCCESS}};
	for (int fails = 0; fails < 2; fails++) {
		fixture_begin(NULL);
		mail_of((struct envelope){.id = 5, .sender = "s@sender.example", .rcpts = rcpts, .rcpt_count = 2});
		struct connection *c = connect_site(SITE, "2001:db8::1");
		answer(c, "250 ok|450 4.2.0 busy");
		assert_string_equal(fx.journal, "MESSAGE 0 <> s@sender.example + OUTCOME 5 0=delivered\n");
		struct attempt *a = outcome();
		assert_int_equal(attempt_path(a, &a->rcpts[0])->to.ip.family, FAMILY_IPV6);
		attempt_free(a);
		HAS(notice(), "Action: relayed");
		commit_one(fails ? -EIO : 0);
		journal_clear();
		answer(dial_end(dial_to(SITE), "192.0.2.1 ok"), "250 ok");
		assert_string_equal(fx.journal, "MESSAGE 0 <> s@sender.example + OUTCOME 5 0=delivered 1=delivered\n");
		assert_int_equal(strstr(notice(), "a@d.example") != NULL, fails);
		HAS(notice(), "Final-Recipient: rfc822; b@d.example");
		commit_all();
		assert_null(find(5));
		dns_run();
		fixture_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_of_each),
		cmocka_unit_test(test_many_answers),
		cmocka_unit_test(test_own_refusal),
		cmocka_unit_test(test_answers_before_an_order),
		cmocka_unit_test(test_421_is_remembered),
		cmocka_unit_test(test_interim_tells),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
