/* tests/unit/paths_test.c: mail and the memory of paths: probes beside it, fail-over for the family, sites that are
 * slow and not broken; what is kept across a restart. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/path/keep.h"
#include "queue/path/prober.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"
#define PTR "550 5.7.25 no PTR record for your address"
#define LISTED "554 5.7.1 Service unavailable; Client host [x] blocked using zen.spamhaus.org"

/* One mail to the site, over a connection of its own; what the dial offers is looked at before. */
static struct dial *next_mail(uint64_t id)
{
	for (unsigned i = 0; i < fx.connection_count; i++)
		if (fx.connections[i]->open && fx.connections[i]->sent == NULL)
			close_connection(fx.connections[i]);
	mail(id, NULL, "b@d.example");
	dns_run();
	return dial_to(SITE);
}

static struct dial *probe_under_way(void)
{
	return fx.probe_count > 0 ? fx.probes[0] : NULL;
}

/* IPv6 broke; mail goes over IPv4 and does not touch IPv6. */
static void break_ipv6(void)
{
	struct dial *d = next_mail(1);
	assert_false(offered(d, "2001:db8::1")->doubtful);
	answer(dial_end(d, "2001:db8::1 connect-timeout, 192.0.2.1 ok"), "250 ok");
	commit_all();
	assert_true(fx.dial_count == 0);
}

/* Mail every half minute for three hours: a dead family is tried by single connections, on their schedule, and by no
 * mail. */
static void test_probes_are_few(void **state)
{
	unsigned probes[3] = {0}, by_mail = 0;
	(void)state;
	fixture_begin(NULL);
	break_ipv6();
	for (unsigned second = 0; second < 3 * 3600; second++) {
		pass(SECONDS(1));
		struct dial *d = second % 30 ? NULL : next_mail(100 + second);
		if (d != NULL) {
			by_mail += !offered(d, "2001:db8::1")->doubtful;
			answer(dial_end(d, "192.0.2.1 ok"), "250 ok");
			commit_all();
		}
		struct dial *probe = probe_under_way();
		if (probe == NULL)
			continue;
		assert_int_equal(probe->candidate_count, 1);
		assert_int_equal(probe->connect_time, 900);
		answer(dial_end(next_mail(100000 + second), "192.0.2.1 ok"), "250 ok"); /* while it is under way */
		commit_all();
		dial_end(probe, "2001:db8::1 connect-timeout");
		probes[second / 3600]++;
	}
	assert_int_equal(by_mail, 0);
	assert_in_range(probes[0], 4, 6);
	assert_in_range(probes[1], 3, 4);
	assert_in_range(probes[2], 3, 4);
	fixture_end();
}

/* No mail, no probe. The first mail after a long time goes over the family that works, with a probe beside it; once
 * that was greeted the next mail goes over the other one. */
static void test_healing(void **state)
{
	(void)state;
	fixture_begin(NULL);
	break_ipv6();
	pass(HOURS(5));
	assert_int_equal(fx.dial_count + fx.probe_count, 0);
	struct dial *d = next_mail(2);
	assert_true(offered(d, "2001:db8::1")->doubtful);
	struct connection *c = dial_end(d, "192.0.2.1 ok");
	struct dial *probe = probe_under_way();
	assert_non_null(probe);
	assert_false(offered(probe, "2001:db8::1")->doubtful);
	assert_null(offered(probe, "192.0.2.1"));
	answer(c, "250 ok");
	commit_all();
	/* one at a time */
	answer(dial_end(next_mail(3), "192.0.2.1 ok"), "250 ok");
	commit_all();
	assert_int_equal(fx.probe_count, 1);
	dial_end(probe, "2001:db8::1 ok");
	d = next_mail(4);
	assert_false(offered(d, "2001:db8::1")->doubtful);
	answer(dial_end(d, "2001:db8::1 ok"), "250 ok");
	commit_all();
	fixture_end();
}

