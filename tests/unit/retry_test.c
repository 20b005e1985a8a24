/* tests/unit/retry_test.c: when it is tried again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/retry.h"

static void test_delays(void **state)
{
	static const struct {
		uint64_t first, max, greylist;
		unsigned failures;
		bool greylisting;
		uint64_t least, most; /* a tenth either way, and never later than `max` but as widely spread */
	} rows[] = {
		{300000, 3600000, 60000, 1, false, 270000, 330000}, {300000, 3600000, 60000, 2, false, 540000, 660000},
		{300000, 3600000, 60000, 4, false, 2160000, 2640000},
		{300000, 3600000, 60000, 5, false, 2880000, 3600000},
		{300000, 3600000, 60000, 65535, false, 2880000, 3600000},
		{300000, 3600000, 60000, 1, true, 54000, 66000}, {300000, 3600000, 60000, 2, true, 540000, 660000},
		{30000, 3600000, 60000, 1, true, 27000, 33000}, /* never later than `first` */
		{300000, 120000, 60000, 1, false, 96000, 120000}, {5, 5, 5, 1, false, 5, 5}, /* too short for jitter */
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct retry_times times = {
			.first = rows[i].first, .max = rows[i].max, .greylist = rows[i].greylist};
		uint64_t least = UINT64_MAX, most = 0;
		for (uint32_t chance = 0; chance < 4000000000u; chance += 999983) {
			uint64_t d = retry_delay(&times, rows[i].failures, rows[i].greylisting, chance);
			least = d < least ? d : least;
			most = d > most ? d : most;
		}
		/* within, and all of the span is used */
		uint64_t slack = (rows[i].most - rows[i].least) / 50;
		assert_in_range(least, rows[i].least, rows[i].least + slack);
		assert_in_range(most, rows[i].most - slack, rows[i].most);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_delays)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
