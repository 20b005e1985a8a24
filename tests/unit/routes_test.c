/* tests/unit/routes_test.c: what a route says of its domain's mail: next hops in order, families, limits, its retry
 * schedule, soft_bounce, discard and reject; where an operator redirects to; and the order of MT-PRIORITY. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue/hops.h"
#include "queue/index.h"
#include "queue/retry.h"
#include "queue/route.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

#define HAS(text, part)                                                                                                \
	do {                                                                                                           \
		if ((text) == NULL || strstr(text, part) == NULL)                                                      \
			fail_msg("\"%s\" is not in \"%s\"", part, (text) ? (text) : "(nothing)");                      \
	} while (0)

/* "192.0.2.1:25 0, [2001:db8::2]:587 1000": what the dial may try, with its preferences. */
static const char *offers(const struct dial *d)
{
	static char out[1024];
	char to[ENDPOINT_TEXT];
	int n = 0;
	out[0] = '\0';
	assert_non_null(d);
	for (unsigned p = 0; p < CONF_HOPS_MAX * HOP_PREFERENCES; p++)
		for (unsigned i = 0; i < d->candidate_count; i++)
			if (d->candidates[i].preference == p)
				n += snprintf(out + n, sizeof out - (size_t)n, "%s%s %u", n ? ", " : "",
					endpoint_format(&d->candidates[i].to, to), p);
	return out;
}

static const char *reason_of(uint64_t id, const char *rcpt)
{
	const char *reason = delivery_of(id, rcpt)->reason;
	return reason ? reason : "";
}

/* ---- next hops in order ---- */

static void test_hops_in_order(void **state)
{
	(void)state;
	fixture_begin("route d.example { relay = [192.0.2.7], [2001:db8::8]:587, [gw.example]:26 }\n");
	zone("gw.example", "A", "OK 192.0.2.9");
	zone("gw.example", "AAAA", "NODATA");
	mail(1, NULL, "b@d.example");
	/* the first hop needs no question: its race begins, and the third joins it */
	struct dial *d = dial_to("192.0.2.7,[2001:db8::8]:587,gw.example:26");
	assert_string_equal(offers(d), "192.0.2.7:25 0, [2001:db8::8]:587 1000");
	assert_true(d->more);
	dns_run();
	assert_string_equal(offers(d), "192.0.2.7:25 0, [2001:db8::8]:587 1000, 192.0.2.9:26 2000");
	assert_false(d->more);
	answer(dial_end(d, "192.0.2.7 refused, 2001:db8::8 refused, 192.0.2.9 ok"), "250 ok");
	commit_all();
	assert_null(find(1));
	fixture_end();
}

/* A hop by MX stands for its whole list; the next hop comes behind the worst of it. */
static void test_hop_by_mx(void **state)
{
	(void)state;
	fixture_begin("route d.example { relay = hub.example:26, [192.0.2.9] }\n");
	zone("hub.example", "MX", "OK 10 a.example 40 b.example");
	zone("a.example", "A", "OK 192.0.2.3");
	zone("a.example", "AAAA", "NODATA");
	zone("b.example", "A", "OK 192.0.2.4");
	zone("b.example", "AAAA", "NODATA");
	mail(1, NULL, "b@d.example");
	assert_int_equal(fx.dial_count, 0); /* the worse hop is known already, and is no reason to begin */
	dns_run();
	assert_string_equal(
		offers(dial_to("hub.example:26,192.0.2.9")), "192.0.2.3:26 0, 192.0.2.4:26 1, 192.0.2.9:25 1000");
	fixture_end();
}

