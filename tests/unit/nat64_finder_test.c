/* tests/unit/nat64_finder_test.c: which NAT64 prefixes are in use. dns_ask() and dns_cancel() are this file's own, so
 * that every answer comes when the test says; dns_resolver_test.c has the way over the network. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "dns/nat64_finder.h"

enum { S = 1000, M = 60 * S, H = 60 * M };

struct dns_question {
	dns_done *done;
	void *arg;
};

static struct dns_question *question; /* under way */
static bool full;		      /* no question gets a place */
static unsigned asked, cancelled, changes;
static struct conf conf;
static struct nat64_finder *f;
static struct endpoint server = {.ip = {FAMILY_IPV4, {192, 0, 2, 53}}, .port = 53};

struct dns_question *dns_ask(struct resolver *r, const char *name, enum dns_type type, dns_done *done, void *arg)
{
	assert_null(r);
	assert_null(question);
	assert_string_equal(name, "ipv4only.arpa");
	assert_int_equal(type, DNS_AAAA);
	asked++;
	if (full)
		return NULL;
	question = calloc(1, sizeof *question);
	assert_non_null(question);
	*question = (struct dns_question){.done = done, .arg = arg};
	return question;
}

void dns_cancel(struct dns_question *q)
{
	assert_ptr_equal(q, question);
	free(question);
	question = NULL;
	cancelled++;
}

static void answer_as(bool local, enum dns_status status, uint32_t ttl, const char *records, uint64_t now)
{
	static struct dns_record r[32];
	struct dns_answer a = {.status = status, .ttl = ttl, .records = r, .local = local, .detail = "a reason"};
	char copy[1000], *rest = copy, *word;
	memset(r, 0, sizeof r);
	snprintf(copy, sizeof copy, "%s", records);
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word != '\0')
			assert_int_equal(ip_parse(&r[a.count++].ip, word), 0);
	assert_non_null(question);
	struct dns_question gone = *question;
	free(question);
	question = NULL;
	gone.done(gone.arg, &a, now);
}

static void answer(enum dns_status status, uint32_t ttl, const char *records, uint64_t now)
{
	answer_as(true, status, ttl, records, now);
}

static void on_changed(void *arg)
{
	assert_ptr_equal(arg, &conf);
	changes++;
}

static const char *in_use(void)
{
	static char out[500];
	char text[PREFIX_TEXT];
	size_t count, n = 0;
	const struct nat64_prefix *p = nat64_prefixes(f, &count);
	out[0] = '\0';
	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", i ? " " : "", nat64_prefix_format(&p[i], text));
	return out;
}

static void give(const char *prefixes)
{
	char copy[500], *rest = copy, *word;
	conf.nat64 = (struct conf_nat64){.mode = CONF_NAT64_GIVEN};
	snprintf(copy, sizeof copy, "%s", prefixes);
	while ((word = strsep(&rest, " ")) != NULL)
		assert_int_equal(prefix_parse(&conf.nat64.items[conf.nat64.count++], word), 0);
}

static int set_up(void **state)
{
	(void)state;
	conf = (struct conf){0}; /* nat64 = auto */
	conf.dns.failure = 5 * S;
	conf.dns.nat64_min = 1 * M;
	conf.dns.nat64_max = 1 * H;
	full = false;
	asked = cancelled = changes = 0;
	f = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nat64_finder_close(f);
	return question != NULL;
}

static void open_finder(void)
{
	assert_int_equal(nat64_finder_open(&f, NULL, &conf, on_changed, &conf), 0);
	assert_int_equal(changes, 0);
}

/* The next question comes at `at` and not before. */
static void asks_at(uint64_t at)
{
	unsigned before = asked;
	nat64_finder_tick(f, at - 1);
	assert_int_equal(asked, before);
	nat64_finder_tick(f, at);
	assert_int_equal(asked, before + 1);
	nat64_finder_tick(f, at + 1); /* one at a time */
	assert_int_equal(asked, before + 1);
}

#define WKP "64:ff9b::192.0.0.170 64:ff9b::192.0.0.171"
#define OWN "2001:db8:64::192.0.0.170 2001:db8:64::192.0.0.171"

static void test_discovery(void **state)
{
	(void)state;
	open_finder();
	assert_string_equal(in_use(), "");
	assert_int_equal(asked, 0);
	nat64_finder_tick(f, 100);
	assert_int_equal(asked, 1);
	answer(DNS_OK, 300, OWN " " WKP, 1000);
	assert_int_equal(changes, 1);
	assert_string_equal(in_use(), "2001:db8:64::/96 64:ff9b::/96");
	assert_int_equal(counter_get(COUNTER_nat64_prefixes), 2);
}

