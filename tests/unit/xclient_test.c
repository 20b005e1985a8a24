/* tests/unit/xclient_test.c: lists of attributes as XCLIENT and XFORWARD take them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtpd/xclient.h"

#define TEN "0123456789"
#define L255 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "01234"

static bool read(struct xclient *x, bool forward, const char *text)
{
	size_t n = strlen(text);
	uint8_t *copy = malloc(n ? n : 1); /* just so many, for ASan to watch */
	assert_non_null(copy);
	memcpy(copy, text, n);
	const struct piece args = {copy, n};
	bool ok = xclient_read(x, forward, &args);
	free(copy);
	return ok;
}

/* All that is known, in the order of the table. */
static const char *show(const struct xclient *x, char out[2048])
{
	static const char *const names[] = {
#define X(name, client, forward) #name,
		XCLIENT_ATTRIBUTES(X)
#undef X
	};
	char client[IP_TEXT], listener[IP_TEXT], ports[2][8];
	snprintf(ports[0], 8, "%u", x->client.port);
	snprintf(ports[1], 8, "%u", x->listener.port);
	const char *const values[] = {x->name, ip_format(&x->client.ip, client), ports[0], x->proto, x->helo, x->login,
		ip_format(&x->listener.ip, listener), ports[1], x->reverse_name, x->ident, x->source};
	size_t n = 0;
	out[0] = '\0';
	for (unsigned i = 0; i < XCLIENT_COUNT; i++)
		if (x->said & 1u << i)
			n += (size_t)snprintf(out + n, 2048 - n, "%s%s=%s", n ? " " : "", names[i],
				xclient_has(x, i) ? values[i] : "?");
	return out;
}

struct row {
	const char *text;
	const char *client, *forward; /* what is known then; NULL: no valid list */
};

