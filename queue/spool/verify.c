/* queue/spool/verify.c: plumbing. */
#include "queue/spool/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>
#include <xxhash.h>

#include "conf/id.h"
#include "queue/spool/layout.h"
#include "queue/spool/recovery.h"
#include "queue/spool/segment.h"

enum { LINE = 320, PIECE = 65536 };

/* A message that has not ended; recipients that are still to be served decide that. */
struct message {
	uint64_t id;
	struct place content;
	bool in_file;
	unsigned count;
	uint16_t *queued; /* indices of those recipients */
	UT_hash_handle hh;
};

struct check {
	struct layout layout;
	struct store_check *out;
	struct message *messages;
	void (*say)(void *arg, const char *line);
	void *arg;
};

static void finding(struct check *c, uint64_t id, struct place at, const char *what)
{
	char line[LINE], text[ID_TEXT];
	snprintf(line, sizeof(line), "%s: segment %u, offset %u: %s", id ? id_format(id, text) : "-", at.segment,
		at.offset, what);
	c->say(c->arg, line);
}

static struct message *find(struct check *c, uint64_t id)
{
	struct message *m;
	HASH_FIND(hh, c->messages, &id, sizeof(id), m);
	return m;
}

static void drop(struct check *c, struct message *m)
{
	if (!m)
		return;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): HASH_DEL took the freed one out */
	HASH_DEL(c->messages, m);
	free(m->queued);
	free(m);
}

static int on_message(void *arg, enum record_type type, const struct envelope *e, struct place content,
	struct place newest, bool in_file)
{
	struct check *c = arg;
	(void)type;
	(void)newest;
	drop(c, find(c, e->id));
	struct message *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->id = e->id;
	m->content = content;
	m->in_file = in_file;
	m->queued = calloc(e->rcpt_count + 1, sizeof(*m->queued));
	if (!m->queued) {
		free(m);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < e->rcpt_count; i++)
		if (e->rcpts[i].status == RCPT_QUEUED)
			m->queued[m->count++] = e->rcpts[i].index;
	HASH_ADD(hh, c->messages, id, sizeof(m->id), m);
	c->out->messages++;
	return 0;
}

static int on_outcome(void *arg, uint64_t id, const struct attempt *a, struct place newest)
{
	struct message *m = find(arg, id);
	(void)newest;
	for (unsigned i = 0; m && i < a->rcpt_count; i++) {
		if (a->rcpts[i].status == RCPT_QUEUED)
			continue;
		for (unsigned k = 0; k < m->count; k++)
			if (m->queued[k] == a->rcpts[i].index)
				m->queued[k--] = m->queued[--m->count];
	}
	if (m && m->count == 0)
		drop(arg, m);
	return 0;
}

static int on_held(void *arg, uint64_t id, bool held, const char *reason, struct place newest)
{
	(void)arg;
	(void)id;
	(void)held;
	(void)reason;
	(void)newest;
	return 0;
}

static int on_redirected(void *arg, uint64_t id, const char *relay, struct place newest)
{
	(void)arg;
	(void)id;
	(void)relay;
	(void)newest;
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
	drop(arg, find(arg, id));
	return 0;
}

static void on_damaged(void *arg, uint64_t id, struct place where, const char *what)
{
	struct check *c = arg;
	c->out->damaged++;
	finding(c, id, where, what);
}

static void on_torn(void *arg, const char *line)
{
	struct check *c = arg;
	c->say(c->arg, line);
}