/* The fault of one hop's look-up holds nobody up; what is said when no hop is left. */
static void test_hops_that_fail(void **state)
{
	static const struct {
		const char *first, *second; /* AAAA of the two hops; A is NODATA */
		const char *offers;	    /* NULL: no dial */
		const char *reason;
	} rows[] = {
		{"SERVFAIL", "OK 2001:db8::2", "[2001:db8::2]:25 1000", NULL},
		{"NXDOMAIN", "OK 2001:db8::2", "[2001:db8::2]:25 1000", NULL},
		{"OK 2001:db8::1", "SERVFAIL", "[2001:db8::1]:25 0", NULL},
		{"NXDOMAIN", "SERVFAIL", NULL, "451 4.4.3 AAAA lookup of two.example"},
		{"SERVFAIL", "NODATA", NULL, "451 4.4.3 AAAA lookup of one.example"},
		{"NODATA", "NXDOMAIN", NULL,
			"451 4.3.5 the next hop named here is not found: one.example has no address"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fixture_begin("route d.example { relay = [one.example], [two.example] }\n");
		zone("one.example", "AAAA", rows[i].first);
		zone("one.example", "A", "NODATA");
		zone("two.example", "AAAA", rows[i].second);
		zone("two.example", "A", "NODATA");
		mail(1, NULL, "b@d.example");
		dns_one("two.example", "AAAA"); /* what the second says alone decides nothing */
		dns_one("two.example", "A");
		assert_int_equal(fx.dial_count, 0);
		assert_int_equal(state_of(1, "b@d.example"), DELIVERY_ROUTING);
		dns_run();
		if (rows[i].offers != NULL) {
			assert_string_equal(offers(dial_to("one.example,two.example")), rows[i].offers);
		} else {
			commit_all();
			assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DEFERRED);
			HAS(reason_of(1, "b@d.example"), rows[i].reason);
		}
		fixture_end();
	}
}

/* This relay itself among the hops ends the list; as the first there is none. */
static void test_hop_that_is_this_relay(void **state)
{
	static const struct endpoint here = {.ip = {FAMILY_IPV4, {192, 0, 2, 64}}, .port = 25};
	(void)state;
	fixture_begin("route d.example { relay = [192.0.2.7], [192.0.2.64], [192.0.2.9] }\n"
		      "route e.example { relay = [192.0.2.64], [192.0.2.9] }\n"
		      "route f.example { relay = [192.0.2.64]:10025 }\n");
	fx.q.self = (struct mx_self){.addresses = &here, .address_count = 1};
	mail(1, NULL, "b@d.example");
	assert_string_equal(offers(dial_to("192.0.2.7,192.0.2.64,192.0.2.9")), "192.0.2.7:25 0");
	mail(2, NULL, "b@e.example");
	commit_all();
	assert_null(find(2));
	HAS(fx.journal, "OUTCOME 2 0=failed");
	mail(3, NULL, "b@f.example"); /* a filter on this machine */
	assert_string_equal(offers(dial_to("[192.0.2.64]:10025")), "192.0.2.64:10025 0");
	fx.q.self = (struct mx_self){0};
	fixture_end();
}

/* ---- families ---- */

static void test_only(void **state)
{
	(void)state;
	fixture_begin("route d.example { only = ipv6 }\n");
	mail(1, NULL, "b@d.example");
	dns_one("d.example", "MX");
	assert_int_equal(dns_waiting(), 1); /* the other family is not even asked for */
	dns_run();
	assert_string_equal(offers(dial_to("mx.d.example/d.example")), "[2001:db8::1]:25 10");
	fixture_end();

	fixture_begin("route d.example { only = ipv6 }\n");
	zone("mx.d.example", "AAAA", "NODATA");
	mail(1, NULL, "b@d.example");
	dns_run();
	commit_all();
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DEFERRED);
	assert_string_equal(reason_of(1, "b@d.example"),
		"451 4.4.4 route d.example uses only IPv6: no MX host of d.example has an IPv6 address: mx.d.example");
	fixture_end();
}

static void test_prefer(void **state)
{
	(void)state;
	fixture_begin("route d.example { prefer = ipv4 }\n");
	mail(1, NULL, "b@d.example");
	dns_one("d.example", "MX");
	dns_one("mx.d.example", "AAAA");
	assert_int_equal(fx.dial_count, 0); /* the preferred one has a moment to come */
	dns_one("mx.d.example", "A");
	struct dial *d = dial_to("mx.d.example/d.example");
	assert_true(offered(d, "192.0.2.1")->first);
	assert_false(offered(d, "2001:db8::1")->first);
	/* it fails, and the other works: that goes first for now */
	struct connection *c = dial_end(d, "192.0.2.1 refused, 2001:db8::1 ok");
	answer(c, "250 ok");
	commit_all();
	close_connection(c);
	mail(2, NULL, "b@d.example");
	d = dial_to("mx.d.example/d.example");
	assert_false(offered(d, "2001:db8::1")->doubtful);
	assert_true(offered(d, "192.0.2.1")->doubtful);
	assert_false(offered(d, "192.0.2.1")->first);
	fixture_end();
}

