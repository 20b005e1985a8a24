/* tests/unit/reach_test.c: what a host can reach, from its addresses and routes; the ways to a destination. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "queue/reach/reach.h"
#include "queue/reach/wake.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

static struct ip ip_of(const char *text)
{
	struct ip ip;
	if (ip_parse(&ip, text) != 0)
		fail_msg("%s is no address", text);
	return ip;
}

/* "a 192.0.2.1, a! fe80::1 (not usable), r 0.0.0.0/0, r! 192.0.2.0/24 (leads nowhere), r 10.0.0.0/8 t5 (in table 5)" */
static void take(struct reach *r, const char *text)
{
	struct picture p = {.most = 100};
	char copy[512], *rest = copy, *one;
	snprintf(copy, sizeof copy, "%s", text);
	while ((one = strsep(&rest, ",")) != NULL && *one != '\0') {
		char kind[4], what[64];
		unsigned table = 254;
		assert_true(sscanf(one, " %3s %63s t%u", kind, what, &table) >= 2);
		struct netlink_item item = {.kind = kind[0] == 'a' ? NETLINK_IS_ADDRESS : NETLINK_IS_ROUTE};
		if (kind[0] == 'a') {
			item.address = (struct netlink_address){.ip = ip_of(what), .usable = kind[1] == '\0'};
		} else {
			struct prefix to;
			assert_int_equal(prefix_parse(&to, what), 0);
			item.route = (struct netlink_route){.to = to, .table = table, .leads = kind[1] == '\0'};
		}
		assert_int_equal(picture_add(&p, &item), 0);
	}
	reach_take(r, &p);
}

#define IPV4 "a 198.51.100.7, r 198.51.100.0/24, r 0.0.0.0/0"
#define IPV6 "a 2001:db8:64::7, r 2001:db8:64::/64, r ::/0"

static void test_direct(void **state)
{
	static const struct {
		const char *host, *to;
		bool direct;
	} rows[] = {
		{IPV4, "203.0.113.1", true},
		{IPV4, "2001:db8::1", false},
		{IPV6, "2001:db8::1", true},
		{IPV6, "203.0.113.1", false},
		{IPV4 ", " IPV6, "203.0.113.1", true},
		{IPV4 ", " IPV6, "2001:db8::1", true},
		/* an address without a route, a route without an address */
		{"a 2001:db8:64::7, r 2001:db8:64::/64", "2001:db8::1", false},
		{"a 2001:db8:64::7, r 2001:db8:64::/64", "2001:db8:64::9", true},
		{"a 198.51.100.7, r ::/0, r 0.0.0.0/0", "2001:db8::1", false},
		/* no source: tentative or deprecated, link-local, loopback */
		{"a! 2001:db8:64::7, r ::/0", "2001:db8::1", false},
		{"a fe80::7, r ::/0", "2001:db8::1", false},
		{"a ::1, r ::/0", "2001:db8::1", false},
		{"a 169.254.1.1, r 0.0.0.0/0", "203.0.113.1", false},
		/* unique local sources reach their kind, and what a special route leads to; no global address */
		{"a fd00::7, r ::/0", "2001:db8::1", false},
		{"a fd00::7, r ::/0", "fd11::1", true},
		{"a fd00::7, r 2001:db8::/32", "2001:db8::1", true},
		{"a fd00::7, r ::/0", "64:ff9b::c000:201", true},
		/* the longest prefix of a table decides; one table that leads there is enough */
		{IPV4 ", r! 203.0.113.0/24", "203.0.113.1", false},
		{IPV4 ", r! 203.0.113.0/24", "203.0.114.1", true},
		{IPV4 ", r! 203.0.113.0/24, r 203.0.113.0/28", "203.0.113.1", true},
		{IPV4 ", r! 203.0.113.0/24, r 203.0.113.0/24 t5", "203.0.113.1", true},
		{"a 198.51.100.7, r! 0.0.0.0/0", "203.0.113.1", false},
		{IPV4, "127.0.0.1", true},
		{IPV6, "fe80::1", false},
		{"", "203.0.113.1", false},
		{"", "127.0.0.1", true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reach *r = reach_new();
		take(r, rows[i].host);
		struct ip to = ip_of(rows[i].to);
		if (reach_direct(r, &to) != rows[i].direct)
			fail_msg("with %s: %s is %sdirect", rows[i].host, rows[i].to, rows[i].direct ? "not " : "");
		reach_free(r);
	}
}

static void test_words_and_changes(void **state)
{
	char text[REACH_TEXT];
	struct ip ipv6 = ip_of("2001:db8::1"), ipv4 = ip_of("203.0.113.1");
	(void)state;
	assert_true(reach_direct(NULL, &ipv6));
	struct reach *r = reach_new();
	assert_true(reach_direct(r, &ipv6)); /* nothing is known: it is tried */
	unsigned generation = reach_generation(r);
	take(r, IPV4);
	assert_true(reach_generation(r) != generation);
	generation = reach_generation(r);
	take(r, IPV4);
	assert_int_equal(reach_generation(r), generation); /* the same */
	assert_string_equal(reach_why(r, FAMILY_IPV6, text), "this host has no IPv6 address");
	take(r, IPV4 ", a! 2001:db8:64::7");
	assert_non_null(strstr(reach_why(r, FAMILY_IPV6, text), "no usable IPv6 address"));
	take(r, IPV4 ", a 2001:db8:64::7");
	assert_string_equal(reach_why(r, FAMILY_IPV6, text), "this host has no IPv6 route");
	assert_false(reach_has(r, FAMILY_IPV6));
	assert_true(reach_has(r, FAMILY_IPV4));
	assert_true(reach_configure(r, FAMILIES_BOTH));
	assert_true(reach_direct(r, &ipv6));
	assert_true(reach_configure(r, FAMILIES_IPV6));
	assert_true(reach_direct(r, &ipv6));
	assert_false(reach_direct(r, &ipv4));
	assert_string_equal(reach_why(r, FAMILY_IPV4, text), "IPv4 is not used here (families = ipv6)");
	assert_false(reach_configure(r, FAMILIES_IPV6));
	reach_configure(r, FAMILIES_AUTO);
	assert_true(reach_forget(r));
	assert_true(reach_direct(r, &ipv6));
	reach_free(r);
}

static void test_too_many_routes(void **state)
{
	struct picture p = {.most = 2};
	struct ip to = ip_of("2001:db8::1");
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct netlink_item item = {.kind = NETLINK_IS_ROUTE, .route = {.table = i, .leads = true}};
		assert_int_equal(prefix_parse(&item.route.to, "192.0.2.0/24"), 0);
		assert_int_equal(picture_add(&p, &item), 0);
	}
	struct reach *r = reach_new();
	reach_take(r, &p);
	assert_true(reach_direct(r, &to)); /* not looked at: it is tried */
	reach_free(r);
}

