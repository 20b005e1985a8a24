/* tests/unit/operator_test.c: mail that an operator returns, redirects, or whose site is suspended; time is the
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
#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/replay.h"
#include "queue/schedule.h"
#include "queue/suspension.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"

static int act(enum queue_action action, uint64_t id, const char *text)
{
	const struct queue_order o = {.action = action,
		.reason = action == QUEUE_REDIRECT ? "" : text,
		.to = action == QUEUE_REDIRECT ? text : "",
		.who = "me"};
	return queue_act(&fx.q, &o, id);
}

static void begin(const char *settings)
{
	fixture_begin(settings);
	zone(SITE, "AAAA", "NODATA");
}

/* ---- bounce ---- */

/* Waiting, deferred and held recipients of several domains: one outcome, one bounce, one group. */
static void test_return(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, "s@sender.example", "b@d.example c@d.example x@e.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "192.0.2.1 ok"), "250 ok|450 4.2.0 busy");
	commit_all();
	assert_int_equal(state_of(5, "c@d.example"), DELIVERY_DEFERRED);
	journal_clear();
	assert_int_equal(act(QUEUE_BOUNCE, 5, "gone"), 0);
	assert_string_equal(fx.journal, "MESSAGE 0 <> s@sender.example + OUTCOME 5 1=failed 2=failed\n");
	assert_int_equal(act(QUEUE_BOUNCE, 5, "gone"), -ENOENT); /* it is on its way */
	assert_int_equal(act(QUEUE_RETRY, 5, ""), -ENOENT);
	commit_all();
	assert_null(find(5));
	assert_int_equal(fx.q.messages.count, 1); /* the bounce */
	dns_run();
	fixture_end();
}

/* While the daemon writes its last checkpoint nothing is noted any more: it would be written nowhere. */
static void test_at_the_end(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, "s@sender.example", "b@d.example");
	journal_clear();
	fx.q.ended = true;
	assert_int_equal(act(QUEUE_HOLD, 5, "x"), -ECANCELED);
	assert_int_equal(act(QUEUE_REMOVE, 5, "x"), -ECANCELED);
	assert_int_equal(fx.q.writing, 0);
	assert_int_equal(fx.q.held, 0);
	fx.q.ended = false;
	dns_run();
	fixture_end();
}

static void test_return_held(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, "s@sender.example", "b@d.example x@e.example");
	assert_int_equal(act(QUEUE_HOLD, 5, "look"), 0);
	journal_clear();
	assert_int_equal(act(QUEUE_BOUNCE, 5, "gone"), 0);
	commit_all();
	assert_non_null(strstr(fx.journal, "OUTCOME 5 0=failed 1=failed\n"));
	assert_null(find(5));
	assert_int_equal(fx.q.held, 0);
	dns_run();
	fixture_end();
}

/* In transfer: what waits stops at once, all goes back when the transfer ends, and what that delivered is delivered. */
static void test_return_in_transfer(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, "s@sender.example", "b@d.example c@d.example x@e.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	dns_run();
	assert_int_equal(act(QUEUE_BOUNCE, 5, "gone"), 1);
	assert_string_equal(fx.journal, "RETURN 5 gone\n");
	assert_int_equal(state_of(5, "x@e.example"), DELIVERY_HELD);
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_ACTIVE);
	answer(c, "250 ok|450 4.2.0 busy");
	commit_all();
	assert_non_null(strstr(fx.journal, "OUTCOME 5 0=delivered 1=deferred\n"));
	assert_non_null(strstr(fx.journal, "MESSAGE 0 <> s@sender.example + OUTCOME 5 1=failed 2=failed\n"));
	assert_null(find(5));
	dns_run();
	fixture_end();
}

