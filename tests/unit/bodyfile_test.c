/* tests/unit/bodyfile_test.c: content into memory or a body file; bounds, errors, and owners that go away. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "queue/spool/bodyfile.h"
#include "queue/spool/layout.h"
#include "tests/unit/post.h"
#include "tests/unit/spooldir.h"

enum { INLINE = 262144, BIG = 20 << 20 };

struct bench {
	struct spooldir spool;
	struct layout layout;
	struct body_files files;
	struct post home;
	unsigned drained;
	unsigned done;
	int err;
	struct body *body;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	assert_non_null(b);
	spooldir_make(&b->spool);
	struct buf errors;
	buf_init(&errors, 4096);
	assert_int_equal(layout_open(&b->layout, &faulty_files, b->spool.path, &errors), 0);
	buf_fini(&errors);
	b->files.layout = &b->layout;
	b->files.inline_limit = INLINE;
	b->files.body_memory = 128 << 20;
	assert_int_equal(workers_start(&b->files.workers, 4), 0);
	post_init(&b->home);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	faults_clear();
	workers_stop(b->files.workers);
	while (post_poll(&b->home))
		;
	body_unref(b->body);
	layout_close(&b->layout);
	spooldir_remove(&b->spool);
	post_fini(&b->home);
	assert_int_equal(body_memory_used(), 0);
	free(b);
	return 0;
}

static void on_drained(void *arg)
{
	((struct bench *)arg)->drained++;
}

static void on_done(void *arg, int err, struct body *body)
{
	struct bench *b = arg;
	b->done++;
	b->err = err;
	b->body = body;
}

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

/* Appends as a session does: stops when told to. Raises *peak to the most memory held. */
static int feed(struct bench *b, struct body_writer *w, uint64_t size, size_t step, size_t *peak)
{
	uint8_t buffer[65536];
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < step ? (size_t)(size - at) : step;
		for (size_t i = 0; i < n; i++)
			buffer[i] = pattern(at + i);
		unsigned before = b->drained;
		int err = body_writer_append(w, buffer, n);
		if (err < 0)
			return err;
		at += n;
		if (peak != NULL && body_memory_used() > *peak)
			*peak = body_memory_used();
		while (err == 1 && b->drained == before)
			post_wait(&b->home);
	}
	return 0;
}

static void finish(struct bench *b, struct body_writer *w)
{
	body_writer_finish(w, on_done, b);
	assert_int_equal(b->done, 0); /* never from within */
	while (b->done == 0)
		post_wait(&b->home);
}

static void expect_pattern(const uint8_t *p, size_t n, uint64_t size)
{
	assert_int_equal(n, size);
	for (size_t i = 0; i < n; i++)
		if (p[i] != pattern(i))
			fail_msg("byte %zu differs", i);
}

static void test_small_content_stays_in_memory(void **state)
{
	struct bench *b = *state;
	static const uint64_t sizes[] = {0, 1, 4096, 70000, INLINE};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct body_writer *w = body_writer_open(&b->files, 100 + i, &b->home.box, on_drained, b);
		assert_non_null(w);
		assert_int_equal(feed(b, w, sizes[i], 30000, NULL), 0);
		assert_int_equal(body_writer_size(w), sizes[i]);
		b->done = 0;
		finish(b, w);
		assert_int_equal(b->err, 0);
		assert_int_equal(b->body->file, 0);
		uint64_t seen = 0;
		for (const struct body_chunk *c = b->body->first; c != NULL; c = c->next)
			for (uint32_t k = 0; k < c->len; k++)
				assert_int_equal(c->data[k], pattern(seen++));
		assert_int_equal(seen, sizes[i]);
		body_unref(b->body);
		b->body = NULL;
	}
	assert_int_equal(spooldir_bodies(&b->spool), 0);
}

static void test_large_content_goes_to_a_file(void **state)
{
	struct bench *b = *state;
	static const uint64_t sizes[] = {INLINE + 1, INLINE + 65536, BIG};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint64_t id = 0x123456789abcdef0 + i;
		struct body_writer *w = body_writer_open(&b->files, id, &b->home.box, on_drained, b);
		assert_int_equal(feed(b, w, sizes[i], 50000, NULL), 0);
		b->done = 0;
		finish(b, w);
		assert_int_equal(b->err, 0);
		assert_int_equal(b->body->file, id);
		assert_int_equal(b->body->size, sizes[i]);
		assert_null(b->body->first);
		size_t n;
		uint8_t *all = spooldir_read_body(&b->spool, id, &n);
		expect_pattern(all, n, sizes[i]);
		assert_int_equal(b->body->checksum, XXH3_64bits(all, n));
		free(all);
		body_unref(b->body);
		b->body = NULL;
		assert_int_equal(spooldir_bodies(&b->spool), i + 1);
	}
}

static void test_memory_is_bounded_by_back_pressure(void **state)
{
	struct bench *b = *state;
	size_t peak = 0;
	struct body_writer *w = body_writer_open(&b->files, 7, &b->home.box, on_drained, b);
	assert_int_equal(feed(b, w, BIG, 65536, &peak), 0);
	finish(b, w);
	assert_int_equal(b->err, 0);
	assert_true(peak <= 700000);
}

