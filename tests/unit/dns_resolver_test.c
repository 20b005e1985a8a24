/* tests/unit/dns_resolver_test.c: the resolver against scripted servers on loopback. What takes real time is bounded
 * from below only where the bound is the point (a time-out was waited for), and widely from above. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "dns/mx.h"
#include "dns/resolvconf.h"
#include "dns/resolver.h"
#include "tests/unit/dns_script.h"

enum { SERVERS = 3, TRY_MS = 300, PATIENT_MS = 5000 };

static struct bench {
	uv_loop_t loop;
	struct conf conf;
	struct endpoint endpoints[SERVERS];
	struct script scripts[SERVERS];
	size_t servers;
	struct resolver *resolver;
	bool closed;
} b;

/* One question and what came of it. */
struct asked {
	struct dns_question *question;
	unsigned calls;
	enum dns_status status;
	bool secure, local;
	uint32_t ttl;
	size_t count;
	struct ip ip;
	char detail[96];
	uint64_t at_ms;
	void (*also)(struct asked *); /* done in the callback */
};

static void begin(void)
{
	memset(&b, 0, sizeof b);
	assert_int_equal(uv_loop_init(&b.loop), 0);
	b.conf.dns.servers.items = b.endpoints;
	b.conf.dns.timeout = TRY_MS;
	b.conf.dns.tries = 1;
	b.conf.dns.cache = 100;
	b.conf.dns.queries = 10;
	b.conf.dns.hosts = 10;
	b.conf.dns.addresses = 10;
	b.conf.dns.ttl_max = 86400000;
	b.conf.dns.negative_max = 300000;
	b.conf.dns.failure = 5000;
	b.conf.race.resolution_delay = 50;
}

static void add_server(const char *address, struct script_row *rows, size_t count)
{
	struct script *s = &b.scripts[b.servers];
	script_start(s, &b.loop, address, rows, count);
	b.endpoints[b.servers++] = s->at;
	b.conf.dns.servers.count = b.servers;
}

static void open_resolver(void)
{
	struct buf errors;
	buf_init(&errors, 1000);
	assert_int_equal(resolver_open(&b.resolver, &b.loop, &b.conf, &errors), 0);
	buf_fini(&errors);
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static void run_until(const unsigned *value, unsigned wanted)
{
	uint64_t end = clock_mono_ms() + 10000;
	while (*value < wanted) {
		assert_true(clock_mono_ms() < end);
		assert_true(uv_run(&b.loop, UV_RUN_ONCE) != 0 || *value >= wanted);
	}
}

/* Everything ends: the loop holds nothing of the resolver any more. */
static void end(void)
{
	if (b.resolver != NULL && !b.closed)
		resolver_close(b.resolver, on_closed, &b.closed);
	for (size_t i = 0; i < b.servers; i++)
		script_stop(&b.scripts[i]);
	uv_run(&b.loop, UV_RUN_DEFAULT);
	assert_true(b.closed);
	assert_int_equal(uv_loop_close(&b.loop), 0);
}

static void on_done(void *arg, const struct dns_answer *answer, uint64_t now_ms)
{
	struct asked *a = arg;
	a->calls++;
	a->question = NULL;
	a->status = answer->status;
	a->secure = answer->secure;
	a->local = answer->local;
	a->ttl = answer->ttl;
	a->count = answer->count;
	if (answer->count != 0)
		a->ip = answer->records[0].ip;
	memcpy(a->detail, answer->detail, sizeof a->detail);
	a->at_ms = now_ms;
	if (a->also != NULL)
		a->also(a);
}

static void ask(struct asked *a, const char *name, enum dns_type type)
{
	void (*also)(struct asked *) = a->also;
	memset(a, 0, sizeof *a);
	a->also = also;
	a->question = dns_ask(b.resolver, name, type, on_done, a);
	assert_non_null(a->question);
	assert_int_equal(a->calls, 0);
}

static void ask_and_wait(struct asked *a, const char *name, enum dns_type type)
{
	ask(a, name, type);
	run_until(&a->calls, 1);
}

static void test_answers_and_cache(void **state)
{
	struct script_row rows[] = {
		{.name = "a.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1; 60 A 192.0.2.2"},
		{.name = "a.example", .type = DNS_AAAA, .act = SAY_NODATA, .ttl = 60},
		{.name = "no.example", .type = DNS_A, .act = SAY_NXDOMAIN, .ttl = 3600},
		{.name = "zero.example", .type = DNS_A, .act = SAY_ANSWER, .records = "0 A 192.0.2.3"},
		{.name = "c.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 CNAME d.example; 5 A 192.0.2.4"},
	};
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_status status;
		uint32_t ttl;
		size_t count;
		unsigned row, asked;
	} steps[] = {
		{"a.example", DNS_A, DNS_OK, 60, 2, 0, 1},
		{"A.Example", DNS_A, DNS_OK, 60, 2, 0, 1},
		{"a.example", DNS_AAAA, DNS_NODATA, 60, 0, 1, 1},
		{"a.example", DNS_AAAA, DNS_NODATA, 60, 0, 1, 1},
		{"no.example", DNS_A, DNS_NXDOMAIN, 300, 0, 2, 1},
		{"no.example", DNS_A, DNS_NXDOMAIN, 300, 0, 2, 1},
		{"zero.example", DNS_A, DNS_OK, 0, 1, 3, 1},
		{"zero.example", DNS_A, DNS_OK, 0, 1, 3, 2},
		{"c.example", DNS_A, DNS_OK, 5, 1, 4, 1},
		{"c.example", DNS_A, DNS_OK, 5, 1, 4, 1},
	};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, sizeof rows / sizeof rows[0]);
	open_resolver();
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct asked a = {0};
		ask_and_wait(&a, steps[i].name, steps[i].type);
		assert_int_equal(a.status, steps[i].status);
		assert_int_equal(a.ttl, steps[i].ttl);
		assert_int_equal(a.count, steps[i].count);
		assert_int_equal(rows[steps[i].row].asked_udp, steps[i].asked);
	}
	assert_int_equal(b.scripts[0].without_ad, 0);
	end();
}

