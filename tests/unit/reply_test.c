/* tests/unit/reply_test.c: replies of peers, whole and in pieces, good, bad and endless. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue/mail/reply.h"

enum { LINES = 5, BYTES = 4000 };

static const struct row {
	const char *in;
	enum reply_event event; /* at the end */
	unsigned code;
	const char *enhanced, *text;
} rows[] = {
	{"250 ok\r\n", REPLY_COMPLETE, 250, "", "ok"},
	{"250\r\n", REPLY_COMPLETE, 250, "", ""},
	{"250 \r\n", REPLY_COMPLETE, 250, "", ""},
	{"250 ok\n", REPLY_COMPLETE, 250, "", "ok"},
	{"550 5.1.1 no such user\r\n", REPLY_COMPLETE, 550, "5.1.1", "no such user"},
	{"550 5.1.1\r\n", REPLY_COMPLETE, 550, "5.1.1", ""},
	{"550-  5.1.1  two blanks\r\n550  5.1.1 again\r\n", REPLY_COMPLETE, 550, "5.1.1", "two blanks again"},
	{"550-5.7.26 a\r\n550-5.7.26 b\r\n550 5.7.26 c\r\n", REPLY_COMPLETE, 550, "5.7.26", "a b c"},
	{"550-5.7.1 a\r\n550 b 5.7.1\r\n", REPLY_COMPLETE, 550, "5.7.1", "a b 5.7.1"},
	{"550-text first\r\n550 5.7.1 x\r\n", REPLY_COMPLETE, 550, "", "text first 5.7.1 x"},
	{"450 5.1.1 other class\r\n", REPLY_COMPLETE, 450, "", "5.1.1 other class"},
	{"550 5.1.1234 too long\r\n", REPLY_COMPLETE, 550, "", "5.1.1234 too long"},
	{"550 5.1 short\r\n", REPLY_COMPLETE, 550, "", "5.1 short"},
	{"354 go\r\n", REPLY_COMPLETE, 354, "", "go"},
	{"220-\r\n220 x\r\n", REPLY_COMPLETE, 220, "", "x"},
	{"250 a\tb\001\x80\r\n", REPLY_COMPLETE, 250, "", "a?b??"},
	{"250-a\r\n250 b\r\n", REPLY_COMPLETE, 250, "", "a b"},
	{"250-a\r\n251 b\r\n", REPLY_BAD, 0, NULL, NULL},
	{"25 a\r\n", REPLY_BAD, 0, NULL, NULL},
	{"2500 a\r\n", REPLY_BAD, 0, NULL, NULL},
	{"150 a\r\n", REPLY_BAD, 0, NULL, NULL},
	{"650 a\r\n", REPLY_BAD, 0, NULL, NULL},
	{"\r\n", REPLY_BAD, 0, NULL, NULL},
	{"\n", REPLY_BAD, 0, NULL, NULL},
	{"SSH-2.0-OpenSSH_9.2\r\n", REPLY_BAD, 0, NULL, NULL},
	{"250_ok\r\n", REPLY_BAD, 0, NULL, NULL},
	{"250 ok", REPLY_MORE, 0, NULL, NULL},
	{"250-ok\r\n", REPLY_LINE, 0, NULL, NULL},
	{"250-1\n250-2\n250-3\n250-4\n250 5\n", REPLY_COMPLETE, 250, "", "1 2 3 4 5"},
	{"250-1\n250-2\n250-3\n250-4\n250-5\n250 6\n", REPLY_TOO_LONG, 0, NULL, NULL},
};

/* Feeds in pieces of `step` bytes; returns the last event. */
static enum reply_event feed(struct reply_parser *p, const char *in, size_t len, size_t step)
{
	enum reply_event event = REPLY_MORE;
	for (size_t at = 0; at < len;) {
		size_t n = len - at < step ? len - at : step, used = 0;
		event = reply_parser_feed(p, (const uint8_t *)in + at, n, &used);
		assert_true(used > 0 && used <= n);
		at += used;
		if (event != REPLY_MORE && event != REPLY_LINE)
			return event;
	}
	return event;
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (size_t step = 1; step < 50; step += 6) {
			struct reply_parser p;
			reply_parser_init(&p, LINES, BYTES);
			if (feed(&p, rows[i].in, strlen(rows[i].in), step) != rows[i].event)
				fail_msg("row %zu (%s) in steps of %zu", i, rows[i].in, step);
			if (rows[i].text == NULL)
				continue;
			assert_int_equal(p.reply.code, rows[i].code);
			assert_string_equal(p.reply.enhanced, rows[i].enhanced);
			assert_string_equal(p.reply.text, rows[i].text);
		}
	}
}