/* The daemon ends in between: the next one returns it. */
static void test_return_after_a_restart(void **state)
{
	(void)state;
	struct store_replay calls;
	begin(NULL);
	mail_stored(5, "b@d.example c@d.example x@e.example", BEGIN, false);
	for (unsigned i = 0; i < 2; i++) /* as it comes from the spool */
		index_detach(&fx.q, &find(5)->deliveries[i]);
	dns_run();
	replay_calls(&calls, &fx.q);
	assert_int_equal(calls.returned(calls.arg, 5, "gone", (struct place){1, 64}), 0);
	assert_int_equal(calls.returned(calls.arg, 6, "gone", (struct place){1, 64}), 0);
	schedule_all(&fx.q);
	run_due();
	assert_string_equal(fx.journal, "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=failed 1=failed 2=failed\n");
	commit_all();
	assert_null(find(5));
	dns_run();
	fixture_end();
}

/* Removed in transfer: that is written at once, and no checkpoint brings it back; the transfer ends as it does. */
static void test_remove_in_transfer(void **state)
{
	(void)state;
	begin(NULL);
	mail(4, NULL, "y@y.example");
	mail(5, "s@sender.example", "b@d.example x@e.example");
	struct connection *c = connect_site(SITE, "192.0.2.1");
	assert_int_equal(act(QUEUE_REMOVE, 5, "spam"), 1);
	assert_string_equal(fx.journal, "REMOVE 5 spam\n");
	assert_int_equal(act(QUEUE_REMOVE, 5, "spam"), -ENOENT);
	commit_all();
	assert_non_null(find(5)); /* the transfer has it */
	struct reclaim *r = reclaim_new(&fx.q);
	fx.checkpoint_wanted = true;
	reclaim_tick(r);
	checkpoint_begun();
	while (reclaim_slice(r))
		;
	assert_string_equal(fx.checkpoint, "4");
	reclaim_free(r);
	answer(c, "550 5.1.1 no");
	commit_all();
	assert_null(find(5));
	assert_non_null(strstr(fx.journal, "MESSAGE 0 <> s@sender.example + OUTCOME 5 0=failed\n"));
	dns_run();
	fixture_end();
}

/* The bounce cannot be stored: the message stays, and goes on as before. */
static void test_return_not_stored(void **state)
{
	(void)state;
	for (int held = 0; held < 2; held++) {
		begin(NULL);
		mail(5, "s@sender.example", "b@d.example x@e.example");
		if (held)
			act(QUEUE_HOLD, 5, "look");
		commit_all();
		assert_int_equal(act(QUEUE_BOUNCE, 5, "gone"), 0);
		commit_one(-EIO);
		commit_all();
		assert_non_null(find(5));
		assert_int_equal(find(5)->open, 2);
		enum delivery_state waits = held ? DELIVERY_HELD : DELIVERY_DEFERRED;
		assert_int_equal(state_of(5, "b@d.example"), waits);
		assert_int_equal(state_of(5, "x@e.example"), waits);
		/* a second time it works */
		assert_int_equal(act(QUEUE_BOUNCE, 5, "gone"), 0);
		commit_all();
		assert_null(find(5));
		dns_run();
		fixture_end();
	}
}

static void test_return_without_sender(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, "", "b@d.example");
	assert_int_equal(act(QUEUE_BOUNCE, 5, "gone"), 0);
	assert_string_equal(fx.journal, "OUTCOME 5 0=failed\n");
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	dns_run();
	fixture_end();
}

/* ---- redirect ---- */

static void test_redirect(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, NULL, "b@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "192.0.2.1 ok"), "450 4.2.0 busy");
	commit_all();
	journal_clear();
	assert_int_equal(act(QUEUE_REDIRECT, 5, ""), -EALREADY);
	assert_int_equal(act(QUEUE_REDIRECT, 5, "[192.0.2.77]:2600"), 0);
	assert_string_equal(fx.journal, "REDIRECT 5 [192.0.2.77]:2600\n");
	assert_int_equal(act(QUEUE_REDIRECT, 5, "[192.0.2.77]:2600"), -EALREADY);
	commit_all();
	dns_run();
	struct dial *d = dial_to("[192.0.2.77]:2600");
	assert_non_null(d);
	assert_null(dial_to(SITE));
	answer(dial_end(d, "192.0.2.77 ok"), "450 4.2.0 busy");
	commit_all();
	/* and back */
	assert_int_equal(act(QUEUE_REDIRECT, 5, ""), 0);
	commit_all();
	dns_run();
	assert_string_equal(delivery_of(5, "b@d.example")->site->lane.site, SITE);
	fixture_end();
}

