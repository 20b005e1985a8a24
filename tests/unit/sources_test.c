/* tests/unit/sources_test.c: from which address mail leaves, under which name, and over which family while it is warmed
 * up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "conf/counter.h"
#include "conf/sources.h"
#include "queue/path/failover.h"
#include "queue/path/pool.h"
#include "queue/path/prober.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"
#define PTR "550 5.7.25 no PTR record for your address"
#define POOLS                                                                                                          \
	"source { ipv4 = 198.51.100.7  helo = relay.example  helo_ipv6 = v6.relay.example }\n"                         \
	"pool a { addresses = 198.51.100.20, 198.51.100.21, 2001:db8:64::20, 2001:db8:64::21 }\n"                      \
	"pool b { addresses = 198.51.100.30 }\n"                                                                       \
	"identity 198.51.100.20 { helo = a20.example }\n"                                                              \
	"identity 198.51.100.21 { helo = a21.example }\n"                                                              \
	"identity 198.51.100.7 { helo = seven.example }\n"                                                             \
	"sender s.example { pool = a }\n"                                                                              \
	"sender .s.example { pool = b }\n"                                                                             \
	"sender .deep.s.example { pool = a }\n"                                                                        \
	"route r.example { pool = b }\n"

static bool leaves_from(const struct dial *d, const char *ipv4, const char *ipv6)
{
	char text4[IP_TEXT] = "kernel", text6[IP_TEXT] = "kernel";
	if (d->lane.source_ipv4.family != FAMILY_NONE)
		ip_format(&d->lane.source_ipv4, text4);
	if (d->lane.source_ipv6.family != FAMILY_NONE)
		ip_format(&d->lane.source_ipv6, text6);
	bool same = (ipv4 == NULL || strcmp(text4, ipv4) == 0) && (ipv6 == NULL || strcmp(text6, ipv6) == 0);
	if (!same)
		print_error("leaves from %s and %s\n", text4, text6);
	return same;
}

/* Mail from a sender of the domain, over a connection of its own. */
static struct dial *next_mail(uint64_t id, const char *sender, const char *to)
{
	for (unsigned i = 0; i < fx.connection_count; i++)
		if (fx.connections[i]->open && fx.connections[i]->sent == NULL)
			close_connection(fx.connections[i]);
	mail(id, sender, to);
	dns_run();
	char site[80];
	snprintf(site, sizeof site, "mx.%s", strchr(to, '@') + 1);
	return dial_to(site);
}

static void deliver(struct dial *d, const char *paths)
{
	answer(dial_end(d, paths), "250 ok");
	commit_all();
}

static uint64_t counter_of(const char *name)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (strcmp(counter_name((enum counter)i), name) == 0)
			return counter_get((enum counter)i);
	fail_msg("no counter %s", name);
	return 0;
}

/* ---- which pool, which name ---- */