static void test_one_line_at_a_time(void **state)
{
	(void)state;
	struct reply_parser p;
	static const char in[] = "250-mx.example\r\n250-SIZE 100\r\n250 PIPELINING\r\nrest";
	static const char *const lines[] = {"mx.example", "SIZE 100", "PIPELINING"};
	size_t at = 0;
	reply_parser_init(&p, LINES, BYTES);
	for (unsigned i = 0; i < 3; i++) {
		size_t used;
		enum reply_event e = reply_parser_feed(&p, (const uint8_t *)in + at, sizeof in - 1 - at, &used);
		assert_int_equal(e, i < 2 ? REPLY_LINE : REPLY_COMPLETE);
		assert_string_equal(p.line, lines[i]);
		at += used;
	}
	assert_string_equal(in + at, "rest");
}

static void test_bounds(void **state)
{
	(void)state;
	struct reply_parser p;
	char text[BYTES + 10];
	memset(text, 'x', sizeof text);
	memcpy(text, "250 ", 4);

	/* an endless line is noticed before its end */
	reply_parser_init(&p, LINES, BYTES);
	assert_int_equal(feed(&p, text, BYTES, 64), REPLY_MORE);
	size_t used;
	assert_int_equal(reply_parser_feed(&p, (const uint8_t *)"x", 1, &used), REPLY_TOO_LONG);

	/* a long line that ends in time is cut, and says so */
	memcpy(text + BYTES - 2, "\r\n", 2);
	reply_parser_init(&p, LINES, BYTES);
	assert_int_equal(feed(&p, text, BYTES, 64), REPLY_COMPLETE);
	assert_int_equal(strlen(p.reply.text), REPLY_TEXT_MAX - 1);
	assert_string_equal(p.reply.text + REPLY_TEXT_MAX - 4, "...");

	/* a 0 byte is no text */
	reply_parser_init(&p, LINES, BYTES);
	assert_int_equal(feed(&p, "250 a\0b\r\n", 9, 9), REPLY_BAD);
}

static void test_own(void **state)
{
	(void)state;
	struct reply r;
	char out[32];
	reply_set(&r, 554, "5.6.3", "no %s", "way");
	assert_string_equal(reply_format(&r, out, sizeof out), "554 5.6.3 no way");
	assert_int_equal(reply_class(&r), 5);
	reply_set(&r, 250, "", "%s", "");
	assert_string_equal(reply_format(&r, out, sizeof out), "250");
	reply_set(&r, 0, "", "Connection\nrefused");
	assert_string_equal(reply_format(&r, out, sizeof out), "Connection?refused");
	assert_int_equal(reply_class(&r), 0);
	reply_set(&r, 250, "2.0.0", "%s", "a text that is longer than there is room for");
	assert_int_equal(strlen(reply_format(&r, out, sizeof out)), sizeof out - 1);
	reply_set(&r, 250, "", "%600d", 1);
	assert_string_equal(r.text + REPLY_TEXT_MAX - 4, "...");
}

static void test_greylisting(void **state)
{
	(void)state;
	static const struct {
		unsigned code;
		const char *enhanced, *text;
		bool is;
	} table[] = {
		{450, "4.2.0", "Recipient address rejected: Greylisted", true},
		{451, "4.7.1", "Please try again later", true},
		{450, "", "GRAYLISTED, come back", true},
		{451, "", "Try again in 300 seconds", true},
		{421, "4.7.1", "greylisted", false},
		{452, "4.2.2", "mailbox full", false},
		{451, "4.3.0", "local error", false},
		{550, "5.7.1", "greylisting is not for you", false},
		{250, "", "greylisted", false},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct reply r;
		reply_set(&r, table[i].code, table[i].enhanced, "%s", table[i].text);
		if (reply_is_greylisting(&r) != table[i].is)
			fail_msg("row %zu", i);
	}
}

/* "Too many recipients" as servers say it (Postfix, Sendmail, Exchange, Exim, old ones), and what only looks like it.
 */
static void test_too_many(void **state)
{
	(void)state;
	static const struct {
		unsigned code;
		const char *enhanced, *text;
		bool is;
	} table[] = {
		{452, "4.5.3", "Error: too many recipients", true},
		{452, "4.5.3", "Too many recipients (100 max)", true},
		{452, "", "too many recipients", true},
		{452, "", "", true},
		{450, "4.5.3", "slow down", true},
		{452, "4.3.0", "Too Many Recipients", true},
		{552, "5.5.3", "enough", true},
		{552, "", "Too many recipients", true},
		{452, "4.3.1", "Insufficient system storage", false},
		{452, "", "Insufficient system storage", false},
		{452, "", "no space left", false},
		{452, "4.2.2", "mailbox full", false},
		{450, "4.7.1", "Error: too many recipients from 192.0.2.1", false}, /* a rate */
		{421, "4.5.3", "too many recipients", false},
		{550, "5.5.3", "too many recipients", false},
		{552, "5.2.2", "mailbox full", false},
		{250, "2.1.5", "too many recipients", false},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct reply r;
		reply_set(&r, table[i].code, table[i].enhanced, "%s", table[i].text);
		if (reply_is_too_many(&r) != table[i].is)
			fail_msg("%u %s %s", table[i].code, table[i].enhanced, table[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_one_line_at_a_time),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_greylisting),
		cmocka_unit_test(test_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