/* The answers have run out, and AAAA comes first again: mail waits for A rather than for a family that is broken; but
 * not for ever. */
static void test_answers_of_the_broken_family_come_first(void **state)
{
	(void)state;
	fixture_begin(NULL);
	break_ipv6();
	close_connection(fx.connections[0]);
	pass(DAYS(2));
	mail(2, NULL, "b@d.example");
	dns_one("d.example", "MX");
	dns_one(SITE, "AAAA");
	assert_int_equal(fx.dial_count, 0);
	dns_one(SITE, "A");
	struct dial *d = dial_to(SITE);
	assert_non_null(d);
	struct connection *c = dial_end(d, "192.0.2.1 ok");
	answer(c, "250 ok");
	commit_all();
	close_connection(c);
	pass(DAYS(2));
	mail(3, NULL, "b@d.example");
	dns_one("d.example", "MX");
	dns_one(SITE, "AAAA");
	pass(SECONDS(1) - 1);
	assert_int_equal(fx.dial_count, 0);
	pass(1);
	assert_int_equal(fx.dial_count, 1); /* it may be the only one that there is */
	dns_run();
	fixture_end();
}

/* TERM while a probe is under way: it ends, and nothing waits for it. */
static void test_probe_at_the_end(void **state)
{
	(void)state;
	fixture_begin(NULL);
	break_ipv6();
	pass(MINUTES(3));
	dial_end(next_mail(2), "192.0.2.1 ok");
	assert_non_null(probe_under_way());
	prober_drain(&fx.q);
	fixture_end();
}

/* ---- refused for the family ---- */

