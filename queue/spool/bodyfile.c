/* queue/spool/bodyfile.c: plumbing.
 *
 * A writer is counted: one for its owner, one for each job or letter under way. Members marked "disk" belong to the
 * jobs of its chain, which run one after another; all others to home's thread. */
#include "queue/spool/bodyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "conf/counter.h"
#include "conf/log.h"

enum {
	PIECE = 65536,
	PIECES_IN_FLIGHT = 2,
	SPILL_FLOOR = 16384, /* a file costs two syncs: under this size memory is cheaper even when it is short */
	CHUNKS_PER_CALL = 16,
};

struct piece {
	struct job job;
	struct body_writer *w;
	struct body_chunk *chunks;
	int err;
	bool busy;
};

struct body_writer {
	struct body_files *files;
	uint64_t id;
	struct mailbox *home;
	void (*drained)(void *arg);
	void *drained_arg;
	void (*done)(void *arg, int err, struct body *body);
	void *done_arg;

	struct body *body;
	size_t pending; /* bytes in `body` that no job has */
	int err;
	bool spilled, blocked, finishing, aborted;
	struct letter answer; /* of content that stayed in memory */

	atomic_uint refs;
	struct job_chain chain;
	struct piece pieces[PIECES_IN_FLIGHT];
	struct piece last;

	XXH3_state_t *hash; /* disk */
	uint64_t offset;    /* disk */
	int disk_err;	    /* disk */
	int fd;		    /* disk; -1: not made */
};

static struct body_writer *writer_of(struct letter *letter)
{
	return LETTER_OF(letter, struct piece, job.letter)->w;
}

static void unref(struct body_writer *w)
{
	if (atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) != 1)
		return;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the last reference */
	body_unref(w->body);
	XXH3_freeState(w->hash);
	free(w);
}

struct body_writer *body_writer_open(
	struct body_files *files, uint64_t id, struct mailbox *home, void (*drained)(void *arg), void *arg)
{
	struct body_writer *w = calloc(1, sizeof *w);
	if (w == NULL)
		return NULL;
	w->body = body_new();
	if (w->body == NULL) {
		free(w);
		return NULL;
	}
	w->files = files;
	w->id = id;
	w->home = home;
	w->drained = drained;
	w->drained_arg = arg;
	w->fd = -1;
	atomic_init(&w->refs, 1);
	job_chain_init(&w->chain);
	for (unsigned i = 0; i < PIECES_IN_FLIGHT; i++)
		w->pieces[i].w = w;
	w->last.w = w;
	return w;
}

uint64_t body_writer_size(const struct body_writer *w)
{
	return w->body->size;
}

/* ---- on the workers ---- */

static void unlink_file(struct body_files *files, uint64_t id)
{
	int err = layout_body_unlink(files->layout, id);
	if (err < 0 && err != -ENOENT)
		LOG_WARN("body-unlink-failed", LF_ID("id", id), LF_STR("error", strerror(-err)));
}

static int write_chunks(struct body_writer *w, const struct body_chunk *c)
{
	const struct files *disk = w->files->layout->files;
	if (w->disk_err == 0 && w->fd < 0) {
		int fd = layout_body_open(w->files->layout, w->id, O_WRONLY | O_CREAT | O_EXCL);
		if (fd < 0)
			return fd;
		w->fd = fd;
	}
	while (c != NULL && w->disk_err == 0) {
		struct iovec vec[CHUNKS_PER_CALL];
		size_t count = 0;
		size_t bytes = 0;
		for (; c != NULL && count < CHUNKS_PER_CALL; c = c->next) {
			XXH3_64bits_update(w->hash, c->data, c->len);
			vec[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)c->data, .iov_len = c->len};
			bytes += c->len;
		}
		int err = files_write(disk, w->fd, vec, count, w->offset);
		if (err != 0)
			return err;
		w->offset += bytes;
		atomic_fetch_add_explicit(&w->files->written, bytes, memory_order_relaxed);
	}
	return w->disk_err;
}

static void run_write(struct job *job)
{
	struct piece *p = (struct piece *)(void *)job;
	p->w->disk_err = write_chunks(p->w, p->chunks);
	p->err = p->w->disk_err;
	body_chunks_free(p->chunks);
	p->chunks = NULL;
}

static void close_file(struct body_writer *w, bool keep)
{
	if (w->fd < 0)
		return;
	const struct files *disk = w->files->layout->files;
	disk->close(disk->arg, w->fd);
	w->fd = -1;
	if (!keep)
		unlink_file(w->files, w->id);
}

/* The one place that decides that a body file is on stable storage: bytes, then the file, then its directory. */
static void run_finish(struct job *job)
{
	struct piece *p = (struct piece *)(void *)job;
	struct body_writer *w = p->w;
	if (p->err != 0)
		w->disk_err = p->err;
	run_write(job);
	const struct layout *l = w->files->layout;
	if (p->err == 0)
		p->err = l->files->datasync(l->files->arg, w->fd);
	if (p->err == 0)
		p->err = layout_body_sync(l, w->id);
	close_file(w, p->err == 0);
}