/* While a transfer is under way: what it delivers is delivered, the rest takes no further path to the old site. */
static void test_redirect_in_transfer(void **state)
{
	(void)state;
	begin(NULL);
	zone(SITE, "AAAA", "OK 2001:db8::9"); /* another path, which would be next */
	mail(5, NULL, "b@d.example c@d.example");
	struct connection *c = connect_site(SITE, "2001:db8::9");
	assert_int_equal(act(QUEUE_REDIRECT, 5, "[192.0.2.77]:2600"), 1);
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_ACTIVE);
	unsigned dials = fx.dials_made;
	answer(c, "250 ok|450 4.2.0 busy");
	commit_all();
	run_due();
	dns_run();
	assert_null(dial_to(SITE));
	assert_int_equal(fx.dials_made, dials + 1);
	c = dial_end(dial_to("[192.0.2.77]:2600"), "192.0.2.77 ok");
	assert_string_equal(sending_to(c), "c@d.example");
	answer(c, "250 ok");
	commit_all();
	assert_null(find(5));
	fixture_end();
}

/* While another path is dialled for it, or its connection closes before MAIL, nothing is lost either. */
static void test_redirect_while_dialling(void **state)
{
	(void)state;
	for (int before_mail = 0; before_mail < 2; before_mail++) {
		begin(NULL);
		zone(SITE, "AAAA", "OK 2001:db8::9");
		mail(5, NULL, "b@d.example");
		struct connection *c = connect_site(SITE, "2001:db8::9");
		if (!before_mail) {
			answer(c, "450 4.2.0 busy");
			assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DIALLING);
		}
		assert_int_equal(act(QUEUE_REDIRECT, 5, "[192.0.2.77]:2600"), 1);
		if (before_mail)
			end_transaction(c, TRANSACTION_UNSTARTED, FAULT_CLOSED, "-");
		else
			dial_end(dial_to(SITE), "192.0.2.1 ok");
		assert_int_equal(sending(), 0);
		commit_all();
		run_due();
		dns_run();
		assert_non_null(dial_to("[192.0.2.77]:2600"));
		c = dial_end(dial_to("[192.0.2.77]:2600"), "192.0.2.77 ok");
		assert_string_equal(sending_to(c), "b@d.example");
		fixture_end();
	}
}

static void test_redirect_held(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, NULL, "b@d.example");
	act(QUEUE_HOLD, 5, "look");
	assert_int_equal(act(QUEUE_RETRY, 5, ""), -EBUSY); /* and says so */
	assert_int_equal(act(QUEUE_REDIRECT, 5, "[192.0.2.77]:2600"), 0);
	dns_run();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_HELD);
	assert_int_equal(act(QUEUE_RELEASE, 5, ""), 0);
	dns_run();
	assert_non_null(dial_to("[192.0.2.77]:2600"));
	fixture_end();
}

static void test_dry_run(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, NULL, "b@d.example");
	for (int action = QUEUE_RETRY; action <= QUEUE_REDIRECT; action++) {
		const struct queue_order o = {
			.action = action, .reason = "", .to = "mx.f.example:25", .who = "me", .dry_run = true};
		assert_int_equal(queue_act(&fx.q, &o, 5), action == QUEUE_RELEASE ? -EALREADY : 0);
		assert_int_equal(queue_act(&fx.q, &o, 6), -ENOENT);
	}
	assert_int_equal(fx.commit_count, 0);
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_ROUTING);
	dns_run();
	fixture_end();
}

/* ---- suspend ---- */

static struct rcpt_view seen;

static void see(void *arg, const struct message_view *m)
{
	(void)arg;
	seen = m->rcpts[0];
}

