/* tests/unit/oracle_protocol_test.c: what an oracle is asked and says, by socketmap_table(5) and tcp_table(5), whole,
 * byte by byte and in pieces; whose mail a key stands for; what the DNS' answers come to, as a table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/oracle/key.h"
#include "queue/oracle/reply.h"
#include "queue/oracle/verdict.h"

enum { MOST = 1000, LOG_MAX = 20000 };

/* ---- requests ---- */

/* What came of all bytes: one line an event. Bytes that do not print are shown as '?'. */
static void read_all(char log[LOG_MAX], const char *in, size_t len, size_t piece)
{
	struct oracle_request r;
	size_t at = 0, n = 0;
	oracle_request_init(&r, MOST);
	log[0] = '\0';
	for (bool over = false; at < len && !over;) {
		enum oracle_event event;
		size_t give = len - at < piece ? len - at : piece;
		uint8_t *copy = malloc(give); /* just so many, for ASan to watch */
		assert_non_null(copy);
		memcpy(copy, in + at, give);
		size_t used = oracle_request_take(&r, copy, give, &event);
		free(copy);
		assert_in_range(used, 1, give);
		at += used;
		switch (event) {
		case ORACLE_MORE:
			assert_int_equal(used, give);
			break;
		case ORACLE_ASKED:
			n += (size_t)snprintf(log + n, LOG_MAX - n, "%s map=%.*s key=%.*s;",
				r.protocol == ORACLE_SOCKETMAP ? "socketmap" : "tcp", (int)r.map_len, r.map,
				(int)r.key_len, r.key);
			break;
		case ORACLE_OVERSIZED:
			n += (size_t)snprintf(log + n, LOG_MAX - n, "oversized;");
			break;
		case ORACLE_MALFORMED:
			n += (size_t)snprintf(log + n, LOG_MAX - n, "malformed: %s;", r.why);
			/* nothing more is read */
			assert_int_equal(oracle_request_take(&r, (const uint8_t *)"1", 1, &event), 0);
			assert_int_equal(event, ORACLE_MALFORMED);
			over = true;
			break;
		}
	}
	oracle_request_fini(&r);
}

#define NETSTRING "malformed: expected a netstring: LENGTH:NAME KEY,;"
#define GET "malformed: expected: get KEY;"
#define ENCODED "malformed: expected %XX for '%', blanks and controls in the key;"

static const struct {
	const char *in, *log;
} requests[] = {
	/* socketmap */
	{"23:transport user@a.example,", "malformed: expected ',' behind the netstring;"},
	{"24:transport user@a.example,", "socketmap map=transport key=user@a.example;"},
	{"4:m k1,4:m k2,", "socketmap map=m key=k1;socketmap map=m key=k2;"},
	{"2:m ,", "socketmap map=m key=;"},
	{"6:m a b ,", "socketmap map=m key=a b ;"},
	{"1:m,", "malformed: expected NAME KEY in the netstring;"},
	{"2: k,", "malformed: expected NAME KEY in the netstring;"},
	{"0:,", "malformed: expected NAME KEY in the netstring;"},
	{"04:m k1,", NETSTRING},
	{"00:,", NETSTRING},
	{"4 :m k1,", NETSTRING},
	{"4:m k1;", "malformed: expected ',' behind the netstring;"},
	{"99999999:", NETSTRING}, /* eight digits */
	{"4:m k1,get a\n", "socketmap map=m key=k1;" NETSTRING},
	/* tcp_table */
	{"get user@a.example\n", "tcp map= key=user@a.example;"},
	{"get a\r\nget b\n", "tcp map= key=a;tcp map= key=b;"},
	{"get a%20b%25%0a%0D\n", "tcp map= key=a b%\n\r;"},
	{"get gr\xc3\xbc\x66.example\n", "tcp map= key=gr\xc3\xbc\x66.example;"},
	{"get \n", "tcp map= key=;"},
	{"get\n", GET},
	{"GET / HTTP/1.1\n", GET},
	{"put a b\n", GET},
	{"\n", GET},
	{" get a\n", GET},
	{"get  a\n", ENCODED},
	{"get a b\n", ENCODED},
	{"get a\tb\n", ENCODED},
	{"get a\x7f\n", ENCODED},
	{"get a%2\n", ENCODED},
	{"get a%\n", ENCODED},
	{"get a%g0\n", ENCODED},
	{"get a%0g\n", ENCODED},
	{"get a\n4:m k1,\n", "tcp map= key=a;" GET},
	{"\x16\x03\x01\n", GET},
	/* nothing whole */
	{"24:transport user@a.example", ""},
	{"get user@a.example", ""},
	{"2", ""},
};