/* RFC 7050 §3: ten seconds before the TTL ends; within nat64_min and nat64_max. */
static void test_asked_again_by_ttl(void **state)
{
	static const struct {
		enum dns_status status;
		uint32_t ttl;
		uint64_t wait;
	} rows[] = {{DNS_OK, 300, 290 * S}, {DNS_OK, 70, 60 * S}, {DNS_OK, 71, 61 * S}, {DNS_OK, 60, 1 * M},
		{DNS_OK, 5, 1 * M}, {DNS_OK, 0, 1 * M}, {DNS_OK, 3609, 3599 * S}, {DNS_OK, 86400, 1 * H},
		{DNS_OK, UINT32_MAX, 1 * H}, {DNS_NODATA, 300, 300 * S}, {DNS_NODATA, 0, 1 * M},
		{DNS_NXDOMAIN, 7200, 1 * H}};
	(void)state;
	uint64_t now = 1000;
	open_finder();
	nat64_finder_tick(f, now);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		answer(rows[i].status, rows[i].ttl, rows[i].status == DNS_OK ? WKP : "", now);
		now += rows[i].wait;
		asks_at(now);
	}
}

static void test_changes(void **state)
{
	static const struct {
		const char *why;
		enum dns_status status;
		const char *records, *in_use;
		bool changed;
	} rows[] = {
		{"found", DNS_OK, OWN, "2001:db8:64::/96", true},
		{"the same", DNS_OK, OWN, "2001:db8:64::/96", false},
		{"the same in another order", DNS_OK, "2001:db8:64::192.0.0.171 2001:db8:64::192.0.0.170",
			"2001:db8:64::/96", false},
		{"another", DNS_OK, "2001:db8:65::192.0.0.170 2001:db8:64::192.0.0.170",
			"2001:db8:65::/96 2001:db8:64::/96", true},
		{"turned round by the server", DNS_OK, "2001:db8:64::192.0.0.170 2001:db8:65::192.0.0.170",
			"2001:db8:65::/96 2001:db8:64::/96", false},
		{"SERVFAIL", DNS_SERVFAIL, "", "2001:db8:65::/96 2001:db8:64::/96", false},
		{"time-out", DNS_TIMEOUT, "", "2001:db8:65::/96 2001:db8:64::/96", false},
		{"one less", DNS_OK, "2001:db8:64::192.0.0.170", "2001:db8:64::/96", true},
		{"NODATA", DNS_NODATA, "", "", true},
		{"NODATA again", DNS_NODATA, "", "", false},
		{"found again", DNS_OK, WKP, "64:ff9b::/96", true},
		{"a captive portal", DNS_OK, "2001:db8::1", "", true},
		{"found again", DNS_OK, WKP, "64:ff9b::/96", true},
		{"NXDOMAIN", DNS_NXDOMAIN, "", "", true},
		{"SERVFAIL without any", DNS_SERVFAIL, "", "", false},
	};
	uint64_t now = 1000;
	(void)state;
	open_finder();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++, now += 2 * H) {
		unsigned before = changes;
		nat64_finder_tick(f, now);
		answer(rows[i].status, 300, rows[i].records, now);
		if (strcmp(in_use(), rows[i].in_use) != 0)
			fail_msg("%s: %s", rows[i].why, in_use());
		assert_int_equal(changes - before, rows[i].changed);
	}
}

/* dns { failure }, then twice as long each time, up to nat64_min; an answer begins the waits anew. */
static void test_failing_checks(void **state)
{
	static const uint64_t waits[] = {5 * S, 10 * S, 20 * S, 40 * S, 1 * M, 1 * M};
	uint64_t now = 1000, before = counter_get(COUNTER_nat64_failures);
	(void)state;
	open_finder();
	nat64_finder_tick(f, now);
	for (unsigned round = 0; round < 2; round++) {
		answer(DNS_OK, 300, OWN, now);
		now += 290 * S;
		asks_at(now);
		for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
			answer(i % 2 ? DNS_SERVFAIL : DNS_TIMEOUT, 5, "", now);
			assert_string_equal(in_use(), "2001:db8:64::/96");
			now += waits[i];
			asks_at(now);
		}
	}
	assert_int_equal(counter_get(COUNTER_nat64_failures) - before, 2 * 6);
	assert_int_equal(changes, 1);
}