static void test_nat64(void **state)
{
	struct prefix text;
	struct nat64_prefix prefix;
	struct ip ipv4 = ip_of("203.0.113.1"), made, behind;
	(void)state;
	struct reach *r = reach_new();
	take(r, IPV6);
	assert_int_equal(reach_nat64(r, &ipv4, &made), -ENOENT);
	assert_int_equal(prefix_parse(&text, "2001:db8:64:64::/96"), 0);
	assert_int_equal(nat64_prefix_check(&text, &prefix), 0);
	assert_true(reach_set_prefixes(r, &prefix, 1));
	assert_false(reach_set_prefixes(r, &prefix, 1));
	assert_int_equal(reach_nat64(r, &ipv4, &made), 0);
	struct ip want = ip_of("2001:db8:64:64::cb00:7101");
	assert_true(ip_equal(&made, &want));
	assert_int_equal(reach_behind(r, &made, &behind), 0);
	assert_true(ip_equal(&behind, &ipv4));
	take(r, IPV6 ", r! 2001:db8:64:64::/96");
	assert_int_equal(reach_nat64(r, &ipv4, &made), -ENOENT); /* the translator cannot be reached */
	assert_true(reach_has_nat64(r));
	assert_false(reach_leads_nat64(r));
	assert_int_equal(reach_behind(r, &want, &behind), 0); /* it is one all the same */
	reach_free(r);
}

/* ---- messages of the kernel ---- */

struct datagram {
	struct nlmsghdr head;
	uint8_t bytes[200];
};

static void put_attribute(struct datagram *m, uint16_t type, const void *data, size_t len)
{
	struct rtattr a = {.rta_type = type, .rta_len = (uint16_t)(sizeof a + len)};
	uint8_t *at = (uint8_t *)m + NLMSG_ALIGN(m->head.nlmsg_len);
	memcpy(at, &a, sizeof a);
	memcpy(at + sizeof a, data, len);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + a.rta_len;
}

static int read_one(const struct datagram *m, struct netlink_item *out)
{
	struct netlink_reader r = {.at = (const uint8_t *)m, .left = m->head.nlmsg_len};
	return netlink_next(&r, out);
}

