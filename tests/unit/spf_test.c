/* tests/unit/spf_test.c: check_host() against the examples of RFC 7208 (§7.4, Appendix A) and its limits (§4.6.4). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/doctor/names.h"
#include "queue/doctor/spf.h"
#include "queue/doctor/spf_macro.h"

/* ---- a zone: names, types and what they answer ---- */

enum { ROWS = 64 };
static struct row {
	const char *name, *type, *value; /* several values are separated by '|'; MX without preferences */
} zone_rows[ROWS];
static size_t row_count;
static struct dns_answer answers[256];
static size_t answer_count;

static const struct row appendix_a[] = {
	{"example.com", "MX", "mail-a.example.com|mail-b.example.com"},
	{"example.com", "A", "192.0.2.10|192.0.2.11"},
	{"amy.example.com", "A", "192.0.2.65"},
	{"bob.example.com", "A", "192.0.2.66"},
	{"mail-a.example.com", "A", "192.0.2.129"},
	{"mail-b.example.com", "A", "192.0.2.130"},
	{"example.org", "MX", "mail-c.example.org"},
	{"mail-c.example.org", "A", "192.0.2.140"},
	{"10.2.0.192.in-addr.arpa", "PTR", "example.com"},
	{"11.2.0.192.in-addr.arpa", "PTR", "example.com"},
	{"65.2.0.192.in-addr.arpa", "PTR", "amy.example.com"},
	{"66.2.0.192.in-addr.arpa", "PTR", "bob.example.com"},
	{"129.2.0.192.in-addr.arpa", "PTR", "mail-a.example.com"},
	{"130.2.0.192.in-addr.arpa", "PTR", "mail-b.example.com"},
	{"140.2.0.192.in-addr.arpa", "PTR", "mail-c.example.org"},
	{"4.0.0.10.in-addr.arpa", "PTR", "bob.example.com"},
};

static void zone_begin(void)
{
	for (size_t i = 0; i < answer_count; i++)
		dns_answer_fini(&answers[i]);
	answer_count = 0;
	memcpy(zone_rows, appendix_a, sizeof appendix_a);
	row_count = sizeof appendix_a / sizeof appendix_a[0];
}

static void zone_add(const char *name, const char *type, const char *value)
{
	assert_true(row_count < ROWS);
	zone_rows[row_count++] = (struct row){name, type, value};
}

static const char *type_word(enum dns_type t)
{
	switch (t) {
	case DNS_A:
		return "A";
	case DNS_AAAA:
		return "AAAA";
	case DNS_MX:
		return "MX";
	case DNS_PTR:
		return "PTR";
	default:
		return "TXT";
	}
}

static void fill_txt(struct dns_record *r, const char *text)
{
	size_t n = strlen(text), at = 0;
	r->data = malloc(n + n / 255 + 2);
	assert_non_null(r->data);
	for (size_t done = 0; done < n || done == 0;) {
		size_t piece = n - done < 255 ? n - done : 255;
		r->data[at++] = (uint8_t)piece;
		memcpy(r->data + at, text + done, piece);
		at += piece;
		done += piece;
	}
	r->len = at;
}

static const struct dns_answer *look(void *arg, const char *name, enum dns_type type)
{
	(void)arg;
	assert_true(answer_count < sizeof answers / sizeof answers[0]);
	struct dns_answer *a = &answers[answer_count++];
	*a = (struct dns_answer){.status = DNS_NXDOMAIN};
	for (size_t i = 0; i < row_count; i++) {
		if (strcmp(zone_rows[i].name, name) != 0)
			continue;
		a->status = a->status == DNS_NXDOMAIN ? DNS_NODATA : a->status;
		if (strcmp(zone_rows[i].type, type_word(type)) != 0)
			continue;
		if (strcmp(zone_rows[i].value, "SERVFAIL") == 0) {
			a->status = DNS_SERVFAIL;
			return a;
		}
		char copy[1024], *rest = copy, *one;
		snprintf(copy, sizeof copy, "%s", zone_rows[i].value);
		while ((one = strsep(&rest, type == DNS_TXT ? "\n" : "|")) != NULL) {
			a->records = reallocarray(a->records, a->count + 1, sizeof *a->records);
			assert_non_null(a->records);
			struct dns_record *r = &a->records[a->count++];
			*r = (struct dns_record){.preference = (uint16_t)a->count};
			if (type == DNS_A || type == DNS_AAAA)
				assert_int_equal(ip_parse(&r->ip, one), 0);
			else if (type == DNS_TXT)
				fill_txt(r, one);
			else
				snprintf(r->name, sizeof r->name, "%s", one);
		}
		a->status = DNS_OK;
	}
	return a;
}