static void test_expired_answers_are_asked_again(void **state)
{
	struct script_row rows[] = {
		{.name = "a.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1"},
		{.name = "bad.example", .type = DNS_A, .act = SAY_SERVFAIL},
	};
	struct asked a = {0}, bad = {0};
	(void)state;
	begin();
	b.conf.dns.ttl_max = b.conf.dns.failure = 100;
	add_server("127.0.0.1", rows, 2);
	open_resolver();
	for (unsigned round = 1; round <= 2; round++) {
		ask_and_wait(&a, "a.example", DNS_A);
		ask_and_wait(&bad, "bad.example", DNS_A);
		assert_int_equal(rows[0].asked_udp, round);
		assert_int_equal(rows[1].asked_udp, round);
		assert_int_equal(a.ttl, 1); /* rounded up, so that nobody asks in vain just before the end */
		uint64_t expires = bad.at_ms + 101;
		while (clock_mono_ms() < expires)
			usleep(5000);
	}
	end();
}

/* RFC 8880: what it says is the resolver's own word, for this moment. */
static void test_ipv4only_arpa_is_asked_each_time(void **state)
{
	struct script_row rows[] = {
		{.name = "ipv4only.arpa", .type = DNS_AAAA, .act = SAY_ANSWER, .records = "900 AAAA 64:ff9b::c000:aa"},
		{.name = "ipv4only.arpa.example",
			.type = DNS_AAAA,
			.act = SAY_ANSWER,
			.records = "900 AAAA 2001:db8::1"},
	};
	struct asked a = {0};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, 2);
	open_resolver();
	for (unsigned round = 1; round <= 3; round++) {
		ask_and_wait(&a, round == 2 ? "IPv4only.ARPA" : "ipv4only.arpa", DNS_AAAA);
		assert_int_equal(a.status, DNS_OK);
		assert_int_equal(a.ttl, 900);
		assert_int_equal(rows[0].asked_udp, round);
		ask_and_wait(&a, "ipv4only.arpa.example", DNS_AAAA);
		assert_int_equal(rows[1].asked_udp, 1);
	}
	end();
}

