/* tests/unit/dns_mx_test.c: from domains to hosts. dns_ask() and dns_cancel() are this file's own, so that every answer
 * comes when the test says; dns_resolver_test.c has the way over the network. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "dns/mx.h"

struct dns_question {
	TAILQ_ENTRY(dns_question) all;
	char name[DNS_NAME_MAX];
	enum dns_type type;
	dns_done *done;
	void *arg;
};

static TAILQ_HEAD(, dns_question) questions = TAILQ_HEAD_INITIALIZER(questions);
static unsigned room, asked, cancelled; /* dns_ask() refuses when `room` is used up */
static unsigned changes;
static struct conf conf;

struct dns_question *dns_ask(struct resolver *r, const char *name, enum dns_type type, dns_done *done, void *arg)
{
	(void)r;
	if (room == 0)
		return NULL;
	room--;
	asked++;
	struct dns_question *q = calloc(1, sizeof *q);
	assert_non_null(q);
	snprintf(q->name, sizeof q->name, "%s", name);
	q->type = type;
	q->done = done;
	q->arg = arg;
	TAILQ_INSERT_TAIL(&questions, q, all);
	return q;
}

void dns_cancel(struct dns_question *q)
{
	cancelled++;
	TAILQ_REMOVE(&questions, q, all);
	free(q);
}

static enum dns_type type_of(const char *text)
{
	return strcmp(text, "MX") == 0 ? DNS_MX : strcmp(text, "A") == 0 ? DNS_A : DNS_AAAA;
}

/* Answers the question under way: "OK 192.0.2.1 192.0.2.2", "OK 10 mx.example 20 .", "NODATA", "NXDOMAIN", "SERVFAIL",
 * "TIMEOUT"; a "!" before it makes it secure. */
static void answer(const char *name, const char *type, uint32_t ttl, const char *text, uint64_t now)
{
	static const char *const statuses[] = {"OK", "NODATA", "NXDOMAIN", "SERVFAIL", "TIMEOUT"};
	static struct dns_record records[32];
	struct dns_answer a = {.ttl = ttl, .records = records};
	struct dns_question *q;
	char copy[1024], *rest = copy, *word;
	TAILQ_FOREACH (q, &questions, all)
		if (strcmp(q->name, name) == 0 && q->type == type_of(type))
			break;
	if (q == NULL)
		fail_msg("%s %s is not asked for", name, type);
	memset(records, 0, sizeof records);
	a.secure = text[0] == '!';
	snprintf(copy, sizeof copy, "%s", text + a.secure);
	word = strsep(&rest, " ");
	while (strcmp(statuses[a.status], word) != 0)
		assert_true(++a.status <= DNS_TIMEOUT);
	if (a.status == DNS_SERVFAIL)
		snprintf(a.detail, sizeof a.detail, "SERVFAIL from 192.0.2.53:53");
	while ((word = strsep(&rest, " ")) != NULL) {
		struct dns_record *r = &records[a.count++];
		assert_true(a.count <= 32);
		if (q->type == DNS_MX) {
			r->preference = (uint16_t)atoi(word);
			word = strsep(&rest, " ");
			snprintf(r->name, sizeof r->name, "%s", strcmp(word, ".") == 0 ? "" : word);
		} else {
			assert_int_equal(ip_parse(&r->ip, word), 0);
		}
	}
	struct dns_question gone = *q;
	TAILQ_REMOVE(&questions, q, all);
	free(q);
	gone.done(gone.arg, &a, now);
}

static void on_changed(void *arg, struct mx *mx)
{
	(void)arg;
	(void)mx;
	changes++;
}

static const char *const self_names[] = {"relay.example", "Relay2.Example"}; /* as the operator wrote it */
static const struct endpoint self_addresses[] = {{.ip = {FAMILY_IPV4, {192, 0, 2, 99}}, .port = 25},
	{.ip = {FAMILY_IPV6, {0x20, 1, 0xd, 0xb8, [15] = 0x99}}, .port = 25},
	{.ip = {FAMILY_IPV4, {192, 0, 2, 98}}, .port = 587}};
static const struct mx_self self = {self_names, 2, self_addresses, 3};

static struct mx *start(const char *name, uint64_t now)
{
	room = 100;
	asked = cancelled = changes = 0;
	struct mx *mx = mx_start(NULL, &conf, &(struct mx_wanted){.name = name}, &self, now, on_changed, NULL);
	assert_non_null(mx);
	assert_int_equal(changes, 0);
	return mx;
}

