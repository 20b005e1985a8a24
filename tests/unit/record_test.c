/* tests/unit/record_test.c: records of the journal as bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/spool/record.h"

enum { SEED = 0x1234 };

static const struct record sample = {
	.type = RECORD_OUTCOME,
	.flags = RECORD_GROUP_FIRST | RECORD_AGAIN,
	.id = 0x0102030405060708,
	.meta_len = 1000,
	.body_len = 24,
	.batch = 77,
	.previous = {3, 128},
	.meta_sum = 5,
	.body_sum = 6,
};

/* The form is what older spools hold: it may not change unnoticed. Worked out by hand from the table in record.h. */
static void form(void **state)
{
	(void)state;
	static const uint8_t expected[56] = {'r', '6', '4', 'j', 1, 2, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x03, 0xe8,
		0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 3, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0,
		0, 0, 6};
	uint8_t bytes[RECORD_HEADER], again[RECORD_HEADER];
	struct record got;
	record_encode(&sample, SEED, bytes);
	assert_memory_equal(bytes, expected, sizeof(expected));
	assert_int_equal(record_decode(&got, SEED, bytes), 0);
	record_encode(&got, SEED, again); /* not the structs: they have padding */
	assert_memory_equal(again, bytes, sizeof(again));
}

static void any_bit_is_noticed(void **state)
{
	(void)state;
	uint8_t bytes[RECORD_HEADER];
	struct record got;
	record_encode(&sample, SEED, bytes);
	for (unsigned bit = 0; bit < RECORD_HEADER * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(record_decode(&got, SEED, bytes), -EBADMSG);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(record_decode(&got, SEED + 1, bytes), -EBADMSG);
	assert_int_equal(record_decode(&got, SEED, bytes), 0);
}

/* What a right checksum cannot excuse. */
static void bad_values(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		unsigned type, flags;
		uint32_t meta_len;
	} rows[] = {
		{"no type", 0, 0, 0},
		{"a type to come", RECORD_TYPE_END, 0, 0},
		{"a flag to come", RECORD_HOLD, 16, 0},
		{"a meta over the limit", RECORD_HOLD, 0, RECORD_META_MAX + 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[RECORD_HEADER];
		struct record got, r = sample;
		r.type = (enum record_type)rows[i].type;
		r.flags = (uint8_t)rows[i].flags;
		r.meta_len = rows[i].meta_len;
		record_encode(&r, SEED, bytes);
		if (record_decode(&got, SEED, bytes) != -EBADMSG)
			fail_msg("%s is believed", rows[i].what);
	}
}

static void spans(void **state)
{
	(void)state;
	assert_int_equal(record_span(0, 0), 64);
	assert_int_equal(record_span(1, 0), 128);
	assert_int_equal(record_span(64, 0), 128);
	assert_int_equal(record_span(64, 1), 192);
	assert_int_equal(record_span(UINT32_MAX, UINT32_MAX), (UINT64_C(0xffffffff) * 2 + 64 + 63) / 64 * 64);
}

static void scanning(void **state)
{
	(void)state;
	uint8_t bytes[640] = {0};
	struct record got;
	enum { BASE = 1024 };
	assert_int_equal(record_scan(bytes, sizeof(bytes), BASE, BASE, SEED, &got), BASE + 640);
	record_encode(&sample, record_seed(SEED, BASE + 128), bytes + 128);
	record_encode(&sample, record_seed(SEED, BASE + 128), bytes + 320); /* a copy at a place that is not its own */
	record_encode(&sample, record_seed(SEED, BASE + 450), bytes + 450); /* not on a bound */
	record_encode(&sample, record_seed(SEED, BASE + 576), bytes + 576);
	assert_int_equal(record_scan(bytes, sizeof(bytes), BASE, BASE, SEED, &got), BASE + 128);
	assert_int_equal(record_scan(bytes, sizeof(bytes), BASE, BASE + 1, SEED, &got), BASE + 128);
	assert_int_equal(record_scan(bytes, sizeof(bytes), BASE, BASE + 129, SEED, &got), BASE + 576);
	assert_int_equal(record_scan(bytes, sizeof(bytes) - 1, BASE, BASE + 129, SEED, &got), BASE + 576);
	assert_int_equal(record_scan(bytes, 0, BASE, BASE, SEED, &got), BASE);
}

static void references(void **state)
{
	(void)state;
	uint8_t bytes[RECORD_REFERENCE];
	struct record_reference r = {7, 1u << 31, 99}, got;
	record_reference_encode(&r, bytes);
	assert_int_equal(record_reference_decode(&got, bytes, sizeof(bytes)), 0);
	assert_memory_equal(&r, &got, sizeof(r));
	assert_int_equal(record_reference_decode(&got, bytes, sizeof(bytes) - 1), -EBADMSG);
	memset(bytes, 0, 8);
	assert_int_equal(record_reference_decode(&got, bytes, sizeof(bytes)), -EBADMSG);
}

/* Each beginning of a right one is refused, and so is a byte too many. */
static void cut_everywhere(const uint8_t *bytes, size_t n, int (*decode)(const uint8_t *p, size_t n))
{
	assert_int_equal(decode(bytes, n), 0);
	for (size_t i = 0; i <= n + 1; i++) {
		uint8_t *exact = calloc(1, i ? i : 1); /* so that a read past its end is seen */
		memcpy(exact, bytes, i < n ? i : n);
		assert_int_equal(decode(exact, i), i == n ? 0 : -EBADMSG);
		free(exact);
	}
}

static int decode_commit(const uint8_t *p, size_t n)
{
	struct record_commit c;
	return record_commit_decode(&c, p, n);
}

static void commits(void **state)
{
	(void)state;
	uint8_t bytes[RECORD_COMMIT_FIXED + 2 * RECORD_LISTED];
	struct record_commit c = {.first = 64, .ceiling_ms = 1, .wall_ms = 2, .oldest = 3, .count = 2}, got;
	struct record_listed l[2] = {{RECORD_HOLD, 64, 5}, {RECORD_MESSAGE, 128, UINT64_MAX}};
	record_commit_encode(&c, bytes);
	record_listed_encode(&l[0], bytes + RECORD_COMMIT_FIXED);
	record_listed_encode(&l[1], bytes + RECORD_COMMIT_FIXED + RECORD_LISTED);
	assert_int_equal(record_commit_decode(&got, bytes, sizeof(bytes)), 0);
	assert_int_equal(got.first, 64);
	assert_int_equal(got.ceiling_ms, 1);
	assert_int_equal(got.wall_ms, 2);
	assert_int_equal(got.oldest, 3);
	assert_int_equal(record_commit_at(&got, 1).type, RECORD_MESSAGE);
	assert_int_equal(record_commit_at(&got, 1).offset, 128);
	assert_true(record_commit_at(&got, 1).id == UINT64_MAX);
	cut_everywhere(bytes, sizeof(bytes), decode_commit);
	c.count = UINT32_MAX; /* a count that would wrap */
	record_commit_encode(&c, bytes);
	assert_int_equal(record_commit_decode(&got, bytes, sizeof(bytes)), -EBADMSG);
}

static int decode_void(const uint8_t *p, size_t n)
{
	struct record_void v;
	return record_void_decode(&v, p, n);
}

static void voids(void **state)
{
	(void)state;
	struct buf b;
	struct record_void v;
	const uint64_t ids[3] = {1, 2, UINT64_MAX};
	buf_init(&b, 1000);
	assert_int_equal(record_void_encode(4, 6, ids, 3, &b), 0);
	assert_int_equal(record_void_decode(&v, b.data, b.len), 0);
	assert_int_equal(v.from, 4);
	assert_int_equal(v.to, 6);
	assert_int_equal(v.count, 3);
	assert_true(record_void_at(&v, 2) == UINT64_MAX);
	cut_everywhere(b.data, b.len, decode_void);
	b.data[7] = 9; /* from behind to */
	assert_int_equal(record_void_decode(&v, b.data, b.len), -EBADMSG);
	buf_fini(&b);
	buf_init(&b, 10);
	assert_int_equal(record_void_encode(4, 6, ids, 3, &b), -E2BIG);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

static int decode_moved(const uint8_t *p, size_t n)
{
	struct record_moved m;
	return record_moved_decode(&m, p, n);
}

static void moves(void **state)
{
	(void)state;
	struct buf b;
	struct record_moved m;
	size_t n;
	buf_init(&b, 1000);
	assert_int_equal(record_moved_begin(&b, "envelope", 8, 2), 0);
	assert_int_equal(record_moved_add(&b, "first", 5), 0);
	assert_int_equal(record_moved_add(&b, "second", 6), 0);
	assert_int_equal(record_moved_decode(&m, b.data, b.len), 0);
	assert_int_equal(m.envelope_len, 8);
	assert_memory_equal(m.envelope, "envelope", 8);
	assert_int_equal(m.attempts, 2);
	assert_memory_equal(record_moved_next(&m, &n), "first", 5);
	assert_int_equal(n, 5);
	assert_memory_equal(record_moved_next(&m, &n), "second", 6);
	assert_null(record_moved_next(&m, &n));
	cut_everywhere(b.data, b.len, decode_moved);
	assert_int_equal(record_moved_begin(&b, "", 0, 256), -E2BIG);
	buf_fini(&b);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(record_type_name(RECORD_MESSAGE), "message");
	assert_string_equal(record_type_name(RECORD_COMMIT), "commit");
	assert_string_equal(record_type_name(RECORD_REDIRECT), "redirect");
	assert_string_equal(record_type_name((enum record_type)0), "?");
	assert_string_equal(record_type_name((enum record_type)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form),
		cmocka_unit_test(any_bit_is_noticed),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(spans),
		cmocka_unit_test(scanning),
		cmocka_unit_test(references),
		cmocka_unit_test(commits),
		cmocka_unit_test(voids),
		cmocka_unit_test(moves),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
