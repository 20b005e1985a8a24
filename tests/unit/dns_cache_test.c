/* tests/unit/dns_cache_test.c: how long answers are kept, and which one goes first. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "dns/cache.h"
#include "dns/name.h"

static const struct dns_cache_limits limits = {
	.entries = 3, .ttl_max = 86400000, .negative_max = 300000, .failure = 5000};

static struct dns_key key_of(const char *name, enum dns_type type)
{
	struct dns_key k;
	assert_int_equal(dns_key_make(&k, name, type, 42), 0);
	return k;
}

static void put(
	struct dns_cache *c, const char *name, enum dns_type type, enum dns_status status, uint32_t ttl, uint64_t now)
{
	struct dns_answer a = {.status = status, .ttl = ttl};
	a.records = calloc(1, sizeof *a.records);
	a.count = 1;
	struct dns_shared *s = dns_shared_new(&a);
	struct dns_key k = key_of(name, type);
	assert_non_null(s);
	dns_cache_put(c, &k, s, now);
	dns_shared_unref(s);
}

static bool has(struct dns_cache *c, const char *name, enum dns_type type, uint64_t now)
{
	struct dns_key k = key_of(name, type);
	return dns_cache_find(c, &k, now) != NULL;
}

static void test_lifetimes(void **state)
{
	static const struct {
		enum dns_status status;
		uint32_t ttl;
		uint64_t ms;
	} rows[] = {
		{DNS_OK, 60, 60000},
		{DNS_OK, 86400, 86400000},
		{DNS_OK, 86401, 86400000},
		{DNS_OK, INT32_MAX, 86400000},
		{DNS_OK, 1, 1000},
		{DNS_OK, 0, 0},
		{DNS_NODATA, 60, 60000},
		{DNS_NODATA, 301, 300000},
		{DNS_NXDOMAIN, 300, 300000},
		{DNS_NXDOMAIN, 86400, 300000},
		{DNS_NXDOMAIN, 0, 0},
		{DNS_SERVFAIL, 0, 5000},
		{DNS_SERVFAIL, 3600, 5000},
		{DNS_TIMEOUT, 0, 5000},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct dns_cache *c = dns_cache_new(&limits);
		put(c, "a.example", DNS_A, rows[i].status, rows[i].ttl, 1000);
		assert_int_equal(dns_cache_count(c), rows[i].ms != 0);
		if (rows[i].ms != 0)
			assert_true(has(c, "a.example", DNS_A, 1000 + rows[i].ms - 1));
		assert_false(has(c, "a.example", DNS_A, 1000 + rows[i].ms));
		assert_int_equal(dns_cache_count(c), 0);
		dns_cache_free(c);
	}
}

static void test_ttl_max_bounds_negative_answers_too(void **state)
{
	struct dns_cache_limits strict = {.entries = 3, .ttl_max = 10000, .negative_max = 300000, .failure = 5000};
	struct dns_cache *c = dns_cache_new(&strict);
	(void)state;
	put(c, "a.example", DNS_A, DNS_NXDOMAIN, 60, 0);
	assert_true(has(c, "a.example", DNS_A, 9999));
	assert_false(has(c, "a.example", DNS_A, 10000));
	dns_cache_free(c);
}

static void test_names_and_types(void **state)
{
	struct dns_cache *c = dns_cache_new(&limits);
	(void)state;
	put(c, "A.Example", DNS_A, DNS_OK, 60, 0);
	assert_true(has(c, "a.eXAMPLE", DNS_A, 0));
	assert_false(has(c, "a.example", DNS_AAAA, 0));
	assert_false(has(c, "a.exampl", DNS_A, 0));
	assert_false(has(c, "aa.example", DNS_A, 0));
	put(c, "a.example", DNS_A, DNS_NXDOMAIN, 60, 0); /* in its place */
	assert_int_equal(dns_cache_count(c), 1);
	struct dns_key k = key_of("a.example", DNS_A);
	assert_int_equal(dns_cache_find(c, &k, 0)->answer.status, DNS_NXDOMAIN);
	dns_cache_free(c);
}