/* Each way in which a first server can fail; the second one knows the answer. */
static void test_fail_over(void **state)
{
	static const struct {
		enum script_act act;
		bool waits;
	} ways[] = {
		{SAY_SERVFAIL, false},
		{SAY_REFUSED, false},
		{SAY_CUT, false},
		{SAY_NOTHING, true},
		{SAY_GARBAGE, true},
		{SAY_WRONG_ID, true},
		{SAY_WRONG_QUESTION, true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		struct script_row bad[] = {
			{.name = "a.example", .type = DNS_A, .act = ways[i].act, .records = "60 A 192.0.2.66"},
			{.name = "b.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.3"},
		};
		struct script_row good[] = {
			{.name = "a.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1"},
			{.name = "b.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.2"},
		};
		struct asked a = {0};
		begin();
		if (!ways[i].waits)
			b.conf.dns.timeout = PATIENT_MS;
		add_server("127.0.0.1", bad, 2);
		add_server("::1", good, 2);
		open_resolver();
		uint64_t start = clock_mono_ms();
		ask_and_wait(&a, "a.example", DNS_A);
		assert_int_equal(a.status, DNS_OK);
		assert_int_equal(a.ip.bytes[3], 1);
		assert_int_equal(bad[0].asked_udp, 1);
		assert_int_equal(good[0].asked_udp, 1);
		if (ways[i].waits)
			assert_true(a.at_ms - start >= TRY_MS - 5);
		else
			assert_true(a.at_ms - start < PATIENT_MS);
		/* a silent one rests, one that answered does not */
		ask_and_wait(&a, "b.example", DNS_A);
		assert_int_equal(a.ip.bytes[3], ways[i].waits ? 2 : 3);
		end();
	}
}

static void test_a_port_without_server(void **state)
{
	struct script_row good[] = {
		{.name = "a.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1"}};
	struct asked a = {0};
	(void)state;
	begin();
	b.conf.dns.timeout = PATIENT_MS;
	struct script gone;
	script_start(&gone, &b.loop, "127.0.0.1", NULL, 0);
	script_stop(&gone);
	uv_run(&b.loop, UV_RUN_NOWAIT);
	add_server("::1", good, 1);
	b.endpoints[1] = b.endpoints[0];
	b.endpoints[0] = gone.at;
	b.conf.dns.servers.count = 2;
	open_resolver();
	uint64_t start = clock_mono_ms();
	ask_and_wait(&a, "a.example", DNS_A);
	assert_int_equal(a.status, DNS_OK);
	assert_true(a.at_ms - start < PATIENT_MS);
	end();
}

static void test_failures(void **state)
{
	static const struct {
		enum script_act first, second;
		uint64_t tries;
		enum dns_status status;
		const char *detail; /* FIRST and SECOND stand for the servers */
		unsigned asked_first, asked_second;
	} rows[] = {
		{SAY_SERVFAIL, SAY_SERVFAIL, 2, DNS_SERVFAIL, "SERVFAIL from FIRST", 1, 1},
		{SAY_REFUSED, SAY_SERVFAIL, 2, DNS_SERVFAIL, "REFUSED from FIRST", 1, 1},
		{SAY_NOTHING, SAY_SERVFAIL, 2, DNS_SERVFAIL, "SERVFAIL from SECOND", 2, 1},
		{SAY_NOTHING, SAY_NOTHING, 2, DNS_TIMEOUT, "time-out after ", 2, 2},
		{SAY_CUT, SAY_CUT, 1, DNS_SERVFAIL, "nonsense from FIRST", 1, 1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct script_row first[] = {{.name = "a.example", .type = DNS_A, .act = rows[i].first, .records = ""}};
		struct script_row second[] = {
			{.name = "a.example", .type = DNS_A, .act = rows[i].second, .records = ""}};
		struct asked a = {0};
		char text[ENDPOINT_TEXT], detail[96];
		uint64_t before = counter_get(COUNTER_dns_failures);
		begin();
		b.conf.dns.timeout = 200;
		b.conf.dns.tries = rows[i].tries;
		add_server("127.0.0.1", first, 1);
		add_server("::1", second, 1);
		open_resolver();
		ask_and_wait(&a, "a.example", DNS_A);
		assert_int_equal(a.status, rows[i].status);
		const char *at = strstr(rows[i].detail, "FIRST"), *at2 = strstr(rows[i].detail, "SECOND");
		if (at == NULL)
			at = at2;
		if (at != NULL) {
			snprintf(detail, sizeof detail, "%.*s%s", (int)(at - rows[i].detail), rows[i].detail,
				endpoint_format(&b.endpoints[at == at2], text));
			assert_string_equal(a.detail, detail);
		} else {
			assert_memory_equal(a.detail, rows[i].detail, strlen(rows[i].detail));
			assert_non_null(strstr(a.detail, "(2 servers)"));
		}
		assert_int_equal(first[0].asked_udp, rows[i].asked_first);
		assert_int_equal(second[0].asked_udp, rows[i].asked_second);
		assert_int_equal(a.ttl, 5);
		/* and it is remembered */
		ask_and_wait(&a, "a.example", DNS_A);
		assert_int_equal(a.status, rows[i].status);
		assert_int_equal(first[0].asked_udp, rows[i].asked_first);
		assert_int_equal(counter_get(COUNTER_dns_failures) - before, 1);
		end();
	}
}

static void test_truncated_comes_over_tcp(void **state)
{
	struct script_row rows[] = {
		{.name = "a.example", .type = DNS_A, .act = SAY_TRUNCATED, .records = "60 A 192.0.2.1"}};
	struct asked a = {0};
	(void)state;
	begin();
	add_server("::1", rows, 1);
	open_resolver();
	ask_and_wait(&a, "a.example", DNS_A);
	assert_int_equal(a.status, DNS_OK);
	assert_int_equal(rows[0].asked_udp, 1);
	assert_int_equal(rows[0].asked_tcp, 1);
	end();
}

/* 25 AAAA records are over 512 bytes and under 1,232: such an answer comes over UDP. */
static void test_large_answer_over_udp(void **state)
{
	char records[2000] = "";
	for (unsigned i = 0; i < 25; i++)
		snprintf(records + strlen(records), sizeof records - strlen(records), "60 AAAA 2001:db8::%x; ", i + 1);
	struct script_row rows[] = {{.name = "a.example", .type = DNS_AAAA, .act = SAY_ANSWER, .records = records}};
	struct asked a = {0};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, 1);
	open_resolver();
	ask_and_wait(&a, "a.example", DNS_AAAA);
	assert_int_equal(a.count, 10); /* dns { addresses } */
	assert_int_equal(rows[0].asked_udp, 1);
	assert_int_equal(rows[0].asked_tcp, 0);
	end();
}

static void test_server_without_edns(void **state)
{
	struct script_row rows[] = {
		{.name = "a.example", .type = DNS_A, .act = SAY_FORMERR, .records = "60 A 192.0.2.1"},
		{.name = "b.example", .type = DNS_A, .act = SAY_FORMERR, .records = "60 A 192.0.2.1"},
	};
	struct asked a = {0};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, 2);
	open_resolver();
	ask_and_wait(&a, "a.example", DNS_A);
	assert_int_equal(a.status, DNS_OK);
	ask_and_wait(&a, "b.example", DNS_A);
	assert_int_equal(a.status, DNS_OK);
	end();
}

