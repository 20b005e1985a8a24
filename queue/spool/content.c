/* queue/spool/content.c: plumbing.
 *
 * Two pieces take turns; each is read by a job of the reader's chain, so bytes and checksum come in order. Members
 * marked "disk" belong to those jobs, all others to home's thread. The reader is counted: one for its owner, one for
 * each job. */
#include "queue/spool/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "conf/counter.h"
#include "queue/spool/record.h"
#include "queue/spool/segment.h"

enum { PIECES = 2, REMAINS_PAGE = 4096 };

struct piece {
	struct job job;
	struct content_reader *r;
	uint8_t *data;
	size_t n;
	int status; /* as content_reader_piece() says it, once not busy */
	bool last;  /* nothing comes behind it */
	bool busy;
};

struct content_reader {
	struct workers *workers;
	const struct layout *layout;
	struct place place;
	struct mailbox *home;
	void (*ready)(void *arg);
	void *arg;
	struct piece pieces[PIECES];
	unsigned at;
	bool all_read, closed;

	atomic_uint refs;
	struct job_chain chain;
	struct job close;

	/* disk */
	bool opened;
	int err;
	struct segment segment;
	int body_file; /* -1: none */
	int fd;	       /* one of the two above */
	uint64_t base, size, offset, checksum;
	XXH3_state_t *hash;
};

static void unref(struct content_reader *r)
{
	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < PIECES; i++)
		free(r->pieces[i].data);
	XXH3_freeState(r->hash);
	free(r);
}

/* ---- on the workers ---- */

/* The record of a content. */
static int open_record(struct segment *s, const struct layout *layout, struct place at, struct record *head)
{
	int err = segment_open(s, layout->files, layout->journal, at.segment, false);
	if (err != 0)
		return err == -ENOENT ? -EBADMSG : err;
	err = segment_read(s, at.offset, head, NULL);
	if (err == 0 && head->type != RECORD_MESSAGE && head->type != RECORD_MOVED)
		err = -EBADMSG;
	return err;
}

static int read_reference(
	const struct segment *s, uint32_t offset, const struct record *head, struct record_reference *ref)
{
	uint8_t bytes[RECORD_REFERENCE];
	if (head->body_len != sizeof bytes)
		return -EBADMSG;
	ssize_t n = files_read(s->files, s->fd, bytes, sizeof bytes, segment_body_at(offset, head));
	if (n < 0)
		return (int)n;
	if (n != sizeof bytes || record_sum(record_seed(s->seed, offset), bytes, sizeof bytes) != head->body_sum)
		return -EBADMSG;
	return record_reference_decode(ref, bytes, sizeof bytes);
}

/* The body file that the record speaks of. */
static int open_file(struct content_reader *r, const struct record *head)
{
	struct record_reference ref;
	int err = read_reference(&r->segment, r->place.offset, head, &ref);
	if (err != 0)
		return err;
	r->body_file = layout_body_open(r->layout, ref.file, O_RDONLY);
	if (r->body_file < 0)
		return r->body_file == -ENOENT ? -EBADMSG : r->body_file;
	int64_t size = files_size(r->body_file);
	if (size < 0)
		return (int)size;
	if ((uint64_t)size != ref.size)
		return -EBADMSG;
	r->fd = r->body_file;
	r->size = ref.size;
	r->checksum = ref.checksum;
	XXH3_64bits_reset(r->hash);
	return 0;
}

static int open_content(struct content_reader *r)
{
	struct record head;
	r->hash = XXH3_createState();
	if (r->hash == NULL)
		return -ENOMEM;
	int err = open_record(&r->segment, r->layout, r->place, &head);
	if (err != 0)
		return err;
	if (head.flags & RECORD_IN_FILE)
		return open_file(r, &head);
	if (head.body_len > CONTENT_PIECE) {
		err = segment_check_body(&r->segment, r->place.offset, &head);
		if (err != 0)
			return err;
	}
	r->fd = r->segment.fd;
	r->base = segment_body_at(r->place.offset, &head);
	r->size = head.body_len;
	r->checksum = head.body_sum;
	XXH3_64bits_reset_withSeed(r->hash, record_seed(r->segment.seed, r->place.offset));
	return 0;
}