/* ---- limits ---- */

/* Two routes to the same host: each has its own connections, the one with a limit no more than that. */
static void test_limits_of_a_route(void **state)
{
	(void)state;
	fixture_begin("limits { site_connections = 3 }\n"
		      "route d.example { relay = [192.0.2.1] connections = 1 messages = 7 recipients = 2 }\n"
		      "route e.example { relay = [192.0.2.1] }\nroute f.example { relay = [192.0.2.1] first = 1m }\n");
	for (uint64_t id = 1; id <= 50; id++)
		mail(id, "", id % 2 ? "b@d.example" : "b@e.example");
	struct dial *d = dial_to("[192.0.2.1]/d.example"), *e = dial_to("[192.0.2.1]");
	assert_int_equal(d->lane.messages, 7);
	assert_int_equal(d->lane.rcpt_max, 2);
	assert_int_equal(e->lane.messages, 0);
	assert_int_equal(e->lane.rcpt_max, 0);
	struct connection *c = dial_end(d, "192.0.2.1 ok");
	dial_end(e, "192.0.2.1 ok");
	for (unsigned i = 0; i < 5; i++) {
		answer(c, "250 ok");
		commit_all();
		assert_null(dial_to("[192.0.2.1]/d.example"));
	}
	assert_int_equal(site_named("[192.0.2.1]/d.example")->links, 1);
	assert_non_null(dial_to("[192.0.2.1]")); /* the other goes on with the limit of all */
	/* a schedule alone makes no site of its own */
	mail(100, "", "b@f.example");
	assert_ptr_equal(delivery_of(100, "b@f.example")->site, site_named("[192.0.2.1]"));
	fixture_end();
}

/* ---- when it is tried again ---- */

static void test_schedule_of_a_route(void **state)
{
	(void)state;
	fixture_begin("retry { first = 10m max = 1h give_up = 2d }\n"
		      "route d.example { first = 2m max = 4m give_up = 8m }\n");
	zone("mx.d.example", "AAAA", "NODATA");
	zone("mx.e.example", "AAAA", "NODATA");
	mail(1, "", "b@d.example");
	mail(2, "", "b@e.example");
	struct connection *c = connect_site("mx.d.example", "192.0.2.1");
	answer(c, "450 not now");
	answer(connect_site("mx.e.example", "192.0.2.1"), "450 not now");
	commit_all();
	assert_in_range(delivery_of(1, "b@d.example")->due.at - core_now(&fx.q), MINUTES(1), MINUTES(3));
	assert_in_range(delivery_of(2, "b@e.example")->due.at - core_now(&fx.q), MINUTES(8), MINUTES(12));
	assert_int_equal(retry_of(&fx.q, delivery_of(1, "b@d.example")).give_up, MINUTES(8));
	/* the replay believes no later time than the schedule allows */
	delivery_of(1, "b@d.example")->since = core_now(&fx.q) + HOURS(1);
	index_detach(&fx.q, delivery_of(1, "b@d.example"));
	index_detach(&fx.q, delivery_of(2, "b@e.example"));
	delivery_of(2, "b@e.example")->since = core_now(&fx.q) + MINUTES(50);
	schedule_message(&fx.q, find(1));
	schedule_message(&fx.q, find(2));
	assert_int_equal(delivery_of(1, "b@d.example")->due.at, core_now(&fx.q) + MINUTES(4));
	assert_int_equal(delivery_of(2, "b@e.example")->due.at, core_now(&fx.q) + MINUTES(50));
	pass(MINUTES(9));
	dns_run();
	answer(c, "450 not now");
	commit_all();
	assert_null(find(1)); /* after eight minutes */
	assert_non_null(find(2));
	fixture_end();
}

/* A site rests by the schedule of who waits for it first. */
static void test_rest_of_a_route(void **state)
{
	(void)state;
	fixture_begin("retry { first = 10m max = 1h }\nroute d.example { first = 2m max = 4m }\n");
	mail(1, "", "b@d.example");
	dns_run();
	dial_end(dial_to("mx.d.example"), "192.0.2.1 refused");
	struct site *s = site_named("mx.d.example");
	assert_true(s->resting);
	assert_in_range(s->due.at - core_now(&fx.q), MINUTES(1), MINUTES(3));
	fixture_end();
}