/* At RCPT or after the content: the same message goes over the other family at once, the next one from the start. */
static void test_refused_for_its_family(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(1, NULL, "b@d.example c@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), PTR);
	struct dial *d = dial_to(SITE);
	assert_non_null(d);
	assert_null(offered(d, "2001:db8::1")); /* out of question, not merely last */
	assert_string_equal(fx.journal, "");	/* nothing is final yet */
	struct connection *c = dial_end(d, "192.0.2.1 ok");
	assert_string_equal(sending_to(c), "b@d.example c@d.example");
	answer(c, "250 ok");
	commit_all();
	assert_null(find(1));
	/* a connection over IPv6 that is still open is not used either */
	mail(2, NULL, "b@d.example");
	assert_non_null(c->sent);
	answer(c, "250 ok");
	commit_all();
	d = next_mail(3);
	assert_true(offered(d, "2001:db8::1")->doubtful);
	assert_false(offered(d, "192.0.2.1")->doubtful);
	answer(dial_end(d, "192.0.2.1 ok"), "250 ok");
	commit_all();
	/* after an hour it may be otherwise */
	pass(HOURS(1));
	assert_false(offered(next_mail(4), "2001:db8::1")->doubtful);
	fixture_end();
}

/* Only those who were refused go on; the others have their mail. */
static void test_some_are_refused(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(1, NULL, "a@d.example b@d.example c@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), "250 ok|" PTR "|550 5.1.1 no such user");
	commit_all();
	struct connection *c = dial_end(dial_to(SITE), "192.0.2.1 ok");
	assert_string_equal(sending_to(c), "b@d.example");
	answer(c, "250 ok");
	commit_all();
	assert_non_null(strstr(fx.journal, "0=delivered"));
	assert_non_null(strstr(fx.journal, "1=delivered 2=failed"));
	fixture_end();
}

/* Both families refuse: it fails, and the attempt holds both answers. */
static void test_both_refuse(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(1, NULL, "b@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), PTR);
	struct connection *c = dial_end(dial_to(SITE), "192.0.2.1 ok");
	const struct attempt *a = delivery_of(1, "b@d.example")->tries->attempt;
	assert_int_equal(a->path_count, 2);
	assert_int_equal(a->paths[0].fault, FAULT_FAMILY_REFUSED);
	assert_non_null(strstr(a->paths[0].reply.text, "no PTR record"));
	answer(c, "554 5.7.1 your IPv4 address has no reverse DNS either");
	commit_all();
	assert_non_null(strstr(fx.journal, "0=failed"));
	assert_int_equal(fx.dial_count, 0);
	fixture_end();
}

static void test_who_does_not_fail_over(void **state)
{
	static const struct {
		const char *what, *settings, *reply, *mx6, *mx4;
		bool fails_over;
	} rows[] = {
		{"by default", NULL, PTR, NULL, NULL, true},
		{"4yz too", NULL, "451 4.7.25 no PTR record", NULL, NULL, true},
		{"switched off", "policy_failover = no\n", PTR, NULL, NULL, false},
		{"for one route", "route d.example {\n policy_failover = no\n}\n", PTR, NULL, NULL, false},
		{"for one route alone", "policy_failover = no\nroute d.example {\n policy_failover = yes\n}\n", PTR,
			NULL, NULL, true},
		{"another reason", NULL, "550 5.1.1 no such user", NULL, NULL, false},
		{"no other family", NULL, PTR, NULL, "NODATA", false},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fixture_begin(rows[i].settings);
		if (rows[i].mx4 != NULL)
			zone(SITE, "A", rows[i].mx4);
		mail(1, NULL, "b@d.example");
		dns_run();
		answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), rows[i].reply);
		if ((fx.dial_count == 1) != rows[i].fails_over)
			fail_msg("%s", rows[i].what);
		fixture_end();
	}
}

/* At the greeting it is the route's word that counts, as it is at RCPT. */
static void test_refused_at_the_greeting(void **state)
{
	static const struct {
		const char *settings;
		bool remembers;
	} rows[] = {
		{NULL, true},
		{"policy_failover = no\n", false},
		{"policy_failover = no\nroute d.example {\n policy_failover = yes\n}\n", true},
		{"route d.example {\n policy_failover = no\n}\n", false},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fixture_begin(rows[i].settings);
		mail(1, NULL, "b@d.example");
		dns_run();
		answer(dial_end(dial_to(SITE), "2001:db8::1 greeting-5yz=554 5.7.25 no PTR record, 192.0.2.1 ok"),
			"250 ok");
		commit_all();
		const struct site_memory *s = memory_site(fx.q.memory, SITE);
		if (s == NULL || track_is_refused(&s->family[1], core_now(&fx.q)) != rows[i].remembers)
			fail_msg("row %u", i);
		fixture_end();
	}
}

/* The reply to the final dot was lost: the mail may be there. No path takes it a second time in this attempt. */
static void test_never_after_a_lost_reply(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(1, NULL, "b@d.example");
	dns_run();
	end_transaction(dial_end(dial_to(SITE), "2001:db8::1 ok"), TRANSACTION_UNKNOWN, FAULT_RESET, "-");
	commit_all();
	assert_int_equal(fx.dial_count, 0);
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DEFERRED);
	fixture_end();
}

/* The wording of a block list: one other address, of the other family, and no third. */
static void test_block_list(void **state)
{
	(void)state;
	fixture_begin("race {\n sessions_per_attempt = 8\n}\n");
	zone(SITE, "AAAA", "OK 2001:db8::1 2001:db8::2");
	zone(SITE, "A", "OK 192.0.2.1 192.0.2.2");
	mail(1, NULL, "b@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), LISTED);
	struct dial *d = dial_to(SITE);
	assert_non_null(d);
	assert_null(offered(d, "2001:db8::2"));
	answer(dial_end(d, "192.0.2.1 ok"), LISTED);
	commit_all();
	assert_int_equal(fx.dial_count, 0);
	assert_non_null(strstr(fx.journal, "0=failed"));
	fixture_end();
}

/* The second session of the attempt is refused for its family: there is one more. */
static void test_refused_at_the_last_session(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone(SITE, "A", "OK 192.0.2.1 192.0.2.2");
	mail(1, NULL, "b@d.example");
	dns_run();
	end_transaction(dial_end(dial_to(SITE), "192.0.2.1 ok"), TRANSACTION_LOST, FAULT_RESET, "-");
	answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), PTR);
	assert_non_null(dial_to(SITE));
	answer(dial_end(dial_to(SITE), "192.0.2.2 ok"), "250 ok");
	commit_all();
	assert_null(find(1));
	fixture_end();
}