static void test_messages(void **state)
{
	struct netlink_item item;
	struct ip ip = ip_of("2001:db8::7");
	uint32_t table = 1000, metric = 7, flags;
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t all[] = {
			0, IFA_F_TENTATIVE, IFA_F_DEPRECATED, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC};
		struct datagram m = {
			.head = {.nlmsg_type = RTM_NEWADDR, .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))}};
		const struct ifaddrmsg body = {.ifa_family = AF_INET6, .ifa_prefixlen = 64};
		memcpy(m.bytes, &body, sizeof body);
		flags = all[i];
		put_attribute(&m, IFA_ADDRESS, ip.bytes, 16);
		put_attribute(&m, IFA_FLAGS, &flags, sizeof flags);
		assert_int_equal(read_one(&m, &item), 1);
		assert_int_equal(item.kind, NETLINK_IS_ADDRESS);
		assert_true(ip_equal(&item.address.ip, &ip));
		assert_int_equal(item.address.usable, i == 0 || i == 3);
	}
	static const struct {
		uint8_t type;
		unsigned flags;
		enum netlink_kind kind;
		bool leads;
	} rows[] = {
		{RTN_UNICAST, 0, NETLINK_IS_ROUTE, true},
		{RTN_UNICAST, RTNH_F_LINKDOWN, NETLINK_IS_ROUTE, false},
		{RTN_UNREACHABLE, 0, NETLINK_IS_ROUTE, false},
		{RTN_BLACKHOLE, 0, NETLINK_IS_ROUTE, false},
		{RTN_MULTICAST, 0, NETLINK_IS_OTHER, false},
		{RTN_UNICAST, RTM_F_CLONED, NETLINK_IS_OTHER, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct datagram m = {
			.head = {.nlmsg_type = RTM_NEWROUTE, .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg))}};
		const struct rtmsg body = {.rtm_family = AF_INET6,
			.rtm_dst_len = 32,
			.rtm_type = rows[i].type,
			.rtm_flags = rows[i].flags};
		memcpy(m.bytes, &body, sizeof body);
		put_attribute(&m, RTA_DST, ip.bytes, 16);
		put_attribute(&m, RTA_TABLE, &table, sizeof table);
		put_attribute(&m, RTA_PRIORITY, &metric, sizeof metric);
		assert_int_equal(read_one(&m, &item), 1);
		assert_int_equal(item.kind, rows[i].kind);
		if (item.kind != NETLINK_IS_ROUTE)
			continue;
		assert_int_equal(item.route.leads, rows[i].leads);
		assert_int_equal(item.route.table, 1000);
		assert_int_equal(item.route.metric, 7);
		struct ip net = ip_of("2001:db8::");
		assert_true(item.route.to.bits == 32 && ip_equal(&item.route.to.ip, &net));
		/* cut anywhere it is no message, or has fewer attributes; never read past its end */
		for (uint32_t cut = 0; cut < m.head.nlmsg_len; cut++) {
			uint8_t *copy = malloc(cut ? cut : 1);
			memcpy(copy, &m, cut);
			struct netlink_reader r = {.at = copy, .left = cut};
			assert_int_equal(netlink_next(&r, &item), cut == 0 ? 0 : -EBADMSG);
			free(copy);
		}
	}
}

/* ---- mail ---- */

#define SIX "mx.six.example"

/* The host has IPv4 alone, and the destination IPv6. */
static struct reach *ipv4_alone(void)
{
	struct reach *r = reach_new();
	take(r, IPV4);
	fx.q.reach = r;
	zone(SIX, "A", "NODATA");
	return r;
}

static void end_of(struct reach *r)
{
	fx.q.reach = NULL;
	fixture_end();
	reach_free(r);
}

static void test_it_waits_with_that_reason(void **state)
{
	(void)state;
	fixture_begin(NULL);
	struct reach *r = ipv4_alone();
	mail(1, NULL, "b@six.example");
	dns_run();
	commit_all();
	assert_int_equal(fx.dial_count, 0);
	const struct delivery *d = delivery_of(1, "b@six.example");
	assert_int_equal(d->state, DELIVERY_DEFERRED);
	assert_string_equal(
		d->reason, "451 4.4.4 six.example has IPv6 addresses alone, and this host has no IPv6 address");
	/* a dual-stack destination is tried over what there is */
	mail(2, NULL, "b@d.example");
	dns_run();
	struct dial *dial = dial_to("mx.d.example");
	assert_null(offered(dial, "2001:db8::1"));
	answer(dial_end(dial, "192.0.2.1 ok"), "250 ok");
	commit_all();
	end_of(r);
}