/* ---- soft_bounce ---- */

static void test_soft_bounce(void **state)
{
	(void)state;
	fixture_begin("soft_bounce = yes\nroute e.example { soft_bounce = no }\n");
	mail(1, NULL, "b@d.example");
	struct connection *c = connect_site("mx.d.example", "192.0.2.1");
	answer(c, "550 no such user");
	commit_all();
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DEFERRED);
	HAS(reason_of(1, "b@d.example"), "soft_bounce: 550 no such user");
	assert_null(strstr(fx.journal, "MESSAGE"));
	/* our own failures too */
	zone("gone.example", "MX", "NXDOMAIN");
	mail(2, NULL, "b@gone.example");
	dns_run();
	commit_all();
	assert_string_equal(
		reason_of(2, "b@gone.example"), "450 4.1.2 soft_bounce: 550 5.1.2 no such domain: gone.example");
	/* a route says otherwise */
	mail(3, NULL, "b@e.example");
	answer(connect_site("mx.e.example", "192.0.2.1"), "550 no such user");
	commit_all();
	assert_null(find(3));
	/* the fault is mended: the mail is delivered after all */
	pass(MINUTES(10));
	dns_run();
	answer(c, "250 ok");
	commit_all();
	assert_null(find(1));
	HAS(fx.journal, "OUTCOME 1 0=delivered");
	/* or it is not, and the time is over: the end says what was said last */
	pass(DAYS(6));
	dns_run();
	commit_all();
	HAS(fx.journal, "OUTCOME 2 0=failed");
	fixture_end();
}

/* Of two recipients one is refused for good: no other path is tried for it. */
static void test_soft_bounce_is_an_answer(void **state)
{
	(void)state;
	fixture_begin("route d.example { soft_bounce = yes }\n");
	mail(1, NULL, "b@d.example c@d.example");
	answer(connect_site("mx.d.example", "192.0.2.1"), "250 ok|550 no");
	assert_int_equal(fx.dial_count, 0);
	commit_all();
	HAS(fx.journal, "OUTCOME 1 0=delivered 1=deferred");
	fixture_end();
}

/* ---- mail that ends here ---- */

static void test_discard(void **state)
{
	(void)state;
	fixture_begin("route d.example { discard = yes }\n");
	mail(1, NULL, "b@d.example c@d.example");
	assert_int_equal(dns_waiting(), 0);
	commit_all();
	assert_null(find(1));
	assert_string_equal(fx.journal, "OUTCOME 1 0=delivered 1=delivered\n");
	fixture_end();
}

static void test_reject(void **state)
{
	(void)state;
	fixture_begin("route d.example { reject = \"closed for good\" }\n");
	mail(1, NULL, "b@d.example");
	assert_int_equal(dns_waiting(), 0);
	commit_all();
	assert_null(find(1));
	HAS(fx.journal, "<> a@sender.example");
	HAS(fx.journal, "OUTCOME 1 0=failed");
	fixture_end();

	fixture_begin("soft_bounce = yes\nroute d.example { reject = \"closed for good\" }\n");
	mail(1, NULL, "b@d.example");
	commit_all();
	assert_string_equal(reason_of(1, "b@d.example"), "450 4.7.1 soft_bounce: 550 5.7.1 closed for good");
	fixture_end();
}

static void reload(const char *settings)
{
	struct conf *fresh = NULL;
	struct buf errors;
	char text[512];
	buf_init(&errors, 1000);
	int n = snprintf(text, sizeof text, "hostname = relay.example\n%s", settings);
	assert_int_equal(conf_parse(&fresh, "test", text, (size_t)n, &errors), 0);
	buf_fini(&errors);
	conf_unref(fx.q.conf);
	fx.q.conf = fresh;
}

/* Mail waits for a dead site; the operator gives up the domain: all of it goes at the next probe. */
static void test_a_route_begins_to_discard(void **state)
{
	(void)state;
	fixture_begin(NULL);
	for (uint64_t id = 1; id <= 10; id++)
		mail(id, "", "b@d.example");
	dns_run();
	dial_end(dial_to("mx.d.example"), "192.0.2.1 refused");
	commit_all();
	reload("route d.example { discard = yes }\n");
	pass(MINUTES(6));
	commit_all();
	run_due();
	commit_all();
	assert_int_equal(fx.q.messages.count, 0);
	assert_int_equal(fx.dial_count, 0);
	fixture_end();
}