static void test_which_pool(void **state)
{
	static const struct {
		const char *sender, *to, *ipv4, *ipv6, *helo4, *helo6;
	} rows[] = {
		{"x@other.example", "b@d.example", "198.51.100.7", "kernel", "seven.example", "v6.relay.example"},
		{"", "b@d.example", "198.51.100.7", "kernel", "seven.example", "v6.relay.example"},
		{"x@s.example", "b@d.example", "198.51.100.20", "2001:db8:64::20", "a20.example", "v6.relay.example"},
		{"x@S.EXAMPLE", "b@d.example", "198.51.100.20", "2001:db8:64::20", "a20.example", "v6.relay.example"},
		{"x@sub.s.example", "b@d.example", "198.51.100.30", "kernel", "relay.example", "v6.relay.example"},
		{"x@deep.s.example", "b@d.example", "198.51.100.30", "kernel", "relay.example", "v6.relay.example"},
		{"x@y.deep.s.example", "b@d.example", "198.51.100.20", "2001:db8:64::20", "a20.example",
			"v6.relay.example"},
		{"x@ss.example", "b@d.example", "198.51.100.7", "kernel", "seven.example", "v6.relay.example"},
		/* the route's goes before the sender's */
		{"x@s.example", "b@r.example", "198.51.100.30", "kernel", "relay.example", "v6.relay.example"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fixture_begin(POOLS);
		struct dial *d = next_mail(1, rows[i].sender, rows[i].to);
		if (!leaves_from(d, rows[i].ipv4, rows[i].ipv6) || strcmp(d->lane.helo_ipv4, rows[i].helo4) != 0 ||
			strcmp(d->lane.helo_ipv6, rows[i].helo6) != 0)
			fail_msg("%s to %s: %s, %s", rows[i].sender, rows[i].to, d->lane.helo_ipv4, d->lane.helo_ipv6);
		fixture_end();
	}
}

static void test_they_take_turns(void **state)
{
	unsigned used[2][2] = {{0}};
	(void)state;
	fixture_begin(POOLS);
	for (uint64_t id = 1; id <= 100; id++) {
		struct dial *d = next_mail(id, "x@s.example", "b@d.example");
		char text[IP_TEXT];
		used[0][strcmp(ip_format(&d->lane.source_ipv4, text), "198.51.100.21") == 0]++;
		used[1][strcmp(ip_format(&d->lane.source_ipv6, text), "2001:db8:64::21") == 0]++;
		assert_string_equal(d->lane.helo_ipv4,
			strcmp(ip_format(&d->lane.source_ipv4, text), "198.51.100.21") == 0 ? "a21.example"
											    : "a20.example");
		deliver(d, "2001:db8::1 ok");
	}
	for (unsigned f = 0; f < 2; f++)
		assert_int_equal(used[f][0], 50);
	fixture_end();
}

/* Mail of one pool never rides on a connection of another one, nor of none. */
static void test_pools_are_not_mixed(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	struct connection *of_a = dial_end(next_mail(1, "x@s.example", "b@d.example"), "2001:db8::1 ok");
	answer(of_a, "250 ok");
	commit_all();
	for (uint64_t id = 10; id < 15; id++) { /* the site may have several connections now */
		mail(id, "x@s.example", "b@d.example");
		answer(of_a, "250 ok");
		commit_all();
	}
	mail(2, "x@sub.s.example", "b@d.example");
	assert_null(of_a->sent);
	struct connection *of_b = dial_end(dial_to(SITE), "2001:db8::1 ok");
	answer(of_b, "250 ok");
	mail(3, "x@other.example", "b@d.example");
	assert_null(of_a->sent);
	assert_null(of_b->sent);
	answer(dial_end(dial_to(SITE), "2001:db8::1 ok"), "250 ok");
	mail(4, "y@s.example", "b@d.example");
	assert_non_null(of_a->sent);
	answer(of_a, "250 ok");
	commit_all();
	fixture_end();
}

/* ---- addresses that this host has not ---- */

static void test_unusable(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	uint64_t told = counter_of("sources_unusable"), none = counter_of("sources_none_usable");
	fx.foreign = "198.51.100.20 198.51.100.30 ";
	for (uint64_t id = 1; id <= 4; id++) {
		struct dial *d = next_mail(id, "x@s.example", "b@d.example");
		assert_true(leaves_from(d, "198.51.100.21", NULL));
		deliver(d, "192.0.2.1 ok");
	}
	assert_int_equal(counter_of("sources_unusable"), told + 1); /* once a minute */
	assert_int_equal(counter_of("sources_none_usable"), none);
	/* none is left: the mail goes all the same, under the common name */
	struct dial *d = next_mail(5, "x@sub.s.example", "b@d.example");
	assert_true(leaves_from(d, "kernel", "kernel"));
	assert_string_equal(d->lane.helo_ipv4, "relay.example");
	deliver(d, "192.0.2.1 ok");
	assert_int_equal(counter_of("sources_none_usable"), none + 1);
	assert_int_equal(counter_of("sources_unusable"), told + 2);
	/* it comes back: known within 5 s, not before */
	fx.foreign = NULL;
	pass(4999);
	d = next_mail(6, "x@sub.s.example", "b@d.example");
	assert_true(leaves_from(d, "kernel", NULL));
	deliver(d, "192.0.2.1 ok");
	pass(1);
	d = next_mail(7, "x@sub.s.example", "b@d.example");
	assert_true(leaves_from(d, "198.51.100.30", NULL));
	deliver(d, "192.0.2.1 ok");
	fixture_end();
}

static void test_unusable_is_told_once_a_minute(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	uint64_t told = counter_of("sources_unusable");
	fx.foreign = "198.51.100.30 ";
	for (uint64_t id = 1; id <= 181; id++) {
		deliver(next_mail(id, "x@sub.s.example", "b@d.example"), "192.0.2.1 ok");
		pass(SECONDS(1));
	}
	assert_int_equal(counter_of("sources_unusable"), told + 4); /* at 0, 60, 120, 180 s */
	fixture_end();
}

/* ---- addresses that a site refuses ---- */

/* A site with one family: the same message goes from the other address at once, later mail from the start; elsewhere
 * nothing is known of it; after an hour it may be otherwise. */
static void test_refused_source_rests(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	zone(SITE, "AAAA", "NODATA");
	struct dial *d = next_mail(1, "x@s.example", "b@d.example");
	assert_true(leaves_from(d, "198.51.100.20", NULL));
	struct connection *c = dial_end(d, "192.0.2.1 ok");
	answer(c, PTR);
	d = dial_to(SITE);
	assert_non_null(d);
	assert_non_null(offered(d, "192.0.2.1"));
	assert_true(leaves_from(d, "198.51.100.21", NULL));
	const struct attempt *a = delivery_of(1, "b@d.example")->tries->attempt;
	assert_int_equal(a->paths[0].fault, FAULT_SOURCE_REFUSED);
	deliver(d, "192.0.2.1 ok");
	assert_null(find(1));
	for (uint64_t id = 2; id <= 4; id++) {
		d = next_mail(id, "x@s.example", "b@d.example");
		assert_true(leaves_from(d, "198.51.100.21", NULL));
		assert_false(offered(d, "192.0.2.1")->doubtful);
		deliver(d, "192.0.2.1 ok");
	}
	unsigned seen = 0;
	for (uint64_t id = 10; id < 12; id++) {
		d = next_mail(id, "x@s.example", "b@e.example");
		char text[IP_TEXT];
		seen += strcmp(ip_format(&d->lane.source_ipv4, text), "198.51.100.20") == 0;
		deliver(d, "192.0.2.1 ok");
	}
	assert_int_equal(seen, 1);
	pass(HOURS(1));
	seen = 0;
	for (uint64_t id = 20; id < 22; id++) {
		d = next_mail(id, "x@s.example", "b@d.example");
		char text[IP_TEXT];
		seen += strcmp(ip_format(&d->lane.source_ipv4, text), "198.51.100.20") == 0;
		deliver(d, "192.0.2.1 ok");
	}
	assert_int_equal(seen, 1);
	fixture_end();
}

/* A connection that is still open from the refused address carries no more mail. */
static void test_the_refused_connection_is_not_used(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	zone(SITE, "AAAA", "NODATA");
	struct connection *c = dial_end(next_mail(1, "x@s.example", "b@d.example"), "192.0.2.1 ok");
	answer(c, PTR);
	deliver(dial_to(SITE), "192.0.2.1 ok");
	assert_true(c->open);
	struct connection *other = fx.connections[1];
	mail(2, "x@s.example", "b@d.example");
	assert_null(c->sent);
	assert_non_null(other->sent);
	answer(other, "250 ok");
	commit_all();
	fixture_end();
}

/* Every address of the pool is refused: it fails, and the notice has both answers; no third session. */
static void test_all_sources_are_refused(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	zone(SITE, "AAAA", "NODATA");
	mail(1, "x@s.example", "b@d.example c@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "192.0.2.1 ok"), PTR);
	struct connection *c = dial_end(dial_to(SITE), "192.0.2.1 ok");
	assert_string_equal(sending_to(c), "b@d.example c@d.example");
	const struct attempt *a = delivery_of(1, "b@d.example")->tries->attempt;
	assert_int_equal(a->path_count, 2);
	assert_int_equal(a->paths[0].fault, FAULT_SOURCE_REFUSED);
	answer(c, PTR);
	assert_int_equal(fx.dial_count, 0);
	commit_all();
	assert_non_null(strstr(fx.journal, "0=failed 1=failed"));
	/* now it is the family's matter */
	assert_true(memory_avoids(fx.q.memory, SITE, FAMILY_IPV4, core_now(&fx.q)));
	fixture_end();
}

/* A pool of one address has no other: that is the family's matter at once. */
static void test_one_source(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	answer(dial_end(next_mail(1, "x@sub.s.example", "b@d.example"), "192.0.2.1 ok"), PTR);
	struct dial *d = dial_to(SITE);
	assert_null(offered(d, "192.0.2.1"));
	assert_true(memory_avoids(fx.q.memory, SITE, FAMILY_IPV4, core_now(&fx.q)));
	deliver(d, "2001:db8::1 ok");
	fixture_end();
}

/* Both families are there: the message goes over the other one, and the family stays in use from the other address. */
static void test_refused_with_the_other_family_there(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	struct dial *d = next_mail(1, "x@s.example", "b@d.example");
	assert_true(leaves_from(d, NULL, "2001:db8:64::20"));
	answer(dial_end(d, "2001:db8::1 ok"), PTR);
	d = dial_to(SITE);
	assert_null(offered(d, "2001:db8::1"));
	deliver(d, "192.0.2.1 ok");
	assert_false(memory_avoids(fx.q.memory, SITE, FAMILY_IPV6, core_now(&fx.q)));
	for (uint64_t id = 2; id <= 3; id++) {
		d = next_mail(id, "x@s.example", "b@d.example");
		assert_true(leaves_from(d, NULL, "2001:db8:64::21"));
		assert_false(offered(d, "2001:db8::1")->doubtful);
		deliver(d, "2001:db8::1 ok");
	}
	fixture_end();
}

/* The greeting refuses: the address rests, the site does not for long, and mail goes from the other one. */
static void test_refused_at_the_greeting(void **state)
{
	(void)state;
	fixture_begin(POOLS);
	zone(SITE, "AAAA", "NODATA");
	struct dial *d = next_mail(1, "x@s.example", "b@d.example");
	assert_true(leaves_from(d, "198.51.100.20", NULL));
	dial_end(d, "192.0.2.1 greeting-5yz=554 5.7.25 no reverse DNS for your address");
	assert_int_equal(state_of(1, "b@d.example"), DELIVERY_READY);
	pass(SECONDS(5));
	d = dial_to(SITE);
	assert_non_null(d);
	assert_true(leaves_from(d, "198.51.100.21", NULL));
	deliver(d, "192.0.2.1 ok");
	assert_null(find(1));
	fixture_end();
}

/* ---- a share of IPv6 ---- */

static void test_share_grows(void **state)
{
	static const struct {
		uint64_t percent, warmup, passed;
		double share;
	} rows[] = {
		{10, 0, DAYS(100), 10},
		{10, DAYS(28), 0, 10},
		{10, DAYS(28), DAYS(14), 31.6228}, /* half of the time: the root of 10 times as much */
		{10, DAYS(28), DAYS(28), 100},
		{10, DAYS(28), DAYS(29), 100},
		{1, DAYS(30), DAYS(15), 10},
		{0, DAYS(30), DAYS(15), 0},
		{100, DAYS(30), DAYS(15), 100},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		double share = pool_share_now(rows[i].percent, rows[i].warmup, BEGIN, BEGIN + rows[i].passed);
		if (fabs(share - rows[i].share) > 0.001)
			fail_msg("row %zu: %f", i, share);
	}
	/* a clock that went back begins at the beginning */
	assert_true(pool_share_now(10, DAYS(28), BEGIN, BEGIN - DAYS(1)) == 10);
}

/* Messages of 10,000 that are for IPv6, as a bit each. */
static unsigned share_of(bool over_ipv6[10000])
{
	unsigned n = 0;
	struct rcpt r = {.address = "b@d.example"};
	struct message m = {.sender = "x@s.example", .rcpts = &r, .rcpt_count = 1};
	struct delivery d = {.message = &m};
	for (unsigned i = 0; i < 10000; i++) {
		m.id = BEGIN * 1000 + i;
		enum family family = pool_family(&fx.q, &d);
		over_ipv6[i] = family != FAMILY_IPV4;
		assert_true(pool_family(&fx.q, &d) == family);
		n += over_ipv6[i];
	}
	return n;
}

/* The share is what is said, grows with time, and a message that was for IPv6 stays so; a restart does not begin anew,
 * a damaged file and another percentage do. */
static void test_share_is_kept(void **state)
{
	static const char *const settings = "pool a { addresses = 2001:db8:64::20  ipv6_share = 10% ipv6_warmup = 28d "
					    "}\nsender s.example { pool = a }\nsource { ipv6_share = 50% }\n";
	static bool before[10000], after[10000];
	static struct kept warmup;
	(void)state;
	fixture_begin(settings);
	pool_load(&fx.q);
	assert_in_range(share_of(before), 900, 1100);
	pass(DAYS(14));
	assert_in_range(share_of(after), 3000, 3300);
	for (unsigned i = 0; i < 10000; i++)
		assert_true(after[i] || !before[i]);
	assert_int_equal(fx.states_written, 1);
	warmup = fx.warmup;
	fixture_end();

	fixture_begin(settings);
	fx.warmup = warmup;
	pool_load(&fx.q);
	pass(DAYS(14));
	assert_in_range(share_of(after), 3000, 3300);
	fixture_end();

	fixture_begin(settings);
	fx.warmup = warmup;
	fx.warmup.len -= 3;
	pool_load(&fx.q);
	pass(DAYS(14));
	assert_in_range(share_of(after), 900, 1100);
	fixture_end();

	fixture_begin("pool a { addresses = 2001:db8:64::20  ipv6_share = 20% ipv6_warmup = 28d }\n"
		      "sender s.example { pool = a }\n");
	fx.warmup = warmup;
	pool_load(&fx.q);
	pass(DAYS(14));
	assert_in_range(share_of(after), 1850, 2150);
	fixture_end();
}

/* All there is, and nothing at all. */
static void test_share_ends(void **state)
{
	static bool over[10000];
	(void)state;
	fixture_begin("source { ipv6_share = 0% }\n");
	assert_int_equal(share_of(over), 0);
	fixture_end();
	fixture_begin(NULL);
	assert_int_equal(share_of(over), 10000);
	fixture_end();
}

/* It says which family goes first, and which connections are used; a broken path is left for the other all the same. */
static void test_share_in_a_dial(void **state)
{
	(void)state;
	fixture_begin("source { ipv6_share = 0% }\n");
	struct dial *d = next_mail(1, NULL, "b@d.example");
	assert_true(offered(d, "192.0.2.1")->first);
	assert_false(offered(d, "2001:db8::1")->first);
	/* the race went otherwise: the mail goes, but no further mail follows while IPv4 is as good */
	struct connection *c = dial_end(d, "2001:db8::1 ok");
	answer(c, "250 ok");
	commit_all();
	mail(2, NULL, "b@d.example");
	assert_null(c->sent);
	answer(dial_end(dial_to(SITE), "192.0.2.1 ok"), "250 ok");
	commit_all();
	deliver(next_mail(3, NULL, "b@d.example"), "192.0.2.1 connect-timeout, 2001:db8::1 ok");
	mail(4, NULL, "b@d.example");
	assert_int_equal(sending(), 1); /* IPv4 is broken: the open connection over IPv6 serves */
	answer(fx.connections[fx.connection_count - 1], "250 ok");
	commit_all();
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_pool),
		cmocka_unit_test(test_they_take_turns),
		cmocka_unit_test(test_pools_are_not_mixed),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_unusable_is_told_once_a_minute),
		cmocka_unit_test(test_refused_source_rests),
		cmocka_unit_test(test_the_refused_connection_is_not_used),
		cmocka_unit_test(test_all_sources_are_refused),
		cmocka_unit_test(test_one_source),
		cmocka_unit_test(test_refused_with_the_other_family_there),
		cmocka_unit_test(test_refused_at_the_greeting),
		cmocka_unit_test(test_share_grows),
		cmocka_unit_test(test_share_is_kept),
		cmocka_unit_test(test_share_ends),
		cmocka_unit_test(test_share_in_a_dial),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