/* The other family cannot be reached now: the mail waits, although it was refused with 5yz. */
static void test_the_other_family_is_down(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(1, NULL, "b@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), PTR);
	dial_end(dial_to(SITE), "192.0.2.1 connect-timeout");
	commit_all();
	assert_non_null(strstr(fx.journal, "0=deferred"));
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_DEFERRED);
	/* and mail is not stuck between the two: the next one takes what it can get */
	struct dial *d = next_mail(2);
	assert_non_null(d);
	answer(dial_end(d, "192.0.2.1 connect-timeout, 2001:db8::1 ok"), "250 ok");
	commit_all();
	assert_null(find(2));
	fixture_end();
}

/* ---- slow, not broken ---- */

/* Every path falls silent at the same step: none is doubtful for that, and the next attempt has the RFC's times. */
static void test_slow_at_mail(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(1, NULL, "b@d.example");
	dns_run();
	struct connection *c = dial_end(dial_to(SITE), "2001:db8::1 ok");
	assert_false(c->last_path);
	end_transaction(c, TRANSACTION_LOST, FAULT_SILENT_LATER, "-");
	end_transaction(dial_end(dial_to(SITE), "192.0.2.1 ok"), TRANSACTION_LOST, FAULT_SILENT_LATER, "-");
	commit_all();
	struct dial *d = next_mail(2);
	assert_false(offered(d, "2001:db8::1")->doubtful);
	assert_false(offered(d, "192.0.2.1")->doubtful);
	c = dial_end(d, "2001:db8::1 ok");
	assert_true(c->last_path);
	answer(c, "250 ok");
	commit_all();
	c = dial_end(next_mail(3), "2001:db8::1 ok");
	assert_false(c->last_path); /* it answered: patience again */
	fixture_end();
}

/* ---- kept ---- */

static void test_kept_across_a_restart(void **state)
{
	(void)state;
	fixture_begin(NULL);
	keep_load(&fx.q);
	break_ipv6();
	mail(5, NULL, "b@e.example");
	dns_run();
	answer(dial_end(dial_to("mx.e.example"), "2001:db8::1 ok"), PTR);
	answer(dial_end(dial_to("mx.e.example"), "192.0.2.1 ok"), "250 ok");
	commit_all();
	assert_int_equal(memory_pin(fx.q.memory, "mx.f.example", FAMILY_IPV4, HOURS(2), "root", BEGIN), 0);
	keep_pins(&fx.q);
	assert_int_equal(fx.states_written, 1);
	keep_tick(&fx.q); /* begun: not a minute has passed since the start */
	pass(MINUTES(1));
	keep_tick(&fx.q);
	assert_int_equal(fx.states_written, 2);
	pass(MINUTES(1));
	keep_tick(&fx.q); /* nothing is new */
	assert_int_equal(fx.states_written, 2);
	static struct kept paths, pinned;
	paths = fx.paths;
	pinned = fx.pinned;
	keep_free(&fx.q);
	fixture_end();

	fixture_begin(NULL);
	fx.paths = paths;
	fx.pinned = pinned;
	keep_load(&fx.q);
	const struct site_memory *s = memory_site(fx.q.memory, SITE);
	assert_non_null(s);
	assert_int_equal(s->family[1].last_fault, FAULT_CONNECT_TIMEOUT);
	assert_true(s->family[1].since != 0);
	assert_true(s->family[0].since == 0);
	assert_int_equal(s->family[0].connect_ms, 5);
	assert_true(offered(next_mail(1), "2001:db8::1")->doubtful);
	assert_true(memory_avoids(fx.q.memory, "mx.e.example", FAMILY_IPV6, core_now(&fx.q)));
	assert_true(memory_avoids(fx.q.memory, "mx.f.example", FAMILY_IPV6, core_now(&fx.q)));
	assert_string_equal(memory_site(fx.q.memory, "mx.f.example")->pinned_by, "root");
	pass(HOURS(2) + SECONDS(1));
	keep_tick(&fx.q);
	assert_false(memory_avoids(fx.q.memory, "mx.f.example", FAMILY_IPV6, core_now(&fx.q)));
	keep_free(&fx.q);
	fixture_end();
}