static void test_the_next_hop_for_it(void **state)
{
	(void)state;
	fixture_begin("ipv6_relay = [gw.example]\nroute .own.example { ipv6_relay = [own.gw.example] }\n");
	zone("gw.example", "A", "OK 192.0.2.77");
	zone("gw.example", "AAAA", "NODATA");
	zone("own.gw.example", "A", "OK 192.0.2.78");
	zone("own.gw.example", "AAAA", "NODATA");
	zone("mx.x.own.example", "A", "NODATA");
	struct reach *r = ipv4_alone();
	mail(1, NULL, "b@six.example");
	mail(2, NULL, "b@x.own.example");
	mail(3, NULL, "b@d.example");
	dns_run();
	answer(dial_end(dial_to("gw.example"), "192.0.2.77 ok"), "250 ok");
	answer(dial_end(dial_to("own.gw.example"), "192.0.2.78 ok"), "250 ok");
	answer(dial_end(dial_to("mx.d.example"), "192.0.2.1 ok"), "250 ok");
	commit_all();
	assert_null(find(1));
	/* never back to where it comes from */
	struct envelope e = {.id = 4, .client = "192.0.2.77"};
	struct envelope_rcpt rcpt = {.address = "b@six.example"};
	e.rcpts = &rcpt;
	e.rcpt_count = 1;
	mail_of(e);
	dns_run();
	commit_all();
	assert_int_equal(state_of(4, "b@six.example"), DELIVERY_DEFERRED);
	assert_non_null(strstr(delivery_of(4, "b@six.example")->reason, "has sent it here"));
	end_of(r);
}

/* What waited at the site that cannot be reached any more is held against it too: the sweep is no way around. */
static void test_no_loop_behind_a_change(void **state)
{
	(void)state;
	fixture_begin("ipv6_relay = [192.0.2.77]\n");
	struct reach *r = reach_new();
	take(r, IPV4 ", " IPV6);
	fx.q.reach = r;
	zone(SIX, "A", "NODATA");
	for (uint64_t id = 1; id <= 3; id++) {
		struct envelope_rcpt rcpt = {.address = "b@six.example"};
		struct envelope e = {.id = id, .client = "192.0.2.77", .rcpts = &rcpt, .rcpt_count = 1};
		mail_of(e);
	}
	dns_run();
	assert_non_null(dial_to(SIX));
	take(r, IPV4);
	wake_all(&fx.q);
	dns_run();
	pass(SECONDS(1));
	dns_run();
	dial_end(dial_to(SIX), "2001:db8::1 unreachable");
	pass(MINUTES(20));
	dns_run();
	commit_all();
	assert_null(dial_to("[192.0.2.77]"));
	for (uint64_t id = 1; id <= 3; id++)
		assert_int_equal(state_of(id, "b@six.example"), DELIVERY_DEFERRED);
	end_of(r);
}

static void test_nat64_goes_first(void **state)
{
	struct prefix text;
	struct nat64_prefix prefix;
	(void)state;
	fixture_begin("ipv4_relay = [gw.example]\n");
	struct reach *r = reach_new();
	take(r, IPV6);
	fx.q.reach = r;
	zone("mx.four.example", "AAAA", "NODATA");
	assert_int_equal(prefix_parse(&text, "2001:db8:64:64::/96"), 0);
	assert_int_equal(nat64_prefix_check(&text, &prefix), 0);
	reach_set_prefixes(r, &prefix, 1);
	mail(1, NULL, "b@four.example");
	dns_run();
	struct dial *d = dial_to("mx.four.example");
	assert_non_null(d);
	const struct candidate *c = offered(d, "2001:db8:64:64::c000:201");
	assert_non_null(c);
	assert_int_equal(candidate_family(c), FAMILY_IPV4);
	answer(dial_end(d, "2001:db8:64:64::c000:201 ok"), "250 ok");
	commit_all();
	/* what a DNS64 server made is no IPv6 either */
	zone("mx.d.example", "AAAA", "OK 2001:db8:64:64::c000:201");
	mail(2, NULL, "b@d.example");
	dns_run();
	d = dial_to("mx.d.example");
	assert_int_equal(d->candidate_count, 1); /* the A record leads to the same */
	assert_int_equal(candidate_family(&d->candidates[0]), FAMILY_IPV4);
	answer(dial_end(d, "2001:db8:64:64::c000:201 ok"), "250 ok");
	commit_all();
	end_of(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_words_and_changes),
		cmocka_unit_test(test_too_many_routes),
		cmocka_unit_test(test_nat64),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_it_waits_with_that_reason),
		cmocka_unit_test(test_the_next_hop_for_it),
		cmocka_unit_test(test_no_loop_behind_a_change),
		cmocka_unit_test(test_nat64_goes_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
