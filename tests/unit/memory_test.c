/* tests/unit/memory_test.c: what is remembered of addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "queue/memory.h"

#define MINUTE UINT64_C(60000)

static struct endpoint at(unsigned i)
{
	struct endpoint e = {.port = 25};
	e.ip.family = FAMILY_IPV6;
	e.ip.bytes[0] = 0x20;
	e.ip.bytes[14] = (uint8_t)(i >> 8);
	e.ip.bytes[15] = (uint8_t)i;
	return e;
}

static void note(struct memory *m, unsigned i, enum fault fault, uint32_t connect_ms, uint32_t total_ms, uint64_t now)
{
	struct path_try p = {
		.to = at(i), .fault = fault, .connect_ms = connect_ms, .greeting_ms = UINT32_MAX, .total_ms = total_ms};
	memory_note(m, &p, now);
}

static bool doubtful(struct memory *m, unsigned i, bool may_probe, uint64_t now)
{
	struct candidate c = {.to = at(i), .doubtful = true, .usual_connect_ms = 99};
	memory_fill(m, &c, may_probe, now);
	return c.doubtful;
}

static void test_unknown(void **state)
{
	struct memory *m = memory_new(10, 1);
	struct candidate c = {.to = at(1), .doubtful = true, .usual_connect_ms = 99};
	char text[200];
	(void)state;
	memory_fill(m, &c, true, 0);
	assert_false(c.doubtful);
	assert_int_equal(c.usual_connect_ms, 0);
	assert_int_equal(memory_open(m, &c.to), 0);
	assert_string_equal(memory_describe(m, &c.to, 0, text, sizeof text), "no history");
	memory_free(m);
	memory_free(NULL);
}

/* Longer with each failure in a row; it ends by itself, and at once with a success. */
static void test_doubt(void **state)
{
	static const uint64_t spans[] = {5, 10, 20, 40, 60, 60, 60};
	struct memory *m = memory_new(10, 1);
	uint64_t now = 1000;
	(void)state;
	for (unsigned i = 0; i < sizeof spans / sizeof spans[0]; i++) {
		note(m, 1, FAULT_REFUSED, UINT32_MAX, 5, now);
		assert_true(doubtful(m, 1, true, now));
		assert_true(doubtful(m, 1, true, now + spans[i] * MINUTE - 1));
		assert_false(doubtful(m, 1, true, now + spans[i] * MINUTE));
		assert_false(doubtful(m, 2, true, now));
		now += spans[i] * MINUTE + 1;
	}
	note(m, 1, FAULT_NONE, 10, 50, now);
	assert_false(doubtful(m, 1, false, now));
	note(m, 1, FAULT_REFUSED, UINT32_MAX, 5, now);
	assert_false(doubtful(m, 1, true, now + 5 * MINUTE)); /* from the beginning again */
	memory_free(m);
}

static void test_single_probe(void **state)
{
	struct memory *m = memory_new(10, 1);
	uint64_t now = 5 * MINUTE;
	(void)state;
	note(m, 1, FAULT_CONNECT_TIMEOUT, UINT32_MAX, 2000, 0);
	assert_true(doubtful(m, 1, false, now)); /* who may not probe holds it doubtful */
	assert_false(doubtful(m, 1, true, now)); /* the probe */
	assert_true(doubtful(m, 1, true, now));
	assert_true(doubtful(m, 1, true, now + MINUTE - 1));
	assert_false(doubtful(m, 1, true, now + MINUTE)); /* nothing was heard of it: another one */
	now += MINUTE;
	note(m, 1, FAULT_CONNECT_TIMEOUT, UINT32_MAX, 2000, now);
	assert_true(doubtful(m, 1, true, now + 10 * MINUTE - 1));
	assert_false(doubtful(m, 1, true, now + 10 * MINUTE));
	/* beaten while connected: says nothing, and the next dial probes */
	note(m, 1, FAULT_SUPERSEDED, 10, 90, now + 10 * MINUTE);
	assert_false(doubtful(m, 1, true, now + 10 * MINUTE + 1));
	note(m, 1, FAULT_NONE, 10, 50, now + 10 * MINUTE + 2);
	assert_false(doubtful(m, 1, true, now + 10 * MINUTE + 3));
	assert_false(doubtful(m, 1, true, now + 10 * MINUTE + 3));
	memory_free(m);
}

