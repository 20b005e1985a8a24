/* tests/unit/tally_test.c: what went over which family, by the minute and by the hour. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "queue/path/tally.h"

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)
#define BEGIN (1000 * 24 * HOUR)

static struct tally_sum sum;

static uint64_t count(
	const struct tally *t, enum tally_over over, enum tally_family f, enum tally_count c, uint64_t now)
{
	tally_sum_up(t, over, now, &sum);
	return sum.family[f].count[c];
}

static void test_hour_and_day(void **state)
{
	(void)state;
	struct tally *t = tally_new();
	tally_add(t, TALLY_IPV6, TALLY_DELIVERED, 10, BEGIN);
	tally_add(t, TALLY_IPV4, TALLY_DELIVERED, 3, BEGIN + 59 * MINUTE);
	assert_int_equal(count(t, TALLY_HOUR, TALLY_IPV6, TALLY_DELIVERED, BEGIN + HOUR - 1), 10);
	assert_int_equal(count(t, TALLY_HOUR, TALLY_IPV6, TALLY_DELIVERED, BEGIN + HOUR), 0);
	assert_int_equal(count(t, TALLY_HOUR, TALLY_IPV4, TALLY_DELIVERED, BEGIN + HOUR), 3);
	assert_int_equal(count(t, TALLY_DAY, TALLY_IPV6, TALLY_DELIVERED, BEGIN + 24 * HOUR - 1), 10);
	assert_int_equal(count(t, TALLY_DAY, TALLY_IPV6, TALLY_DELIVERED, BEGIN + 24 * HOUR), 0);
	/* a slot that comes round again holds nothing of before, and a clock that goes back sees nothing of later */
	tally_add(t, TALLY_IPV6, TALLY_DELIVERED, 1, BEGIN + HOUR);
	assert_int_equal(count(t, TALLY_HOUR, TALLY_IPV6, TALLY_DELIVERED, BEGIN + HOUR), 1);
	assert_int_equal(count(t, TALLY_HOUR, TALLY_IPV6, TALLY_DELIVERED, BEGIN - HOUR), 0);
	tally_free(t);
}

static void test_failovers(void **state)
{
	(void)state;
	struct tally *t = tally_new();
	tally_failover(t, TALLY_IPV6, TALLY_POLICY, TALLY_ENVELOPE, BEGIN);
	tally_failover(t, TALLY_IPV6, TALLY_POLICY, TALLY_ENVELOPE, BEGIN);
	tally_failover(t, TALLY_IPV6, TALLY_SILENT, TALLY_CONNECTING, BEGIN);
	tally_sum_up(t, TALLY_HOUR, BEGIN, &sum);
	assert_int_equal(sum.family[TALLY_IPV6].failover[TALLY_POLICY][TALLY_ENVELOPE], 2);
	assert_int_equal(sum.family[TALLY_IPV6].failover[TALLY_SILENT][TALLY_CONNECTING], 1);
	assert_int_equal(sum.family[TALLY_IPV4].failover[TALLY_POLICY][TALLY_ENVELOPE], 0);
	tally_free(t);
}

static void near(uint64_t seen, uint64_t exact)
{
	if (seen * 4 < exact * 3 || seen * 4 > exact * 5)
		fail_msg("%lu is not near %lu", (unsigned long)seen, (unsigned long)exact);
}

static void test_spreads(void **state)
{
	(void)state;
	struct tally *t = tally_new();
	tally_sum_up(t, TALLY_HOUR, BEGIN, &sum);
	assert_int_equal(tally_spread_at(&sum.family[TALLY_IPV6].span[TALLY_DELAY], 50), 0);
	for (uint64_t ms = 1; ms <= 1000; ms++)
		tally_note_span(t, TALLY_IPV6, TALLY_DELAY, ms, BEGIN + ms * 1000);
	tally_note_span(t, TALLY_IPV4, TALLY_DELAY, UINT64_MAX / 2, BEGIN);
	tally_sum_up(t, TALLY_HOUR, BEGIN + 20 * MINUTE, &sum);
	const struct tally_spread *s = &sum.family[TALLY_IPV6].span[TALLY_DELAY];
	assert_int_equal(tally_spread_count(s), 1000);
	assert_int_equal(s->most, 1000);
	near(tally_spread_at(s, 10), 100);
	near(tally_spread_at(s, 50), 500);
	near(tally_spread_at(s, 95), 950);
	assert_true(tally_spread_at(s, 100) <= s->most);
	assert_int_equal(tally_spread_count(&sum.family[TALLY_IPV4].span[TALLY_DELAY]), 1);
	tally_free(t);
}

/* Each way to damage what was kept: nothing of it is taken, and nothing that was there is lost. */
static void test_kept(void **state)
{
	(void)state;
	struct tally *t = tally_new(), *back = tally_new();
	struct buf b;
	buf_init(&b, 1 << 20);
	tally_add(t, TALLY_IPV6, TALLY_BYTES, 123456789012, BEGIN);
	tally_note_span(t, TALLY_IPV4, TALLY_GREETING, 40, BEGIN + MINUTE);
	assert_int_equal(tally_encode(t, &b), 0);
	assert_int_equal(tally_decode(back, &b), 0);
	assert_true(count(back, TALLY_DAY, TALLY_IPV6, TALLY_BYTES, BEGIN + MINUTE) == 123456789012);
	assert_int_equal(tally_spread_count(&sum.family[TALLY_IPV4].span[TALLY_GREETING]), 1);
	struct tally *other = tally_new();
	tally_add(other, TALLY_IPV4, TALLY_FAILED, 7, BEGIN);
	const size_t whole = b.len;
	unsigned refused = 0;
	for (b.len = 1; b.len < whole; b.len++) {
		int err = tally_decode(other, &b);
		refused += err == -EBADMSG;
		if (err == 0) /* cut between two slots */
			assert_int_equal(b.data[b.len - 1], b.len == 2 ? b.data[1] : 255);
		else
			assert_int_equal(err, -EBADMSG);
		if (refused == b.len)
			assert_int_equal(count(other, TALLY_DAY, TALLY_IPV4, TALLY_FAILED, BEGIN), 7);
	}
	assert_true(refused > whole / 2);
	b.len = whole;
	b.data[2] = 84; /* a place that is none */
	assert_int_equal(tally_decode(other, &b), -EBADMSG);
	buf_fini(&b);
	tally_free(t);
	tally_free(back);
	tally_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hour_and_day),
		cmocka_unit_test(test_failovers),
		cmocka_unit_test(test_spreads),
		cmocka_unit_test(test_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