/* 1, 2 or negative. */
static int read_piece(struct content_reader *r, struct piece *p)
{
	p->n = 0;
	if (!r->opened) {
		r->opened = true;
		r->err = open_content(r);
	}
	if (r->err != 0)
		return r->err;
	uint64_t left = r->size - r->offset;
	size_t want = left < CONTENT_PIECE ? (size_t)left : CONTENT_PIECE;
	if (want > 0) {
		if (p->data == NULL)
			p->data = malloc(want); /* the first piece that a slot holds is its longest */
		if (p->data == NULL)
			return -ENOMEM;
		ssize_t n = files_read(r->layout->files, r->fd, p->data, want, r->base + r->offset);
		if (n < 0)
			return (int)n;
		if ((size_t)n != want)
			return -EBADMSG;
		XXH3_64bits_update(r->hash, p->data, want);
		r->offset += want;
		p->n = want;
	}
	if (r->offset == r->size && XXH3_64bits_digest(r->hash) != r->checksum)
		return -EBADMSG;
	return want > 0 ? 1 : 2;
}

static void run_read(struct job *job)
{
	struct piece *p = (struct piece *)(void *)job;
	struct content_reader *r = p->r;
	p->status = read_piece(r, p);
	if (p->status < 0)
		r->err = p->status;
	p->last = p->status != 1 || r->offset == r->size;
}

static void run_close(struct job *job)
{
	struct content_reader *r =
		(struct content_reader *)(void *)((char *)job - offsetof(struct content_reader, close));
	const struct files *disk = r->layout->files;
	if (r->body_file >= 0)
		disk->close(disk->arg, r->body_file);
	segment_close(&r->segment);
}

static void ended_read(struct job *job)
{
	unref(((struct piece *)(void *)job)->r);
}

static void ended_close(struct job *job)
{
	unref((struct content_reader *)(void *)((char *)job - offsetof(struct content_reader, close)));
}

/* ---- at home ---- */

static void on_read(struct letter *letter)
{
	struct piece *p = LETTER_OF(letter, struct piece, job.letter);
	struct content_reader *r = p->r;
	p->busy = false;
	r->all_read |= p->last;
	if (!r->closed)
		r->ready(r->arg);
	unref(r);
}

static void submit(struct content_reader *r, struct piece *p)
{
	p->busy = true;
	p->job.run = run_read;
	p->job.home = r->home;
	p->job.done = on_read;
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	workers_submit(r->workers, &r->chain, &p->job);
}

struct content_reader *content_reader_start(struct workers *workers, const struct layout *layout, struct place content,
	struct mailbox *home, void (*ready)(void *arg), void *arg)
{
	struct content_reader *r = calloc(1, sizeof *r);
	if (r == NULL)
		return NULL;
	r->workers = workers;
	r->layout = layout;
	r->place = content;
	r->home = home;
	r->ready = ready;
	r->arg = arg;
	r->segment.fd = r->body_file = r->fd = -1;
	r->segment.files = layout->files;
	atomic_init(&r->refs, 1);
	job_chain_init(&r->chain);
	COUNT(bodies_read);
	for (unsigned i = 0; i < PIECES; i++) {
		r->pieces[i].r = r;
		submit(r, &r->pieces[i]);
	}
	return r;
}

int content_reader_piece(struct content_reader *r, const uint8_t **p, size_t *n)
{
	const struct piece *piece = &r->pieces[r->at];
	if (piece->busy)
		return 0;
	if (piece->status == 1) {
		*p = piece->data;
		*n = piece->n;
	}
	return piece->status;
}

void content_reader_next(struct content_reader *r)
{
	struct piece *p = &r->pieces[r->at];
	if (r->all_read)
		p->status = 2; /* behind the other one, or behind itself, there is nothing */
	else
		submit(r, p);
	r->at = (r->at + 1) % PIECES;
}