static void test_equal_questions_join(void **state)
{
	struct script_row rows[] = {
		{.name = "a.example", .type = DNS_A, .act = SAY_ANSWER, .records = "0 A 192.0.2.1", .delay_ms = 20}};
	struct asked a[5] = {0};
	(void)state;
	begin();
	b.conf.dns.queries = 1;
	add_server("127.0.0.1", rows, 1);
	open_resolver();
	for (size_t i = 0; i < 5; i++)
		ask(&a[i], i % 2 ? "A.EXAMPLE" : "a.example", DNS_A);
	dns_cancel(a[2].question);
	run_until(&a[4].calls, 1);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(a[i].calls, i != 2);
		assert_int_equal(a[i].count, i != 2);
	}
	assert_int_equal(rows[0].asked_udp, 1);
	end();
}

static void test_a_hanging_name_blocks_nothing(void **state)
{
	struct script_row rows[] = {
		{.name = "hangs.example", .type = DNS_A, .act = SAY_NOTHING},
		{.name = "good.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1"},
	};
	struct asked hangs = {0}, good = {0};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, 2);
	open_resolver();
	ask(&hangs, "hangs.example", DNS_A);
	ask_and_wait(&good, "good.example", DNS_A);
	assert_int_equal(good.status, DNS_OK);
	assert_int_equal(hangs.calls, 0);
	run_until(&hangs.calls, 1);
	assert_int_equal(hangs.status, DNS_TIMEOUT);
	end();
}

