/* tests/unit/ages_test.c: counts by age, against the truth, in every order of arrival. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "queue/ages.h"

#define NOW UINT64_C(1800000000000)
#define MINUTE UINT64_C(60000)

static const uint64_t limits[] = {5 * MINUTE, 60 * MINUTE, 1440 * MINUTE};

static void test_empty(void **state)
{
	struct ages a = {0};
	uint64_t out[4];
	(void)state;
	assert_int_equal(ages_oldest(&a), 0);
	ages_remove(&a, NOW);
	assert_int_equal(a.total, 0);
	ages_spread(&a, NOW, limits, 3, out);
	assert_int_equal(out[0] + out[1] + out[2] + out[3], 0);
}

/* Each of four ages, in every order. */
static void test_orders(void **state)
{
	static const uint64_t ages[] = {MINUTE, 30 * MINUTE, 600 * MINUTE, 4000 * MINUTE};
	(void)state;
	for (unsigned code = 0; code < 256; code++) {
		unsigned order[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
		struct ages a = {0};
		uint64_t out[4], expected[4] = {0};
		for (unsigned i = 0; i < 4; i++) {
			ages_add(&a, NOW - ages[order[i]], NOW);
			expected[order[i]]++;
		}
		ages_spread(&a, NOW, limits, 3, out);
		assert_memory_equal(out, expected, sizeof out);
		uint64_t oldest = UINT64_MAX;
		for (unsigned i = 0; i < 4; i++)
			oldest = NOW - ages[order[i]] < oldest ? NOW - ages[order[i]] : oldest;
		assert_int_equal(ages_oldest(&a), oldest);
		for (unsigned i = 0; i < 4; i++)
			ages_remove(&a, NOW - ages[order[i]]);
		assert_int_equal(a.used, 0);
	}
}

/* Random arrivals over ten days: the sum is right always, each count about. */
static void test_random(void **state)
{
	enum { N = 3000 };
	static uint64_t kept[N];
	(void)state;
	srandom(7);
	struct ages a = {0};
	for (unsigned i = 0; i < N; i++) {
		uint64_t age = (uint64_t)random() % (14400 * MINUTE) >> (random() % 8);
		kept[i] = NOW - age;
		ages_add(&a, kept[i], NOW);
		assert_true(a.used <= AGES_SLOTS);
	}
	for (unsigned left = N; left > 0;) {
		uint64_t out[4], truth[4] = {0}, oldest = UINT64_MAX;
		ages_spread(&a, NOW, limits, 3, out);
		assert_int_equal(out[0] + out[1] + out[2] + out[3], left);
		assert_int_equal(a.total, left);
		for (unsigned i = 0; i < left; i++) {
			unsigned b = 0;
			while (b < 3 && NOW - kept[i] > limits[b])
				b++;
			truth[b]++;
			oldest = kept[i] < oldest ? kept[i] : oldest;
		}
		assert_true(ages_oldest(&a) <= oldest);
		if (left == N)
			for (unsigned b = 0; b < 4; b++)
				assert_in_range(out[b], truth[b] / 2, truth[b] * 3 / 2);
		for (unsigned i = 0; i < 500; i++) {
			unsigned k = (unsigned)random() % left;
			ages_remove(&a, kept[k]);
			kept[k] = kept[--left];
		}
	}
	assert_int_equal(a.used, 0);
	assert_int_equal(a.total, 0);
}

/* Years of arrivals in order take no more room. */
static void test_steady_stream(void **state)
{
	struct ages a = {0};
	(void)state;
	for (uint64_t i = 0; i < 100000; i++)
		ages_add(&a, i * MINUTE, i * MINUTE);
	assert_true(a.used <= AGES_SLOTS);
	assert_int_equal(a.total, 100000);
	uint64_t now = 99999 * MINUTE, out[4];
	ages_spread(&a, now, limits, 3, out);
	assert_in_range(out[0], 4, 8);
	assert_in_range(out[0] + out[1], 30, 90);
	assert_in_range(out[0] + out[1] + out[2], 720, 2160);
	assert_int_equal(ages_oldest(&a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_steady_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
