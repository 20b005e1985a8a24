/* tests/unit/recovery_test.c: a small journal with every byte flipped and cut at every byte: exactly what was promised
 * is reported afterwards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/spool/segment.h"
#include "spool_fixture.h"

enum { SIZE = 8192, RECORDS = 64 };

struct row {
	struct place at;
	struct record head;
	bool lost;
};

/* A journal in one segment: five batches with every type of record, a group, and no end. */
struct sample {
	struct spool s;
	struct row rows[RECORDS];
	size_t count;
	uint64_t last_batch;
	uint8_t bytes[SIZE];
	int fd;
	char path[128];
};

static void list_rows(struct sample *x)
{
	struct segment seg;
	int journal = open(spool_path(&x->s, "journal", x->path, sizeof(x->path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(segment_open(&seg, &files_system, journal, 1, false), 0);
	for (uint32_t at = SEGMENT_FIRST; segment_read(&seg, at, &x->rows[x->count].head, NULL) == 0;) {
		struct row *r = &x->rows[x->count++];
		assert_in_range(x->count, 1, RECORDS - 1);
		r->at = (struct place){1, at};
		x->last_batch = r->head.batch;
		at += (uint32_t)record_span(r->head.meta_len, r->head.body_len);
	}
	segment_close(&seg);
	close(journal);
}

static void sample_init(struct sample *x)
{
	struct commit *all[16];
	size_t n = 0;
	memset(x, 0, sizeof(*x));
	spool_init(&x->s, SIZE);
	assert_int_equal(spool_open(&x->s), 0);
	struct commit *m1 = all[n++] = commit_message(101, "one@example.org", "content of the first message\r\n");
	struct commit *m2 = all[n++] = commit_message(102, "two@example.org", "the second");
	assert_int_equal(spool_write(&x->s, m1, m2, NULL, NULL), 0);
	struct commit *m3 = all[n++] = commit_in_file(103, "three@example.org", 1000000, 7);
	struct commit *o1 = all[n++] = commit_outcome(101, m1->place);
	assert_int_equal(spool_write(&x->s, m3, o1, NULL, NULL), 0);
	struct commit *bounce = all[n++] = commit_message(104, "", "a bounce");
	commit_group(bounce, commit_outcome(102, m2->place));
	struct commit *h3 = all[n++] = commit_reason(RECORD_HOLD, 103, "held by hand", m3->place);
	assert_int_equal(spool_write(&x->s, bounce, h3, NULL, NULL), 0);
	struct commit *r1 = all[n++] = commit_reason(RECORD_REMOVE, 101, "not wanted", o1->place);
	struct commit *v2 = all[n++] = commit_moved(102, "two@example.org", "the second", bounce->group->place);
	struct commit *l3 = all[n++] = commit_reason(RECORD_RELEASE, 103, "", h3->place);
	struct commit *d3 = all[n++] = commit_reason(RECORD_REDIRECT, 103, "[mx.example]:25", l3->place);
	assert_int_equal(spool_write(&x->s, r1, v2, l3, d3), 0);
	struct commit *m5 = all[n++] = commit_message(105, "five@example.org", "the fifth, not yet acknowledged");
	struct commit *g6 = all[n++] = commit_message(106, "", "another bounce");
	commit_group(g6, commit_outcome(104, bounce->place));
	struct commit *t3 = all[n++] = commit_reason(RECORD_RETURN, 103, "gone", d3->place);
	assert_int_equal(spool_write(&x->s, m5, g6, t3, NULL), 0);
	while (n)
		commit_drop(all[--n]);
	spool_kill(&x->s);
	list_rows(x);
	assert_int_equal(x->count, 1 /* opening */ + 3 + 3 + 4 + 5 + 5);
	char name[64];
	snprintf(name, sizeof(name), "journal/0000000001.seg");
	x->fd = open(spool_path(&x->s, name, x->path, sizeof(x->path)), O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(x->fd, x->bytes, SIZE, 0), SIZE);
}

static void sample_fini(struct sample *x)
{
	close(x->fd);
	spool_fini(&x->s);
}

/* What the index must hold when the rows that are lost, and their groups, do not count. */
static void expect(struct sample *x, struct model *m)
{
	for (size_t i = 0; i < x->count; i++) {
		size_t end = i;
		bool lost = x->rows[i].lost;
		for (; !(x->rows[end].head.flags & RECORD_GROUP_LAST); end++)
			lost = lost || x->rows[end + 1].lost;
		for (size_t k = i; k <= end; k++)
			x->rows[k].lost = lost;
		i = end;
	}
	model_init(m);
	for (size_t i = 0; i < x->count; i++) {
		const struct row *r = &x->rows[i];
		struct model_message *t = model_live(m, r->head.id);
		if (r->lost)
			continue;
		switch (r->head.type) {
		case RECORD_MESSAGE:
		case RECORD_MOVED:
			t = t ? t : &m->messages[m->count++];
			*t = (struct model_message){.id = r->head.id, .type = r->head.type, .content = r->at};
			t->in_file = r->head.flags & RECORD_IN_FILE;
			break;
		case RECORD_OUTCOME:
			if (t)
				t->outcomes++;
			break;
		case RECORD_HOLD:
		case RECORD_RELEASE:
			if (t)
				t->held = r->head.type == RECORD_HOLD;
			break;
		case RECORD_REMOVE:
			if (t)
				t->removed = true;
			break;
		case RECORD_REDIRECT:
			if (t)
				snprintf(t->redirect, sizeof(t->redirect), "[mx.example]:25");
			break;
		case RECORD_RETURN:
			if (t)
				snprintf(t->returned, sizeof(t->returned), "gone");
			break;
		case RECORD_VOID:
		case RECORD_COMMIT:
			break;
		}
		if (t && r->head.id)
			t->newest = r->at;
	}
}

static void compare(struct model *got, struct model *expected, const char *kind, size_t at)
{
	const char *why = NULL;
	if (got->count != expected->count)
		why = "count";
	for (size_t i = 0; i < expected->count && !why; i++) {
		struct model_message *e = &expected->messages[i], *g = model_find(got, e->id);
		if (!g)
			why = "a message is missing";
		else if (g->type != e->type || g->content.offset != e->content.offset)
			why = "another record";
		else if (!e->removed && g->newest.offset != e->newest.offset)
			why = "another newest record";
		else if (g->outcomes != e->outcomes || g->held != e->held || g->removed != e->removed ||
			 strcmp(g->redirect, e->redirect) != 0 || strcmp(g->returned, e->returned) != 0 ||
			 g->in_file != e->in_file)
			why = "another state";
		else if (g->sender[0] && !strchr(g->sender, '@'))
			why = "another sender";
	}
	if (why)
		fail_msg("%s at byte %zu: %s (%zu messages, expected %zu)", kind, at, why, got->count, expected->count);
}

static void put_back(struct sample *x)
{
	assert_int_equal(ftruncate(x->fd, SIZE), 0);
	assert_int_equal(pwrite(x->fd, x->bytes, SIZE, 0), SIZE);
	for (size_t i = 0; i < x->count; i++)
		x->rows[i].lost = false;
}

static struct row *row_at(struct sample *x, size_t byte)
{
	for (size_t i = 0; i < x->count; i++) {
		const struct record *h = &x->rows[i].head;
		if (byte >= x->rows[i].at.offset &&
			byte < (size_t)x->rows[i].at.offset + RECORD_HEADER + h->meta_len + h->body_len)
			return &x->rows[i];
	}
	return NULL; /* a segment's header, padding, nothing yet */
}

static void every_byte_flipped(void **state)
{
	struct sample *x = *state;
	struct model expected;
	for (size_t byte = 0; byte < SIZE; byte++) {
		/* far behind the end nothing stands: a few are enough there */
		if (byte > x->rows[x->count - 1].at.offset + 600ul && byte < SIZE - 100 && byte % 97)
			continue;
		struct row *r = row_at(x, byte);
		uint8_t flipped = (uint8_t)(x->bytes[byte] ^ (1u << byte % 8));
		assert_int_equal(pwrite(x->fd, &flipped, 1, (off_t)byte), 1);
		assert_int_equal(spool_recover(&x->s), 0);
		bool last = r && r->head.batch == x->last_batch, commit = r && r->head.type == RECORD_COMMIT;
		bool body = r && byte >= segment_body_at(r->at.offset, &r->head);
		if (r && !commit && (last || !body))
			r->lost = true;
		expect(x, &expected);
		compare(&x->s.model, &expected, "flipped", byte);
		if (!r) {
			assert_int_equal(x->s.model.damaged + x->s.found.torn, 0);
		} else if (last) {
			assert_int_equal(x->s.model.damaged, 0);
			assert_true(x->s.found.torn > 0);
		} else if (body) {
			assert_int_equal(x->s.model.damaged, 0);
			assert_null(spool_content(&x->s, r->at)); /* found out when it is used */
		} else {
			assert_true(x->s.model.damaged > 0);
			struct model_message *t = model_live(&x->s.model, r->head.id);
			if (commit)
				assert_true(x->s.model.damaged_unknown > 0);
			else if (t && r->head.type != RECORD_MESSAGE)
				assert_true(t->damaged || t->content.offset > r->at.offset);
		}
		assert_int_equal(pwrite(x->fd, x->bytes + byte, 1, (off_t)byte), 1);
		for (size_t i = 0; i < x->count; i++)
			x->rows[i].lost = false;
	}
}

/* Rows whose bytes do not all lie below `end`; bytes that are zeros anyway are not missed. */
static void lose_from(struct sample *x, size_t end, bool zeros)
{
	for (size_t i = 0; i < x->count; i++) {
		const struct record *h = &x->rows[i].head;
		size_t from = x->rows[i].at.offset, to = from + RECORD_HEADER + h->meta_len + h->body_len;
		while (zeros && to > end && to > from && x->bytes[to - 1] == 0)
			to--;
		x->rows[i].lost = to > end;
	}
}

/* As a crash leaves it: what was not synced is still zeros. Any beginning of the journal is a journal, without
 * damage. */
static void zeros_from_every_byte(void **state)
{
	struct sample *x = *state;
	static const uint8_t zeros[SIZE];
	struct model expected;
	size_t end = x->rows[x->count - 1].at.offset + 600ul;
	for (size_t byte = end; byte > SEGMENT_FIRST; byte--) {
		assert_int_equal(pwrite(x->fd, zeros, end - byte, (off_t)byte), end - byte);
		assert_int_equal(spool_recover(&x->s), 0);
		lose_from(x, byte, true);
		expect(x, &expected);
		compare(&x->s.model, &expected, "zeros", byte);
		assert_int_equal(x->s.model.damaged, 0);
	}
	put_back(x);
}

static void cut_at_every_byte(void **state)
{
	struct sample *x = *state;
	struct model expected;
	for (size_t byte = SIZE - 1; byte > RECORD_HEADER; byte--) {
		if (byte > x->rows[x->count - 1].at.offset + 600ul && byte % 97)
			continue;
		assert_int_equal(ftruncate(x->fd, (off_t)byte), 0);
		assert_int_equal(spool_recover(&x->s), 0);
		lose_from(x, byte / RECORD_ALIGN * RECORD_ALIGN, false);
		expect(x, &expected);
		compare(&x->s.model, &expected, "cut", byte);
		assert_true(x->s.model.damaged > 0); /* a segment is never cut by a crash */
	}
	assert_int_equal(ftruncate(x->fd, 10), 0); /* not even a header */
	assert_int_equal(spool_recover(&x->s), 0);
	assert_int_equal(x->s.model.count, 0);
	assert_true(x->s.model.damaged_unknown > 0);
	put_back(x);
}

/* Both copies of the segment's header: nothing can be believed, and that is said. */
static void both_headers_gone(void **state)
{
	struct sample *x = *state;
	assert_int_equal(pwrite(x->fd, "x", 1, 17), 1);
	assert_int_equal(pwrite(x->fd, "x", 1, SIZE - RECORD_HEADER + 17), 1);
	assert_int_equal(spool_recover(&x->s), 0);
	assert_int_equal(x->s.model.count, 0);
	assert_int_equal(x->s.model.damaged_unknown, 1);
	assert_false(x->s.found.in_file_complete);
	put_back(x);
}

/* Whoever writes mail cannot write records: a whole journal of another seed inside a message is only content. */
static void records_inside_content(void **state)
{
	struct sample *x = *state;
	struct spool s;
	spool_init(&s, 65536);
	assert_int_equal(spool_open(&s), 0);
	struct commit *m = commit_message(7, "a@example.org", "padding up to a bound, then somebody's journal");
	size_t at = record_span((uint32_t)m->meta_len, 0) - RECORD_HEADER - m->meta_len;
	char filler[RECORD_ALIGN] = {0};
	body_unref(m->content);
	m->content = body_new();
	assert_int_equal(body_append(m->content, filler, at), 0);
	assert_int_equal(body_append(m->content, x->bytes, SIZE), 0);
	assert_int_equal(spool_write(&s, m, NULL, NULL, NULL), 0);
	spool_kill(&s);
	char path[128];
	int fd = open(spool_path(&s, "journal/0000000001.seg", path, sizeof(path)), O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, m->place.offset), 1);
	assert_int_equal(spool_recover(&s), 0);
	assert_int_equal(s.model.count, 0);
	close(fd);
	commit_drop(m);
	spool_fini(&s);
}

static int setup(void **state)
{
	struct sample *x = calloc(1, sizeof(*x));
	sample_init(x);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	sample_fini(*state);
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_flipped),
		cmocka_unit_test(zeros_from_every_byte),
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(both_headers_gone),
		cmocka_unit_test(records_inside_content),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