static int setup(void **state)
{
	(void)state;
	conf.dns.hosts = 5;
	conf.dns.addresses = 3;
	conf.dns.failure = 5000;
	conf.dns.ttl_max = 86400000;
	conf.race.resolution_delay = 50;
	return 0;
}

/* "HOSTS 10 a.example 192.0.2.1 2001:db8::1, 20 b.example ? !": `?` is a family not known yet, `-` one without
 * addresses, `!` one whose look-up failed. "550 5.1.2 text" for failures and deferrals. */
static const char *told(const struct mx *mx)
{
	static const char *const parts[] = {" ?", "", " -", " !"};
	static char out[4096];
	int n = 0;
	if (mx->state == MX_PENDING)
		return "PENDING";
	if (mx->state != MX_HOSTS) {
		assert_true(mx->complete);
		assert_int_equal(mx->code / 100, mx->state == MX_FAILED ? 5 : 4);
		snprintf(out, sizeof out, "%d %s %s", mx->code, mx->enhanced, mx->reason);
		return out;
	}
	n += snprintf(out, sizeof out, "HOSTS");
	for (size_t i = 0; i < mx->count; i++) {
		const struct mx_host *h = &mx->hosts[i];
		n += snprintf(out + n, sizeof out - n, "%s %u %s", i ? "," : "", h->preference, h->name);
		for (unsigned f = 0; f < 2; f++) {
			n += snprintf(out + n, sizeof out - n, "%s", parts[h->family[f].state]);
			assert_int_equal(h->family[f].state == MX_PART_HAVE, h->family[f].count > 0);
			for (size_t k = 0; k < h->family[f].count; k++) {
				char text[IP_TEXT];
				n += snprintf(out + n, sizeof out - n, " %s", ip_format(&h->family[f].items[k], text));
			}
		}
	}
	return out;
}

struct row {
	const char *why;
	const char *answers[12]; /* "name type: answer", in the order in which they come */
	const char *expected;
};

static void play(const struct row *row, struct mx *mx)
{
	for (size_t k = 0; row->answers[k] != NULL; k++) {
		char name[DNS_NAME_MAX], type[8];
		int used = 0;
		assert_int_equal(sscanf(row->answers[k], "%253s %7[^:]: %n", name, type, &used), 2);
		unsigned before = changes;
		answer(name, type, 60, row->answers[k] + used, 1000);
		assert_int_equal(changes, before + 1);
	}
	if (strcmp(told(mx), row->expected) != 0)
		fail_msg("%s: %s\nnot %s", row->why, told(mx), row->expected);
	if (!TAILQ_EMPTY(&questions))
		fail_msg("%s: %s is still asked for", row->why, TAILQ_FIRST(&questions)->name);
	assert_true(mx->complete);
	assert_int_equal(cancelled + room + asked, 100 + cancelled);
	mx_free(mx);
}