static void test_no_place_for_the_question(void **state)
{
	uint64_t before = counter_get(COUNTER_nat64_failures);
	(void)state;
	conf.dns.failure = 0; /* even so not each moment */
	full = true;
	open_finder();
	nat64_finder_tick(f, 1000);
	assert_int_equal(asked, 1);
	nat64_finder_tick(f, 1000 + 1 * S - 1);
	assert_int_equal(asked, 1);
	assert_int_equal(counter_get(COUNTER_nat64_failures) - before, 1);
	full = false;
	nat64_finder_tick(f, 1000 + 1 * S);
	answer(DNS_OK, 300, WKP, 3000);
	assert_string_equal(in_use(), "64:ff9b::/96");
}

static void test_who_is_believed(void **state)
{
	static const struct {
		const char *why;
		bool local, named;
		const char *records, *in_use;
		unsigned doubted;
	} rows[] = {
		{"a resolver on this machine", true, false, OWN, "2001:db8:64::/96", 0},
		{"one that the operator named", false, true, OWN, "2001:db8:64::/96", 0},
		{"both", true, true, OWN, "2001:db8:64::/96", 0},
		{"one of /etc/resolv.conf", false, false, OWN, "", 1},
		{"that says the well-known prefix", false, false, WKP, "64:ff9b::/96", 0},
		{"or one of RFC 8215", false, false, "64:ff9b:1:fffe::192.0.0.170", "64:ff9b:1:fffe::/96", 0},
		{"or several", false, false, OWN " " WKP " 2001:db8:c000:aa::", "64:ff9b::/96", 2},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t before = counter_get(COUNTER_nat64_not_believed);
		conf.dns.servers = (struct conf_endpoints){&server, rows[i].named};
		open_finder();
		nat64_finder_tick(f, 1000);
		answer_as(rows[i].local, DNS_OK, 300, rows[i].records, 1000);
		if (strcmp(in_use(), rows[i].in_use) != 0)
			fail_msg("%s: %s", rows[i].why, in_use());
		assert_int_equal(counter_get(COUNTER_nat64_not_believed) - before, rows[i].doubted);
		nat64_finder_close(f);
		f = NULL;
		changes = 0;
	}
}

/* The resolvers name a prefix, and not the old one: that is not theirs any more. */
static void test_what_is_not_believed_is_no_prefix(void **state)
{
	(void)state;
	open_finder();
	nat64_finder_tick(f, 1000);
	answer_as(false, DNS_OK, 300, WKP, 1000);
	nat64_finder_tick(f, 2 * H);
	answer_as(false, DNS_OK, 300, OWN, 2 * H);
	assert_string_equal(in_use(), "");
	assert_int_equal(changes, 2);
}

static void test_configured(void **state)
{
	struct ip ip, ipv4;
	(void)state;
	give("2001:db8:122::/48 64:ff9b::/96 2001:db8:64::/96");
	open_finder();
	assert_string_equal(in_use(), "2001:db8:122::/48 64:ff9b::/96 2001:db8:64::/96"); /* as the operator says */
	nat64_finder_tick(f, 1000);
	nat64_finder_tick(f, 10 * H);
	assert_int_equal(asked, 0);
	assert_int_equal(ip_parse(&ip, "64:ff9b::198.51.100.7"), 0);
	assert_true(nat64_is_synthesised(f, &ip, &ipv4));
	assert_true(ip_equal(&ipv4, &(struct ip){FAMILY_IPV4, {198, 51, 100, 7}}));
	assert_true(nat64_is_synthesised(f, &ip, NULL));
	assert_int_equal(ip_parse(&ip, "2001:db8:1::7"), 0);
	ipv4.family = 99;
	assert_false(nat64_is_synthesised(f, &ip, &ipv4));
	assert_int_equal(ipv4.family, 99);
	assert_int_equal(ip_parse(&ip, "198.51.100.7"), 0);
	assert_false(nat64_is_synthesised(f, &ip, NULL));
}

static void test_the_longest_prefix_counts(void **state)
{
	struct ip ip, ipv4;
	(void)state;
	give("2001:db8::/32 2001:db8:0:0::/96");
	open_finder();
	assert_int_equal(ip_parse(&ip, "2001:db8::198.51.100.7"), 0); /* the /32 would say 0.0.0.0 */
	assert_true(nat64_is_synthesised(f, &ip, &ipv4));
	assert_true(ip_equal(&ipv4, &(struct ip){FAMILY_IPV4, {198, 51, 100, 7}}));
	assert_int_equal(ip_parse(&ip, "2001:db8:c633:6407::"), 0);
	assert_true(nat64_is_synthesised(f, &ip, &ipv4));
	assert_true(ip_equal(&ipv4, &(struct ip){FAMILY_IPV4, {198, 51, 100, 7}}));
}

