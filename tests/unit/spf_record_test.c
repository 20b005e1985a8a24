/* tests/unit/spf_record_test.c: SPF records as they are written: the grammar of RFC 7208 §12, the strings of a TXT
 * record, names with macros. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/doctor/spf_macro.h"
#include "queue/doctor/spf_record.h"

static void test_syntax(void **state)
{
	(void)state;
	static const struct {
		const char *record;
		bool good;
	} rows[] = {
		{"v=spf1", true},
		{"v=spf1 ", true},
		{"v=spf1  A   -ALL ", true},
		{"v=spf1 +a -mx ~ptr ?all", true},
		{"v=spf1 a:x.example/24//64 mx/0//0 a//128 mx:y.example/32", true},
		{"v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/0 ip6:::/0 ip6:2001:db8::1/128", true},
		{"v=spf1 moo=bar moo=baz exp=e.%{d} redirect=x.example", true},
		{"v=spf1 op=a.b-c_d", true},
		{"v=spf1 exists:%{ir}.%{l2r+-/}.%{d3}._x.%{o}", true},
		{"v=spf1 a:x.example.", true},
		{"v=spf1 a:x%%y%_z%-.example", true},
		{"v=spf1 default=%{c}%{r}%{t}", true},
		{"v=spf1 alll", false},
		{"v=spf1 -", false},
		{"v=spf1 --all", false},
		{"v=spf1 all:x.example", false},
		{"v=spf1 all/8", false},
		{"v=spf1 include", false},
		{"v=spf1 include:", false},
		{"v=spf1 include:x.example/24", false},
		{"v=spf1 exists", false},
		{"v=spf1 a:", false},
		{"v=spf1 a:com", false},
		{"v=spf1 a:x.123", false},
		{"v=spf1 a:x.-y", false},
		{"v=spf1 a:x.example/33", false},
		{"v=spf1 a//129", false},
		{"v=spf1 a/024", false},
		{"v=spf1 a/", false},
		{"v=spf1 a/24/64", false},
		{"v=spf1 ip4", false},
		{"v=spf1 ip4:", false},
		{"v=spf1 ip4:192.0.2", false},
		{"v=spf1 ip4:192.0.2.1/33", false},
		{"v=spf1 ip4:192.0.2.1//24", false},
		{"v=spf1 ip4:2001:db8::1", false},
		{"v=spf1 ip6:192.0.2.1", false},
		{"v=spf1 ip6:2001:db8::1/129", false},
		{"v=spf1 ip6:2001:db8::1/", false},
		{"v=spf1 redirect=", false},
		{"v=spf1 redirect=x.example redirect=x.example", false},
		{"v=spf1 exp=x.example exp=x.example", false},
		{"v=spf1 =x", false},
		{"v=spf1 exists:%{x}.example", false},
		{"v=spf1 exists:%{c}.example", false}, /* §7.2: in explanations alone */
		{"v=spf1 exists:%{d0}.example", false},
		{"v=spf1 exists:%{d.example", false},
		{"v=spf1 exists:%d.example", false},
		{"v=spf1 exists:a%", false},
		{"v=spf1 exists:%{d}com", false},
		{"v=spf1\ta", false},
		{"v=spf1 a\xc3\xa4.example", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct spf_record r;
		char why[160];
		int err = spf_record_parse(&r, rows[i].record, why);
		if ((err == 0) != rows[i].good)
			fail_msg("\"%s\": %d (%s)", rows[i].record, err, why);
		if (err == 0)
			spf_record_fini(&r);
	}
}

static void test_too_many_terms(void **state)
{
	(void)state;
	char text[SPF_RECORD_MAX + 1] = "v=spf1", why[160];
	struct spf_record r;
	for (unsigned i = 0; i < SPF_TERMS_MAX; i++)
		memcpy(text + 6 + i * 2, " a", 3);
	assert_int_equal(spf_record_parse(&r, text, why), 0);
	assert_int_equal(r.count, SPF_TERMS_MAX);
	spf_record_fini(&r);
	memcpy(text + strlen(text), " a", 3);
	assert_int_equal(spf_record_parse(&r, text, why), -EINVAL);
}

