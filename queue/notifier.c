/* queue/notifier.c: state. */
#include "queue/notifier.h"

#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "queue/age.h"
#include "queue/index.h"
#include "queue/mail/compose.h"
#include "queue/mail/postmaster.h"
#include "queue/telling.h"

enum { AT_ONCE = 64, A_SLICE = 16 };

/* Notices in the making: the beginning of the original's content, or all of it, is being read. */
struct making {
	struct queue *queue;
	struct entry *entry;
	unsigned kinds;
	void (*ready)(struct queue *q, struct entry *e, bool made);
	struct place pinned;
	struct content_reader *reader;
	struct buf content;
	bool whole;  /* all of the content was read, and it is right */
	bool failed; /* a piece did not fit into memory: nothing goes behind the gap */
};

/* The recipients of the attempt that this notice is about, those with equal replies together as they come. */
static unsigned rcpts_of(
	const struct making *w, enum notice_kind kind, struct notice_rcpt *out, const struct path_try **paths)
{
	const struct entry *e = w->entry;
	const struct attempt *a = e->attempt;
	unsigned n = 0;
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		struct delivery *d;
		const struct attempt_rcpt *row = &a->rcpts[i];
		const struct rcpt *r = message_rcpt(e->message, row->index, &d);
		if (r == NULL || !telling_row(w->queue, e->message, row, kind))
			continue;
		bool over = kind == NOTICE_FAILED && (e->expired || e->late) && row->cause != row->reply;
		paths[n] = attempt_path(a, row);
		out[n++] = (struct notice_rcpt){.address = r->address,
			.orcpt = rcpt_orcpt(r),
			.reply = &a->replies[over ? row->cause : row->reply],
			.expired = over && e->expired,
			.late = (over && e->late) || (row->status == RCPT_QUEUED && (row->told & TOLD_BY))};
	}
	return n;
}

static struct notice notice_of(const struct making *w, enum notice_kind kind, uint64_t id)
{
	const struct queue *q = w->queue;
	struct message *m = w->entry->message;
	uint64_t now = core_now(q), began = age_begin(q, m);
	return (struct notice){
		.kind = kind,
		.hostname = q->conf->hostname,
		.postmaster = q->conf->postmaster,
		.notice_id = id,
		.now_ms = core_wall(q, now),
		.id = m->id,
		.arrival_ms = m->arrival_ms,
		.sender = m->sender,
		.envid = message_envid(m),
		.flags = m->flags,
		.waited_ms = now > began ? now - began : 0,
		.until_ms = age_end_ms(q, w->entry->delivery),
		.by_ms = message_by_ms(m),
		.attempt = w->entry->attempt,
		.tried_ms = w->entry->tried_ms,
		.content = w->content.data,
		.content_len = w->content.len,
		.whole = w->whole,
		.full_max = q->conf->limits.bounce_size,
	};
}

/* The text becomes an ordinary message. NULL: it could not be made. */
static struct submission *submit_text(
	const struct making *w, uint64_t id, const char *to, const struct buf *text, unsigned flags)
{
	const struct message *m = w->entry->message;
	struct body *body = body_new();
	if (body == NULL || body_append(body, text->data, text->len) != 0) {
		body_unref(body);
		return NULL;
	}
	struct envelope_rcpt rcpt = {.address = postmaster_for(w->queue->conf, to), .notify = NOTIFY_NEVER};
	struct envelope e = {
		.id = id,
		.arrival_ms = core_wall(w->queue, core_now(w->queue)),
		.size = body->size,
		.flags = flags | ENVELOPE_BOUNCE | (*m->sender == '\0' ? ENVELOPE_DOUBLE : 0u),
		.sender = "",
		.client = "",
		.helo = "",
		.reason = "",
		.priority = message_priority(m),
		.rcpts = &rcpt,
		.rcpt_count = 1,
	};
	struct submission *s = submission_new(&e, body);
	if (s == NULL)
		body_unref(body);
	return s;
}