static void test_requests(void **state)
{
	(void)state;
	char log[LOG_MAX];
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		for (size_t piece = 1; piece <= 40; piece++) {
			read_all(log, requests[i].in, strlen(requests[i].in), piece);
			if (strcmp(log, requests[i].log) != 0)
				fail_msg("\"%s\" in pieces of %zu:\n%s\nexpected:\n%s", requests[i].in, piece, log,
					requests[i].log);
		}
	}
}

/* A NUL is a byte of the key like any other. */
static void test_zeros(void **state)
{
	(void)state;
	struct oracle_request r;
	enum oracle_event event;
	oracle_request_init(&r, MOST);
	assert_int_equal(oracle_request_take(&r, (const uint8_t *)"5:m a\0b,", 8, &event), 8);
	assert_int_equal(event, ORACLE_ASKED);
	assert_int_equal(r.key_len, 3);
	assert_memory_equal(r.key, "a\0b", 3);
	oracle_request_fini(&r);
	oracle_request_init(&r, MOST);
	assert_int_equal(oracle_request_take(&r, (const uint8_t *)"get a%00b\n", 10, &event), 10);
	assert_int_equal(event, ORACLE_ASKED);
	assert_memory_equal(r.key, "a\0b", 3);
	assert_int_equal(oracle_request_take(&r, (const uint8_t *)"get a\0b\n", 8, &event), 8);
	assert_int_equal(event, ORACLE_MALFORMED);
	oracle_request_fini(&r);
}

/* One of exactly the limit is read, one byte more is skipped, whatever its length, and the next one is read. */
static void test_limit(void **state)
{
	(void)state;
	enum { LONG = 9999999 };
	static char in[LONG + 100];
	char log[LOG_MAX], expected[LOG_MAX];
	static const size_t pieces[] = {1, 3, 7, 999, 4096, sizeof in};
	for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
		for (int over = 0; over <= 1; over++) {
			int n = snprintf(in, sizeof in, "%d:m ", MOST + over);
			memset(in + n, 'k', (size_t)(MOST - 2 + over));
			strcpy(in + n + MOST - 2 + over, ",4:m k1,");
			snprintf(expected, sizeof expected, "socketmap map=m key=%.*s;", MOST - 2, in + n);
			read_all(log, in, strlen(in), pieces[p]);
			assert_int_equal(
				strncmp(log, over ? "oversized;" : expected, strlen(over ? "oversized;" : expected)),
				0);
			assert_non_null(strstr(log, ";socketmap map=m key=k1;"));

			n = snprintf(in, sizeof in, "get ");
			memset(in + n, 'k', (size_t)(MOST - 4 + over));
			strcpy(in + n + MOST - 4 + over, "\nget a\n");
			snprintf(expected, sizeof expected, "tcp map= key=%.*s;", MOST - 4, in + n);
			read_all(log, in, strlen(in), pieces[p]);
			assert_int_equal(
				strncmp(log, over ? "oversized;" : expected, strlen(over ? "oversized;" : expected)),
				0);
			assert_non_null(strstr(log, ";tcp map= key=a;"));
		}
	}
	int n = snprintf(in, sizeof in, "%d:", LONG);
	memset(in + n, 'k', LONG);
	strcpy(in + n + LONG, ",4:m k1,");
	read_all(log, in, (size_t)n + LONG + 8, 65536);
	assert_string_equal(log, "oversized;socketmap map=m key=k1;");
}