/* The strings of a record belong together without a blank (§3.3); only what begins with the version is one (§4.5). */
static void test_record_text(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		size_t n;
		const char *text; /* NULL: it is none */
	} rows[] = {
		{"\x0av=spf1 -al\x01l", 13, "v=spf1 -all"}, {"\x03v=s\x03pf1", 8, "v=spf1"},
		{"\x06V=SpF1", 7, "V=SpF1"}, {"\x06v=spf1\x01 ", 9, "v=spf1 "}, {"\x07v=spf10", 8, NULL},
		{"\x05v=spf", 6, NULL}, {"", 0, NULL}, {"\x0bv=spf1 -\0ll", 12, "v=spf1 -\1ll"},
		{"\xffv=spf1", 7, "v=spf1"}, /* a length that lies */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct dns_record txt = {.data = malloc(rows[i].n + 1), .len = rows[i].n};
		char text[SPF_RECORD_MAX + 1];
		memcpy(txt.data, rows[i].data, rows[i].n);
		int n = spf_record_text(&txt, text);
		assert_int_equal(n, rows[i].text != NULL ? strlen(rows[i].text) : 0);
		if (rows[i].text != NULL)
			assert_string_equal(text, rows[i].text);
		free(txt.data);
	}
	uint8_t *many = calloc(1, 40 * 256);
	for (unsigned i = 0; i < 40; i++) {
		many[i * 256] = 255;
		memset(many + i * 256 + 1, 'x', 255);
	}
	memcpy(many + 1, "v=spf1 ", 7);
	char text[SPF_RECORD_MAX + 1];
	const struct dns_record txt = {.data = many, .len = (size_t)40 * 256};
	assert_int_equal(spf_record_text(&txt, text), -E2BIG);
	free(many);
}

/* ---- macros ---- */

static void test_macros(void **state)
{
	(void)state;
	static const struct {
		const char *text, *expanded;
	} rows[] = {
		{"%{h}", "mail.example.com"},
		{"%{p}.x", "unknown.x"},
		{"%{S}", "strong-bad%40email.example.com"},
		{"a%%b%_c%-d", "a%b c%20d"},
		{"X.Example.", "x.example"},
		{"%{d999999999999999999999}", "email.example.com"},
		{"%{D2R}", "example.email"},
		{"%{l-+}.%{d1r.}", "strong.bad.email"},
	};
	struct ip ip;
	char out[DNS_NAME_MAX], letter;
	assert_int_equal(ip_parse(&ip, "192.0.2.3"), 0);
	const struct spf_macros m = {.local = "strong-bad",
		.sender = "email.example.com",
		.domain = "email.example.com",
		.helo = "mail.example.com",
		.ip = &ip,
		.validated = "unknown"};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(spf_macro_expand(out, rows[i].text, &m, &letter), 0);
		assert_string_equal(out, rows[i].expanded);
	}
}

static void test_macros_unknown_and_long(void **state)
{
	(void)state;
	struct ip ip;
	char out[DNS_NAME_MAX], letter, text[5000];
	ip_parse(&ip, "192.0.2.3");
	struct spf_macros m = {.sender = "x.example", .domain = "x.example", .ip = &ip};
	static const char *const depend[] = {"%{l}.x", "%{s}.x", "%{h}.x", "%{p}.x", "a.%{d}.%{L1r}.x"};
	for (size_t i = 0; i < sizeof depend / sizeof depend[0]; i++)
		assert_int_equal(spf_macro_expand(out, depend[i], &m, &letter), -ENODATA);
	assert_int_equal(letter, 'l');
	assert_true(spf_macro_uses("a.%{d}.%{P2r}.x", 'p'));
	assert_false(spf_macro_uses("a.%%{p}.%{d}.x", 'p'));
	/* §7.3: past 253 characters labels go away at the left */
	for (unsigned i = 0; i < 64; i++)
		memcpy(text + i * 5, "abcd.", 6);
	strcat(text, "%{d}");
	assert_int_equal(spf_macro_expand(out, text, &m, &letter), 0);
	assert_in_range(strlen(out), 249, 253);
	assert_string_equal(out + strlen(out) - 14, "abcd.x.example");
	assert_memory_equal(out, "abcd.", 5);
	memset(text, 'a', 300);
	text[300] = '\0';
	assert_int_equal(spf_macro_expand(out, text, &m, &letter), -E2BIG);
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_int_equal(spf_macro_expand(out, text, &m, &letter), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_too_many_terms),
		cmocka_unit_test(test_record_text),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_macros_unknown_and_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