static void test_off(void **state)
{
	struct ip ip;
	(void)state;
	conf.nat64.mode = CONF_NAT64_OFF;
	open_finder();
	nat64_finder_tick(f, 10 * H);
	assert_int_equal(asked, 0);
	assert_string_equal(in_use(), "");
	assert_int_equal(ip_parse(&ip, "64:ff9b::198.51.100.7"), 0);
	assert_false(nat64_is_synthesised(f, &ip, NULL));
}

static void test_configure(void **state)
{
	(void)state;
	open_finder();
	nat64_finder_tick(f, 1000);
	answer(DNS_OK, 3600, WKP, 1000);
	assert_int_equal(changes, 1);
	/* a reload asks anew, at once; what was found stays meanwhile */
	nat64_finder_configure(f, &conf);
	assert_int_equal(changes, 1);
	assert_string_equal(in_use(), "64:ff9b::/96");
	nat64_finder_tick(f, 2000);
	assert_int_equal(asked, 2);
	/* a question under way is not the new configuration's */
	give("2001:db8:122::/48 2001:db8:64::/96");
	nat64_finder_configure(f, &conf);
	assert_int_equal(cancelled, 1);
	assert_int_equal(changes, 2);
	assert_string_equal(in_use(), "2001:db8:122::/48 2001:db8:64::/96");
	nat64_finder_configure(f, &conf);
	assert_int_equal(changes, 2);
	give("2001:db8:64::/96 2001:db8:122::/48"); /* another one is preferred */
	nat64_finder_configure(f, &conf);
	assert_int_equal(changes, 3);
	assert_string_equal(in_use(), "2001:db8:64::/96 2001:db8:122::/48");
	conf.nat64 = (struct conf_nat64){.mode = CONF_NAT64_OFF};
	nat64_finder_configure(f, &conf);
	assert_int_equal(changes, 4);
	assert_string_equal(in_use(), "");
	assert_int_equal(counter_get(COUNTER_nat64_prefixes), 0);
	nat64_finder_tick(f, 10 * H);
	assert_int_equal(asked, 2);
	conf.nat64 = (struct conf_nat64){.mode = CONF_NAT64_AUTO};
	nat64_finder_configure(f, &conf);
	assert_int_equal(changes, 4);
	nat64_finder_tick(f, 10 * H);
	assert_int_equal(asked, 3);
	answer(DNS_OK, 300, OWN, 10 * H);
	assert_string_equal(in_use(), "2001:db8:64::/96");
	/* what was configured or found by other rules is not carried over */
	give("2001:db8:122::/48");
	nat64_finder_configure(f, &conf);
	conf.nat64 = (struct conf_nat64){.mode = CONF_NAT64_AUTO};
	nat64_finder_configure(f, &conf);
	assert_string_equal(in_use(), "");
}

static void configure_off(void *arg)
{
	(void)arg;
	changes++;
	conf.nat64.mode = CONF_NAT64_OFF;
	nat64_finder_configure(f, &conf);
}

static void test_the_callback_may_configure(void **state)
{
	(void)state;
	assert_int_equal(nat64_finder_open(&f, NULL, &conf, configure_off, NULL), 0);
	nat64_finder_tick(f, 1000);
	answer(DNS_OK, 300, WKP, 1000);
	assert_int_equal(changes, 2);
	assert_string_equal(in_use(), "");
}

static void test_close(void **state)
{
	(void)state;
	open_finder();
	nat64_finder_tick(f, 1000);
	nat64_finder_close(f);
	f = NULL;
	assert_int_equal(cancelled, 1);
	nat64_finder_close(NULL);
	assert_int_equal(nat64_finder_open(&f, NULL, &conf, NULL, NULL), 0); /* nobody is told */
	nat64_finder_tick(f, 1000);
	answer(DNS_OK, 300, WKP, 1000);
	assert_string_equal(in_use(), "64:ff9b::/96");
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROW(test_discovery),
		ROW(test_asked_again_by_ttl),
		ROW(test_changes),
		ROW(test_failing_checks),
		ROW(test_no_place_for_the_question),
		ROW(test_who_is_believed),
		ROW(test_what_is_not_believed_is_no_prefix),
		ROW(test_configured),
		ROW(test_the_longest_prefix_counts),
		ROW(test_off),
		ROW(test_configure),
		ROW(test_the_callback_may_configure),
		ROW(test_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