/* ---- replies ---- */

static void test_replies(void **state)
{
	(void)state;
	static const struct {
		enum oracle_protocol protocol;
		enum oracle_answer answer;
		const char *text, *out;
	} rows[] = {
		{ORACLE_SOCKETMAP, ORACLE_FOUND, "relay:[a.example]:25", "23:OK relay:[a.example]:25,"},
		{ORACLE_SOCKETMAP, ORACLE_FOUND, "a b%", "7:OK a b%,"},
		{ORACLE_SOCKETMAP, ORACLE_NOT_FOUND, "whatever", "9:NOTFOUND ,"},
		{ORACLE_SOCKETMAP, ORACLE_LATER, "why", "8:TEMP why,"},
		{ORACLE_SOCKETMAP, ORACLE_TIMED_OUT, "why", "11:TIMEOUT why,"},
		{ORACLE_SOCKETMAP, ORACLE_WRONG, "why", "8:PERM why,"},
		{ORACLE_SOCKETMAP, ORACLE_LATER, "a\n\x80\x7f", "9:TEMP a???,"},
		{ORACLE_TCP_TABLE, ORACLE_FOUND, "relay:[a.example]:25", "200 relay:[a.example]:25\n"},
		{ORACLE_TCP_TABLE, ORACLE_FOUND, "a b%", "200 a%20b%25\n"},
		{ORACLE_TCP_TABLE, ORACLE_NOT_FOUND, "no such domain", "500 no such domain\n"},
		{ORACLE_TCP_TABLE, ORACLE_LATER, "100% \n\xff", "400 100%25 %0A%FF\n"},
		{ORACLE_TCP_TABLE, ORACLE_TIMED_OUT, "why", "400 why\n"},
		{ORACLE_TCP_TABLE, ORACLE_WRONG, "why", "400 why\n"},
	};
	char out[ORACLE_REPLY_MAX];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n = oracle_reply_write(out, rows[i].protocol, rows[i].answer, rows[i].text);
		assert_int_equal(n, strlen(rows[i].out));
		assert_memory_equal(out, rows[i].out, n);
	}
}

/* Nothing is longer than Postfix reads: 4096 bytes of a line; and each byte is there or the text is cut. */
static void test_long_replies(void **state)
{
	(void)state;
	static char text[5000];
	char out[ORACLE_REPLY_MAX];
	memset(text, '%', sizeof text - 1);
	size_t n = oracle_reply_write(out, ORACLE_TCP_TABLE, ORACLE_FOUND, text);
	assert_int_equal(n, 4 + 3 * ORACLE_TEXT_MAX + 1);
	assert_int_equal(out[n - 1], '\n');
	n = oracle_reply_write(out, ORACLE_SOCKETMAP, ORACLE_TIMED_OUT, text);
	assert_int_equal(n, 4 + 8 + ORACLE_TEXT_MAX + 1);
	assert_memory_equal(out, "608:TIMEOUT %", 13);
	assert_int_equal(out[n - 1], ',');
}

/* ---- keys ---- */

