/* tests/unit/storebench.c: plumbing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/spool/segment.h"
#include "tests/unit/storebench.h"

unsigned note_letters;

/* ---- the index ---- */

struct bench_message *bench_find(struct bench *b, uint64_t id)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->live[i].id == id)
			return &b->live[i];
	return NULL;
}

static int on_message(void *arg, enum record_type type, const struct envelope *e, struct place content,
	struct place newest, bool in_file)
{
	struct bench *b = arg;
	(void)type;
	struct bench_message *m = bench_find(b, e->id);
	char sender[64];
	snprintf(sender, sizeof sender, "%llx@example.org", (unsigned long long)e->id);
	assert_string_equal(e->sender, sender);
	if (m == NULL) {
		assert_true(b->count < BENCH_MESSAGES);
		m = &b->live[b->count++];
		*m = (struct bench_message){.id = e->id};
	}
	m->size = e->size;
	m->content = content;
	m->newest = newest;
	m->in_file = in_file;
	return 0;
}

static int on_outcome(void *arg, uint64_t id, const struct attempt *a, struct place newest)
{
	struct bench *b = arg;
	struct bench_message *m = bench_find(b, id);
	assert_string_equal(a->site, "site.example");
	if (m != NULL) {
		m->outcomes++;
		m->newest = newest;
	}
	return 0;
}

static int on_held(void *arg, uint64_t id, bool held, const char *reason, struct place newest)
{
	struct bench *b = arg;
	struct bench_message *m = bench_find(b, id);
	assert_string_equal(reason, held ? "why" : "");
	if (m != NULL) {
		m->held = held;
		m->newest = newest;
	}
	return 0;
}

static int on_redirected(void *arg, uint64_t id, const char *relay, struct place newest)
{
	struct bench_message *m = bench_find(arg, id);
	assert_string_equal(relay, "[mx.example]:25");
	if (m != NULL)
		m->newest = newest;
	return 0;
}

static int on_returned(void *arg, uint64_t id, const char *reason, struct place newest)
{
	(void)arg;
	(void)id;
	(void)reason;
	(void)newest;
	return 0;
}

static int on_removed(void *arg, uint64_t id)
{
	struct bench *b = arg;
	struct bench_message *m = bench_find(b, id);
	b->removed++;
	if (m != NULL)
		*m = b->live[--b->count];
	return 0;
}

static void on_damaged(void *arg, uint64_t id, struct place where, const char *what)
{
	struct bench *b = arg;
	(void)id, (void)where, (void)what;
	b->damaged++;
}

/* ---- the store ---- */

int bench_open(struct bench *b)
{
	const struct store_replay replay = {.arg = b,
		.message = on_message,
		.outcome = on_outcome,
		.held = on_held,
		.redirected = on_redirected,
		.returned = on_returned,
		.removed = on_removed,
		.damaged = on_damaged};
	struct buf errors;
	b->count = 0;
	b->damaged = b->removed = 0;
	buf_init(&errors, 4096);
	int err = store_open_on(&b->store, b->conf, &faulty_files, &replay, &errors);
	assert_int_equal(err != 0, errors.len > 0);
	buf_fini(&errors);
	if (err != 0)
		b->store = NULL;
	return err;
}

void bench_make(struct bench *b, const char *settings)
{
	char text[1024];
	struct buf errors;
	memset(b, 0, sizeof *b);
	b->next_id = 1000;
	spooldir_make(&b->spool);
	post_init(&b->home);
	snprintf(text, sizeof text,
		"hostname = relay.example.net\nspool = %s/spool\ndisk_workers = 4\n"
		"storage {\nsegment_size = 1M\n%s\n}\n",
		b->spool.path, settings);
	buf_init(&errors, 4096);
	int err = conf_parse(&b->conf, "test", text, strlen(text), &errors);
	if (err != 0)
		fail_msg("%s", (const char *)errors.data);
	buf_fini(&errors);
	assert_int_equal(bench_open(b), 0);
	/* the folder that the file helpers look into is the spool itself */
	snprintf(text, sizeof text, "%s/spool", b->spool.path);
	memcpy(b->spool.path, text, sizeof b->spool.path);
}

void bench_close(struct bench *b)
{
	store_close(b->store);
	b->store = NULL;
	while (post_poll(&b->home))
		;
}

void bench_remove(struct bench *b)
{
	faults_clear();
	bench_close(b);
	conf_unref(b->conf);
	*strrchr(b->spool.path, '/') = 0;
	spooldir_remove(&b->spool);
	post_fini(&b->home);
}

