/* tests/unit/content_test.c: reading contents back: bit-exact, in order, and never a damaged one to its end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "queue/spool/bodyfile.h"
#include "queue/spool/content.h"
#include "queue/spool/journal.h"
#include "tests/unit/post.h"
#include "tests/unit/spooldir.h"

enum { SEGMENT = 4 << 20, INLINE = 262144 };

struct bench {
	struct spooldir spool;
	struct layout layout;
	struct journal *journal;
	struct body_files files;
	struct post home;
	struct body *body;
	unsigned ready;
	uint64_t wrong; /* bytes handed out */
	bool done;
};

static int no_message(void *arg, enum record_type type, const struct envelope *e, struct place content,
	struct place newest, bool in_file)
{
	(void)arg, (void)type, (void)e, (void)content, (void)newest, (void)in_file;
	return 0;
}
static int no_outcome(void *arg, uint64_t id, const struct attempt *a, struct place newest)
{
	(void)arg, (void)id, (void)a, (void)newest;
	return 0;
}
static int no_hold(void *arg, uint64_t id, bool held, const char *reason, struct place newest)
{
	(void)arg, (void)id, (void)held, (void)reason, (void)newest;
	return 0;
}
static int no_redirect(void *arg, uint64_t id, const char *relay, struct place newest)
{
	(void)arg, (void)id, (void)relay, (void)newest;
	return 0;
}
static int no_removal(void *arg, uint64_t id)
{
	(void)arg, (void)id;
	return 0;
}
static void no_damage(void *arg, uint64_t id, struct place where, const char *what)
{
	(void)arg, (void)id, (void)where;
	fail_msg("damaged: %s", what);
}
static const struct store_replay no_replay = {
	.message = no_message,
	.outcome = no_outcome,
	.held = no_hold,
	.redirected = no_redirect,
	.returned = no_redirect,
	.removed = no_removal,
	.damaged = no_damage,
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	assert_non_null(b);
	spooldir_make(&b->spool);
	struct buf errors;
	buf_init(&errors, 4096);
	assert_int_equal(layout_open(&b->layout, &faulty_files, b->spool.path, &errors), 0);
	struct journal_setup js = {.files = &faulty_files,
		.spool = b->layout.spool,
		.journal = b->layout.journal,
		.segment_size = SEGMENT};
	assert_int_equal(journal_open(&b->journal, &js, &no_replay, NULL, &errors), 0);
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
	workers_stop(b->files.workers);
	while (post_poll(&b->home))
		;
	journal_close(b->journal, clock_wall_ms());
	layout_close(&b->layout);
	spooldir_remove(&b->spool);
	post_fini(&b->home);
	free(b);
	return 0;
}

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

static void on_drained(void *arg)
{
	(void)arg;
}

static void on_done(void *arg, int err, struct body *body)
{
	struct bench *b = arg;
	assert_int_equal(err, 0);
	b->body = body;
	b->done = true;
}

/* Stores a message of `size` bytes and says where it stands. */
static struct place store(struct bench *b, uint64_t id, uint64_t size)
{
	struct body_writer *w = body_writer_open(&b->files, id, &b->home.box, on_drained, b);
	assert_non_null(w);
	uint8_t part[1000];
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < sizeof part ? (size_t)(size - at) : sizeof part;
		for (size_t i = 0; i < n; i++)
			part[i] = pattern(at + i);
		int err = body_writer_append(w, part, n);
		assert_true(err >= 0);
		at += n;
		if (err == 1)
			post_wait(&b->home);
	}
	b->done = false;
	body_writer_finish(w, on_done, b);
	while (!b->done)
		post_wait(&b->home);
	struct commit c = {
		.type = RECORD_MESSAGE, .id = id, .meta = (const uint8_t *)"meta", .meta_len = 4, .content = b->body};
	struct commit *batch[] = {&c};
	struct journal_mark end;
	assert_int_equal(journal_write(b->journal, batch, 1, clock_wall_ms(), &end), 0);
	body_unref(b->body);
	return c.place;
}

static void on_ready(void *arg)
{
	((struct bench *)arg)->ready++;
}

