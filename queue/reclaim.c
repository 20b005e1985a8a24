/* queue/reclaim.c: state. */
#include "queue/reclaim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "queue/entry.h"
#include "queue/index.h"

enum { SLICE = 500, MOVES_AT_ONCE = 16, AGAIN_MS = 600000, TRIES = 2 };

enum checkpoint_state {
	CHECKPOINT_NONE,
	CHECKPOINT_BEGINNING,
	CHECKPOINT_ADDING,
	CHECKPOINT_WAITING,
	CHECKPOINT_ENDING
};

struct reclaim {
	struct queue *queue;
	/* freeing the oldest segment */
	uint32_t segment; /* 0: none */
	uint64_t cursor;
	bool looked;	 /* the cursor has been through all messages */
	unsigned moving; /* copies under way */
	bool failed;	 /* one could not be copied: the segment stays for now */
	uint64_t again;	 /* steady: not tried again before */
	uint32_t last;	 /* the segment that was tried last, and how often that failed before */
	unsigned tries;
	/* checkpoint */
	enum checkpoint_state checkpoint;
	uint64_t at;
	bool whole;
	void (*done)(void *arg, int err);
	void *arg;
	struct envelope_rcpt *rcpts;
	size_t rcpt_room;
};

/* One message on its way into a newer segment: its records are read, its content if that stood in the journal, then
 * both are written. */
struct move {
	struct reclaim *reclaim;
	struct message *message;
	struct place pinned;
	struct store_history history;
	struct content_body content;
};

struct reclaim *reclaim_new(struct queue *q)
{
	struct reclaim *r = calloc(1, sizeof *r);
	if (r != NULL)
		r->queue = q;
	return r;
}

void reclaim_free(struct reclaim *r)
{
	if (r == NULL)
		return;
	free(r->rcpts);
	free(r);
}

bool reclaim_idle(const struct reclaim *r)
{
	return r->segment == 0 && r->checkpoint == CHECKPOINT_NONE;
}

/* ---- the envelope as it stands ---- */

static uint64_t next_wall(void *arg, const struct delivery *d)
{
	const struct queue *q = arg;
	return d->state == DELIVERY_DEFERRED ? core_wall(q, d->due.at) : 0;
}

static int current_envelope(struct reclaim *r, const struct message *m, struct envelope *e)
{
	if (m->rcpt_count > r->rcpt_room) {
		struct envelope_rcpt *rcpts = reallocarray(r->rcpts, m->rcpt_count, sizeof *rcpts);
		if (rcpts == NULL)
			return -ENOMEM;
		r->rcpts = rcpts;
		r->rcpt_room = m->rcpt_count;
	}
	message_envelope(m, e, r->rcpts, next_wall, r->queue);
	return 0;
}

/* ---- moving messages out of a segment ---- */

static void end_move(struct move *v, bool moved)
{
	struct reclaim *r = v->reclaim;
	struct message *m = v->message;
	r->moving--;
	r->failed |= !moved;
	store_unpin(r->queue->store, v->pinned);
	store_history_fini(&v->history);
	body_unref(v->content.body);
	free(v);
	m->busy--;
	index_settle(r->queue, m);
}

static void on_moved(struct entry *e, int status)
{
	struct move *v = e->arg;
	if (status == 0) {
		index_place(e->queue, e->message, e->commit.place);
		COUNT(journal_moved);
	}
	end_move(v, status == 0);
}

/* A MOVED record stands for all records before it, so it must say what they say: with one under way, what the message
 * becomes by it is not known yet; with one written since the history was read, an attempt would be missing. */
static bool changed(const struct move *v)
{
	const struct message *m = v->message;
	return m->entries != NULL || m->newest.segment != v->history.newest.segment ||
	       m->newest.offset != v->history.newest.offset;
}

static void write_move(struct move *v)
{
	struct queue *q = v->reclaim->queue;
	struct message *m = v->message;
	struct envelope e;
	if (m->open == 0 || m->removing || changed(v)) {
		end_move(v, true); /* it ended: nothing of it has to move; or the next tick begins anew */
		return;
	}
	struct entry *entry = entry_new(q, m, RECORD_MOVED, on_moved);
	if (entry == NULL) {
		end_move(v, false);
		return;
	}
	entry->content = body_ref(v->content.body);
	entry->arg = v;
	if (current_envelope(v->reclaim, m, &e) != 0 ||
		store_encode_moved(&e, v->history.attempts, v->history.attempt_count, &entry->meta) != 0) {
		entry_drop(entry);
		end_move(v, false);
		return;
	}
	entry_post(entry);
}

static void read_content(struct move *v, bool remains);

/* The content cannot be read as it was written. What the memory still has is better; else what is left of it moves on
 * with the message, which is damaged for good: the segments behind it must not be kept for ever. A disk that cannot be
 * read may yet be read the next time. */
static void on_bad_content(struct move *v)
{
	struct reclaim *r = v->reclaim;
	struct message *m = v->message;
	int err = v->content.status;
	if (m->body != NULL && m->body->file == 0) {
		v->content.body = body_ref(m->body);
		write_move(v);
		return;
	}
	bool lost = (err == -EBADMSG || (err == -EIO && r->tries >= TRIES)) && !v->content.remains;
	LOG_ERR("unreadable", LF_ID("id", m->id), LF_STR("error", strerror(-err)),
		LF_STR("what", lost ? "it is damaged for good; what is left of it is kept"
				    : "its segment of the journal is kept"));
	if (!lost) {
		end_move(v, false);
		return;
	}
	index_hold(r->queue, m, ENVELOPE_DAMAGED, "its content in the spool is damaged", true);
	m->flags |= ENVELOPE_REMAINS; /* both are written with the MOVED record */
	read_content(v, true);
}

