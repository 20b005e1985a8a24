/* tests/unit/body_test.c: content comes out as it went in, and its memory is counted. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "conf/body.h"

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 31 + i / 256 * 7);
}

/* Checks the chunks' bytes and bounds; returns how many bytes they hold in memory. */
static uint64_t check(const struct body_chunk *c, uint64_t size)
{
	uint64_t at = 0, held = 0;
	for (; c != NULL; c = c->next) {
		assert_true(c->len > 0 && c->len <= c->cap);
		if (c->next != NULL)
			assert_int_equal(c->len, c->cap);
		for (uint32_t i = 0; i < c->len; i++)
			if (c->data[i] != byte_at(at + i))
				fail_msg("byte %llu", (unsigned long long)(at + i));
		at += c->len;
		held += sizeof *c + c->cap;
	}
	assert_true(at == size);
	return held;
}

static void append(struct body *b, uint64_t from, size_t n)
{
	uint8_t *bytes = malloc(n + 1);
	for (size_t i = 0; i < n; i++)
		bytes[i] = byte_at(from + i);
	assert_int_equal(body_append(b, bytes, n), 0);
	free(bytes);
}

static void pieces_of_any_size(void **state)
{
	static const size_t pieces[] = {0, 1, 3, 100, 1000, 4000, 4096, 65535, 65536, 65537, 200000};
	(void)state;
	for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
		struct body *b = body_new();
		uint64_t size = 0;
		for (unsigned round = 0; round < 20; round++) {
			append(b, size, pieces[p]);
			size += pieces[p];
			assert_true(b->size == size);
		}
		uint64_t held = check(b->first, size);
		assert_true(body_memory_used() == held);
		/* small mail costs little, and large mail not much more than itself */
		assert_true(held <= 4096 || held <= 2 * size + 65536);
		assert_int_equal(b->file, 0);
		body_unref(b);
		assert_int_equal(body_memory_used(), 0);
	}
}

static void growing_pieces(void **state)
{
	struct body *b = body_new();
	uint64_t size = 0;
	(void)state;
	for (size_t n = 1; n < 3000; n++) {
		append(b, size, n);
		size += n;
	}
	check(b->first, size);
	body_unref(b);
	assert_int_equal(body_memory_used(), 0);
}

static void chunks_are_taken_out(void **state)
{
	struct body *b = body_new();
	(void)state;
	append(b, 0, 100000);
	size_t used = body_memory_used();
	struct body_chunk *chunks = body_take_chunks(b);
	assert_null(b->first);
	assert_true(b->size == 100000);
	assert_true(body_memory_used() == used); /* they still count */
	assert_null(body_take_chunks(b));
	check(chunks, 100000);
	/* spilling goes on with new chunks */
	append(b, 0, 10);
	check(b->first, 10);
	assert_true(b->size == 100010);
	body_unref(b);
	assert_true(body_memory_used() > 100000);
	body_chunks_free(chunks);
	body_chunks_free(NULL);
	assert_int_equal(body_memory_used(), 0);
}

static void *hold_and_let_go(void *arg)
{
	struct body *b = arg;
	for (unsigned i = 0; i < 20000; i++)
		body_unref(body_ref(b));
	body_unref(b);
	return NULL;
}

static void shared_by_threads(void **state)
{
	pthread_t threads[4];
	struct body *b = body_new();
	(void)state;
	append(b, 0, 5000);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold_and_let_go, body_ref(b)), 0);
	body_unref(b);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(body_memory_used(), 0);
	body_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size),
		cmocka_unit_test(growing_pieces),
		cmocka_unit_test(chunks_are_taken_out),
		cmocka_unit_test(shared_by_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