static void test_spills_early_when_memory_is_short(void **state)
{
	struct bench *b = *state;
	b->files.body_memory = 40000;
	struct body *other = body_new();
	uint8_t some[50000] = {0};
	assert_int_equal(body_append(other, some, sizeof some), 0);
	struct body_writer *w = body_writer_open(&b->files, 7, &b->home.box, on_drained, b);
	assert_int_equal(feed(b, w, 20000, 4000, NULL), 0);
	finish(b, w);
	assert_int_equal(b->body->file, 7);
	body_unref(other);
	assert_int_equal(spooldir_bodies(&b->spool), 1);
}

static void test_errors_of_the_disk_are_told(void **state)
{
	struct bench *b = *state;
	static const struct {
		enum fault_call call;
		int error;
		unsigned after;
	} rows[] = {
		{FAULT_OPEN, ENOSPC, 0},
		{FAULT_WRITE, ENOSPC, 0},
		{FAULT_WRITE, EIO, 5},
		{FAULT_DATASYNC, EIO, 0},
		{FAULT_SYNC, EIO, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct body_writer *w = body_writer_open(&b->files, 7 + i, &b->home.box, on_drained, b);
		faults_set(rows[i].call, rows[i].error, rows[i].after, 1);
		b->done = 0;
		int err = feed(b, w, 2 << 20, 60000, NULL);
		bool early = rows[i].call == FAULT_WRITE || rows[i].call == FAULT_OPEN;
		assert_int_equal(err, early ? -rows[i].error : 0);
		finish(b, w);
		assert_int_equal(b->err, -rows[i].error);
		assert_null(b->body);
		assert_int_equal(faults_seen(rows[i].call), 1);
		faults_clear();
		assert_int_equal(spooldir_bodies(&b->spool), 0);
	}
}

/* Abort with nothing yet, in memory, just spilled, with pieces under way, behind finish; letters opened or not. */
static void test_abort_leaves_no_file_and_no_letter(void **state)
{
	struct bench *b = *state;
	static const uint64_t sizes[] = {0, 1000, INLINE + 1, INLINE + 90000, 3 << 20};
	for (size_t i = 0; i < 4 * sizeof sizes / sizeof sizes[0]; i++) {
		struct body_writer *w = body_writer_open(&b->files, 7 + i, &b->home.box, on_drained, b);
		assert_int_equal(feed(b, w, sizes[i / 4], 50000, NULL), 0);
		if (i & 1)
			body_writer_finish(w, on_done, b);
		if (i & 2) { /* all jobs are back, their letters lie in the mailbox */
			workers_stop(b->files.workers);
			assert_int_equal(workers_start(&b->files.workers, 4), 0);
		}
		body_writer_abort(w);
		b->drained = 0;
		while (post_poll(&b->home))
			;
		workers_stop(b->files.workers);
		assert_int_equal(workers_start(&b->files.workers, 4), 0);
		assert_false(post_poll(&b->home));
		assert_int_equal(b->done, 0);
		assert_int_equal(b->drained, 0);
		assert_int_equal(spooldir_bodies(&b->spool), 0);
		assert_int_equal(body_memory_used(), 0);
	}
	body_writer_abort(NULL);
}

/* 50 messages of 20 MiB at once: what all writers hold together. */
static void test_fifty_large_ones_at_once(void **state)
{
	struct bench *b = *state;
	enum { MANY = 50, SIZE = 4 << 20 };
	struct body_writer *w[MANY];
	static uint8_t piece[65536];
	uint64_t at[MANY] = {0};
	struct bench ones[MANY];
	size_t peak = 0;
	for (unsigned i = 0; i < MANY; i++) {
		ones[i] = (struct bench){.drained = 1};
		w[i] = body_writer_open(&b->files, 1000 + i, &b->home.box, on_drained, &ones[i]);
	}
	for (unsigned left = MANY; left > 0;) {
		bool moved = false;
		for (unsigned i = 0; i < MANY; i++) {
			if (ones[i].drained == 0 || at[i] == SIZE)
				continue;
			moved = true;
			int err = body_writer_append(w[i], piece, sizeof piece);
			assert_true(err >= 0);
			at[i] += sizeof piece;
			if (err == 1)
				ones[i].drained = 0;
			if (at[i] == SIZE) {
				body_writer_finish(w[i], on_done, &ones[i]);
				left--;
			}
			if (body_memory_used() > peak)
				peak = body_memory_used();
		}
		if (!moved)
			post_wait(&b->home);
	}
	for (unsigned i = 0; i < MANY; i++) {
		while (ones[i].done == 0)
			post_wait(&b->home);
		assert_int_equal(ones[i].err, 0);
		body_unref(ones[i].body);
	}
	assert_true(peak <= 30u << 20);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_small_content_stays_in_memory),
		T(test_large_content_goes_to_a_file),
		T(test_memory_is_bounded_by_back_pressure),
		T(test_spills_early_when_memory_is_short),
		T(test_errors_of_the_disk_are_told),
		T(test_abort_leaves_no_file_and_no_letter),
		T(test_fifty_large_ones_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