static void run_discard(struct job *job)
{
	struct body_writer *w = ((struct piece *)(void *)job)->w;
	close_file(w, false);
	unlink_file(w->files, w->id);
}

static void ended(struct job *job)
{
	unref(((struct piece *)(void *)job)->w);
}

/* The owner went away while the last job was at work. */
static void ended_unwanted(struct job *job)
{
	run_discard(job);
	ended(job);
}

/* ---- at home ---- */

static void submit(struct body_writer *w, struct piece *p, void (*run)(struct job *), void (*done)(struct letter *))
{
	p->busy = true;
	p->job.run = run;
	p->job.home = done != NULL ? w->home : NULL;
	p->job.done = done;
	p->job.ended = ended;
	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
	workers_submit(w->files->workers, &w->chain, &p->job);
}

static void on_written(struct letter *letter);

/* Hands over what has gathered once it makes a piece. 0; 1 if it has to wait. */
static int push(struct body_writer *w)
{
	if (w->pending < PIECE)
		return 0;
	for (unsigned i = 0; i < PIECES_IN_FLIGHT; i++) {
		struct piece *p = &w->pieces[i];
		if (p->busy)
			continue;
		p->chunks = body_take_chunks(w->body);
		w->pending = 0;
		submit(w, p, run_write, on_written);
		return 0;
	}
	w->blocked = true;
	return 1;
}

static void on_written(struct letter *letter)
{
	struct body_writer *w = writer_of(letter);
	struct piece *p = LETTER_OF(letter, struct piece, job.letter);
	p->busy = false;
	if (w->err == 0)
		w->err = p->err;
	if (!w->aborted && !w->finishing && w->blocked && (w->err != 0 || push(w) == 0)) {
		w->blocked = false;
		w->drained(w->drained_arg);
	}
	unref(w);
}

static bool must_spill(const struct body_writer *w)
{
	uint64_t size = w->body->size;
	return size > w->files->inline_limit || (size > SPILL_FLOOR && body_memory_used() > w->files->body_memory);
}

int body_writer_append(struct body_writer *w, const void *p, size_t n)
{
	if (w->err != 0)
		return w->err;
	w->err = body_append(w->body, p, n);
	if (w->err != 0)
		return w->err;
	w->pending += n;
	if (!w->spilled) {
		if (!must_spill(w))
			return 0;
		w->hash = XXH3_createState();
		if (w->hash == NULL)
			return w->err = -ENOMEM;
		XXH3_64bits_reset(w->hash);
		w->spilled = true;
		COUNT(bodies_spilled);
	}
	return push(w);
}

static void answer(struct body_writer *w, int err, struct body *body)
{
	if (w->aborted)
		return;
	w->done(w->done_arg, err, body);
	unref(w);
}

static void on_kept(struct letter *letter)
{
	struct body_writer *w = LETTER_OF(letter, struct body_writer, answer);
	struct body *body = NULL;
	if (w->err == 0 && !w->aborted) {
		body = w->body;
		w->body = NULL;
	}
	answer(w, w->err, body);
	unref(w);
}

static void on_finished(struct letter *letter)
{
	struct body_writer *w = writer_of(letter);
	struct body *body = NULL;
	w->last.busy = false;
	if (w->aborted) {
		submit(w, &w->last, run_discard, NULL);
	} else if (w->last.err == 0) {
		body = w->body;
		body->file = w->id;
		body->checksum = XXH3_64bits_digest(w->hash);
		w->body = NULL;
	}
	answer(w, w->last.err, body);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the piece under way holds a reference of its own */
	unref(w);
}

void body_writer_finish(struct body_writer *w, void (*done)(void *arg, int err, struct body *body), void *arg)
{
	w->finishing = true;
	w->done = done;
	w->done_arg = arg;
	if (!w->spilled) {
		atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
		mailbox_post(w->home, &w->answer, on_kept);
		return;
	}
	w->last.err = w->err;
	w->last.chunks = body_take_chunks(w->body);
	submit(w, &w->last, run_finish, on_finished);
}

void body_writer_abort(struct body_writer *w)
{
	if (w == NULL)
		return;
	w->aborted = true;
	for (unsigned i = 0; i < PIECES_IN_FLIGHT; i++)
		if (w->pieces[i].busy)
			workers_disown(w->files->workers, &w->pieces[i].job, ended);
	if (w->last.busy)
		workers_disown(w->files->workers, &w->last.job, ended_unwanted);
	else if (w->spilled)
		submit(w, &w->last, run_discard, NULL);
	unref(w);
}