/* ---- commits ---- */

static void on_first(struct letter *l)
{
	LETTER_OF(l, struct note, c.first)->first = ++note_letters;
}

static void on_second(struct letter *l)
{
	LETTER_OF(l, struct note, c.second)->second = ++note_letters;
}

static void begin(struct note *n, struct bench *b, enum record_type type, uint64_t id)
{
	memset(n, 0, sizeof *n);
	n->bench = b;
	n->c.type = type;
	n->c.id = id;
	n->c.first_to = n->c.second_to = &b->home.box;
	n->c.first_done = on_first;
	n->c.second_done = on_second;
	n->c.status = 1;
	const struct bench_message *m = bench_find(b, id);
	if (m != NULL)
		n->c.previous = m->newest;
	buf_init(&n->meta, 1 << 20);
}

static void set_meta(struct note *n)
{
	n->c.meta = n->meta.data;
	n->c.meta_len = n->meta.len;
}

uint8_t bench_pattern(uint64_t at)
{
	return (uint8_t)(at * 2654435761u >> 13);
}

static void on_drained(void *arg)
{
	((struct bench *)arg)->ready++;
}

static void on_body(void *arg, int err, struct body *body)
{
	struct bench *b = arg;
	b->done++;
	b->err = err;
	b->body = body;
}

static struct body *write_body(struct bench *b, uint64_t id, uint64_t size)
{
	struct body_writer *w = body_writer_new(b->store, id, &b->home.box, on_drained, b);
	uint8_t part[8192];
	assert_non_null(w);
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < sizeof part ? (size_t)(size - at) : sizeof part;
		for (size_t i = 0; i < n; i++)
			part[i] = bench_pattern(at + i);
		b->ready = 0;
		int err = body_writer_append(w, part, n);
		assert_true(err >= 0);
		at += n;
		while (err == 1 && b->ready == 0)
			post_wait(&b->home);
	}
	b->done = 0;
	body_writer_finish(w, on_body, b);
	while (b->done == 0)
		post_wait(&b->home);
	assert_int_equal(b->err, 0);
	return b->body;
}

static void make_envelope(struct envelope *e, struct envelope_rcpt *rcpt, char sender[64], uint64_t id, uint64_t size)
{
	snprintf(sender, 64, "%llx@example.org", (unsigned long long)id);
	*rcpt = (struct envelope_rcpt){.address = "someone@example.net"};
	*e = (struct envelope){.id = id,
		.arrival_ms = 1764000000000,
		.size = size,
		.sender = sender,
		.client = "192.0.2.1",
		.helo = "client.example",
		.reason = "",
		.rcpts = rcpt,
		.rcpt_count = 1};
}

void note_message(struct note *n, struct bench *b, uint64_t id, uint64_t size)
{
	struct envelope e;
	struct envelope_rcpt rcpt;
	char sender[64];
	begin(n, b, RECORD_MESSAGE, id);
	make_envelope(&e, &rcpt, sender, id, size);
	assert_int_equal(envelope_encode(&e, &n->meta), 0);
	set_meta(n);
	n->size = size;
	n->c.content = write_body(b, id, size);
}

void note_outcome(struct note *n, struct bench *b, uint64_t id, uint64_t when_ms)
{
	begin(n, b, RECORD_OUTCOME, id);
	struct attempt *a = attempt_new(when_ms, "site.example");
	assert_non_null(a);
	assert_int_equal(attempt_encode(a, &n->meta), 0);
	attempt_free(a);
	set_meta(n);
}

void note_text(struct note *n, struct bench *b, enum record_type type, uint64_t id, const char *text)
{
	begin(n, b, type, id);
	assert_int_equal(buf_append_str(&n->meta, text), 0);
	set_meta(n);
}

void note_moved(struct note *n, struct bench *b, const struct bench_message *m, struct body *body)
{
	struct envelope e;
	struct envelope_rcpt rcpt;
	char sender[64];
	begin(n, b, RECORD_MOVED, m->id);
	make_envelope(&e, &rcpt, sender, m->id, m->size);
	assert_int_equal(store_encode_moved(&e, NULL, 0, &n->meta), 0);
	set_meta(n);
	n->size = m->size;
	n->c.content = body;
}

void note_post(struct note *n)
{
	store_commit(n->bench->store, &n->c);
}