/* Whatever stands in the files: nothing, or what was there, is taken; never half of it. */
static void test_damaged_files(void **state)
{
	static struct kept whole;
	(void)state;
	fixture_begin(NULL);
	keep_load(&fx.q);
	break_ipv6();
	keep_all(&fx.q);
	whole = fx.paths;
	keep_free(&fx.q);
	fixture_end();
	assert_true(whole.len > 200);
	for (size_t cut = 1; cut < whole.len; cut += 7) {
		fixture_begin(NULL);
		fx.paths = whole;
		fx.paths.len = cut;
		keep_load(&fx.q);
		/* a cut between two entries is a whole file with fewer of them */
		assert_true(memory_site(fx.q.memory, SITE) == NULL || cut > 200);
		keep_free(&fx.q);
		fixture_end();
	}
	for (size_t at = 0; at < whole.len; at++) {
		struct buf b;
		fixture_begin(NULL);
		buf_init(&b, sizeof whole.bytes);
		buf_append(&b, whole.bytes, whole.len);
		b.data[at] ^= 0xff;
		int err = keep_decode(&fx.q, &b);
		assert_true(err == 0 || err == -EBADMSG);
		buf_fini(&b);
		fixture_end();
	}
}

/* The clock was wrong when it was written: no doubt and no refusal lasts for longer than it may. */
static void test_clock_was_wrong(void **state)
{
	static struct kept kept;
	(void)state;
	fixture_begin(NULL);
	keep_load(&fx.q);
	fx.q.shift += (int64_t)DAYS(4000);
	mail(5, NULL, "b@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), PTR);
	answer(dial_end(dial_to(SITE), "192.0.2.1 ok"), "250 ok");
	commit_all();
	keep_all(&fx.q);
	kept = fx.paths;
	keep_free(&fx.q);
	fixture_end();
	fixture_begin(NULL);
	fx.paths = kept;
	keep_load(&fx.q);
	assert_true(memory_avoids(fx.q.memory, SITE, FAMILY_IPV6, core_now(&fx.q)));
	assert_false(memory_avoids(fx.q.memory, SITE, FAMILY_IPV6, core_now(&fx.q) + DAYS(1)));
	keep_free(&fx.q);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probes_are_few),
		cmocka_unit_test(test_healing),
		cmocka_unit_test(test_answers_of_the_broken_family_come_first),
		cmocka_unit_test(test_probe_at_the_end),
		cmocka_unit_test(test_refused_for_its_family),
		cmocka_unit_test(test_some_are_refused),
		cmocka_unit_test(test_both_refuse),
		cmocka_unit_test(test_who_does_not_fail_over),
		cmocka_unit_test(test_refused_at_the_greeting),
		cmocka_unit_test(test_never_after_a_lost_reply),
		cmocka_unit_test(test_block_list),
		cmocka_unit_test(test_refused_at_the_last_session),
		cmocka_unit_test(test_the_other_family_is_down),
		cmocka_unit_test(test_slow_at_mail),
		cmocka_unit_test(test_kept_across_a_restart),
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_clock_was_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
