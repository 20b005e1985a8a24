/* tests/unit/xtext_test.c: ENVID, ORCPT, and the ASCII form of UTF-8 addresses; mail for the postmaster. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/mail/postmaster.h"
#include "queue/mail/xtext.h"

static void test_xtext(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		const char *plain;
	} rows[] = {
		{"", 0, ""},
		{"QQ314159", 0, "QQ314159"},
		{"a+2Bb+3Dc", 0, "a+b=c"},
		{"a+2bb", 0, "a+b"},
		{"+C3+A9", 0, "\xc3\xa9"},
		{"+00", 0, "?"},
		{"a+", -EINVAL, NULL},
		{"a+4", -EINVAL, NULL},
		{"a+G0", -EINVAL, NULL},
		{"a=b", -EINVAL, NULL},
		{"a b", -EINVAL, NULL},
		{"\xc3\xa9", -EINVAL, NULL},
		{"123456789012345", 0, "123456789012345"},
		{"1234567890123456", -E2BIG, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[16];
		assert_int_equal(xtext_decode(out, sizeof out, rows[i].text), rows[i].result);
		if (rows[i].result == 0)
			assert_string_equal(out, rows[i].plain);
	}
}

static void test_xtext_round_trip(void **state)
{
	(void)state;
	char all[256], coded[1024], back[256];
	for (unsigned i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	all[255] = '\0';
	assert_int_equal(xtext_encode(coded, sizeof coded, all), 0);
	for (const char *c = coded; *c != '\0'; c++)
		assert_true(*c > ' ' && *c <= '~' && *c != '=');
	assert_int_equal(xtext_decode(back, sizeof back, coded), 0);
	assert_string_equal(back, all);
	char small[8];
	assert_int_equal(xtext_encode(small, sizeof small, "12345678"), -E2BIG);
}

static void test_orcpt(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int result;
		const char *type, *address;
	} rows[] = {
		{"rfc822;bob+2Bx@old.example", 0, "rfc822", "bob+x@old.example"},
		{"RFC822;bob@old.example", 0, "rfc822", "bob@old.example"},
		{"utf-8;\\x{3B4}@old.example", 0, "utf-8", "\xce\xb4@old.example"},
		{"utf-8;\\x{1F600}@old.example", 0, "utf-8", "\xf0\x9f\x98\x80@old.example"},
		{"utf-8;\xce\xb4\\x{2B}@old.example", 0, "utf-8", "\xce\xb4+@old.example"},
		{"utf-8;\\x{5C}@x", 0, "utf-8", "\\@x"},
		{"utf-8;\\x{}@x", -EINVAL, NULL, NULL},
		{"utf-8;\\x{D800}@x", -EINVAL, NULL, NULL},
		{"utf-8;\\x{110000}@x", -EINVAL, NULL, NULL},
		{"utf-8;\\x{12@x", -EINVAL, NULL, NULL},
		{"utf-8;\\y@x", -EINVAL, NULL, NULL},
		{"utf-8;\\", -EINVAL, NULL, NULL},
		{"utf-8;\xce@x", -EINVAL, NULL, NULL},
		{"utf-8;a b@x", -EINVAL, NULL, NULL},
		/* RFC 6533 §3: a plus and an equals sign stand for nothing there, and controls do not stand at all */
		{"utf-8;a+b@x", -EINVAL, NULL, NULL},
		{"utf-8;a+2Bb@x", -EINVAL, NULL, NULL},
		{"utf-8;a=b@x", -EINVAL, NULL, NULL},
		{"utf-8;a\\x{2B}b\\x{3D}@x", 0, "utf-8", "a+b=@x"},
		{"utf-8;a\\x{20}b@x", 0, "utf-8", "a b@x"},
		{"utf-8;a\\x{0}b@x", -EINVAL, NULL, NULL},
		{"utf-8;a\\x{1B}b@x", -EINVAL, NULL, NULL},
		{"utf-8;a\\x{7F}b@x", -EINVAL, NULL, NULL},
		{"utf-8;a\\x{80}b@x", -EINVAL, NULL, NULL},
		{"utf-8;a\\x{9F}b@x", -EINVAL, NULL, NULL},
		{"utf-8;a\xc2\x9f\x62@x", -EINVAL, NULL, NULL},
		{"utf-8;a\\x{A0}b@x", 0, "utf-8", "a\xc2\xa0\x62@x"},
		{"rfc822", -EINVAL, NULL, NULL},
		{";bob@x", -EINVAL, NULL, NULL},
		{"rfc 822;bob@x", -EINVAL, NULL, NULL},
		{"a.b;bob@x", -EINVAL, NULL, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char type[ORCPT_TYPE], address[64];
		if (orcpt_read(type, address, sizeof address, rows[i].text) != rows[i].result)
			fail_msg("%s", rows[i].text);
		if (rows[i].result == 0) {
			assert_string_equal(type, rows[i].type);
			assert_string_equal(address, rows[i].address);
			assert_int_equal(orcpt_decode(type, address, sizeof address, rows[i].text), 0);
			assert_string_equal(address, rows[i].address);
		}
	}
	/* what an older version let in still tells for whom it was */
	char type[ORCPT_TYPE], address[64];
	assert_int_equal(orcpt_decode(type, address, sizeof address, "utf-8;a+b=c@x"), 0);
	assert_string_equal(address, "a+b=c@x");
}