static void test_limit_of_questions(void **state)
{
	struct script_row rows[] = {
		{.name = "known.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1"},
		{.name = "1.example", .type = DNS_A, .act = SAY_NOTHING},
		{.name = "2.example", .type = DNS_A, .act = SAY_NOTHING},
	};
	struct asked known = {0}, one = {0}, two = {0}, joined = {0}, third = {0};
	(void)state;
	begin();
	b.conf.dns.queries = 2;
	add_server("127.0.0.1", rows, 3);
	open_resolver();
	ask_and_wait(&known, "known.example", DNS_A);
	ask(&one, "1.example", DNS_A);
	ask(&two, "2.example", DNS_A);
	uint64_t before = counter_get(COUNTER_dns_limit_queries);
	assert_null(dns_ask(b.resolver, "3.example", DNS_A, on_done, &third));
	assert_int_equal(counter_get(COUNTER_dns_limit_queries) - before, 1);
	ask(&joined, "1.example", DNS_A);
	ask_and_wait(&known, "known.example", DNS_A); /* the cache has no such limit */
	assert_int_equal(known.status, DNS_OK);
	run_until(&two.calls, 1);
	ask_and_wait(&third, "3.example", DNS_A);
	assert_int_equal(third.status, DNS_SERVFAIL);
	end();
}

static void test_names_that_are_none(void **state)
{
	static const char *const names[] = {"", "a..b", "a b.example", "[192.0.2.1]", "a\\.example"};
	struct asked a = {0};
	char too_long[300];
	(void)state;
	memset(too_long, 'a', sizeof too_long);
	too_long[299] = 0;
	begin();
	add_server("127.0.0.1", NULL, 0);
	open_resolver();
	for (size_t i = 0; i <= sizeof names / sizeof names[0]; i++) {
		ask_and_wait(&a, i < sizeof names / sizeof names[0] ? names[i] : too_long, DNS_A);
		assert_int_equal(a.status, DNS_NXDOMAIN);
		assert_string_equal(a.detail, "not a domain name");
	}
	assert_int_equal(b.scripts[0].strangers, 0);
	end();
}

static void test_secure_only_from_loopback(void **state)
{
	struct script_row rows[] = {
		{.name = "a.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1", .secure = true},
		{.name = "b.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1", .secure = true},
		{.name = "c.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1"},
	};
	struct asked a = {0};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, 3);
	open_resolver();
	ask_and_wait(&a, "a.example", DNS_A);
	assert_true(a.secure);
	assert_true(a.local);
	ask_and_wait(&a, "c.example", DNS_A);
	assert_false(a.secure);
	/* a second server, not on loopback, that is never asked: the list is not trusted any more */
	assert_int_equal(endpoint_parse(&b.endpoints[1], "192.0.2.53:53"), 0);
	b.conf.dns.servers.count = 2;
	resolver_configure(b.resolver, &b.conf);
	ask_and_wait(&a, "b.example", DNS_A);
	assert_int_equal(a.status, DNS_OK);
	assert_false(a.secure);
	assert_false(a.local);
	end();
}