static void test_keys(void **state)
{
	(void)state;
	static const struct {
		const char *key, *domain; /* NULL: nobody's; "[…" a literal */
	} rows[] = {
		{"user@a.example", "a.example"},
		{"user+ext@a.example", "a.example"},
		{"User@A.Example", "a.example"},
		{"\"a@b\"@a.example", "a.example"},
		{"a@b@a.example", "a.example"},
		{"@a.example", "a.example"},
		{"a.example", "a.example"},
		{"a.example.", "a.example"},
		{"x_y.a.example", "x_y.a.example"},
		{"sub.a.example", "sub.a.example"},
		{"user@gr\xc3\xbc\xc3\x9f\x65.example", "xn--gre-6ka8l.example"},
		{"user@GR\xc3\x9c\x46.example", "xn--grf-ioa.example"},
		{"user@[192.0.2.1]", "[192.0.2.1]"},
		{"[192.0.2.1]", "[192.0.2.1]"},
		{"user@[IPv6:2001:DB8::1]", "[2001:db8::1]"},
		{"user@[ipv6:2001:db8::1]", "[2001:db8::1]"},
		{"user@[IPv6:::ffff:192.0.2.1]", "[192.0.2.1]"},
		{"", NULL},
		{"*", NULL},
		{"<>", NULL},
		{"@", NULL},
		{"user@", NULL},
		{".a.example", NULL},
		{"user@.a.example", NULL},
		{".", NULL},
		{"user@a..example", NULL},
		{"user@a.example..", NULL},
		{"user@-a.example", NULL},
		{"user@a b.example", NULL},
		{"user@\xff.example", NULL},
		{"user@[192.0.2.1", NULL},
		{"user@[192.0.2.256]", NULL},
		{"user@[2001:db8::1]", NULL}, /* RFC 5321 4.1.3: with its tag */
		{"user@[x:y]", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct oracle_key k;
		char address[IP_TEXT], shown[IP_TEXT + 2];
		int err = oracle_key_read(&k, rows[i].key, strlen(rows[i].key));
		if (err != (rows[i].domain ? 0 : -EINVAL))
			fail_msg("%s: %d", rows[i].key, err);
		if (err != 0)
			continue;
		snprintf(shown, sizeof shown, "[%s]", ip_format(&k.literal, address));
		assert_string_equal(*k.domain != '\0' ? k.domain : shown, rows[i].domain);
	}
	struct oracle_key k;
	assert_int_equal(oracle_key_read(&k, "a\0b.example", 11), -EINVAL);
	char longest[300];
	memset(longest, 'a', sizeof longest);
	for (size_t i = 50; i < sizeof longest; i += 50)
		longest[i] = '.';
	assert_int_equal(oracle_key_read(&k, longest, 253), 0);
	assert_int_equal(oracle_key_read(&k, longest, 254), -EINVAL);
	assert_int_equal(oracle_key_read(&k, longest, 300), -EINVAL);
}

/* ---- verdicts ---- */

/* States of one host's families, IPv4 and IPv6: p pending, h have, e empty, f failed. */
static enum mx_part part(char c)
{
	return c == 'p' ? MX_PART_PENDING : c == 'h' ? MX_PART_HAVE : c == 'e' ? MX_PART_EMPTY : MX_PART_FAILED;
}

static const struct {
	const char *hosts; /* "hp ee": two hosts */
	enum mx_state state;
	enum oracle_verdict ipv4, ipv6, late4, late6;
} verdicts[] = {
	{"", MX_PENDING, ORACLE_PENDING, ORACLE_PENDING, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN},
	{"", MX_FAILED, ORACLE_NOWHERE, ORACLE_NOWHERE, ORACLE_NOWHERE, ORACLE_NOWHERE},
	{"", MX_DEFERRED, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN},
	{"ff", MX_DEFERRED, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN},
	{"ee", MX_FAILED, ORACLE_NOWHERE, ORACLE_NOWHERE, ORACLE_NOWHERE, ORACLE_NOWHERE},
	/* one host */
	{"hh", MX_HOSTS, ORACLE_ITSELF, ORACLE_ITSELF, ORACLE_ITSELF, ORACLE_ITSELF},
	{"he", MX_HOSTS, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF, ORACLE_RELAY},
	{"eh", MX_HOSTS, ORACLE_RELAY, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF},
	{"hp", MX_HOSTS, ORACLE_ITSELF, ORACLE_PENDING, ORACLE_ITSELF, ORACLE_RELAY},
	{"ph", MX_HOSTS, ORACLE_PENDING, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF},
	{"hf", MX_HOSTS, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF, ORACLE_RELAY},
	{"fh", MX_HOSTS, ORACLE_RELAY, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF},
	{"pp", MX_HOSTS, ORACLE_PENDING, ORACLE_PENDING, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN},
	{"ep", MX_HOSTS, ORACLE_PENDING, ORACLE_PENDING, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN},
	{"fp", MX_HOSTS, ORACLE_PENDING, ORACLE_PENDING, ORACLE_UNCERTAIN, ORACLE_UNCERTAIN},
	/* several: any preference will do, and what is not known yet may be of that family */
	{"eh ee he", MX_HOSTS, ORACLE_ITSELF, ORACLE_ITSELF, ORACLE_ITSELF, ORACLE_ITSELF},
	{"eh eh pp", MX_HOSTS, ORACLE_PENDING, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF},
	{"eh ep", MX_HOSTS, ORACLE_RELAY, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF},
	{"eh ff", MX_HOSTS, ORACLE_RELAY, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF},
	{"ee he", MX_HOSTS, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_ITSELF, ORACLE_RELAY},
};

static void with_hosts(size_t row, struct mx *mx, struct mx_host hosts[8])
{
	memset(hosts, 0, 8 * sizeof hosts[0]);
	*mx = (struct mx){.state = verdicts[row].state, .hosts = hosts};
	for (const char *s = verdicts[row].hosts; *s != '\0'; s += s[2] ? 3 : 2) {
		hosts[mx->count].family[0].state = part(s[0]);
		hosts[mx->count++].family[1].state = part(s[1]);
	}
}

static void test_verdicts(void **state)
{
	(void)state;
	struct mx mx;
	struct mx_host hosts[8];
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
		with_hosts(i, &mx, hosts);
		assert_int_equal(oracle_judge(&mx, FAMILY_IPV4, NULL, false), verdicts[i].ipv4);
		assert_int_equal(oracle_judge(&mx, FAMILY_IPV6, NULL, false), verdicts[i].ipv6);
		assert_int_equal(oracle_judge(&mx, FAMILY_IPV4, NULL, true), verdicts[i].late4);
		assert_int_equal(oracle_judge(&mx, FAMILY_IPV6, NULL, true), verdicts[i].late6);
	}
}

