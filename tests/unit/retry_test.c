/* tests/unit/retry_test.c: when it is tried again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/retry.h"

#define MINUTE UINT64_C(60000)

static void test_delays(void **state)
{
	static const struct {
		uint64_t first, max, greylist;
		unsigned failures;
		bool greylisting;
		uint64_t mean;
	} rows[] = {
		{5 * MINUTE, 60 * MINUTE, MINUTE, 1, false, 5 * MINUTE},
		{5 * MINUTE, 60 * MINUTE, MINUTE, 2, false, 10 * MINUTE},
		{5 * MINUTE, 60 * MINUTE, MINUTE, 4, false, 40 * MINUTE},
		{5 * MINUTE, 60 * MINUTE, MINUTE, 5, false, 60 * MINUTE},
		{5 * MINUTE, 60 * MINUTE, MINUTE, 65535, false, 60 * MINUTE},
		{5 * MINUTE, 60 * MINUTE, MINUTE, 1, true, MINUTE},
		{5 * MINUTE, 60 * MINUTE, MINUTE, 2, true, 10 * MINUTE},
		{30000, 60 * MINUTE, MINUTE, 1, true, 30000}, /* never later than `first` */
		{5 * MINUTE, 2 * MINUTE, MINUTE, 1, false, 2 * MINUTE},
		{1, UINT64_MAX / 2, 1, 63, false, UINT64_C(1) << 62}, {5, 5, 5, 1, false, 5}, /* too short for jitter */
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct conf c = {0};
		c.retry.first = rows[i].first;
		c.retry.max = rows[i].max;
		c.retry.greylist = rows[i].greylist;
		uint64_t tenth = rows[i].mean / 10, least = UINT64_MAX, most = 0;
		for (uint32_t chance = 0; chance < 4000000000u; chance += 999983) {
			uint64_t d = retry_delay(&c, rows[i].failures, rows[i].greylisting, chance);
			least = d < least ? d : least;
			most = d > most ? d : most;
		}
		assert_true(least >= rows[i].mean - tenth && most <= rows[i].mean + tenth);
		if (tenth > 1000 && tenth < 1000000) { /* all of the span is used */
			assert_true(least < rows[i].mean - tenth + tenth / 50);
			assert_true(most > rows[i].mean + tenth - tenth / 50);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_delays)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