int note_wait(struct note *n)
{
	while (n->second == 0)
		post_wait(&n->bench->home);
	return n->c.status;
}

static void keep_index(struct note *n)
{
	struct bench *b = n->bench;
	struct bench_message *m = bench_find(b, n->c.id);
	if (n->c.type == RECORD_REMOVE) {
		if (m != NULL)
			*m = b->live[--b->count];
		return;
	}
	if (m == NULL && n->c.type != RECORD_MESSAGE)
		return;
	if (m == NULL) {
		assert_true(b->count < BENCH_MESSAGES);
		m = &b->live[b->count++];
		*m = (struct bench_message){.id = n->c.id};
	}
	m->newest = n->c.place;
	if (n->c.type == RECORD_MESSAGE || n->c.type == RECORD_MOVED) {
		m->content = n->c.place;
		m->in_file = n->c.content->file != 0;
		m->size = n->size;
	}
	m->outcomes += n->c.type == RECORD_OUTCOME;
}

int note_commit(struct note *n)
{
	note_post(n);
	int status = note_wait(n);
	if (status == 0)
		keep_index(n);
	return status;
}

void note_fini(struct note *n)
{
	body_unref(n->c.content);
	buf_fini(&n->meta);
}

/* ---- reading ---- */

static void on_ready(void *arg)
{
	((struct bench *)arg)->ready++;
}

int64_t bench_read(struct bench *b, struct place content)
{
	struct content_reader *r = content_reader_open(b->store, content, &b->home.box, on_ready, b);
	assert_non_null(r);
	int64_t size = 0;
	for (;;) {
		const uint8_t *p;
		size_t n;
		int status = content_reader_piece(r, &p, &n);
		if (status == 0) {
			post_wait(&b->home);
			continue;
		}
		if (status != 1) {
			content_reader_close(r);
			return status < 0 ? status : size;
		}
		for (size_t i = 0; i < n; i++)
			if (p[i] != bench_pattern((uint64_t)size + i))
				fail_msg("byte %zu differs", (size_t)size + i);
		size += (int64_t)n;
		content_reader_next(r);
	}
}

static void on_copied(struct content_body *c)
{
	((struct bench *)c->arg)->ready++;
}

struct body *bench_copy(struct bench *b, struct place content)
{
	struct content_body c = {.home = &b->home.box, .done = on_copied, .arg = b, .content = content};
	b->ready = 0;
	store_read_body(b->store, &c);
	while (b->ready == 0)
		post_wait(&b->home);
	b->err = c.status;
	return c.body;
}

static void on_begun(void *arg)
{
	((struct bench *)arg)->begun++;
}

static void on_checkpoint(void *arg, int err)
{
	struct bench *b = arg;
	b->checkpointed++;
	b->checkpoint_err = err;
}

int bench_checkpoint(struct bench *b)
{
	b->begun = b->checkpointed = 0;
	assert_int_equal(store_checkpoint_begin(b->store, &b->home.box, on_begun, b), 0);
	assert_int_equal(store_checkpoint_begin(b->store, &b->home.box, on_begun, b), -EBUSY);
	while (b->begun == 0)
		post_wait(&b->home);
	for (size_t i = 0; i < b->count; i++) {
		const struct bench_message *m = &b->live[i];
		struct envelope e;
		struct envelope_rcpt rcpt;
		char sender[64];
		make_envelope(&e, &rcpt, sender, m->id, m->size);
		b->begun = 0;
		int err;
		while ((err = store_checkpoint_add(b->store, &e, m->content, m->newest, m->in_file)) == 1)
			while (b->begun == 0)
				post_wait(&b->home);
		assert_int_equal(err, 0);
	}
	store_checkpoint_end(b->store, true, on_checkpoint, b);
	while (b->checkpointed == 0)
		post_wait(&b->home);
	return b->checkpoint_err;
}

unsigned bench_segments(const struct bench *b, unsigned *lowest, unsigned *highest)
{
	char path[128];
	unsigned count = 0;
	snprintf(path, sizeof path, "%s/journal", b->spool.path);
	DIR *d = opendir(path);
	assert_non_null(d);
	*lowest = UINT32_MAX;
	*highest = 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		unsigned number = segment_name_parse(e->d_name);
		if (number == 0)
			continue;
		count++;
		*lowest = number < *lowest ? number : *lowest;
		*highest = number > *highest ? number : *highest;
	}
	closedir(d);
	return count;
}
