/* tests/unit/normalise_test.c: reasons that have one cause become one text; what they are counted by. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "conf/utf8.h"
#include "queue/control/causes.h"
#include "queue/control/normalise.h"

static void test_texts(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"", ""},
		{"connection refused", "connection refused"},
		{"450 4.2.0 mailbox busy", "450 4.2.0 mailbox busy"},
		{"450 mailbox busy", "450 mailbox busy"},
		{"450-4.2.0 mailbox  busy ", "450-4.2.0 mailbox busy"},
		{"451 4.7.500 Server busy", "451 4.7.500 Server busy"},
		{"connect failed (421 4.7.0 try again later)", "connect failed (421 4.7.0 try again later)"},
		/* a number that is no reply code */
		{"try 450 times", "try # times"},
		{"999 lives", "# lives"},
		/* addresses */
		{"450 4.2.0 <bob@example.com>: try later", "450 4.2.0 <address>: try later"},
		{"450 4.2.0 bob+x@example.com.", "450 4.2.0 <address>."},
		{"no mailbox caf\xc3\xa9@ex\xc3\xa4mple.de here", "no mailbox <address> here"},
		{"a @ b", "a @ b"},
		{"[192.0.2.7] blocked", "<ip> blocked"},
		{"192.0.2.7:25 refused", "<ip> refused"},
		{"mx.example.com [2001:db8::25]:25: no answer", "mx.example.com <ip>: no answer"},
		{"from 2001:db8:0:1::9.", "from <ip>."},
		{"::1 is me", "<ip> is me"},
		{"version 1.2.3", "version #.#.#"},
		/* links, identifiers, times */
		{"see https://example.com/why?id=42&x=y", "see <url>"},
		{"see <http://example.com/a>.", "see <url>."},
		{"http is no link", "http is no link"},
		{"4.7.0 - gsmtp a1b2c3d4e5-20020a05651c", "#.#.# - gsmtp <id>"},
		{"queued as 06C1TABCDEFGH", "queued as <id>"},
		{"ref 123e4567-e89b-12d3-a456-426614174000", "ref <id>"},
		{"in 300 seconds", "in # seconds"},
		{"until 12:34:56", "until #:#:#"},
		{"Wed, 25 Nov 2026 22:31:52 +0000", "<day>, # <month> # #:#:# +#"},
		{"Nov 25 you may", "<month> # you may"},
		{"May I ask", "May I ask"},
		{"2026-11-25T22:31:52Z", "<id>:#:#Z"},
		{"no IPv6 path, IPv4 neither", "no IPv6 path, IPv4 neither"},
		{"mx1.example.com", "mx#.example.com"},
		{"\ttabs\r\nand lines ", "tabs and lines"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[NORMALISED];
		size_t n = normalise(rows[i].in, out);
		assert_int_equal(n, strlen(out));
		if (strcmp(out, rows[i].out) != 0)
			fail_msg("\"%s\" became \"%s\", not \"%s\"", rows[i].in, out, rows[i].out);
	}
}

/* Long texts are cut, and no character in two. */
static void test_length(void **state)
{
	(void)state;
	for (size_t lead = 0; lead < 4; lead++) {
		char text[1200] = "xxx", out[NORMALISED];
		text[lead] = '\0';
		while (strlen(text) < 1000)
			strcat(text, "\xe2\x82\xac ");
		size_t n = normalise(text, out);
		assert_in_range(n, NORMALISED - 8, NORMALISED - 1);
		uint32_t code;
		for (size_t i = 0, step; i < n; i += step) {
			step = utf8_read((uint8_t *)out + i, n - i, &code);
			assert_true(step > 0);
		}
	}
}

static void test_counting(void **state)
{
	(void)state;
	struct causes *c = causes_new();
	assert_non_null(c);
	char text[64];
	for (unsigned i = 0; i < 30; i++) {
		snprintf(text, sizeof text, "450 4.2.0 <u%u@example.com> busy", i);
		causes_forget_texts(c); /* another text at the same place */
		causes_add(c, i % 3 == 0 ? "mx.b.example" : "mx.a.example", text, 100 + i / 2, 5000 + i);
	}
	causes_add(c, "mx.a.example", "another one", 999, 1);
	causes_sort(c);
	const struct cause *first = causes_at(c, 0), *second = causes_at(c, 1);
	assert_string_equal(first->site, "mx.a.example");
	assert_string_equal(first->reason, "450 4.2.0 <address> busy");
	assert_int_equal(first->recipients, 20);
	assert_int_equal(first->messages, 15);
	assert_int_equal(first->id, 100);
	assert_int_equal(first->oldest_ms, 5001);
	assert_int_equal(first->newest_ms, 5029);
	assert_string_equal(second->site, "mx.b.example");
	assert_int_equal(second->recipients, 10);
	assert_int_equal(second->messages, 10);
	assert_null(causes_at(c, 3));
	assert_int_equal(causes_others(c, 1), 11);
	assert_int_equal(causes_others(c, 3), 0);
	causes_free(c);
}

static void test_bound(void **state)
{
	(void)state;
	struct causes *c = causes_new();
	char site[64];
	for (unsigned i = 0; i < CAUSES_MAX + 500; i++) {
		snprintf(site, sizeof site, "mx%u.example", i);
		causes_forget_texts(c);
		causes_add(c, site, "no answer", i + 1, 1);
	}
	causes_sort(c);
	assert_non_null(causes_at(c, CAUSES_MAX - 1));
	assert_null(causes_at(c, CAUSES_MAX));
	assert_int_equal(causes_others(c, CAUSES_MAX), 500);
	assert_int_equal(causes_others(c, 10), CAUSES_MAX - 10 + 500);
	causes_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