/* A body file against the size and checksum that its record names. */
static int check_file(struct check *c, uint64_t file, const struct record_reference *ref)
{
	int fd = layout_body_open(&c->layout, file, O_RDONLY);
	if (fd < 0)
		return fd;
	XXH3_state_t *sum = XXH3_createState();
	uint8_t *piece = malloc(PIECE);
	uint64_t at = 0;
	ssize_t got = -ENOMEM;
	if (sum && piece) {
		XXH3_64bits_reset_withSeed(sum, 0);
		while ((got = files_read(c->layout.files, fd, piece, PIECE, at)) > 0) {
			XXH3_64bits_update(sum, piece, (size_t)got);
			at += (uint64_t)got;
		}
	}
	int err = (int)got;
	if (got == 0 && (at != ref->size || XXH3_64bits_digest(sum) != ref->checksum))
		err = -EBADMSG;
	free(piece);
	XXH3_freeState(sum);
	c->layout.files->close(c->layout.files->arg, fd);
	return err;
}

/* The content of a message that lives: inline by its record's checksum, else its file. */
static int check_content(struct check *c, const struct message *m)
{
	struct segment s;
	struct record head;
	struct record_reference ref;
	uint8_t bytes[RECORD_REFERENCE];
	int err = segment_open(&s, c->layout.files, c->layout.journal, m->content.segment, false);
	if (err)
		return err;
	err = segment_read(&s, m->content.offset, &head, NULL);
	if (err == 0 && head.id != m->id)
		err = -EBADMSG;
	if (err == 0)
		err = segment_check_body(&s, m->content.offset, &head);
	if (err == 0 && m->in_file) {
		ssize_t got = files_read(
			c->layout.files, s.fd, bytes, sizeof(bytes), segment_body_at(m->content.offset, &head));
		err = got < 0 ? (int)got : record_reference_decode(&ref, bytes, (size_t)got);
		if (err == 0)
			err = check_file(c, ref.file, &ref);
	}
	segment_close(&s);
	return err;
}

static int check_contents(struct check *c)
{
	struct message *m, *next;
	HASH_ITER (hh, c->messages, m, next) {
		int err = check_content(c, m);
		if (err == -ENOMEM)
			return err;
		c->out->live++;
		if (err == 0)
			continue;
		c->out->damaged++;
		finding(c, m->id, m->content,
			err == -ENOENT	  ? "its content is missing"
			: err == -EBADMSG ? "its content is broken"
					  : strerror(-err));
	}
	return 0;
}

static int on_file(void *arg, uint64_t id, const char *name)
{
	struct check *c = arg;
	struct message *m = id ? find(c, id) : NULL;
	char line[LINE];
	if (m && m->in_file)
		return 0;
	c->out->orphans++;
	snprintf(line, sizeof(line), "body/%.200s: no message has this content", name);
	c->say(c->arg, line);
	return 0;
}

int store_verify(const char *dir, bool read_only, struct store_check *out, void (*say)(void *arg, const char *line),
	void *arg, struct buf *errors)
{
	struct store_check found = {0};
	struct check c = {.out = &found, .say = say, .arg = arg};
	struct store_replay replay = {
		&c, on_message, on_outcome, on_held, on_redirected, on_returned, on_removed, on_damaged};
	struct recovery *r;
	int err = layout_open_read(&c.layout, &files_system, dir, !read_only, errors);
	if (err)
		return err;
	struct recovery_setup setup = {.files = &files_system,
		.spool = c.layout.spool,
		.journal = c.layout.journal,
		.everything = true,
		.say = on_torn,
		.arg = &c};
	err = recovery_run(&r, &setup, &replay, errors);
	if (err == 0) {
		err = recovery_settle(r, NULL);
		found.segments = recovery_found(r)->segments;
		found.records = recovery_found(r)->records;
		found.torn = recovery_found(r)->torn;
		recovery_free(r, NULL);
	}
	if (err == 0)
		err = check_contents(&c);
	if (err == 0)
		err = layout_body_walk(&c.layout, &c, on_file);
	struct message *m, *next;
	HASH_ITER (hh, c.messages, m, next)
		drop(&c, m);
	layout_close(&c.layout);
	if (err == 0)
		*out = found;
	else
		buf_printf(errors, "spool %s: cannot be read: %s\n", dir, strerror(-err));
	return err;
}