static void test_lists(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"NAME=m.example ADDR=192.0.2.1 PORT=5000 PROTO=ESMTP HELO=h.example",
			"NAME=m.example ADDR=192.0.2.1 PORT=5000 PROTO=ESMTP HELO=h.example",
			"NAME=m.example ADDR=192.0.2.1 PORT=5000 PROTO=ESMTP HELO=h.example"},
		{"LOGIN=u+40d.example DESTADDR=IPV6:2001:db8::1 DESTPORT=25 REVERSE_NAME=r_1.example",
			"LOGIN=u@d.example DESTADDR=2001:db8::1 DESTPORT=25 REVERSE_NAME=r_1.example", NULL},
		{"IDENT=6H0J345682000 SOURCE=LOCAL", NULL, "IDENT=6H0J345682000 SOURCE=LOCAL"},
		{"source=remote", NULL, "SOURCE=remote"},
		{"SOURCE=NEAR", NULL, NULL},
		{"name=m  addr=ipv6:2001:DB8::1   ", "NAME=m ADDR=2001:db8::1", "NAME=m ADDR=2001:db8::1"},
		{"ADDR=2001:db8::1", "ADDR=2001:db8::1", "ADDR=2001:db8::1"},
		{"ADDR=IPV6:::ffff:192.0.2.1", "ADDR=192.0.2.1", "ADDR=192.0.2.1"},
		{"ADDR=IPV6:192.0.2.1", NULL, NULL},
		{"ADDR=[192.0.2.1]", NULL, NULL},
		{"ADDR=192.0.2.1.example", NULL, NULL},
		{"ADDR=", NULL, NULL},
		{"ADDR=[UNAVAILABLE] NAME=[unavailable] HELO=[TempUnavail]", "NAME=? ADDR=? HELO=?",
			"NAME=? ADDR=? HELO=?"},
		{"NAME=[TEMPORARY]", "NAME=[TEMPORARY]", "NAME=[TEMPORARY]"},
		{"NAME=a NAME=b", "NAME=b", "NAME=b"}, /* the last one holds */
		{"PORT=0", "PORT=0", "PORT=0"},
		{"PORT=65535", "PORT=65535", "PORT=65535"},
		{"PORT=65536", NULL, NULL},
		{"PORT=99999999999999999999999", NULL, NULL},
		{"PORT=-1", NULL, NULL},
		{"PORT=2x", NULL, NULL},
		{"PORT=", NULL, NULL},
		{"PROTO=smtp", "PROTO=smtp", "PROTO=smtp"},
		{"PROTO=QMQP", NULL, "PROTO=QMQP"},
		{"PROTO=" TEN TEN TEN TEN TEN TEN "0123", NULL, "PROTO=" TEN TEN TEN TEN TEN TEN "0123"},
		{"PROTO=" TEN TEN TEN TEN TEN TEN "01234", NULL, NULL},
		{"HELO=[IPv6:2001:db8::1]", "HELO=[IPv6:2001:db8::1]", "HELO=[IPv6:2001:db8::1]"},
		{"HELO=a=b", NULL, NULL}, /* xtext has no bare equals sign */
		{"HELO=a+3Db", "HELO=a=b", "HELO=a=b"},
		{"NAME=" L255, "NAME=" L255, "NAME=" L255},
		{"NAME=" L255 "5", NULL, NULL},
		/* nothing that means something in a log line or a header field */
		{"NAME=a+0Ab", "NAME=a?b", "NAME=a?b"},
		{"HELO=a+0D+0Ab+20\"", "HELO=a??b??", "HELO=a??b??"},
		{"LOGIN=u+C3+A9+09", "LOGIN=u???", NULL},
		{"IDENT=(;)+5C+3E", NULL, "IDENT=?????"},
		{"PROTO=E+0A", NULL, "PROTO=E?"},
		{"NAME=a+20b", "NAME=a?b", "NAME=a?b"},
		{"NAME=a+00b", "NAME=a?b", "NAME=a?b"},
		{"NAME=a+28b", "NAME=a?b", "NAME=a?b"},
		{"NAME=a+22b", "NAME=a?b", "NAME=a?b"},
		{"NAME=a+3Cb", "NAME=a?b", "NAME=a?b"},
		{"NAME=a+7Fb", "NAME=a?b", "NAME=a?b"},
		{"NAME=a+80b", "NAME=a?b", "NAME=a?b"},
		{"NAME=a\tb", NULL, NULL},
		{"NAME=a\xc3\xa4", NULL, NULL},
		{"NAME=a+Zb", NULL, NULL},
		{"NAME=a+", NULL, NULL},
		{"", NULL, NULL},
		{" ", NULL, NULL},
		{"NAME", NULL, NULL},
		{"=a", NULL, NULL},
		{"NAM=a", NULL, NULL},
		{"NAMES=a", NULL, NULL},
		{"NAME=a OTHER=b", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (int forward = 0; forward < 2; forward++) {
			struct xclient x = {.said = 0}, before = {.said = 0};
			char text[2048];
			const char *want = forward ? rows[i].forward : rows[i].client;
			bool ok = read(&x, forward, rows[i].text);
			if (ok != (want != NULL) || (ok && strcmp(show(&x, text), want) != 0))
				fail_msg("%s \"%s\" gave %s", forward ? "XFORWARD" : "XCLIENT", rows[i].text,
					ok ? show(&x, text) : "an error");
			if (!ok)
				assert_memory_equal(&x, &before, sizeof x);
		}
}

/* Several commands add up; a wrong one changes nothing. */
static void test_several(void **state)
{
	(void)state;
	struct xclient x = {.said = 0};
	char text[2048];
	assert_true(read(&x, true, "NAME=a ADDR=192.0.2.1"));
	assert_true(read(&x, true, "HELO=h NAME=[UNAVAILABLE]"));
	assert_false(read(&x, true, "IDENT=i NAME=b HELO="));
	assert_string_equal(show(&x, text), "NAME=? ADDR=192.0.2.1 HELO=h");
	assert_string_equal(x.name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists), cmocka_unit_test(test_several)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