/* Other servers: what is under way is asked there; the cache stays. */
static void test_configure(void **state)
{
	struct script_row first[] = {
		{.name = "kept.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1"},
		{.name = "a.example", .type = DNS_A, .act = SAY_NOTHING},
	};
	struct script_row second[] = {
		{.name = "kept.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.2"},
		{.name = "a.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.2"},
	};
	struct asked a = {0}, kept = {0};
	(void)state;
	begin();
	b.conf.dns.timeout = PATIENT_MS;
	add_server("127.0.0.1", first, 2);
	open_resolver();
	ask_and_wait(&kept, "kept.example", DNS_A);
	ask(&a, "a.example", DNS_A);
	run_until(&first[1].asked_udp, 1);
	add_server("127.0.0.1", second, 2);
	b.conf.dns.servers.items = &b.endpoints[1];
	b.conf.dns.servers.count = 1;
	uint64_t start = clock_mono_ms();
	resolver_configure(b.resolver, &b.conf);
	run_until(&a.calls, 1);
	assert_true(a.at_ms - start < PATIENT_MS);
	assert_int_equal(a.ip.bytes[3], 2);
	ask_and_wait(&kept, "kept.example", DNS_A);
	assert_int_equal(kept.ip.bytes[3], 1);
	/* the same once more changes nothing */
	resolver_configure(b.resolver, &b.conf);
	end();
}

static void close_here(struct asked *a)
{
	(void)a;
	resolver_close(b.resolver, on_closed, &b.closed);
	b.closed = false;
}

static void ask_here(struct asked *a)
{
	a->also = NULL;
	ask(a, "b.example", DNS_A);
}

static void test_asking_and_closing_in_a_callback(void **state)
{
	struct script_row rows[] = {
		{.name = "a.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.1"},
		{.name = "b.example", .type = DNS_A, .act = SAY_ANSWER, .records = "60 A 192.0.2.2"},
		{.name = "c.example", .type = DNS_A, .act = SAY_NOTHING},
	};
	struct asked a = {.also = ask_here}, last = {.also = close_here}, joined = {0}, waits = {0};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, 3);
	open_resolver();
	ask(&a, "a.example", DNS_A);
	run_until(&rows[1].asked_udp, 1);
	run_until(&a.calls, 1);
	assert_int_equal(a.ip.bytes[3], 2);
	ask(&waits, "c.example", DNS_A);
	run_until(&rows[2].asked_udp, 1);
	ask(&last, "a.example", DNS_AAAA); /* in no row: REFUSED */
	ask(&joined, "a.example", DNS_AAAA);
	run_until(&last.calls, 1);
	script_stop(&b.scripts[0]);
	uv_run(&b.loop, UV_RUN_DEFAULT);
	assert_true(b.closed);
	assert_int_equal(waits.calls, 0);
	assert_int_equal(joined.calls, 0);
	assert_int_equal(uv_loop_close(&b.loop), 0);
}

static void test_closing_with_questions_under_way(void **state)
{
	struct script_row rows[] = {{.name = "a.example", .type = DNS_A, .act = SAY_NOTHING}};
	struct asked a = {0}, fresh = {0}, cancelled = {0};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, 1);
	open_resolver();
	ask(&cancelled, "a.example", DNS_A);
	ask(&a, "a.example", DNS_A);
	run_until(&rows[0].asked_udp, 1);
	dns_cancel(cancelled.question);
	ask(&fresh, "b.example", DNS_A);
	end();
	assert_int_equal(a.calls + fresh.calls + cancelled.calls, 0);
}

static void test_nothing_asked(void **state)
{
	(void)state;
	begin();
	add_server("127.0.0.1", NULL, 0);
	open_resolver();
	end();
}

static void on_mx(void *arg, struct mx *mx)
{
	unsigned *complete = arg;
	*complete = mx->complete;
}

/* From a domain to addresses, all the way. */
static void test_mx(void **state)
{
	struct script_row rows[] = {
		{.name = "d.example",
			.type = DNS_MX,
			.act = SAY_ANSWER,
			.records = "60 MX 20 b.example; 60 MX 10 a.example"},
		{.name = "a.example", .type = DNS_A, .act = SAY_NODATA, .ttl = 60},
		{.name = "a.example",
			.type = DNS_AAAA,
			.act = SAY_ANSWER,
			.records = "60 AAAA 2001:db8::1",
			.delay_ms = 20},
		{.name = "b.example",
			.type = DNS_A,
			.act = SAY_ANSWER,
			.records = "60 CNAME c.example; 60 A 192.0.2.2"},
		{.name = "b.example", .type = DNS_AAAA, .act = SAY_NOTHING},
	};
	(void)state;
	begin();
	add_server("127.0.0.1", rows, 5);
	open_resolver();
	unsigned complete = 0;
	struct mx *mx = mx_start(
		b.resolver, &b.conf, &(struct mx_wanted){.name = "d.example"}, NULL, clock_mono_ms(), on_mx, &complete);
	run_until(&complete, 1);
	assert_int_equal(mx->state, MX_HOSTS);
	assert_int_equal(mx->count, 2);
	assert_string_equal(mx->hosts[0].name, "a.example");
	assert_int_equal(mx->hosts[0].family[0].state, MX_PART_EMPTY);
	assert_int_equal(mx->hosts[0].family[1].count, 1);
	assert_int_equal(mx->hosts[1].family[0].count, 1);
	assert_int_equal(mx->hosts[1].family[1].state, MX_PART_FAILED);
	mx_free(mx);
	end();
}