static void test_results(void **state)
{
	static const struct row rows[] = {
		{"null MX", {"d.example MX: OK 0 ."}, "556 5.1.10 d.example accepts no mail (null MX)"},
		{"no domain", {"d.example MX: NXDOMAIN"}, "550 5.1.2 no such domain: d.example"},
		{"neither MX nor addresses", {"d.example MX: NODATA", "d.example A: NODATA", "d.example AAAA: NODATA"},
			"550 5.1.2 d.example has neither MX nor A nor AAAA records"},
		{"the domain's addresses vanish between two questions",
			{"d.example MX: NODATA", "d.example A: NXDOMAIN", "d.example AAAA: NXDOMAIN"},
			"550 5.1.2 d.example has neither MX nor A nor AAAA records"},
		{"MX without addresses",
			{"d.example MX: OK 10 a.example 20 b.example", "a.example A: NXDOMAIN",
				"a.example AAAA: NODATA", "b.example A: NODATA", "b.example AAAA: NODATA"},
			"550 5.4.4 no MX host of d.example has an address: a.example, b.example"},
		{"MX look-up fails", {"d.example MX: SERVFAIL"},
			"451 4.4.3 MX lookup of d.example: SERVFAIL from 192.0.2.53:53"},
		{"MX look-up takes too long", {"d.example MX: TIMEOUT"}, "451 4.4.3 MX lookup of d.example: "},
		{"no address and one look-up failed",
			{"d.example MX: OK 10 a.example 20 b.example", "a.example A: NODATA",
				"a.example AAAA: SERVFAIL", "b.example A: NODATA", "b.example AAAA: NODATA"},
			"451 4.4.3 AAAA lookup of a.example: SERVFAIL from 192.0.2.53:53"},
		{"implicit MX with a failed look-up",
			{"d.example MX: NODATA", "d.example AAAA: NODATA", "d.example A: SERVFAIL"},
			"451 4.4.3 A lookup of d.example: SERVFAIL from 192.0.2.53:53"},
		{"a failed look-up beside an address",
			{"d.example MX: OK 10 a.example", "a.example A: OK 192.0.2.1", "a.example AAAA: SERVFAIL"},
			"HOSTS 10 a.example 192.0.2.1 !"},
		{"implicit MX", {"d.example MX: NODATA", "d.example A: OK 192.0.2.1", "d.example AAAA: OK 2001:db8::1"},
			"HOSTS 0 d.example 192.0.2.1 2001:db8::1"},
		{"one family only",
			{"d.example MX: OK 10 a.example", "a.example AAAA: OK 2001:db8::1", "a.example A: NODATA"},
			"HOSTS 10 a.example - 2001:db8::1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		play(&rows[i], start("d.example", 0));
}

static void test_hosts(void **state)
{
	static const struct row rows[] = {
		{"sorted by preference, equal ones as they came; duplicates merged to the better",
			{"d.example MX: OK 20 b.example 10 z.example 10 a.example 5 b.example 30 a.example",
				"b.example A: OK 192.0.2.1", "b.example AAAA: NODATA", "a.example A: NODATA",
				"a.example AAAA: NODATA", "z.example A: NODATA", "z.example AAAA: NODATA"},
			"HOSTS 5 b.example 192.0.2.1 -, 10 z.example - -, 10 a.example - -"},
		{"broken names are skipped",
			{"d.example MX: OK 10 192.0.2.7 20 ::1 30 a\\.b 35 . 40 [192.0.2.1] 50 a.example",
				"a.example A: OK 192.0.2.1", "a.example AAAA: NODATA"},
			"HOSTS 50 a.example 192.0.2.1 -"},
		{"nothing but broken names", {"d.example MX: OK 10 192.0.2.7 20 ."},
			"550 5.4.4 no MX of d.example is a host name: \"192.0.2.7\""},
		{"no more than dns { hosts }: the best",
			{"d.example MX: OK 70 g 60 f 50 e 40 d 30 c 20 b 10 a", "a A: OK 192.0.2.1", "a AAAA: NODATA",
				"b A: NODATA", "b AAAA: NODATA", "c A: NODATA", "c AAAA: NODATA", "d A: NODATA",
				"d AAAA: NODATA", "e A: NODATA", "e AAAA: NODATA"},
			"HOSTS 10 a 192.0.2.1 -, 20 b - -, 30 c - -, 40 d - -, 50 e - -"},
		{"no more than dns { addresses }, no address twice",
			{"d.example MX: OK 10 a", "a A: OK 192.0.2.1 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4",
				"a AAAA: NODATA"},
			"HOSTS 10 a 192.0.2.1 192.0.2.2 192.0.2.3 -"},
		{"addresses that nobody has",
			{"d.example MX: OK 10 a", "a A: OK 0.0.0.0 224.0.0.1 255.255.255.255 192.0.2.1",
				"a AAAA: OK :: ff02::1 ::ffff:192.0.2.1"},
			"HOSTS 10 a 192.0.2.1 -"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		play(&rows[i], start("d.example", 0));
}

static void test_this_relay(void **state)
{
	static const struct row rows[] = {
		{"the list ends at our own name",
			{"d.example MX: OK 10 a.example 20 relay.example 30 c.example", "a.example A: OK 192.0.2.1",
				"a.example AAAA: NODATA"},
			"HOSTS 10 a.example 192.0.2.1 -"},
		{"equal preference goes too",
			{"d.example MX: OK 10 a.example 20 b.example 20 relay2.example 5 e.example",
				"e.example A: OK 192.0.2.5", "e.example AAAA: NODATA", "a.example A: OK 192.0.2.1",
				"a.example AAAA: NODATA"},
			"HOSTS 5 e.example 192.0.2.5 -, 10 a.example 192.0.2.1 -"},
		{"we are the best", {"d.example MX: OK 10 relay.example 20 a.example"},
			"550 5.4.6 mail for d.example loops back to this relay (relay.example)"},
		{"a host with our addresses alone",
			{"d.example MX: OK 10 a.example 20 b.example", "a.example A: OK 192.0.2.1",
				"a.example AAAA: NODATA", "b.example A: OK 192.0.2.99",
				"b.example AAAA: OK 2001:db8::99"},
			"HOSTS 10 a.example 192.0.2.1 -"},
		{"implicit MX with our address",
			{"d.example MX: NODATA", "d.example A: OK 192.0.2.99", "d.example AAAA: NODATA"},
			"550 5.4.6 mail for d.example loops back to this relay (d.example)"},
		{"one address ours, one not: never our own as candidate",
			{"d.example MX: OK 10 a.example", "a.example A: OK 192.0.2.99 192.0.2.1",
				"a.example AAAA: OK 2001:db8::99"},
			"HOSTS 10 a.example 192.0.2.1 -"},
		{"a loopback address is this machine, whoever listens there",
			{"d.example MX: OK 0 localhost", "localhost A: OK 127.0.0.1", "localhost AAAA: OK ::1"},
			"550 5.4.6 mail for d.example loops back to this relay (localhost)"},
		{"a loopback address beside another one",
			{"d.example MX: OK 10 a.example", "a.example A: OK 127.1.2.3 192.0.2.1",
				"a.example AAAA: OK ::1"},
			"HOSTS 10 a.example 192.0.2.1 -"},
		{"our address, and a failed look-up that may hide others",
			{"d.example MX: OK 10 a.example", "a.example A: OK 192.0.2.99", "a.example AAAA: SERVFAIL"},
			"451 4.4.3 AAAA lookup of a.example: SERVFAIL from 192.0.2.53:53"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		play(&rows[i], start("d.example", 0));
}

/* A host found to be this relay by its addresses ends the questions for those behind it. */
static void test_late_cut_cancels(void **state)
{
	(void)state;
	struct mx *mx = start("d.example", 0);
	answer("d.example", "MX", 60, "OK 10 a.example 20 b.example 30 c.example", 0);
	assert_int_equal(asked, 7);
	answer("b.example", "A", 60, "OK 192.0.2.99", 0);
	assert_string_equal(told(mx), "HOSTS 10 a.example ? ?, 20 b.example - ?, 30 c.example ? ?");
	answer("b.example", "AAAA", 60, "NODATA", 0);
	assert_string_equal(told(mx), "HOSTS 10 a.example ? ?");
	assert_int_equal(cancelled, 2);
	assert_false(mx->complete);
	answer("a.example", "AAAA", 60, "NODATA", 0);
	answer("a.example", "A", 60, "NODATA", 0);
	assert_string_equal(told(mx), "550 5.4.4 no MX host of d.example has an address: a.example");
	mx_free(mx);
}

static void test_literals(void **state)
{
	static const struct {
		const char *ip;
		uint16_t port;
		enum family only;
		const char *told;
	} rows[] = {
		{"2001:db8::1", 25, FAMILY_NONE, "HOSTS 0  - 2001:db8::1"},
		{"127.0.0.1", 25, FAMILY_NONE, "HOSTS 0  127.0.0.1 -"}, /* somebody else listens there: it is meant */
		{"192.0.2.99", 10025, FAMILY_NONE, "HOSTS 0  192.0.2.99 -"}, /* a filter on this machine */
		{"192.0.2.99", 25, FAMILY_NONE, "550 5.4.6 next hop [192.0.2.99] leads back to this relay"},
		{"192.0.2.99", 0, FAMILY_NONE, "550 5.4.6 next hop [192.0.2.99] leads back to this relay"},
		{"192.0.2.98", 587, FAMILY_NONE, "550 5.4.6 next hop [192.0.2.98] leads back to this relay"},
		{"192.0.2.98", 25, FAMILY_NONE, "HOSTS 0  192.0.2.98 -"},
		{"192.0.2.1", 25, FAMILY_IPV4, "HOSTS 0  192.0.2.1 -"},
		{"192.0.2.1", 25, FAMILY_IPV6, "451 4.4.4 192.0.2.1 has no IPv6 address"},
		{"2001:db8::1", 25, FAMILY_IPV4, "451 4.4.4 2001:db8::1 has no IPv4 address"},
	};
	(void)state;
	room = 100;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mx_wanted wanted = {.port = rows[i].port, .only = rows[i].only};
		asked = 0;
		assert_int_equal(ip_parse(&wanted.literal, rows[i].ip), 0);
		struct mx *mx = mx_start(NULL, &conf, &wanted, &self, 7, on_changed, NULL);
		if (strcmp(told(mx), rows[i].told) != 0)
			fail_msg("%s: %s", rows[i].ip, told(mx));
		assert_true(mx->complete);
		assert_int_equal(asked, 0);
		if (mx->state == MX_HOSTS) {
			assert_int_equal(mx->expires_ms, 7 + 86400000);
			assert_int_equal(mx_ready_at(mx, 7), 0);
		}
		mx_free(mx);
	}
}

static void test_next_hops(void **state)
{
	static const struct {
		const char *name;
		uint16_t port;
		struct row row;
	} rows[] = {
		{"hub.example", 25,
			{"a host", {"hub.example A: OK 192.0.2.1", "hub.example AAAA: NODATA"},
				"HOSTS 0 hub.example 192.0.2.1 -"}},
		{"relay.example", 10025,
			{"a filter on this machine", {"relay.example A: OK 192.0.2.99", "relay.example AAAA: NODATA"},
				"HOSTS 0 relay.example 192.0.2.99 -"}},
		{"relay.example", 25,
			{"us by name", {NULL}, "550 5.4.6 next hop relay.example leads back to this relay"}},
		{"hub.example", 25,
			{"us by address", {"hub.example A: OK 192.0.2.99", "hub.example AAAA: OK 2001:db8::99"},
				"550 5.4.6 next hop hub.example leads back to this relay"}},
		{"hub.example", 25,
			{"us and another", {"hub.example A: OK 192.0.2.99 192.0.2.1", "hub.example AAAA: NODATA"},
				"HOSTS 0 hub.example 192.0.2.1 -"}},
		{"hub.example", 587,
			{"us, at another port", {"hub.example A: OK 192.0.2.98", "hub.example AAAA: NODATA"},
				"550 5.4.6 next hop hub.example leads back to this relay"}},
		{"hub.example", 25,
			{"without address", {"hub.example A: NXDOMAIN", "hub.example AAAA: NXDOMAIN"},
				"550 5.4.4 hub.example has no address"}},
		{"hub.example", 25,
			{"a host that fails", {"hub.example A: TIMEOUT", "hub.example AAAA: NODATA"},
				"451 4.4.3 A lookup of hub.example: "}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct mx_wanted wanted = {.name = rows[i].name, .skip_mx = true, .port = rows[i].port};
		room = 100;
		asked = cancelled = changes = 0;
		struct mx *mx = mx_start(NULL, &conf, &wanted, &self, 0, on_changed, NULL);
		assert_int_equal(asked, rows[i].row.answers[0] ? 2 : 0);
		play(&rows[i].row, mx);
	}
}

/* One family alone: the other is not asked for, and its absence defers. */
static void test_only_one_family(void **state)
{
	static const struct row rows[] = {
		{"MX hosts",
			{"d.example MX: OK 10 a.example 20 b.example", "a.example AAAA: NODATA",
				"b.example AAAA: OK 2001:db8::b"},
			"HOSTS 10 a.example - -, 20 b.example - 2001:db8::b"},
		{"none of the MX hosts",
			{"d.example MX: OK 10 a.example 20 b.example", "a.example AAAA: NODATA",
				"b.example AAAA: NXDOMAIN"},
			"451 4.4.4 no MX host of d.example has an IPv6 address: a.example, b.example"},
		{"the domain itself", {"d.example MX: NODATA", "d.example AAAA: NODATA"},
			"451 4.4.4 d.example has no IPv6 address"},
		{"no such domain", {"d.example MX: NXDOMAIN"}, "550 5.1.2 no such domain: d.example"},
		{"a failed look-up", {"d.example MX: NODATA", "d.example AAAA: TIMEOUT"},
			"451 4.4.3 AAAA lookup of d.example: "},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct mx_wanted wanted = {.name = "d.example", .only = FAMILY_IPV6};
		room = 100;
		asked = cancelled = changes = 0;
		play(&rows[i], mx_start(NULL, &conf, &wanted, &self, 0, on_changed, NULL));
	}
	const struct mx_wanted wanted = {.name = "d.example", .only = FAMILY_IPV4};
	room = 100;
	struct mx *mx = mx_start(NULL, &conf, &wanted, &self, 0, on_changed, NULL);
	answer("d.example", "MX", 60, "OK 10 a.example", 1000);
	assert_int_equal(mx_ready_at(mx, 1000), UINT64_MAX);
	answer("a.example", "A", 60, "OK 192.0.2.1", 1000);
	assert_int_equal(mx_ready_at(mx, 1000), 0); /* no delay for a family that does not come */
	mx_free(mx);

	const struct mx_wanted prefers = {.name = "d.example", .prefer = FAMILY_IPV4};
	room = 100;
	mx = mx_start(NULL, &conf, &prefers, &self, 0, on_changed, NULL);
	answer("d.example", "MX", 60, "OK 10 a.example", 1000);
	answer("a.example", "AAAA", 60, "OK 2001:db8::a", 1000);
	assert_int_equal(mx_ready_at(mx, 1000), 1050);
	answer("a.example", "A", 60, "OK 192.0.2.1", 1020);
	assert_int_equal(mx_ready_at(mx, 1020), 0);
	mx_free(mx);
}

/* user@[192.0.2.99]: strangers' mail never makes this relay talk to itself. */
static void test_literals_of_mail_addresses(void **state)
{
	static const struct {
		const char *ip, *told;
	} rows[] = {
		{"192.0.2.1", "HOSTS 0  192.0.2.1 -"},
		{"2001:db8::1", "HOSTS 0  - 2001:db8::1"},
		{"192.0.2.99", "550 5.4.6 [192.0.2.99] leads back to this relay"},
		{"2001:db8::99", "550 5.4.6 [2001:db8::99] leads back to this relay"},
		{"127.0.0.2", "550 5.4.6 [127.0.0.2] leads back to this relay"},
		{"::1", "550 5.4.6 [::1] leads back to this relay"},
		{"0.0.0.0", "550 5.4.6 [0.0.0.0] leads back to this relay"}, /* Linux connects to itself */
		{"::", "550 5.4.6 [::] leads back to this relay"},
		{"255.255.255.255", "550 5.4.6 [255.255.255.255] leads back to this relay"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mx_wanted wanted = {.foreign = true};
		assert_int_equal(ip_parse(&wanted.literal, rows[i].ip), 0);
		struct mx *mx = mx_start(NULL, &conf, &wanted, &self, 7, on_changed, NULL);
		assert_string_equal(told(mx), rows[i].told);
		assert_true(mx->complete);
		mx_free(mx);
	}
}

static void test_no_place_for_questions(void **state)
{
	(void)state;
	room = 0;
	changes = 0;
	struct mx *mx = mx_start(NULL, &conf, &(struct mx_wanted){.name = "d.example"}, NULL, 100, on_changed, NULL);
	assert_string_equal(told(mx), "451 4.4.3 MX lookup of d.example: too many DNS questions at once");
	assert_int_equal(mx->expires_ms, 5100);
	assert_int_equal(changes, 0);
	mx_free(mx);

	mx = start("d.example", 0);
	room = 0; /* for the addresses */
	answer("d.example", "MX", 60, "OK 10 a.example", 0);
	assert_string_equal(told(mx), "451 4.4.3 A lookup of a.example: too many DNS questions at once");
	mx_free(mx);

	mx = start("d.example", 0);
	room = 1;
	answer("d.example", "MX", 60, "OK 10 a.example", 0);
	assert_string_equal(told(mx), "HOSTS 10 a.example ! ?");
	answer("a.example", "AAAA", 60, "OK 2001:db8::1", 0);
	assert_string_equal(told(mx), "HOSTS 10 a.example ! 2001:db8::1");
	assert_true(mx->complete);
	mx_free(mx);
}

static void test_expiry(void **state)
{
	static const struct {
		uint32_t mx, a, aaaa;
		uint64_t expires_ms;
	} rows[] = {
		{60, 600, 600, 1000 + 60000},
		{600, 60, 600, 2000 + 60000},
		{600, 600, 60, 3000 + 60000},
		{0, 600, 600, 3000 + 5000}, /* no sooner than a failure is forgotten */
		{600, 0, 600, 3000 + 5000},
		{172800, 172800, 172800, 3000 + 86400000},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mx *mx = start("d.example", 0);
		answer("d.example", "MX", rows[i].mx, "OK 10 a.example", 1000);
		answer("a.example", "A", rows[i].a, "OK 192.0.2.1", 2000);
		assert_int_equal(mx->expires_ms, 0);
		answer("a.example", "AAAA", rows[i].aaaa, "OK 2001:db8::1", 3000);
		assert_true(mx->complete);
		assert_int_equal(mx->expires_ms, rows[i].expires_ms);
		mx_free(mx);
	}
	struct mx *mx = start("d.example", 0);
	answer("d.example", "MX", 300, "NXDOMAIN", 1000);
	assert_int_equal(mx->expires_ms, 301000);
	mx_free(mx);
}

static void test_secure(void **state)
{
	(void)state;
	struct mx *mx = start("d.example", 0);
	answer("d.example", "MX", 60, "!OK 10 a 20 b 30 c", 0);
	assert_true(mx->secure);
	assert_false(mx->hosts[0].secure);
	answer("a", "A", 60, "!OK 192.0.2.1", 0);
	assert_true(mx->hosts[0].secure);
	answer("a", "AAAA", 60, "OK 2001:db8::1", 0);
	assert_false(mx->hosts[0].secure);
	answer("b", "A", 60, "OK 192.0.2.1", 0);
	answer("b", "AAAA", 60, "!OK 2001:db8::1", 0);
	assert_false(mx->hosts[1].secure);
	answer("c", "A", 60, "SERVFAIL", 0);
	answer("c", "AAAA", 60, "!OK 2001:db8::1", 0);
	assert_true(mx->hosts[2].secure);
	mx_free(mx);
	mx = start("d.example", 0);
	answer("d.example", "MX", 60, "OK 10 a", 0);
	assert_false(mx->secure);
	mx_free(mx);
	assert_true(TAILQ_EMPTY(&questions)); /* freed with two under way */
	assert_int_equal(cancelled, 2);
}

static void free_here(void *arg, struct mx *mx)
{
	unsigned *left = arg;
	if (--*left == 0)
		mx_free(mx);
}

/* In the callback of each answer in turn. */
static void test_freed_in_the_callback(void **state)
{
	(void)state;
	for (unsigned at = 1; at <= 3; at++) {
		unsigned left = at;
		room = 100;
		mx_start(NULL, &conf, &(struct mx_wanted){.name = "d.example"}, &self, 0, free_here, &left);
		answer("d.example", "MX", 60, "OK 10 a", 0);
		if (at > 1)
			answer("a", "A", 60, "OK 192.0.2.1", 0);
		if (at > 2)
			answer("a", "AAAA", 60, "OK 2001:db8::1", 0);
		assert_int_equal(left, 0);
		assert_true(TAILQ_EMPTY(&questions));
	}
	mx_free(NULL);
}

static void test_name_too_long(void **state)
{
	char name[300];
	(void)state;
	memset(name, 'a', sizeof name);
	name[299] = 0;
	struct mx *mx = start(name, 0);
	assert_int_equal(mx->state, MX_FAILED);
	assert_int_equal(mx->code, 550);
	assert_string_equal(mx->enhanced, "5.1.2");
	assert_int_equal(asked, 0);
	mx_free(mx);
}

/* Each host as one letter a family, IPv4 then IPv6: `?` not known, `-` nothing, `!` failed, a digit: addresses, known
 * since that time in units of 10 ms. Two hosts of one preference, one of a worse. */
static void test_ready_at(void **state)
{
	static const struct {
		enum mx_state state;
		const char *hosts[3];
		uint64_t now, at;
	} rows[] = {
		{MX_PENDING, {"??", "??", "??"}, 0, UINT64_MAX},
		{MX_HOSTS, {"??", "??", "??"}, 0, UINT64_MAX},
		/* both families of one host, whatever the second one is */
		{MX_HOSTS, {"11", "??", "??"}, 10, 0},
		{MX_HOSTS, {"??", "11", "??"}, 10, 0},
		{MX_HOSTS, {"1-", "??", "??"}, 10, 0},
		{MX_HOSTS, {"1!", "??", "??"}, 10, 0},
		/* AAAA alone */
		{MX_HOSTS, {"?1", "??", "??"}, 10, 0},
		/* A first: 50 ms later, by the first that came */
		{MX_HOSTS, {"1?", "??", "??"}, 10, 60},
		{MX_HOSTS, {"1?", "??", "??"}, 59, 60},
		{MX_HOSTS, {"1?", "??", "??"}, 60, 0},
		{MX_HOSTS, {"3?", "1?", "??"}, 30, 60},
		{MX_HOSTS, {"1?", "3?", "??"}, 30, 60},
		{MX_HOSTS, {"1?", "?3", "??"}, 30, 0},
		/* empty or failed answers alone start nothing, and block nothing */
		{MX_HOSTS, {"-?", "??", "??"}, 30, UINT64_MAX},
		{MX_HOSTS, {"?!", "??", "11"}, 30, UINT64_MAX},
		{MX_HOSTS, {"--", "?-", "11"}, 30, UINT64_MAX},
		{MX_HOSTS, {"--", "1?", "11"}, 30, 60},
		/* the worse preference only once the better one is known to have nothing */
		{MX_HOSTS, {"--", "!-", "??"}, 30, UINT64_MAX},
		{MX_HOSTS, {"--", "!-", "?1"}, 30, 0},
		{MX_HOSTS, {"--", "!-", "2?"}, 30, 70},
		{MX_HOSTS, {"1-", "--", "??"}, 30, 0},
		{MX_HOSTS, {"--", "--", "--"}, 30, UINT64_MAX},
		{MX_FAILED, {"--", "--", "--"}, 30, UINT64_MAX},
		{MX_DEFERRED, {"!-", "--", "--"}, 30, UINT64_MAX},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mx_host hosts[3] = {{.preference = 10}, {.preference = 10}, {.preference = 20}};
		struct mx mx = {.state = rows[i].state, .hosts = hosts, .count = 3, .resolution_delay = 50};
		for (unsigned h = 0; h < 3; h++) {
			for (unsigned f = 0; f < 2; f++) {
				char c = rows[i].hosts[h][f];
				hosts[h].family[f].state = c == '?'   ? MX_PART_PENDING
							   : c == '-' ? MX_PART_EMPTY
							   : c == '!' ? MX_PART_FAILED
								      : MX_PART_HAVE;
				if (hosts[h].family[f].state == MX_PART_HAVE)
					hosts[h].family[f].known_ms = (uint64_t)(c - '0') * 10;
			}
		}
		if (mx_ready_at(&mx, rows[i].now) != rows[i].at)
			fail_msg("row %zu: %llu", i, (unsigned long long)mx_ready_at(&mx, rows[i].now));
	}
	struct mx none = {.state = MX_HOSTS};
	assert_int_equal(mx_ready_at(&none, 0), UINT64_MAX);
}

/* The same on the way of the answers: A, then nothing for 50 ms, then the late AAAA. */
static void test_late_aaaa(void **state)
{
	(void)state;
	struct mx *mx = start("d.example", 0);
	assert_int_equal(mx_ready_at(mx, 5), UINT64_MAX);
	answer("d.example", "MX", 60, "OK 10 a.example", 10);
	assert_int_equal(mx_ready_at(mx, 10), UINT64_MAX);
	answer("a.example", "A", 60, "OK 192.0.2.1", 20);
	assert_int_equal(mx_ready_at(mx, 20), 70);
	assert_int_equal(mx_ready_at(mx, 70), 0);
	assert_false(mx->complete);
	answer("a.example", "AAAA", 60, "OK 2001:db8::1", 400);
	assert_string_equal(told(mx), "HOSTS 10 a.example 192.0.2.1 2001:db8::1");
	assert_int_equal(changes, 3);
	mx_free(mx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_this_relay),
		cmocka_unit_test(test_late_cut_cancels),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_next_hops),
		cmocka_unit_test(test_only_one_family),
		cmocka_unit_test(test_literals_of_mail_addresses),
		cmocka_unit_test(test_no_place_for_questions),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_secure),
		cmocka_unit_test(test_freed_in_the_callback),
		cmocka_unit_test(test_name_too_long),
		cmocka_unit_test(test_ready_at),
		cmocka_unit_test(test_late_aaaa),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
