/* tests/unit/standing_test.c: how a remembered path stands, in a word and in plain words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/path/standing.h"

static void test_words(void **state)
{
	(void)state;
	/* 2026-11-26T13:45:00Z, an hour after the steady clock's zero */
	const uint64_t wall = 1795700700000, now = 3600000;
	static const struct {
		struct track t;
		const char *word, *text;
	} rows[] = {
		{{0}, "unknown", "not known"},
		{{.good_at = 5, .good = TRACK_ONE}, "good", "good"},
		{{.since = 3300000, .fault_at = 3300000, .probe_at = 3720000}, "broken",
			"broken since 2026-11-26T13:40Z, next probe in 2m"},
		{{.since = 3300000, .fault_at = 3300000, .probe_at = 3500000}, "broken",
			"broken since 2026-11-26T13:40Z, next probe with the next mail"},
		{{.since = 3300000, .fault_at = 3300000, .probe_at = 3720000, .probing = true}, "broken",
			"broken since 2026-11-26T13:40Z, a probe is under way"},
		{{.refused_at = 3000000, .refused_until = 7200000}, "refused",
			"refuses mail over it until 2026-11-26T14:45Z"},
		{{.refused_at = 3000000, .refused_until = 3600000}, "good", "good"},
		{{.fault_at = 3590000, .rest_until = 3660000}, "resting",
			"turned mail away for now, rests until 2026-11-26T13:46Z"},
		{{.since = 3300000, .fault_at = 1, .probe_at = 3720000, .refused_until = 7200000}, "broken",
			"broken since 2026-11-26T13:40Z, next probe in 2m"},
	};
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[STANDING_TEXT];
		assert_string_equal(standing_word(&rows[i].t, now), rows[i].word);
		assert_string_equal(standing_text(&rows[i].t, now, wall, text), rows[i].text);
	}
}

static void test_counts(void **state)
{
	(void)state;
	assert_int_equal(standing_count(0), 0);
	assert_int_equal(standing_count(TRACK_ONE), 1);
	assert_int_equal(standing_count(TRACK_ONE / 2), 1);
	assert_int_equal(standing_count(TRACK_ONE / 2 - 1), 0);
	assert_int_equal(standing_count(UINT32_MAX), 16777216);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_counts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