void content_reader_close(struct content_reader *r)
{
	if (r == NULL)
		return;
	r->closed = true;
	for (unsigned i = 0; i < PIECES; i++)
		if (r->pieces[i].busy)
			workers_disown(r->workers, &r->pieces[i].job, ended_read);
	r->close.run = run_close;
	r->close.ended = ended_close;
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	workers_submit(r->workers, &r->chain, &r->close);
	unref(r);
}

/* ---- as a body ---- */

static int read_inline(const struct segment *s, uint32_t offset, const struct record *head, struct body *body)
{
	XXH3_state_t *hash = XXH3_createState();
	uint8_t *part = malloc(CONTENT_PIECE);
	int err = hash != NULL && part != NULL ? 0 : -ENOMEM;
	uint64_t at = segment_body_at(offset, head);
	if (err == 0)
		XXH3_64bits_reset_withSeed(hash, record_seed(s->seed, offset));
	for (uint32_t left = head->body_len; err == 0 && left > 0;) {
		uint32_t want = left < CONTENT_PIECE ? left : CONTENT_PIECE;
		ssize_t n = files_read(s->files, s->fd, part, want, at);
		if (n != (ssize_t)want) {
			err = n < 0 ? (int)n : -EBADMSG;
			break;
		}
		XXH3_64bits_update(hash, part, want);
		err = body_append(body, part, want);
		at += want;
		left -= want;
	}
	if (err == 0 && XXH3_64bits_digest(hash) != head->body_sum)
		err = -EBADMSG;
	free(part);
	XXH3_freeState(hash);
	return err;
}

static int read_body(
	const struct content_body *c, const struct segment *s, const struct record *head, struct body *body)
{
	struct record_reference ref;
	if (!(head->flags & RECORD_IN_FILE))
		return read_inline(s, c->content.offset, head, body);
	int err = read_reference(s, c->content.offset, head, &ref);
	if (err == 0) {
		body->file = ref.file;
		body->size = ref.size;
		body->checksum = ref.checksum;
	}
	return err;
}

/* What is left of a content that is damaged. */
static int read_remains(
	const struct content_body *c, const struct segment *s, const struct record *head, struct body *body)
{
	if (c->file != 0) {
		body->file = c->file;
		body->size = c->file_size;
		return 0;
	}
	uint8_t *page = head != NULL ? malloc(REMAINS_PAGE) : NULL;
	if (head != NULL && page == NULL)
		return -ENOMEM;
	int err = 0;
	uint64_t at = head != NULL ? segment_body_at(c->content.offset, head) : 0;
	for (uint32_t left = head != NULL ? head->body_len : 0; err == 0 && left > 0;) {
		uint32_t want = left < REMAINS_PAGE ? left : REMAINS_PAGE;
		memset(page, 0, want);
		(void)files_read(s->files, s->fd, page, want, at);
		err = body_append(body, page, want);
		at += want;
		left -= want;
	}
	free(page);
	return err;
}

static void run_body(struct job *job)
{
	struct content_body *c = (struct content_body *)(void *)((char *)job - offsetof(struct content_body, job));
	struct segment s = {.files = c->layout->files, .fd = -1};
	struct record head;
	struct body *body = body_new();
	int err = body != NULL ? open_record(&s, c->layout, c->content, &head) : -ENOMEM;
	if (body != NULL && c->remains)
		err = read_remains(c, &s, err == 0 ? &head : NULL, body);
	else if (err == 0)
		err = read_body(c, &s, &head, body);
	segment_close(&s);
	if (err != 0)
		body_unref(body);
	c->body = err == 0 ? body : NULL;
	c->status = err;
}

static void on_body(struct letter *letter)
{
	struct content_body *c = LETTER_OF(letter, struct content_body, job.letter);
	c->done(c);
}

void content_body_read(struct workers *workers, const struct layout *layout, struct content_body *c)
{
	c->layout = layout;
	c->job.run = run_body;
	c->job.home = c->home;
	c->job.done = on_body;
	workers_submit(workers, NULL, &c->job);
}