static void test_suspend(void **state)
{
	(void)state;
	begin(NULL);
	/* before anybody has heard of the site */
	assert_int_equal(queue_suspend(&fx.q, "MX.d.example", 0, "moving", "me"), 0);
	mail(5, NULL, "b@d.example");
	mail(6, NULL, "x@e.example");
	dns_run();
	assert_null(dial_to(SITE));
	assert_non_null(dial_to("mx.e.example")); /* others go on */
	assert_int_equal(queue_view(&fx.q, 5, see, NULL), 0);
	assert_int_equal(seen.state, RCPT_STATE_SUSPENDED);
	assert_string_equal(seen.reason, "suspended by the operator: moving");
	assert_int_equal(seen.next_ms, 0);
	pass(HOURS(1));
	assert_null(dial_to(SITE));
	assert_int_equal(queue_resume(&fx.q, "mx.other", "me"), 0);
	assert_int_equal(queue_resume(&fx.q, "mx.*", "me"), 1);
	run_due();
	assert_non_null(dial_to(SITE));
	dns_run();
	fixture_end();
}

/* What is under way ends as usual, and nothing follows it. */
static void test_suspend_in_transfer(void **state)
{
	(void)state;
	begin(NULL);
	zone(SITE, "AAAA", "OK 2001:db8::9"); /* there is another path */
	mail(5, NULL, "b@d.example");
	struct connection *c = connect_site(SITE, "2001:db8::9");
	mail(6, NULL, "c@d.example");
	dns_run();
	unsigned dials = fx.dial_count;
	assert_int_equal(queue_suspend(&fx.q, "*.d.example", 0, "", "me"), 0);
	answer(c, "450 4.2.0 busy");
	commit_all();
	assert_int_equal(state_of(5, "b@d.example"), DELIVERY_DEFERRED);
	assert_int_equal(state_of(6, "c@d.example"), DELIVERY_READY);
	assert_int_equal(sending(), 0);
	assert_int_equal(fx.dial_count, dials);
	assert_int_equal(queue_resume(&fx.q, "*.d.example", "me"), 1);
	run_due();
	assert_int_equal(sending(), 1);
	fixture_end();
}

static void test_suspend_for_a_time(void **state)
{
	(void)state;
	begin(NULL);
	mail(5, NULL, "b@d.example");
	assert_int_equal(queue_suspend(&fx.q, SITE, HOURS(2), "", "me"), 0);
	dns_run();
	queue_view(&fx.q, 5, see, NULL);
	assert_int_equal(seen.next_ms, BEGIN + HOURS(2));
	pass(HOURS(2) - 1);
	suspension_tick(&fx.q);
	assert_null(dial_to(SITE));
	pass(1);
	suspension_tick(&fx.q);
	run_due();
	dns_run();
	assert_non_null(dial_to(SITE));
	assert_int_equal(fx.q.suspension_count, 0);
	fixture_end();
}

/* Mail that waits grows old: its sender is warned, and it comes back. */
static void test_suspended_mail_expires(void **state)
{
	(void)state;
	begin("retry { warn = 4h give_up = 1d }");
	assert_int_equal(queue_suspend(&fx.q, SITE, 0, "moving", "me"), 0);
	mail(5, "s@sender.example", "b@d.example");
	dns_run();
	for (int i = 0; i < 5 * 60; i++) {
		pass(MINUTES(1));
		suspension_tick(&fx.q);
		run_due();
		commit_all();
	}
	assert_non_null(find(5));
	assert_non_null(strstr(fx.journal, "MESSAGE 0 <> s@sender.example + OUTCOME 5 0=deferred\n"));
	assert_null(strstr(fx.journal, "failed"));
	dns_run();
	assert_null(dial_to(SITE));
	/* two days, and it is not given up: nobody has tried */
	for (int i = 0; i < 48 * 6; i++) {
		pass(MINUTES(10));
		suspension_tick(&fx.q);
		run_due();
		commit_all();
		dns_run();
	}
	assert_non_null(find(5));
	assert_null(strstr(fx.journal, "failed"));
	assert_null(dial_to(SITE));
	/* the attempt after the end decides */
	assert_int_equal(queue_resume(&fx.q, SITE, "me"), 1);
	run_due();
	assert_non_null(find(5));
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	commit_all();
	assert_null(find(5));
	assert_non_null(strstr(fx.journal, "OUTCOME 5 0=failed\n"));
	fixture_end();
}