/* What is encoded stands for the same address, and is ASCII. */
static void test_utf8_address(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"\xce\xb4@example.org", "a+b=c\\d@example.org", "\"a b\"@x.example", "\xf0\x9f\x98\x80@x", "plain@x"};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char coded[128] = "utf-8;", type[ORCPT_TYPE], back[128];
		assert_int_equal(utf8_address_encode(coded + 6, sizeof coded - 6, rows[i]), 0);
		assert_true(text_is_ascii(coded));
		assert_int_equal(orcpt_decode(type, back, sizeof back, coded), 0);
		assert_string_equal(back, rows[i]);
	}
	char out[32];
	assert_int_equal(utf8_address_encode(out, sizeof out, "\xff@x"), 0);
	assert_string_equal(out, "?@x");
	assert_int_equal(utf8_address_encode(out, sizeof "\\x{1F600}@x", "\xf0\x9f\x98\x80@x"), 0);
	assert_string_equal(out, "\\x{1F600}@x");
	assert_int_equal(utf8_address_encode(out, sizeof "\\x{1F600}@x" - 1, "\xf0\x9f\x98\x80@x"), -E2BIG);
}

/* RFC 3461 §4.2, RFC 6533 §3: QCHAR has neither '+', '=' nor '\'. What fits is whole, to the byte. */
static void test_orcpt_encode(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		bool utf8;
		int result;
		const char *orcpt;
	} rows[] = {
		{"bob@old.example", false, 0, "rfc822;bob@old.example"},
		{"bob@old.example", true, 0, "rfc822;bob@old.example"},
		{"a+b=c\\d@x", true, 0, "rfc822;a+2Bb+3Dc\\d@x"},
		{"\"a b\"@x", false, 0, "rfc822;\"a+20b\"@x"},
		{"\xce\xb4+=\\@x", false, 0, "utf-8;\\x{3B4}\\x{2B}\\x{3D}\\x{5C}@x"},
		{"\xce\xb4+=\\@x", true, 0, "utf-8;\xce\xb4\\x{2B}\\x{3D}\\x{5C}@x"},
		{"\"\xc3\xa9 \"@x", false, 0, "utf-8;\"\\x{E9}\\x{20}\"@x"},
		{"\xf0\x9f\x98\x80@x", false, 0, "utf-8;\\x{1F600}@x"},
		{"\xf0\x9f\x98\x80@x", true, 0, "utf-8;\xf0\x9f\x98\x80@x"},
		{"\xce@x", false, -EINVAL, NULL},
		{"\xce@x", true, -EINVAL, NULL},
		{"\xed\xa0\x80@x", false, -EINVAL, NULL},
		{"\xed\xa0\x80@x", true, -EINVAL, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[64];
		if (orcpt_encode(out, sizeof out, rows[i].address, rows[i].utf8) != rows[i].result)
			fail_msg("%s", rows[i].address);
		if (rows[i].result != 0)
			continue;
		assert_string_equal(out, rows[i].orcpt);
		size_t n = strlen(rows[i].orcpt);
		assert_int_equal(orcpt_encode(out, n + 1, rows[i].address, rows[i].utf8), 0);
		assert_string_equal(out, rows[i].orcpt);
		for (; n > 0; n--)
			assert_int_equal(orcpt_encode(out, n, rows[i].address, rows[i].utf8), -E2BIG);
	}
}