/* A route changes nothing for what can be reached, nothing while it is not known, and "*" nothing at all. */
static void test_routes(void **state)
{
	(void)state;
	static struct conf_hop hop;
	static char own[] = "a.example", below[] = ".example", all[] = "*", why[] = "closed";
	const struct {
		struct conf_route route;
		enum oracle_verdict nowhere, uncertain; /* what becomes of these */
	} rows[] = {
		{{.pattern = own, .relay = {&hop, 1}}, ORACLE_RELAY, ORACLE_RELAY},
		{{.pattern = below, .relay = {&hop, 1}}, ORACLE_RELAY, ORACLE_RELAY},
		{{.pattern = all, .relay = {&hop, 1}}, ORACLE_NOWHERE, ORACLE_UNCERTAIN},
		{{.pattern = own}, ORACLE_NOWHERE, ORACLE_UNCERTAIN},
		{{.pattern = own, .discard = true}, ORACLE_RELAY, ORACLE_UNCERTAIN},
		{{.pattern = below, .reject = why}, ORACLE_RELAY, ORACLE_UNCERTAIN},
		{{.pattern = all, .reject = why}, ORACLE_NOWHERE, ORACLE_UNCERTAIN},
	};
	struct mx mx;
	struct mx_host hosts[8];
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
			with_hosts(i, &mx, hosts);
			for (int late = 0; late <= 1; late++) {
				enum oracle_verdict v = late ? verdicts[i].late4 : verdicts[i].ipv4;
				v = v == ORACLE_NOWHERE	    ? rows[r].nowhere
				    : v == ORACLE_UNCERTAIN ? rows[r].uncertain
							    : v;
				assert_int_equal(oracle_judge(&mx, FAMILY_IPV4, &rows[r].route, late), v);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_long_replies),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
