/* tests/unit/id_test.c: queue IDs never go back and read as they were written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "conf/id.h"

#define NOW UINT64_C(1795000000000)

/* The clock stands, jumps and goes back; IDs only grow, and belong to their giver. */
static void only_upwards(void **state)
{
	static const int64_t steps[] = {0, 0, 1, -5000, 3, 100000, -100000, 0};
	struct id_giver g;
	uint64_t last = 0, clock = NOW;
	(void)state;
	id_giver_init(&g, 5, NOW - 10, NULL);
	for (size_t i = 0; i < 100000; i++) {
		clock += (uint64_t)steps[i % 8];
		uint64_t id = id_next(&g, clock);
		assert_true(id > last);
		assert_int_equal(id >> 16 & 63, 5);
		assert_true(id_time_ms(id) > NOW - 10);
		last = id;
	}
}

static void takes_the_time_of_the_clock(void **state)
{
	struct id_giver g;
	(void)state;
	id_giver_init(&g, 0, 0, NULL);
	assert_true(id_time_ms(id_next(&g, NOW)) == NOW);
	assert_true(id_time_ms(id_next(&g, NOW + 7)) == NOW + 7);
	assert_true(id_time_ms(id_next(&g, NOW)) == NOW + 7);
	/* the floor counts more than the clock */
	id_giver_init(&g, 0, NOW, NULL);
	assert_true(id_time_ms(id_next(&g, NOW - 1000)) == NOW + 1);
	assert_true(id_time_ms(id_next(&g, NOW)) == NOW + 1);
}

/* 65,536 IDs fit into a millisecond; the next one takes the next. */
static void a_full_millisecond(void **state)
{
	struct id_giver g;
	uint64_t id = 0;
	(void)state;
	id_giver_init(&g, 1, 0, NULL);
	for (unsigned i = 0; i < 65536; i++)
		id = id_next(&g, NOW);
	assert_true(id_time_ms(id) == NOW);
	assert_int_equal(id & 0xffff, 0xffff);
	id = id_next(&g, NOW);
	assert_true(id_time_ms(id) == NOW + 1);
	assert_int_equal(id & 0xffff, 0);
}

static void two_givers_never_meet(void **state)
{
	struct id_giver a, b;
	(void)state;
	id_giver_init(&a, 0, NOW, NULL);
	id_giver_init(&b, ID_GIVER_QUEUE, NOW, NULL);
	for (unsigned i = 0; i < 100; i++)
		assert_true(id_next(&a, NOW) != id_next(&b, NOW));
}

static void the_ceiling_holds(void **state)
{
	struct id_giver g;
	_Atomic uint64_t ceiling = NOW + 2;
	(void)state;
	id_giver_init(&g, 0, NOW, &ceiling);
	/* a clock past the ceiling gets the last millisecond below it, until that is full */
	for (unsigned i = 0; i < 65536; i++) {
		uint64_t id = id_next(&g, NOW + 50);
		assert_true(id != 0 && id_time_ms(id) == NOW + 1);
	}
	assert_true(id_next(&g, NOW + 50) == 0);
	assert_true(id_next(&g, NOW) == 0);
	ceiling = NOW + 1000;
	uint64_t id = id_next(&g, NOW + 50);
	assert_true(id_time_ms(id) == NOW + 50);
	ceiling = 0;
	assert_true(id_next(&g, NOW + 60) == 0);
	ceiling = UINT64_MAX;
	assert_true(id_next(&g, NOW + 60) > id);
}

static void text(void **state)
{
	static const struct {
		uint64_t id;
		const char *text;
	} rows[] = {
		{0, "0000000000000"},
		{31, "000000000000Z"},
		{32, "0000000000010"},
		{UINT64_MAX, "FZZZZZZZZZZZZ"},
		{UINT64_C(0x8000000000000000), "8000000000000"},
	};
	char out[ID_TEXT], before[ID_TEXT] = "";
	uint64_t id;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_string_equal(id_format(rows[i].id, out), rows[i].text);
		assert_int_equal(id_parse(&id, rows[i].text), 0);
		assert_true(id == rows[i].id);
	}
	/* the text sorts as the number does */
	for (uint64_t n = 1; n < UINT64_C(1) << 63; n = n * 3 + 1) {
		id_format(n, out);
		assert_true(strcmp(before, out) < 0);
		memcpy(before, out, sizeof out);
		if (n > UINT64_MAX / 4)
			break;
	}
}

static void reading(void **state)
{
	static const struct {
		const char *text, *same; /* NULL: refused */
	} rows[] = {
		{"06c0oilabcdef", "06C0011ABCDEF"},
		{"0123456789abc", "0123456789ABC"},
		{"oOiIlL0123456", "0011110123456"},
		{"G000000000000", NULL}, /* the first digit has four bits */
		{"Z000000000000", NULL},
		{"U000000000000", NULL},
		{"000000000000U", NULL}, /* U is no digit */
		{"00000000000-0", NULL},
		{"000000000000", NULL},
		{"00000000000000", NULL},
		{"", NULL},
		{"00000 0000000", NULL},
		{"000000000000\xc3", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t id = 77, want;
		int err = id_parse(&id, rows[i].text);
		if (rows[i].same == NULL) {
			assert_int_equal(err, -EINVAL);
			assert_true(id == 77);
		} else {
			assert_int_equal(err, 0);
			assert_int_equal(id_parse(&want, rows[i].same), 0);
			assert_true(id == want);
		}
	}
}

/* Exactly the IDs that begin so. */
static void beginnings(void **state)
{
	static const char id_text[] = "06C3ZK8PT41VQ";
	uint64_t id, first, last;
	char out[ID_TEXT], begin[ID_TEXT];
	(void)state;
	assert_int_equal(id_parse(&id, id_text), 0);
	for (size_t n = 1; n < ID_TEXT; n++) {
		memcpy(begin, id_text, n);
		begin[n] = '\0';
		assert_int_equal(id_parse_prefix(&first, &last, begin), 0);
		assert_true(first <= id && id <= last);
		assert_memory_equal(id_format(first, out), begin, n);
		assert_memory_equal(id_format(last, out), begin, n);
		if (first > 0)
			assert_true(memcmp(id_format(first - 1, out), begin, n) < 0);
		assert_true(memcmp(id_format(last + 1, out), begin, n) > 0);
	}
	assert_int_equal(id_parse_prefix(&first, &last, "F"), 0);
	assert_true(last == UINT64_MAX);
	assert_int_equal(id_parse_prefix(&first, &last, "G"), -EINVAL);
	assert_int_equal(id_parse_prefix(&first, &last, ""), -EINVAL);
	assert_int_equal(id_parse_prefix(&first, &last, "06C3ZK8PT41VQ0"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_upwards),
		cmocka_unit_test(takes_the_time_of_the_clock),
		cmocka_unit_test(a_full_millisecond),
		cmocka_unit_test(two_givers_never_meet),
		cmocka_unit_test(the_ceiling_holds),
		cmocka_unit_test(text),
		cmocka_unit_test(reading),
		cmocka_unit_test(beginnings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