/* What a client encoded is not encoded again. */
static void test_pass(void **state)
{
	(void)state;
	static const struct {
		const char *given;
		bool utf8;
		int result;
		const char *passed;
	} rows[] = {
		{"QQ+2B314", false, 0, "QQ+2B314"},
		{"rfc822;a+3Db\\c@x", true, 0, "rfc822;a+3Db\\c@x"},
		{"utf-8;\\x{3B4}@x", true, 0, "utf-8;\\x{3B4}@x"},
		{"utf-8;\xce\xb4\\x{2B}@x", false, 0, "utf-8;\\x{3B4}\\x{2B}@x"},
		{"utf-8;\xce\xb4\\x{2B}@x", true, 0, "utf-8;\xce\xb4\\x{2B}@x"},
		{"rfc822;a b@x", false, -EINVAL, NULL},
		{"rfc822;a\r\nRSET", true, -EINVAL, NULL},
		{"rfc822;a\x7f@x", true, -EINVAL, NULL},
		{"utf-8;\xce@x", false, -EINVAL, NULL},
		{"utf-8;\xce@x", true, -EINVAL, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[64];
		if (xtext_pass(out, sizeof out, rows[i].given, rows[i].utf8) != rows[i].result)
			fail_msg("%s", rows[i].given);
		if (rows[i].result != 0)
			continue;
		assert_string_equal(out, rows[i].passed);
		size_t n = strlen(rows[i].passed);
		assert_int_equal(xtext_pass(out, n + 1, rows[i].given, rows[i].utf8), 0);
		assert_int_equal(xtext_pass(out, n, rows[i].given, rows[i].utf8), -E2BIG);
	}
}

static void test_postmaster(void **state)
{
	(void)state;
	static const struct {
		const char *postmaster, *address, *orcpt, *to, *kept;
	} rows[] = {
		{"pat@example.net", "postmaster@relay.example", "", "pat@example.net",
			"rfc822;postmaster@relay.example"},
		{"pat@example.net", "PostMaster@relay.example", NULL, "pat@example.net",
			"rfc822;PostMaster@relay.example"},
		{"pat@example.net", "postmaster@relay.example", "rfc822;x@y", "pat@example.net", "rfc822;x@y"},
		{"pat@example.net", "postmaster@other.example", "", "postmaster@other.example", ""},
		{"pat@example.net", "postmasters@relay.example", "", "postmasters@relay.example", ""},
		{"pat@example.net", "bob@relay.example", "", "bob@relay.example", ""},
		{NULL, "postmaster@relay.example", "", "postmaster@relay.example", ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char hostname[] = "relay.example";
		char *postmaster = rows[i].postmaster ? strdup(rows[i].postmaster) : NULL;
		struct conf c = {.hostname = hostname, .postmaster = postmaster};
		char orcpt[ORCPT_MAX + 1];
		struct envelope_rcpt r = {.address = rows[i].address, .orcpt = rows[i].orcpt};
		postmaster_rewrite(&c, &r, orcpt);
		assert_string_equal(r.address, rows[i].to);
		assert_string_equal(r.orcpt ? r.orcpt : "", rows[i].kept);
		free(postmaster);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_xtext_round_trip),
		cmocka_unit_test(test_orcpt),
		cmocka_unit_test(test_utf8_address),
		cmocka_unit_test(test_orcpt_encode),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_postmaster),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
