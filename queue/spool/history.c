/* queue/spool/history.c: plumbing. */
#include "queue/spool/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/spool/record.h"
#include "queue/spool/segment.h"

/* More records than this a message cannot have in its life at the shortest retry; a longer row is damage. */
enum { STEPS_MAX = 100000 };

struct walk {
	struct job job;
	const struct layout *layout;
	struct store_history *h;
	struct segment segment;
	struct attempt *kept[ATTEMPTS_KEPT]; /* newest first */
	unsigned count;
	struct buf meta;
};

static int keep(struct walk *w, const void *p, size_t n)
{
	if (w->count == ATTEMPTS_KEPT)
		return 0;
	struct attempt *a;
	int err = attempt_decode(&a, p, n);
	if (err == 0)
		w->kept[w->count++] = a;
	return err;
}

/* The attempts folded into a MOVED record stand oldest first. */
static int keep_moved(struct walk *w, struct record_moved *m)
{
	const uint8_t *at[256];
	size_t len[256];
	unsigned count = 0;
	while (count < 256 && (at[count] = record_moved_next(m, &len[count])) != NULL)
		count++;
	int err = 0;
	while (count-- > 0 && err == 0)
		err = keep(w, at[count], len[count]);
	return err;
}

/* Takes what the record says. 0: go on to the one before it; 1: the message begins here; negative: it cannot be
 * believed. */
static int take(struct walk *w, const struct record *head)
{
	if (head->type == RECORD_OUTCOME)
		return keep(w, w->meta.data, w->meta.len);
	if (head->type == RECORD_MESSAGE) {
		int err = envelope_decode(&w->h->envelope, w->meta.data, w->meta.len);
		return err != 0 ? err : 1;
	}
	if (head->type != RECORD_MOVED)
		return 0;
	struct record_moved m;
	int err = record_moved_decode(&m, w->meta.data, w->meta.len);
	if (err == 0)
		err = envelope_decode(&w->h->envelope, m.envelope, m.envelope_len);
	if (err == 0)
		err = keep_moved(w, &m);
	return err != 0 ? err : 1;
}

static bool is_before(struct place a, struct place b)
{
	return a.segment < b.segment || (a.segment == b.segment && a.offset < b.offset);
}

static int read_at(struct walk *w, struct place at, struct record *head)
{
	if (w->segment.fd < 0 || w->segment.number != at.segment) {
		segment_close(&w->segment);
		int err = segment_open(&w->segment, w->layout->files, w->layout->journal, at.segment, false);
		if (err != 0) {
			w->segment.fd = -1;
			return err;
		}
	}
	buf_reset(&w->meta);
	return segment_read(&w->segment, at.offset, head, &w->meta);
}

static int walk_back(struct walk *w)
{
	struct place at = w->h->newest;
	uint64_t id = 0;
	for (unsigned step = 0; step < STEPS_MAX; step++) {
		struct record head;
		int err = read_at(w, at, &head);
		if (err != 0)
			return err;
		if (step == 0)
			id = head.id;
		else if (head.id != id)
			return -EBADMSG;
		err = take(w, &head);
		if (err != 0)
			return err < 0 ? err : 0;
		if (head.previous.segment == 0 || !is_before(head.previous, at))
			return -EBADMSG;
		at = head.previous;
	}
	return -EBADMSG;
}

static void run_walk(struct job *job)
{
	struct walk *w = (struct walk *)(void *)job;
	struct store_history *h = w->h;
	h->status = walk_back(w);
	segment_close(&w->segment);
	buf_fini(&w->meta);
	if (w->count > 0) {
		h->attempts = reallocarray(NULL, w->count, sizeof(struct attempt *));
		if (h->attempts == NULL)
			h->status = -ENOMEM;
	}
	for (unsigned i = 0; i < w->count; i++) {
		if (h->attempts != NULL)
			h->attempts[i] = w->kept[w->count - 1 - i];
		else
			attempt_free(w->kept[i]);
	}
	h->attempt_count = h->attempts != NULL ? w->count : 0;
}

static void on_walked(struct letter *letter)
{
	struct walk *w = LETTER_OF(letter, struct walk, job.letter);
	struct store_history *h = w->h;
	free(w);
	h->done(h);
}

static void on_no_memory(struct letter *letter)
{
	struct store_history *h = LETTER_OF(letter, struct store_history, letter);
	h->done(h);
}

void history_read(struct workers *workers, const struct layout *layout, struct store_history *h)
{
	struct walk *w = calloc(1, sizeof *w);
	if (w == NULL) {
		h->status = -ENOMEM;
		mailbox_post(h->home, &h->letter, on_no_memory);
		return;
	}
	w->layout = layout;
	w->h = h;
	w->segment.fd = -1;
	w->segment.files = layout->files;
	buf_init(&w->meta, RECORD_META_MAX);
	w->job.run = run_walk;
	w->job.home = h->home;
	w->job.done = on_walked;
	workers_submit(workers, NULL, &w->job);
}

void store_history_fini(struct store_history *h)
{
	envelope_free(h->envelope);
	for (unsigned i = 0; i < h->attempt_count; i++)
		attempt_free(h->attempts[i]);
	free(h->attempts);
	h->envelope = NULL;
	h->attempts = NULL;
	h->attempt_count = 0;
}

int store_encode_moved(const struct envelope *e, struct attempt *const *attempts, unsigned count, struct buf *out)
{
	struct buf part;
	if (count > ATTEMPTS_KEPT) {
		attempts += count - ATTEMPTS_KEPT;
		count = ATTEMPTS_KEPT;
	}
	buf_init(&part, ENVELOPE_ENCODED_MAX);
	int err = envelope_encode(e, &part);
	if (err == 0)
		err = record_moved_begin(out, part.data, part.len, count);
	for (unsigned i = 0; i < count && err == 0; i++) {
		buf_reset(&part);
		err = attempt_encode(attempts[i], &part);
		if (err == 0)
			err = record_moved_add(out, part.data, part.len);
	}
	buf_fini(&part);
	return err;
}