static void test_faults(void **state)
{
	static const struct {
		enum fault fault;
		uint32_t connect_ms, total_ms;
		uint64_t minutes; /* of doubt */
	} rows[] = {
		{FAULT_NONE, 10, 50, 0},
		{FAULT_LOCAL, UINT32_MAX, 0, 0},
		{FAULT_SUPERSEDED, UINT32_MAX, 99, 0},
		{FAULT_SUPERSEDED, UINT32_MAX, 100, 5}, /* it had its chance */
		{FAULT_SUPERSEDED, 10, 1009, 0},
		{FAULT_SUPERSEDED, 10, 1010, 5},
		{FAULT_LOAD, 10, 20, 1}, /* turned away for now */
		{FAULT_GREETING_4YZ, 10, 20, 1},
		{FAULT_EHLO_4YZ, 10, 20, 1},
		{FAULT_GREETING_5YZ, 10, 20, 5},
		{FAULT_SILENT_GREETING, 10, 5000, 5},
		{FAULT_UNREACHABLE, UINT32_MAX, 0, 5},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct memory *m = memory_new(10, i);
		note(m, 1, rows[i].fault, rows[i].connect_ms, rows[i].total_ms, 0);
		if (rows[i].minutes > 0)
			assert_true(doubtful(m, 1, true, rows[i].minutes * MINUTE - 1));
		assert_false(doubtful(m, 1, true, rows[i].minutes * MINUTE));
		memory_free(m);
	}
	struct memory *m = memory_new(10, 1);
	struct endpoint to = at(1);
	memory_note_fault(m, &to, FAULT_LOCAL, 0);
	memory_note_fault(m, &to, FAULT_NONE, 0);
	assert_false(doubtful(m, 1, false, 0));
	memory_note_fault(m, &to, FAULT_STALLED, 0);
	assert_true(doubtful(m, 1, true, 5 * MINUTE - 1));
	/* a 421 on top of it neither shortens nor lengthens that */
	memory_note_fault(m, &to, FAULT_LOAD, MINUTE);
	assert_true(doubtful(m, 1, true, 5 * MINUTE - 1));
	assert_false(doubtful(m, 1, true, 5 * MINUTE));
	memory_free(m);
}

static void test_usual_times(void **state)
{
	struct memory *m = memory_new(10, 1);
	struct candidate c = {.to = at(1)};
	struct path_try p = {.to = at(1), .connect_ms = 100, .greeting_ms = 200, .total_ms = 260};
	char text[200];
	(void)state;
	memory_note(m, &p, 0);
	memory_fill(m, &c, true, 0);
	assert_int_equal(c.usual_connect_ms, 100);
	assert_int_equal(c.usual_greeting_ms, 200);
	assert_int_equal(c.usual_ehlo_ms, 60);
	p.connect_ms = 500;
	memory_note(m, &p, 0);
	memory_fill(m, &c, true, 0);
	assert_int_equal(c.usual_connect_ms, 200); /* a quarter of the way */
	p.fault = FAULT_REFUSED;
	p.connect_ms = p.greeting_ms = UINT32_MAX;
	memory_note(m, &p, 0);
	memory_fill(m, &c, true, 0);
	assert_int_equal(c.usual_connect_ms, 200); /* a failure is no time */
	memory_describe(m, &c.to, MINUTE, text, sizeof text);
	assert_non_null(strstr(text, "connect 200 ms"));
	assert_non_null(strstr(text, "refused"));
	assert_non_null(strstr(text, "doubtful for 4m"));
	for (size_t n = 1; n < sizeof text; n++)
		assert_true(strlen(memory_describe(m, &c.to, MINUTE, text, n)) < n);
	memory_free(m);
}

/* The least recently used goes, unless connections to it are open. */
static void test_bound(void **state)
{
	struct memory *m = memory_new(5, 1);
	struct endpoint first = at(0);
	(void)state;
	memory_opened(m, &first, 1);
	memory_opened(m, &first, 1);
	for (unsigned i = 1; i < 300; i++)
		note(m, i, FAULT_REFUSED, UINT32_MAX, 5, 0);
	assert_int_equal(memory_open(m, &first), 2);
	for (unsigned i = 1; i < 300; i++)
		assert_int_equal(doubtful(m, i, false, 0), i >= 296);
	note(m, 296, FAULT_REFUSED, UINT32_MAX, 5, 0); /* used again */
	note(m, 300, FAULT_REFUSED, UINT32_MAX, 5, 0);
	assert_true(doubtful(m, 296, false, 0));
	assert_false(doubtful(m, 297, false, 0));
	memory_opened(m, &first, -1);
	memory_opened(m, &first, -1);
	memory_opened(m, &first, -1);
	assert_int_equal(memory_open(m, &first), 0);
	memory_free(m);

	/* all are in use: nothing more is remembered, nothing breaks */
	m = memory_new(3, 1);
	for (unsigned i = 0; i < 3; i++) {
		struct endpoint to = at(i);
		memory_opened(m, &to, 1);
	}
	note(m, 9, FAULT_REFUSED, UINT32_MAX, 5, 0);
	assert_false(doubtful(m, 9, false, 0));
	struct endpoint ninth = at(9);
	memory_opened(m, &ninth, 1);
	memory_opened(m, &ninth, -1);
	assert_int_equal(memory_open(m, &ninth), 0);
	memory_free(m);
}

/* The port counts, padding does not. */
static void test_keys(void **state)
{
	struct memory *m = memory_new(10, 1);
	struct endpoint a, b;
	(void)state;
	memset(&a, 0xff, sizeof a);
	memset(&b, 0x00, sizeof b);
	a.ip.family = b.ip.family = FAMILY_IPV4;
	memset(a.ip.bytes, 0, sizeof a.ip.bytes);
	a.ip.bytes[0] = b.ip.bytes[0] = 192;
	a.port = b.port = 25;
	memory_opened(m, &a, 1);
	assert_int_equal(memory_open(m, &b), 1);
	b.port = 26;
	assert_int_equal(memory_open(m, &b), 0);
	memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_single_probe),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_usual_times),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