/* ---- redirect ---- */

static void redirect(uint64_t id, const char *relay)
{
	assert_int_equal(message_set_redirect(find(id), relay), 0);
	schedule_retry(&fx.q, find(id));
}

/* Wherever the delivery waits, it goes the new way at once; others of its domain do not. */
static void test_redirect(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(1, "", "b@d.example");
	mail(2, "", "b@d.example");
	mail(3, "", "b@d.example");
	redirect(3, "[192.0.2.7]:26"); /* while its domain is asked for */
	dns_run();
	assert_string_equal(offers(dial_to("[192.0.2.7]:26")), "192.0.2.7:26 0");
	dial_end(dial_to("mx.d.example"), "2001:db8::1 refused, 192.0.2.1 refused");
	commit_all();
	assert_true(site_named("mx.d.example")->resting);
	redirect(1, "[192.0.2.7]:26"); /* while it waits for a resting site */
	assert_ptr_equal(delivery_of(1, "b@d.example")->site, site_named("[192.0.2.7]:26"));
	assert_ptr_equal(delivery_of(2, "b@d.example")->site, site_named("mx.d.example"));
	struct connection *c = dial_end(dial_to("[192.0.2.7]:26"), "192.0.2.7 ok");
	answer(c, "450 not now"); /* deferred there */
	commit_all();
	redirect(3, ""); /* and back to its route */
	assert_ptr_equal(delivery_of(3, "b@d.example")->site, site_named("mx.d.example"));
	assert_int_equal(state_of(3, "b@d.example"), DELIVERY_READY);
	/* several, by MX and as they are */
	mail(9, "", "b@x.example");
	redirect(9, "hub.example, [192.0.2.8]");
	dns_run();
	assert_non_null(dial_to("hub.example,192.0.2.8"));
	fixture_end();
}

/* While an attempt is under way, or being written down, it ends first; the next one begins at once. */
static void test_redirect_during_an_attempt(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone("mx.d.example", "AAAA", "NODATA");
	mail(1, "", "b@d.example");
	struct connection *c = connect_site("mx.d.example", "192.0.2.1");
	redirect(1, "[192.0.2.7]:26");
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_ACTIVE);
	answer(c, "450 not now");
	commit_all();
	run_due();
	struct connection *other = dial_end(dial_to("[192.0.2.7]:26"), "192.0.2.7 ok");
	answer(other, "450 not now");
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_SETTLING);
	schedule_retry(&fx.q, find(1));
	commit_all();
	run_due();
	assert_non_null(other->sent);
	answer(other, "450 not now"); /* once, and no more */
	commit_all();
	run_due();
	assert_null(other->sent);
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DEFERRED);
	fixture_end();
}

static void test_redirect_that_is_none(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(1, "", "b@d.example");
	redirect(1, "not a hop");
	commit_all();
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DEFERRED);
	HAS(reason_of(1, "b@d.example"), "451 4.3.5 redirected to \"not a hop\", which is no next hop");
	fixture_end();
}

/* ---- the end ---- */

/* The relay stops: an answer that comes now settles nothing, as its outcome might not be written any more. */
static void test_answers_at_the_end(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone("gone.example", "MX", "NXDOMAIN");
	mail(1, NULL, "b@gone.example");
	fx.q.draining = true;
	dns_run();
	assert_int_equal(fx.commit_count, 0);
	assert_int_equal(state_of(1, "b@gone.example"), DELIVERY_ROUTING);
	fixture_end();
}

/* ---- MT-PRIORITY ---- */

static void mail_at(int priority, uint64_t id)
{
	fx.priority = priority;
	mail(id, "", "b@d.example");
}

static void test_priority(void **state)
{
	(void)state;
	fixture_begin("limits { site_connections = 1 }\n");
	mail_at(0, 1);
	struct connection *c = connect_site("mx.d.example", "192.0.2.1");
	mail_at(-3, 2);
	mail_at(0, 3);
	mail_at(9, 4);
	mail_at(0, 5);
	mail_at(9, 6);
	static const uint64_t order[] = {1, 4, 6, 3, 5, 2};
	for (unsigned i = 0; i < sizeof order / sizeof order[0]; i++) {
		assert_non_null(c->sent);
		assert_int_equal(c->sent->id, order[i]);
		answer(c, "250 ok");
		commit_all();
	}
	fixture_end();
}