static void test_the_least_recently_used_goes(void **state)
{
	struct dns_cache *c = dns_cache_new(&limits);
	uint64_t before = counter_get(COUNTER_dns_limit_cache);
	(void)state;
	put(c, "1", DNS_A, DNS_OK, 60, 0);
	put(c, "2", DNS_A, DNS_OK, 60, 0);
	put(c, "3", DNS_A, DNS_OK, 60, 0);
	assert_true(has(c, "1", DNS_A, 0));
	put(c, "4", DNS_A, DNS_OK, 60, 0);
	assert_int_equal(dns_cache_count(c), 3);
	assert_int_equal(counter_get(COUNTER_dns_limit_cache) - before, 1);
	assert_true(has(c, "1", DNS_A, 0));
	assert_false(has(c, "2", DNS_A, 0));
	assert_true(has(c, "3", DNS_A, 0));
	assert_true(has(c, "4", DNS_A, 0));

	struct dns_cache_limits smaller = limits;
	smaller.entries = 1;
	dns_cache_limit(c, &smaller);
	assert_int_equal(dns_cache_count(c), 1);
	assert_true(has(c, "4", DNS_A, 0));
	dns_cache_free(c);
}

static void test_many(void **state)
{
	struct dns_cache_limits wide = limits;
	wide.entries = 2000;
	struct dns_cache *c = dns_cache_new(&wide);
	char name[32];
	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "%u.example", i);
		put(c, name, DNS_MX, DNS_OK, 60, i);
	}
	assert_int_equal(dns_cache_count(c), 2000);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "%u.example", i);
		assert_int_equal(has(c, name, DNS_MX, 3000), i >= 1000);
	}
	dns_cache_free(c);
}

static void test_no_entries_at_all(void **state)
{
	struct dns_cache_limits none = limits;
	none.entries = 0;
	struct dns_cache *c = dns_cache_new(&none);
	(void)state;
	put(c, "a", DNS_A, DNS_OK, 60, 0);
	assert_int_equal(dns_cache_count(c), 0);
	dns_cache_free(c);
}

static void test_a_holder_keeps_what_the_cache_drops(void **state)
{
	struct dns_cache *c = dns_cache_new(&limits);
	struct dns_key k = key_of("a", DNS_A);
	(void)state;
	put(c, "a", DNS_A, DNS_OK, 1, 0);
	struct dns_shared *s = dns_shared_ref(dns_cache_find(c, &k, 0));
	assert_null(dns_cache_find(c, &k, 1000));
	assert_int_equal(s->answer.count, 1);
	assert_int_equal(s->expires_ms, 1000);
	dns_shared_unref(s);
	dns_cache_free(c);
}

static void test_keys(void **state)
{
	char name[DNS_NAME_MAX + 1];
	struct dns_key a, b;
	(void)state;
	memset(name, 'a', sizeof name);
	name[DNS_NAME_MAX] = 0;
	assert_int_not_equal(dns_key_make(&a, name, DNS_A, 1), 0);
	name[DNS_NAME_MAX - 1] = 0;
	assert_int_equal(dns_key_make(&a, name, DNS_A, 1), 0);
	assert_int_equal(dns_key_make(&b, name, DNS_A, 2), 0);
	assert_int_not_equal(a.hash, b.hash);
	assert_int_equal(dns_key_make(&a, "MiXeD.Example", DNS_A, 1), 0);
	assert_string_equal(dns_key_name(&a), "mixed.example");
}

static void test_valid_names(void **state)
{
	char longest[260], label[80];
	(void)state;
	for (size_t i = 0; i < 253; i++)
		longest[i] = i % 2 ? '.' : 'a';
	longest[253] = 0;
	assert_true(dns_name_valid(longest));
	memcpy(longest + 253, ".a", 3);
	assert_false(dns_name_valid(longest));
	memset(label, 'a', sizeof label);
	label[63] = 0;
	assert_true(dns_name_valid(label));
	label[63] = 'a';
	label[64] = 0;
	assert_false(dns_name_valid(label));

	static const char *const good[] = {
		"a", "a.b", "_25._tcp.mx.example", "xn--bcher-kva.example", "A-1.EXAMPLE", "1.2.3.4"};
	static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b", "a\\.b",
		"b\xc3\xbc"
		"cher.example",
		"[::1]", "::1", "a/b", "a@b", "*.example", "a\n"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(dns_name_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(dns_name_valid(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lifetimes),
		cmocka_unit_test(test_ttl_max_bounds_negative_answers_too),
		cmocka_unit_test(test_names_and_types),
		cmocka_unit_test(test_the_least_recently_used_goes),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_entries_at_all),
		cmocka_unit_test(test_a_holder_keeps_what_the_cache_drops),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_valid_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