static void test_resolv_conf(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"nameserver 192.0.2.1\n", "192.0.2.1:53 "},
		{"search a.example\nnameserver\t2001:db8::1 \noptions ndots:5\nnameserver 192.0.2.1",
			"[2001:db8::1]:53 192.0.2.1:53 "},
		{"nameserver 192.0.2.1\r\n", "192.0.2.1:53 "},
		{"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
			"192.0.2.1:53 192.0.2.2:53 192.0.2.3:53 "},
		{"nameserver fe80::1%eth0\nnameserver 192.0.2.1 # comment\n", "192.0.2.1:53 "},
		{"#nameserver 192.0.2.1\n;nameserver 192.0.2.1\n nameserver 192.0.2.1\nnameservers 192.0.2.1\n",
			"127.0.0.1:53 "},
		{"nameserver\nnameserver \nnameserver x\n", "127.0.0.1:53 "},
		{"", "127.0.0.1:53 "},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct endpoint found[RESOLVCONF_SERVERS];
		char out[200] = "", text[ENDPOINT_TEXT];
		size_t n = resolvconf_parse(rows[i].text, strlen(rows[i].text), found);
		for (size_t k = 0; k < n; k++)
			snprintf(out + strlen(out), sizeof out - strlen(out), "%s ", endpoint_format(&found[k], text));
		assert_string_equal(out, rows[i].expected);
	}
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void test_resolv_conf_changes(void **state)
{
	char dir[] = "/tmp/relay64-dns-XXXXXX", path[64];
	struct endpoint found[RESOLVCONF_SERVERS];
	struct resolvconf f;
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/resolv.conf", dir);
	resolvconf_init(&f, path);
	assert_int_equal(resolvconf_read(&f, found), 1);
	assert_false(resolvconf_changed(&f, 1000));
	write_file(path, "nameserver 192.0.2.1\n");
	assert_false(resolvconf_changed(&f, 5999)); /* too early to look */
	assert_true(resolvconf_changed(&f, 6000));
	assert_int_equal(resolvconf_read(&f, found), 1);
	assert_int_equal(found[0].ip.bytes[3], 1);
	assert_false(resolvconf_changed(&f, 12000));
	write_file(path, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
	assert_true(resolvconf_changed(&f, 18000));
	assert_int_equal(resolvconf_read(&f, found), 2);
	unlink(path);
	assert_false(resolvconf_changed(&f, 24000)); /* being replaced */
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_and_cache),
		cmocka_unit_test(test_expired_answers_are_asked_again),
		cmocka_unit_test(test_ipv4only_arpa_is_asked_each_time),
		cmocka_unit_test(test_fail_over),
		cmocka_unit_test(test_a_port_without_server),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_truncated_comes_over_tcp),
		cmocka_unit_test(test_large_answer_over_udp),
		cmocka_unit_test(test_server_without_edns),
		cmocka_unit_test(test_equal_questions_join),
		cmocka_unit_test(test_a_hanging_name_blocks_nothing),
		cmocka_unit_test(test_limit_of_questions),
		cmocka_unit_test(test_names_that_are_none),
		cmocka_unit_test(test_secure_only_from_loopback),
		cmocka_unit_test(test_configure),
		cmocka_unit_test(test_asking_and_closing_in_a_callback),
		cmocka_unit_test(test_closing_with_questions_under_way),
		cmocka_unit_test(test_nothing_asked),
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_resolv_conf_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