static struct spf_verdict check(const char *domain, const char *ip_text)
{
	struct spf_verdict v;
	struct ip ip;
	const struct spf_sender from = {.domain = domain};
	assert_int_equal(ip_parse(&ip, ip_text), 0);
	spf_check(&v, &from, &ip, look, NULL);
	return v;
}

static void expect(const char *record, const char *domain, const char *ip, enum spf_result want)
{
	struct spf_verdict v = check(domain, ip);
	if (v.result != want)
		fail_msg("%s: %s from %s gave %s (%s), not %s", record, domain, ip, spf_result_word(v.result), v.why,
			spf_result_word(want));
}

/* ---- Appendix A ---- */

static void test_appendix_a1(void **state)
{
	static const struct {
		const char *record, *pass, *fail; /* addresses */
	} rows[] = {
		{"v=spf1 +all", "192.0.2.10 192.0.2.140 10.0.0.4 2001:db8::1", ""},
		{"v=spf1 a -all", "192.0.2.10 192.0.2.11", "192.0.2.65 192.0.2.129 2001:db8::1"},
		{"v=spf1 a:example.org -all", "", "192.0.2.10 192.0.2.140"},
		{"v=spf1 mx -all", "192.0.2.129 192.0.2.130", "192.0.2.10 192.0.2.140"},
		{"v=spf1 mx:example.org -all", "192.0.2.140", "192.0.2.129"},
		{"v=spf1 mx mx:example.org -all", "192.0.2.129 192.0.2.130 192.0.2.140", "192.0.2.10"},
		{"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.128 192.0.2.131 192.0.2.140 192.0.2.143",
			"192.0.2.132 192.0.2.144 192.0.2.10"},
		{"v=spf1 ptr -all", "192.0.2.65 192.0.2.10 192.0.2.129", "192.0.2.140 10.0.0.4"},
		{"v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129 192.0.2.140", "192.0.2.65"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (unsigned passes = 0; passes < 2; passes++) {
			char copy[256], *rest = copy, *ip;
			snprintf(copy, sizeof copy, "%s", passes ? rows[i].pass : rows[i].fail);
			while ((ip = strsep(&rest, " ")) != NULL && *ip != '\0') {
				zone_begin();
				zone_add("example.com", "TXT", rows[i].record);
				expect(rows[i].record, "example.com", ip, passes ? SPF_PASS : SPF_FAIL);
			}
		}
	}
}

static void test_appendix_a2_and_a3(void **state)
{
	(void)state;
	zone_begin();
	zone_add("example.net", "TXT", "v=spf1 ip4:198.51.100.0/24 -all");
	zone_add("example.com", "TXT", "v=spf1 mx -all");
	zone_add("example.org", "TXT", "v=spf1 include:example.com include:example.net -all");
	zone_add("la.example.org", "TXT", "v=spf1 redirect=example.org");
	zone_add("mary.mobile-users._spf.example.com", "A", "127.0.0.2");
	zone_add("joel.remote-users._spf.example.com", "A", "127.0.0.1");
	expect("include", "example.org", "192.0.2.129", SPF_PASS);
	expect("include", "example.org", "198.51.100.7", SPF_PASS);
	expect("include", "example.org", "192.0.2.140", SPF_FAIL);
	expect("redirect", "la.example.org", "192.0.2.129", SPF_PASS);
	expect("redirect", "la.example.org", "192.0.2.140", SPF_FAIL);
	/* DNS block list style: 3.2.0.192.in-addr... */
	zone_begin();
	zone_add("example.com", "TXT", "v=spf1 -include:ip4._spf.%{d} ?all");
	zone_add("ip4._spf.example.com", "TXT", "v=spf1 -ip4:192.0.2.0/24 +all");
	expect("not included", "example.com", "192.0.2.1", SPF_NEUTRAL);
	expect("included", "example.com", "198.51.100.1", SPF_FAIL);
}

/* ---- results ---- */

static void test_results(void **state)
{
	static const struct {
		const char *record, *ip;
		enum spf_result want;
	} rows[] = {
		{"v=spf1 ip6:2001:db8:2::/48 -all", "2001:db8:2::64", SPF_PASS},
		{"v=spf1 ip6:2001:db8:2::/48 -all", "2001:db8:3::64", SPF_FAIL},
		{"v=spf1 ip4:192.0.2.1 ~all", "2001:db8::1", SPF_SOFTFAIL},
		{"v=spf1 ip4:192.0.2.1 ?all", "2001:db8::1", SPF_NEUTRAL},
		{"v=spf1 ip4:192.0.2.1", "2001:db8::1", SPF_NEUTRAL}, /* §4.7 */
		{"v=spf1", "192.0.2.1", SPF_NEUTRAL},
		{"V=SPF1 IP4:192.0.2.1 -ALL", "192.0.2.1", SPF_PASS}, /* §4.6.1 */
		{"v=spf10 +all", "192.0.2.1", SPF_NONE},	      /* §4.5 */
		{"spf2.0/pra +all", "192.0.2.1", SPF_NONE},
		{"v=spf1 +all\nv=spf1 -all", "192.0.2.1", SPF_PERMERROR}, /* §4.5 */
		{"v=spf1 ipv4:192.0.2.1 -all", "192.0.2.1", SPF_PERMERROR},
		{"v=spf1 ip4:192.0.2.1/33 -all", "192.0.2.9", SPF_PERMERROR},
		{"v=spf1 ip4:192.0.2.1 nonsense -all", "192.0.2.1", SPF_PERMERROR},    /* §4.6: read whole first */
		{"v=spf1 unknown=modifier ip4:192.0.2.1 -all", "192.0.2.1", SPF_PASS}, /* §6 */
		{"v=spf1 redirect=a.example redirect=b.example", "192.0.2.1", SPF_PERMERROR},
		{"v=spf1 include:nowhere.example -all", "192.0.2.1", SPF_PERMERROR}, /* §5.2: none */
		{"v=spf1 redirect=nowhere.example", "192.0.2.1", SPF_PERMERROR},     /* §6.1 */
		{"v=spf1 a:broken.example -all", "192.0.2.1", SPF_TEMPERROR},
		{"v=spf1 ip4:192.0.2.1 a:broken.example -all", "192.0.2.1", SPF_PASS},
		{"v=spf1 exists:there.example -all", "2001:db8::1", SPF_PASS}, /* §5.7: A whatever the family */
		{"v=spf1 exists:%{l}.example -all", "192.0.2.1", SPF_UNTOLD},
		{"v=spf1 a:both.example//64 -all", "2001:db8:5::7", SPF_PASS},
		{"v=spf1 a:both.example/24//64 -all", "192.0.2.200", SPF_PASS},
		{"v=spf1 a:both.example -all", "2001:db8:5::7", SPF_FAIL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		zone_begin();
		zone_add("d.example", "TXT", rows[i].record);
		zone_add("broken.example", "A", "SERVFAIL");
		zone_add("there.example", "A", "127.0.0.2");
		zone_add("both.example", "A", "192.0.2.7");
		zone_add("both.example", "AAAA", "2001:db8:5::1");
		expect(rows[i].record, "d.example", rows[i].ip, rows[i].want);
	}
	zone_begin();
	expect("no record", "d.example", "192.0.2.1", SPF_NONE);
	zone_add("d.example", "TXT", "SERVFAIL");
	expect("no answer", "d.example", "192.0.2.1", SPF_TEMPERROR);
}

/* ---- §4.6.4 ---- */

static void test_limits(void **state)
{
	(void)state;
	/* a chain of eleven look-ups is too long, one of ten is not */
	static char names[12][32], records[12][64];
	for (unsigned links = 10; links <= 11; links++) {
		zone_begin();
		for (unsigned i = 0; i <= links; i++) {
			snprintf(names[i], sizeof names[i], "c%u.example", i);
			snprintf(records[i], sizeof records[i],
				i < links ? "v=spf1 include:c%u.example -all" : "v=spf1 +all", i + 1);
			zone_add(names[i], "TXT", records[i]);
		}
		expect("chain", "c0.example", "192.0.2.1", links == 10 ? SPF_PASS : SPF_PERMERROR);
	}
	/* a circle */
	zone_begin();
	zone_add("d.example", "TXT", "v=spf1 include:d.example -all");
	expect("circle", "d.example", "192.0.2.1", SPF_PERMERROR);
	zone_begin();
	zone_add("d.example", "TXT", "v=spf1 redirect=d.example");
	expect("circle", "d.example", "192.0.2.1", SPF_PERMERROR);
	/* two void look-ups are allowed, three are not */
	zone_begin();
	zone_add("d.example", "TXT", "v=spf1 a:v1.example a:v2.example ip4:192.0.2.1 -all");
	expect("two voids", "d.example", "192.0.2.1", SPF_PASS);
	zone_begin();
	zone_add("d.example", "TXT", "v=spf1 a:v1.example a:v2.example a:v3.example ip4:192.0.2.1 -all");
	expect("three voids", "d.example", "192.0.2.1", SPF_PERMERROR);
	/* more than ten hosts of an MX */
	zone_begin();
	zone_add("d.example", "TXT", "v=spf1 mx -all");
	zone_add("d.example", "MX", "a|b|c|d|e|f|g|h|i|j|k");
	zone_add("a", "A", "198.51.100.1");
	expect("11 MX", "d.example", "192.0.2.1", SPF_PERMERROR);
}

/* ---- §7.4 ---- */

static void test_macros(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"%{s}", "strong-bad@email.example.com"},
		{"%{o}", "email.example.com"},
		{"%{d}", "email.example.com"},
		{"%{d4}", "email.example.com"},
		{"%{d3}", "email.example.com"},
		{"%{d2}", "example.com"},
		{"%{d1}", "com"},
		{"%{dr}", "com.example.email"},
		{"%{d2r}", "example.email"},
		{"%{l}", "strong-bad"},
		{"%{l-}", "strong.bad"},
		{"%{lr}", "strong-bad"},
		{"%{lr-}", "bad.strong"},
		{"%{l1r-}", "strong"},
		{"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
		{"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
		{"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
		{"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
	};
	struct ip ip;
	char out[DNS_NAME_MAX], letter;
	(void)state;
	assert_int_equal(ip_parse(&ip, "192.0.2.3"), 0);
	struct spf_macros m = {
		.local = "strong-bad", .sender = "email.example.com", .domain = "email.example.com", .ip = &ip};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(spf_macro_expand(out, rows[i].text, &m, &letter), 0);
		if (strcmp(out, rows[i].want) != 0)
			fail_msg("%s gave %s, not %s", rows[i].text, out, rows[i].want);
	}
	assert_int_equal(ip_parse(&ip, "2001:db8::cb01"), 0);
	assert_int_equal(spf_macro_expand(out, "%{ir}.%{v}._spf.%{d2}", &m, &letter), 0);
	assert_string_equal(
		out, "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com");
	m.local = NULL;
	assert_true(spf_macro_expand(out, "%{l}.example", &m, &letter) < 0);
	assert_int_equal(letter, 'l');
}

static int tear_down(void **state)
{
	(void)state;
	zone_begin();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appendix_a1),
		cmocka_unit_test(test_appendix_a2_and_a3),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_macros),
	};
	return cmocka_run_group_tests(tests, NULL, tear_down);
}