static void on_content(struct content_body *c)
{
	struct move *v = c->arg;
	if (c->status == 0)
		write_move(v);
	else
		on_bad_content(v);
}

static void read_content(struct move *v, bool remains)
{
	struct queue *q = v->reclaim->queue;
	v->content = (struct content_body){.home = q->mailbox,
		.done = on_content,
		.arg = v,
		.content = v->pinned,
		.remains = remains,
		.file = v->message->in_file ? v->message->id : 0,
		.file_size = v->message->size};
	store_read_body(q->store, &v->content);
}

static void on_history(struct store_history *h)
{
	read_content(h->arg, false);
}

static bool begin_move(struct reclaim *r, struct message *m)
{
	struct move *v = calloc(1, sizeof *v);
	if (v == NULL)
		return false;
	v->reclaim = r;
	v->message = m;
	v->pinned = m->content;
	v->history =
		(struct store_history){.home = r->queue->mailbox, .done = on_history, .arg = v, .newest = m->newest};
	m->busy++;
	r->moving++;
	store_pin(r->queue->store, v->pinned);
	store_read_history(r->queue->store, &v->history);
	return true;
}

static bool move_slice(struct reclaim *r)
{
	struct queue *q = r->queue;
	struct message *m;
	for (unsigned n = 0; n < SLICE && !r->looked; n++) {
		if (r->moving >= MOVES_AT_ONCE)
			return false;
		uint64_t id;
		m = idmap_next(&q->messages, r->cursor, &id);
		if (m == NULL) {
			r->looked = true;
			break;
		}
		r->cursor = id;
		if (m->content.segment == r->segment && m->open > 0 && !m->removing && !begin_move(r, m))
			r->failed = true;
	}
	if (!r->looked)
		return true;
	if (r->moving > 0)
		return false;
	if (r->failed) {
		r->again = core_now(q) + AGAIN_MS;
		r->tries++;
	}
	r->segment = 0; /* reclaim_tick() frees it as soon as nothing lives in it */
	return false;
}

/* ---- checkpoints ---- */

static void on_checkpoint(void *arg, int err)
{
	struct reclaim *r = arg;
	r->checkpoint = CHECKPOINT_NONE;
	if (err != 0)
		LOG_WARN("checkpoint-failed", LF_STR("error", strerror(-err)),
			LF_STR("what", "the next start may have to read more of the journal"));
	void (*done)(void *, int) = r->done;
	r->done = NULL;
	if (done != NULL)
		done(r->arg, err);
}

static void on_begun(void *arg)
{
	struct reclaim *r = arg;
	r->checkpoint = CHECKPOINT_ADDING;
}

static int begin_checkpoint(struct reclaim *r)
{
	r->at = 0;
	r->whole = true;
	r->checkpoint = CHECKPOINT_BEGINNING;
	int err = store_checkpoint_begin(r->queue->store, r->queue->mailbox, on_begun, r);
	if (err != 0)
		r->checkpoint = CHECKPOINT_NONE;
	return err;
}

static bool checkpoint_slice(struct reclaim *r)
{
	struct queue *q = r->queue;
	for (unsigned n = 0; n < SLICE; n++) {
		uint64_t id;
		struct envelope e;
		const struct message *m = idmap_next(&q->messages, r->at, &id);
		if (m == NULL || !r->whole) {
			r->checkpoint = CHECKPOINT_ENDING;
			/* one without a message that the journal has would have the next start lose it */
			store_checkpoint_end(q->store, r->whole && !q->incomplete, on_checkpoint, r);
			return false;
		}
		if (m->removed) { /* what is left to be read of the journal says so no more */
			r->at = id;
			continue;
		}
		int err = current_envelope(r, m, &e);
		if (err == 0)
			err = store_checkpoint_add(q->store, &e, m->content, m->newest, m->in_file);
		if (err == 1) {
			r->checkpoint = CHECKPOINT_WAITING;
			return false;
		}
		if (err != 0)
			r->whole = false;
		r->at = id;
	}
	return true;
}

void reclaim_checkpoint(struct reclaim *r, void (*done)(void *arg, int err), void *arg)
{
	const struct queue *q = r->queue;
	r->done = done;
	r->arg = arg;
	int err = q->incomplete ? -ENOMEM : r->checkpoint == CHECKPOINT_NONE ? begin_checkpoint(r) : 0;
	if (err != 0)
		on_checkpoint(r, err);
}

/* ---- ticks ---- */

void reclaim_tick(struct reclaim *r)
{
	struct queue *q = r->queue;
	uint32_t oldest;
	while (!q->incomplete && (oldest = store_oldest_segment(q->store)) != 0) {
		/* messages that were stored there may still be in the mailbox */
		while (mailbox_drain(q->mailbox, SLICE))
			;
		if (index_live_in(q, oldest) != 0)
			break;
		store_free_segment(q->store, oldest);
	}
	if (r->segment == 0 && !q->draining && !q->incomplete && core_now(q) >= r->again &&
		(oldest = store_reclaim_wanted(q->store, q->live_bytes)) != 0) {
		r->segment = oldest;
		if (r->last != oldest)
			r->tries = 0;
		r->last = oldest;
		r->cursor = 0;
		r->looked = r->failed = false;
	}
	if (r->checkpoint == CHECKPOINT_NONE && !q->draining && !q->incomplete && store_checkpoint_wanted(q->store))
		begin_checkpoint(r);
}

bool reclaim_slice(struct reclaim *r)
{
	bool more = false;
	if (r->segment != 0)
		more |= move_slice(r);
	if (r->checkpoint == CHECKPOINT_ADDING)
		more |= checkpoint_slice(r);
	return more;
}