/* The site was at rest when it was suspended: that its probe failed before is no attempt since. */
static void test_suspended_at_rest(void **state)
{
	(void)state;
	begin("retry { warn = 0s give_up = 1d }");
	mail(5, "s@sender.example", "b@d.example");
	dns_run();
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	commit_all();
	assert_int_equal(queue_suspend(&fx.q, SITE, 0, "moving", "me"), 0);
	pass(HOURS(30));
	suspension_tick(&fx.q);
	run_due();
	assert_int_equal(queue_resume(&fx.q, SITE, "me"), 1);
	dispatch_sweep(&fx.q, site_named(SITE));
	run_due();
	commit_all();
	assert_non_null(find(5));
	dns_run();
	pass(HOURS(1));
	dns_run();
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	pass(SECONDS(1));
	commit_all();
	assert_null(find(5));
	fixture_end();
}

static void test_suspensions_are_kept(void **state)
{
	(void)state;
	uint8_t kept[sizeof fx.state];
	begin(NULL);
	assert_int_equal(queue_suspend(&fx.q, "mx.a.example", 0, "moving", "uid=0"), 0);
	assert_int_equal(queue_suspend(&fx.q, "*.b.example", HOURS(1), "", "uid=1"), 0);
	assert_int_equal(queue_suspend(&fx.q, "MX.a.example", 0, "again", "uid=2"), 0); /* in place of the first */
	assert_int_equal(fx.states_written, 3);
	size_t n = fx.state_len;
	memcpy(kept, fx.state, n);
	/* each beginning of the file alone is none */
	for (size_t cut = 0; cut <= n; cut++) {
		suspension_free_all(&fx.q);
		memcpy(fx.state, kept, cut);
		fx.state_len = cut;
		suspension_load(&fx.q);
		assert_true(cut == n ? fx.q.suspension_count == 2 : fx.q.suspension_count < 2);
	}
	const struct suspension *first = TAILQ_FIRST(&fx.q.suspensions), *second = TAILQ_NEXT(first, next);
	assert_string_equal(first->pattern, "*.b.example");
	assert_int_equal(first->until_ms, BEGIN + HOURS(1));
	assert_string_equal(second->pattern, "MX.a.example");
	assert_string_equal(second->reason, "again");
	assert_string_equal(second->who, "uid=2");
	fixture_end();
}

static void test_suspend_refuses(void **state)
{
	(void)state;
	char longer[400];
	begin(NULL);
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(queue_suspend(&fx.q, "", 0, "", "me"), -EINVAL);
	assert_int_equal(queue_suspend(&fx.q, longer, 0, "", "me"), -EINVAL);
	assert_int_equal(queue_suspend(&fx.q, "mx", 0, longer, "me"), -EINVAL);
	/* a site's name that is a pattern too */
	assert_int_equal(queue_suspend(&fx.q, "[192.0.2.9]:2600", 0, "", "me"), 0);
	assert_int_equal(queue_resume(&fx.q, "[192.0.2.9]:2600", "me"), 1);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_at_the_end),
		cmocka_unit_test(test_return_held),
		cmocka_unit_test(test_return_in_transfer),
		cmocka_unit_test(test_return_after_a_restart),
		cmocka_unit_test(test_remove_in_transfer),
		cmocka_unit_test(test_return_not_stored),
		cmocka_unit_test(test_return_without_sender),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_redirect_in_transfer),
		cmocka_unit_test(test_redirect_while_dialling),
		cmocka_unit_test(test_redirect_held),
		cmocka_unit_test(test_dry_run),
		cmocka_unit_test(test_suspend),
		cmocka_unit_test(test_suspend_in_transfer),
		cmocka_unit_test(test_suspend_for_a_time),
		cmocka_unit_test(test_suspended_mail_expires),
		cmocka_unit_test(test_suspended_at_rest),
		cmocka_unit_test(test_suspensions_are_kept),
		cmocka_unit_test(test_suspend_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
