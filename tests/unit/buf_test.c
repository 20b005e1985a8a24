/* tests/unit/buf_test.c: the bounded buffer and the checked reader. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/buf.h"

static void check(const struct buf *b, const char *want)
{
	assert_int_equal(b->len, strlen(want));
	assert_string_equal((const char *)b->data, want);
}

static void the_limit_holds(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 10);
	assert_null(b.data);
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_null(b.data);
	assert_int_equal(buf_append_str(&b, "12345678"), 0);
	/* each of these is one too many, and leaves all as it was */
	assert_int_equal(buf_append_str(&b, "901"), -E2BIG);
	assert_int_equal(buf_printf(&b, "%d", 901), -E2BIG);
	assert_int_equal(buf_append_u32(&b, 1), -E2BIG);
	assert_int_equal(buf_append_block(&b, "", 0), -E2BIG);
	assert_null(buf_room(&b, 3));
	assert_null(buf_room(&b, SIZE_MAX));
	assert_int_equal(buf_append(&b, "x", SIZE_MAX), -E2BIG);
	assert_int_equal(buf_append_block(&b, "x", SIZE_MAX), -E2BIG);
	check(&b, "12345678");
	assert_int_equal(buf_append_str(&b, "90"), 0);
	check(&b, "1234567890");
	assert_int_equal(buf_append(&b, "x", 1), -E2BIG);
	assert_non_null(buf_room(&b, 0));
	assert_true(b.cap <= 11);
	buf_fini(&b);
	assert_null(b.data);
	assert_int_equal(b.limit, 10);
	assert_int_equal(buf_append_str(&b, "again"), 0);
	check(&b, "again");
	buf_fini(&b);
	/* a limit of none */
	buf_init(&b, 0);
	assert_int_equal(buf_append(&b, "x", 1), -E2BIG);
	assert_int_equal(buf_printf(&b, "%s", ""), 0);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

static void changes(void **state)
{
	struct buf b;
	size_t len = 99;
	(void)state;
	buf_init(&b, 100000);
	buf_consume(&b, 0);
	buf_reset(&b);
	assert_null(buf_detach(&b, &len));
	assert_int_equal(len, 0);
	assert_int_equal(buf_printf(&b, "%s-%d", "abc", 5), 0);
	check(&b, "abc-5");
	buf_consume(&b, 2);
	check(&b, "c-5");
	buf_consume(&b, 3);
	check(&b, "");
	uint8_t *to = buf_room(&b, 70000);
	assert_non_null(to);
	assert_int_equal(b.len, 0);
	memset(to, 'x', 70000);
	buf_grow(&b, 69999);
	assert_int_equal(b.data[69999], 0);
	buf_reset(&b);
	check(&b, "");
	buf_append_str(&b, "mine");
	uint8_t *mine = buf_detach(&b, &len);
	assert_int_equal(len, 4);
	assert_string_equal((char *)mine, "mine");
	assert_null(b.data);
	assert_int_equal(b.limit, 100000);
	free(mine);
}

/* Byte by byte, every length keeps the invariants. */
static void growth(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < 1000; i++) {
		uint8_t c = (uint8_t)(i % 251 + 1);
		assert_int_equal(buf_append(&b, &c, 1), 0);
		assert_int_equal(b.len, i + 1);
		assert_int_equal(b.data[b.len], 0);
		assert_true(b.cap <= b.limit + 1);
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(b.data[i], i % 251 + 1);
	buf_fini(&b);
}

static void numbers(void **state)
{
	static const uint8_t want[] = {0x12, 0x12, 0x34, 0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc,
		0xde, 0xf0, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0};
	struct buf b;
	struct reader r;
	size_t n = 9;
	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_append_u8(&b, 0x12), 0);
	assert_int_equal(buf_append_u16(&b, 0x1234), 0);
	assert_int_equal(buf_append_u32(&b, 0x12345678), 0);
	assert_int_equal(buf_append_u64(&b, UINT64_C(0x123456789abcdef0)), 0);
	assert_int_equal(buf_append_block(&b, "hi", 2), 0);
	assert_int_equal(buf_append_block(&b, NULL, 0), 0);
	assert_int_equal(b.len, sizeof want);
	assert_memory_equal(b.data, want, sizeof want);
	reader_init(&r, b.data, b.len);
	assert_int_equal(reader_u8(&r), 0x12);
	assert_int_equal(reader_u16(&r), 0x1234);
	assert_int_equal(reader_u32(&r), 0x12345678);
	assert_true(reader_u64(&r) == UINT64_C(0x123456789abcdef0));
	assert_memory_equal(reader_block(&r, 2, &n), "hi", 2);
	assert_int_equal(n, 2);
	assert_non_null(reader_block(&r, 2, &n));
	assert_int_equal(n, 0);
	assert_int_equal(r.left, 0);
	assert_int_equal(r.bad, 0);
	buf_fini(&b);
}

/* Cut anywhere, a reader says so, gives 0 from then on and never reads past the end. */
static void cut_anywhere(void **state)
{
	static const uint8_t whole[] = {1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 2, 'h', 'i'};
	(void)state;
	for (size_t len = 0; len <= sizeof whole; len++) {
		uint8_t *copy = malloc(len ? len : 1); /* so that ASan sees the end */
		struct reader r;
		size_t n;
		memcpy(copy, whole, len);
		reader_init(&r, copy, len);
		assert_int_equal(reader_u8(&r), len >= 1 ? 1 : 0);
		assert_int_equal(reader_u16(&r), len >= 3 ? 2 : 0);
		assert_int_equal(reader_u32(&r), len >= 7 ? 3 : 0);
		assert_int_equal(reader_u64(&r), len >= 15 ? 4 : 0);
		assert_int_equal(reader_block(&r, 100, &n) != NULL, len == sizeof whole);
		assert_int_equal(r.bad, len < sizeof whole);
		reader_u8(&r);
		assert_int_equal(r.bad, 1);
		assert_int_equal(reader_u8(&r), 0);
		assert_null(reader_bytes(&r, 0));
		free(copy);
	}
}

static void hostile_lengths(void **state)
{
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'x'}, three[] = {0, 0, 0, 3, 'a', 'b', 'c'};
	struct reader r;
	size_t n = 9;
	(void)state;
	reader_init(&r, huge, sizeof huge);
	assert_null(reader_block(&r, SIZE_MAX, &n));
	assert_int_equal(r.bad, 1);
	reader_init(&r, three, sizeof three);
	assert_null(reader_block(&r, 2, &n));
	assert_int_equal(n, 0);
	assert_int_equal(r.bad, 1);
	reader_init(&r, three, sizeof three);
	assert_null(reader_bytes(&r, SIZE_MAX));
	assert_int_equal(r.bad, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_holds),
		cmocka_unit_test(changes),
		cmocka_unit_test(growth),
		cmocka_unit_test(numbers),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(hostile_lengths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
