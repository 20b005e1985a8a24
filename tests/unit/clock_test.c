/* tests/unit/clock_test.c: the texts of times. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/clock.h"

/* 2026-11-23 14:15:40.123 UTC, a Monday; by `date -u -d @1795443340`. */
#define NOW UINT64_C(1795443340123)

static void set_zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void dates(void **state)
{
	static const struct {
		const char *zone;
		uint64_t ms;
		const char *want;
	} rows[] = {
		{"UTC0", 0, "Thu, 1 Jan 1970 00:00:00 +0000"},
		{"UTC0", NOW, "Mon, 23 Nov 2026 14:15:40 +0000"},
		{"EST5", NOW, "Mon, 23 Nov 2026 09:15:40 -0500"},
		{"IST-5:30", NOW, "Mon, 23 Nov 2026 19:45:40 +0530"},
		{"NST3:30", NOW, "Mon, 23 Nov 2026 10:45:40 -0330"},
		{"LINT-14", NOW, "Tue, 24 Nov 2026 04:15:40 +1400"},
		{"UTC0", UINT64_C(951782399000), "Mon, 28 Feb 2000 23:59:59 +0000"},
		{"UTC0", UINT64_C(951782400000), "Tue, 29 Feb 2000 00:00:00 +0000"},
	};
	char out[CLOCK_DATE];
	(void)state;
	setlocale(LC_ALL, ""); /* whatever it is, the names are English */
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		set_zone(rows[i].zone);
		assert_string_equal(clock_date(rows[i].ms, out), rows[i].want);
	}
	set_zone("UTC0");
}

static void stamps(void **state)
{
	char out[CLOCK_STAMP];
	(void)state;
	set_zone("EST5"); /* stamps are UTC wherever we are */
	assert_string_equal(clock_stamp(NOW, out), "2026-11-23T14:15:40.123Z");
	assert_string_equal(clock_stamp(0, out), "1970-01-01T00:00:00.000Z");
	assert_string_equal(clock_stamp(7, out), "1970-01-01T00:00:00.007Z");
	set_zone("UTC0");
}

static void spans(void **state)
{
	static const struct {
		uint64_t ms;
		const char *want;
	} rows[] = {
		{0, "0ms"},
		{350, "350ms"},
		{999, "999ms"},
		{1000, "1s"},
		{12999, "12s"},
		{59999, "59s"},
		{60000, "1m"},
		{61000, "1m1s"},
		{3599999, "59m59s"},
		{3600000, "1h"},
		{3659999, "1h"}, /* the two largest units, and none in between left out */
		{4 * 3600000 + 12 * 60000, "4h12m"},
		{86400000, "1d"},
		{86400000 + 3599999, "1d"},
		{3 * 86400000 + 2 * 3600000 + 59 * 60000, "3d2h"},
		{UINT64_MAX, "213503982334d14h"},
	};
	char out[CLOCK_SPAN];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_string_equal(clock_span(rows[i].ms, out), rows[i].want);
}

static void clocks(void **state)
{
	uint64_t mono = clock_mono_ms(), wall = clock_wall_ms();
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t now = clock_mono_ms();
		assert_true(now >= mono);
		mono = now;
	}
	int64_t off = (int64_t)(wall / 1000) - (int64_t)time(NULL);
	assert_true(off >= -5 && off <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates),
		cmocka_unit_test(stamps),
		cmocka_unit_test(spans),
		cmocka_unit_test(clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