/* Reads to the end: 2 or the error. Counts the bytes that were handed out. */
static int read_all(struct bench *b, struct place at, uint64_t *size)
{
	struct content_reader *r = content_reader_start(b->files.workers, &b->layout, at, &b->home.box, on_ready, b);
	assert_non_null(r);
	const uint8_t *p;
	size_t n;
	int status;
	*size = 0;
	for (;;) {
		status = content_reader_piece(r, &p, &n);
		if (status == 0) {
			post_wait(&b->home);
			continue;
		}
		if (status != 1)
			break;
		assert_true(n >= 1 && n <= CONTENT_PIECE);
		for (size_t i = 0; i < n; i++)
			b->wrong += p[i] != pattern(*size + i);
		*size += n;
		content_reader_next(r);
	}
	assert_int_equal(content_reader_piece(r, &p, &n), status); /* says the same again */
	content_reader_close(r);
	return status;
}

static void test_comes_back_bit_exact(void **state)
{
	struct bench *b = *state;
	static const uint64_t sizes[] = {
		0, 1, 65535, 65536, 65537, 131072, 200000, INLINE, INLINE + 1, 393216, 20 << 20};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint64_t size;
		struct place at = store(b, 100 + i, sizes[i]);
		assert_int_equal(read_all(b, at, &size), 2);
		assert_int_equal(size, sizes[i]);
		assert_int_equal(b->wrong, 0);
	}
	assert_int_equal(spooldir_bodies(&b->spool), 3);
}

static void on_body(struct content_body *c)
{
	(*(unsigned *)c->arg)++;
}

/* As a body: 0 and its bytes in memory, or its reference. */
static int read_body_as(struct bench *b, struct content_body c, struct body **body)
{
	unsigned done = 0;
	c.home = &b->home.box;
	c.done = on_body;
	c.arg = &done;
	content_body_read(b->files.workers, &b->layout, &c);
	while (done == 0)
		post_wait(&b->home);
	*body = c.body;
	return c.status;
}

static int read_body(struct bench *b, struct place at, struct body **body)
{
	return read_body_as(b, (struct content_body){.content = at}, body);
}

/* What is left of a damaged content: the bytes as they are; nothing if not even the header tells where; a file as it
 * is. */
static void test_remains(void **state)
{
	struct bench *b = *state;
	struct body *body;
	struct place at = store(b, 300, 100000);
	char name[64];
	snprintf(name, sizeof name, "journal/%010u.seg", at.segment);
	spooldir_damage(&b->spool, name, (long)at.offset + 64 + 4 + 99998);
	assert_int_equal(read_body(b, at, &body), -EBADMSG);
	assert_int_equal(read_body_as(b, (struct content_body){.content = at, .remains = true}, &body), 0);
	assert_int_equal(body->size, 100000);
	uint64_t seen = 0, wrong = 0;
	for (const struct body_chunk *c = body->first; c != NULL; c = c->next)
		for (uint32_t k = 0; k < c->len; k++)
			wrong += c->data[k] != pattern(seen++);
	assert_int_equal(wrong, 1);
	body_unref(body);
	spooldir_damage(&b->spool, name, (long)at.offset + 8);
	assert_int_equal(read_body_as(b, (struct content_body){.content = at, .remains = true}, &body), 0);
	assert_int_equal(body->size, 0);
	assert_int_equal(body->file, 0);
	body_unref(body);
	struct content_body file = {.content = at, .remains = true, .file = 77, .file_size = 5};
	assert_int_equal(read_body_as(b, file, &body), 0);
	assert_int_equal(body->size, 5);
	assert_int_equal(body->file, 77);
	body_unref(body);
}