/* 0 or a negative code. */
static int make(struct making *w, enum notice_kind kind)
{
	struct queue *q = w->queue;
	/* above all that is there, also when the clock went back: a walk by ID that began before does not meet it */
	uint64_t wall = core_wall(q, core_now(q)), newest = id_time_ms(idmap_last(&q->messages));
	uint64_t id = id_next(&q->ids, wall > newest ? wall : newest);
	struct notice_rcpt *rcpts = calloc(w->entry->attempt->rcpt_count, sizeof *rcpts);
	const struct path_try **paths = calloc(w->entry->attempt->rcpt_count, sizeof(const struct path_try *));
	if (id == 0 || rcpts == NULL || paths == NULL) {
		free(rcpts);
		free(paths);
		return -ENOMEM;
	}
	struct buf text;
	unsigned flags = 0;
	buf_init(&text, NOTICE_MAX);
	struct notice n = notice_of(w, kind, id);
	n.rcpts = rcpts;
	n.paths = paths;
	n.rcpt_count = rcpts_of(w, kind, rcpts, paths);
	if (kind == NOTICE_FAILED && w->entry->message->size > n.full_max && !(n.flags & ENVELOPE_RET_HDRS))
		COUNT(bounces_cut);
	n.to = n.rcpt_count > 0 ? telling_whom(q, w->entry->message, rcpts[0].address) : NULL;
	int err = notice_write(&n, &text, &flags);
	if (err == 0) {
		w->entry->notices[kind] = submit_text(w, id, n.to, &text, flags);
		err = w->entry->notices[kind] != NULL ? 0 : -ENOMEM;
	}
	buf_fini(&text);
	free(rcpts);
	free(paths);
	return err;
}

/* Has the header a field of this name? */
static bool has_field(const struct buf *content, const char *name)
{
	size_t n = strlen(name);
	for (size_t at = 0; at < content->len;) {
		const uint8_t *line = content->data + at;
		const uint8_t *nl = memchr(line, '\n', content->len - at);
		size_t len = nl ? (size_t)(nl - line) : content->len - at;
		if (len == 0 || (len == 1 && line[0] == '\r'))
			return false;
		if (len > n && line[n] == ':' && strncasecmp((const char *)line, name, n) == 0)
			return true;
		at += len + (nl != NULL);
	}
	return false;
}

/* A double bounce that somebody sent back to us without a sender must not beget another one. */
static bool comes_back(const struct making *w)
{
	return *w->entry->message->sender == '\0' && has_field(&w->content, NOTICE_DOUBLE_FIELD);
}

static void finish(struct making *w)
{
	struct entry *e = w->entry;
	struct message *m = e->message;
	int err = 0;
	if (w->reader != NULL)
		content_reader_close(w->reader);
	if (w->pinned.segment != 0)
		store_unpin(w->queue->store, w->pinned);
	if (comes_back(w)) {
		COUNT(bounces_dropped);
		LOG_WARN("bounce-dropped", LF_ID("id", m->id),
			LF_STR("what", "a double bounce that came back and failed: nobody is told"));
	} else {
		for (unsigned k = 0; k < NOTICE_KINDS && err == 0; k++)
			if (w->kinds & 1u << k)
				err = make(w, (enum notice_kind)k);
	}
	if (err != 0) {
		LOG_ERR("bounce-not-made", LF_ID("id", m->id), LF_ADDRESS("to", m->sender),
			LF_STR("error", strerror(-err)));
		for (unsigned k = 0; k < NOTICE_KINDS; k++) {
			submission_unref(e->notices[k]);
			e->notices[k] = NULL;
		}
	}
	buf_fini(&w->content);
	w->ready(w->queue, e, err == 0);
	free(w);
}