/* However much comes with a high priority, every eighth choice falls on who waits longest. */
static void test_low_priority_is_not_starved(void **state)
{
	(void)state;
	fixture_begin("limits { site_connections = 1 }\n");
	mail_at(9, 1);
	struct connection *c = connect_site("mx.d.example", "192.0.2.1");
	mail_at(-9, 2);
	pass(1);
	unsigned before = 0;
	for (uint64_t id = 10; c->sent->id != 2; id++) {
		mail_at(9, id);
		answer(c, "250 ok");
		commit_all();
		assert_true(++before <= 8);
	}
	assert_in_range(before, 2, 8);
	fixture_end();
}

/* Behind a backlog fresh mail still has every second turn, within its priority. */
static void test_priority_and_fresh_mail(void **state)
{
	(void)state;
	fixture_begin("limits { site_connections = 1 }\n");
	mail_at(0, 1);
	struct connection *c = connect_site("mx.d.example", "192.0.2.1");
	for (uint64_t id = 2; id < 20; id++)
		mail_at(0, id);
	pass(MINUTES(3));
	mail_at(0, 50);
	mail_at(0, 51);
	mail_at(4, 60);
	mail_at(-4, 61);
	unsigned fresh = 0;
	for (unsigned i = 0; i < 5; i++) {
		answer(c, "250 ok");
		commit_all();
		if (i == 0)
			assert_int_equal(c->sent->id, 60);
		assert_int_not_equal(c->sent->id, 61);
		fresh += c->sent->id == 50 || c->sent->id == 51;
	}
	assert_int_equal(fresh, 2);
	fixture_end();
}

/* A sweep sees each one once, whatever its priority. */
static void test_sweep_of_all_priorities(void **state)
{
	(void)state;
	struct ready r;
	static struct message m[300];
	static struct delivery d[300];
	static struct message_extra extra[3] = {{.priority = 9}, {.priority = 0}, {.priority = -9}};
	unsigned seen[300] = {0}, count = 0;
	ready_init(&r);
	assert_null(ready_first(&r));
	for (unsigned i = 0; i < 300; i++) {
		m[i].extra = &extra[i % 3];
		d[i] = (struct delivery){.message = &m[i], .since = i};
		ready_add(&r, &d[i]);
	}
	ready_sweep(&r);
	for (struct delivery *at; (at = ready_sweep_next(&r)) != NULL; count++) {
		assert_int_equal(seen[at - d]++, 0);
		if (at - d == 200)
			continue; /* this one leaves */
		ready_add(&r, at);
	}
	assert_int_equal(count, 300);
	assert_int_equal(r.count, 299);
	/* first in, first out inside each, and who stayed is in its order */
	for (unsigned i = 0; i < 299; i++) {
		struct delivery *first = TAILQ_FIRST(&r.level[__builtin_ctz(r.used)]);
		assert_true(first->message->extra == &extra[i < 100 ? 0 : i < 200 ? 1 : 2]);
		ready_remove(&r, first);
	}
	assert_int_equal(r.count, 0);
	assert_int_equal(r.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hops_in_order),
		cmocka_unit_test(test_hop_by_mx),
		cmocka_unit_test(test_hops_that_fail),
		cmocka_unit_test(test_hop_that_is_this_relay),
		cmocka_unit_test(test_only),
		cmocka_unit_test(test_prefer),
		cmocka_unit_test(test_limits_of_a_route),
		cmocka_unit_test(test_schedule_of_a_route),
		cmocka_unit_test(test_rest_of_a_route),
		cmocka_unit_test(test_soft_bounce),
		cmocka_unit_test(test_soft_bounce_is_an_answer),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_reject),
		cmocka_unit_test(test_a_route_begins_to_discard),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_redirect_during_an_attempt),
		cmocka_unit_test(test_redirect_that_is_none),
		cmocka_unit_test(test_answers_at_the_end),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_low_priority_is_not_starved),
		cmocka_unit_test(test_priority_and_fresh_mail),
		cmocka_unit_test(test_sweep_of_all_priorities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