static void test_as_a_body(void **state)
{
	struct bench *b = *state;
	static const uint64_t sizes[] = {0, 1, 65537, INLINE, INLINE + 1};
	struct body *body;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct place at = store(b, 100 + i, sizes[i]);
		assert_int_equal(read_body(b, at, &body), 0);
		assert_int_equal(body->size, sizes[i]);
		assert_int_equal(body->file, sizes[i] > INLINE ? 100 + i : 0);
		uint64_t seen = 0;
		for (const struct body_chunk *c = body->first; c != NULL; c = c->next)
			for (uint32_t k = 0; k < c->len; k++)
				b->wrong += c->data[k] != pattern(seen++);
		assert_int_equal(seen, sizes[i] > INLINE ? 0 : sizes[i]);
		body_unref(body);
	}
	assert_int_equal(b->wrong, 0);
	struct place at = store(b, 200, 100000);
	char name[64];
	snprintf(name, sizeof name, "journal/%010u.seg", at.segment);
	spooldir_damage(&b->spool, name, (long)at.offset + 64 + 4 + 99999);
	assert_int_equal(read_body(b, at, &body), -EBADMSG);
	assert_null(body);
	assert_int_equal(read_body(b, (struct place){9999, 64}, &body), -EBADMSG);
}

/* A bit of the body's record is turned: not one byte is handed out. */
static void test_damaged_inline_content_gives_nothing(void **state)
{
	struct bench *b = *state;
	static const uint64_t sizes[] = {30, 65536, 200000};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct place at = store(b, 100 + i, sizes[i]);
		char name[64];
		snprintf(name, sizeof name, "journal/%010u.seg", at.segment);
		spooldir_damage(&b->spool, name, (long)at.offset + 64 + 4 + (long)sizes[i] - 1);
		uint64_t size;
		assert_int_equal(read_all(b, at, &size), -EBADMSG);
		assert_int_equal(size, 0);
	}
}

/* A body file is damaged anywhere, cut, longer or gone: its end is never reached. */
static void test_damaged_body_file_never_ends_well(void **state)
{
	struct bench *b = *state;
	static const long where[] = {0, 65536, 300000, -1};
	char id[LAYOUT_BODY_NAME], name[64], path[160];
	for (uint64_t i = 0; i < 7; i++) {
		struct place at = store(b, 100 + i, 400000);
		snprintf(name, sizeof name, "body/%s", layout_body_name(100 + i, id));
		snprintf(path, sizeof path, "%s/%s", b->spool.path, name);
		if (i < 4) {
			spooldir_damage(&b->spool, name, where[i]);
		} else if (i == 4) {
			assert_int_equal(remove(path), 0);
		} else {
			FILE *f = fopen(path, i == 5 ? "wb" : "ab");
			assert_non_null(f);
			fputs("x", f);
			fclose(f);
		}
		uint64_t size;
		assert_int_equal(read_all(b, at, &size), -EBADMSG);
		assert_true(size < 400000);
	}
}

static void test_places_that_hold_no_content(void **state)
{
	struct bench *b = *state;
	struct commit c = {.type = RECORD_RELEASE, .id = 7};
	struct commit *batch[] = {&c};
	struct journal_mark end;
	uint64_t size;
	assert_int_equal(journal_write(b->journal, batch, 1, clock_wall_ms(), &end), 0);
	const struct place places[] = {c.place, {c.place.segment, c.place.offset + 32}, {c.place.segment, SEGMENT},
		{c.place.segment, UINT32_MAX}, {9999, 64}, {0, 0}};
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		assert_int_equal(read_all(b, places[i], &size), -EBADMSG);
}

/* Closed at once, with a letter unopened, half-way, at the end: nothing comes afterwards, nothing leaks (ASan). */
static void test_close_at_any_time(void **state)
{
	struct bench *b = *state;
	struct place at = store(b, 100, 500000);
	const uint8_t *p;
	size_t n;
	for (unsigned i = 0; i < 12; i++) {
		struct content_reader *r =
			content_reader_start(b->files.workers, &b->layout, at, &b->home.box, on_ready, b);
		for (unsigned k = 0; k < i / 2; k++) {
			while (content_reader_piece(r, &p, &n) == 0)
				post_wait(&b->home);
			content_reader_next(r);
		}
		if (i & 1)
			post_await(&b->home);
		content_reader_close(r);
		b->ready = 0;
		post_poll(&b->home);
		assert_int_equal(b->ready, 0);
	}
	content_reader_close(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_comes_back_bit_exact),
		T(test_as_a_body),
		T(test_remains),
		T(test_damaged_inline_content_gives_nothing),
		T(test_damaged_body_file_never_ends_well),
		T(test_places_that_hold_no_content),
		T(test_close_at_any_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