/* False: enough. */
static bool take(struct making *w, const uint8_t *p, size_t n)
{
	size_t room = w->content.limit - w->content.len;
	w->failed |= buf_append(&w->content, p, n < room ? n : room) != 0;
	return !w->failed && w->content.len < w->content.limit;
}

static void on_piece(void *arg)
{
	struct making *w = arg;
	const uint8_t *p;
	size_t n;
	int state;
	while ((state = content_reader_piece(w->reader, &p, &n)) == 1 && take(w, p, n))
		content_reader_next(w->reader);
	if (state == 0)
		return;
	w->whole = state == 2;
	finish(w); /* also when it could not be read: better a notice without the header than none */
}

/* How much of the content the notices can need. */
static size_t content_room(const struct queue *q, const struct message *m)
{
	uint64_t full = q->conf->limits.bounce_size;
	return m->size <= full && full >= NOTICE_HEADERS_MAX ? (size_t)full + 1 : NOTICE_HEADERS_MAX + 1;
}

void notifier_start(
	struct queue *q, struct entry *e, unsigned kinds, void (*ready)(struct queue *q, struct entry *e, bool made))
{
	struct message *m = e->message;
	struct making *w = calloc(1, sizeof *w);
	e->noticing = true;
	q->noticing++;
	q->slice_notices++;
	if (w == NULL) {
		LOG_ERR("bounce-not-made", LF_ID("id", m->id), LF_ADDRESS("to", m->sender));
		ready(q, e, false);
		return;
	}
	w->queue = q;
	w->entry = e;
	w->kinds = kinds;
	w->ready = ready;
	buf_init(&w->content, content_room(q, m));
	if (m->body != NULL && m->body->file == 0) {
		const struct body_chunk *c = m->body->first;
		while (c != NULL && take(w, c->data, c->len))
			c = c->next;
		w->whole = c == NULL;
		finish(w);
		return;
	}
	w->pinned = m->content;
	store_pin(q->store, w->pinned);
	w->reader = content_reader_open(q->store, w->pinned, q->mailbox, on_piece, w);
	if (w->reader == NULL)
		finish(w);
	else
		on_piece(w);
}

bool notifier_slice_full(const struct queue *q)
{
	return q->slice_notices >= A_SLICE;
}

bool notifier_busy(const struct queue *q)
{
	return q->noticing >= AT_ONCE || notifier_slice_full(q);
}

static void count_notice(enum notice_kind kind, bool to_postmaster)
{
	if (to_postmaster)
		COUNT(bounces_double);
	else if (kind == NOTICE_FAILED)
		COUNT(bounces_sent);
	else if (kind == NOTICE_DELAYED)
		COUNT(notices_delayed);
	else
		COUNT(notices_relayed);
}

static void take_in(struct queue *q, struct submission *s, enum notice_kind kind, const struct entry *about)
{
	struct envelope *e;
	struct message *m;
	if (envelope_decode(&e, s->meta.data, s->meta.len) != 0) {
		q->incomplete = true;
		return;
	}
	count_notice(kind, (e->flags & ENVELOPE_DOUBLE) != 0);
	LOG_INFO("bounce", LF_ID("id", e->id), LF_ID("original", about->message->id), LF_STR("kind", notice_word(kind)),
		LF_ADDRESS("to", e->rcpts[0].address), LF_NUM("size", e->size));
	if (index_add(q, e, s->commit.place, s->commit.place, false, body_ref(s->body), &m) == 0) {
		q->schedule(q, m);
	} else {
		body_unref(s->body);
		q->incomplete = true;
		LOG_ERR("no-memory", LF_ID("id", e->id),
			LF_STR("what", "stored, but not in the index before the next start"));
	}
	envelope_free(e);
}

void notifier_stored(struct queue *q, struct entry *e)
{
	for (unsigned k = 0; k < NOTICE_KINDS; k++)
		if (e->notices[k] != NULL)
			take_in(q, e->notices[k], (enum notice_kind)k, e);
}
