/* queue/bouncer.c: state. */
#include "queue/bouncer.h"

#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "queue/mail/bounce.h"
#include "queue/index.h"

/* A bounce in the making: the beginning of the original's content is being read. */
struct making {
	struct queue *queue;
	struct entry *entry;
	void (*ready)(struct queue *q, struct entry *e, struct submission *bounce);
	struct place pinned;
	struct content_reader *reader;
	struct buf header;
};

/* The failed recipients of the attempt, those with equal replies together as they come. */
static unsigned failed_rcpts(const struct entry *e, struct bounce_rcpt *out)
{
	struct message *m = e->message;
	const struct attempt *a = e->attempt;
	unsigned n = 0;
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		struct delivery *d;
		const struct rcpt *r = message_rcpt(m, a->rcpts[i].index, &d);
		if (a->rcpts[i].status != RCPT_FAILED || r == NULL)
			continue;
		const struct reply *reply = &a->replies[a->rcpts[i].reply];
		out[n++] = (struct bounce_rcpt){.address = r->address,
			.reply = reply,
			.expired = e->expired && strcmp(reply->enhanced, "5.4.7") == 0};
	}
	return n;
}

static int write_text(const struct making *w, uint64_t id, struct buf *text, unsigned *flags)
{
	const struct queue *q = w->queue;
	struct message *m = w->entry->message;
	const struct attempt *a = w->entry->attempt;
	struct bounce_rcpt *rcpts = calloc(a->rcpt_count ? a->rcpt_count : 1, sizeof *rcpts);
	if (rcpts == NULL)
		return -ENOMEM;
	struct bounce_input in = {
		.hostname = q->conf->hostname,
		.postmaster = q->conf->postmaster,
		.bounce_id = id,
		.now_ms = core_wall(q, core_now(q)),
		.id = m->id,
		.arrival_ms = m->arrival_ms,
		.sender = m->sender,
		.attempt = a,
		.rcpts = rcpts,
		.rcpt_count = failed_rcpts(w->entry, rcpts),
		.headers = w->header.data,
		.headers_len = w->header.len,
	};
	int err = bounce_write(&in, text, flags);
	free(rcpts);
	return err;
}

/* The text becomes an ordinary message to the reverse-path. NULL: it could not be made. */
static struct submission *submit_text(const struct making *w, uint64_t id, const struct buf *text, unsigned flags)
{
	const struct message *m = w->entry->message;
	struct body *body = body_new();
	if (body == NULL || body_append(body, text->data, text->len) != 0) {
		body_unref(body);
		return NULL;
	}
	struct envelope_rcpt rcpt = {.address = m->sender};
	struct envelope e = {
		.id = id,
		.arrival_ms = core_wall(w->queue, core_now(w->queue)),
		.size = body->size,
		.flags = flags | ENVELOPE_BOUNCE,
		.sender = "",
		.client = "",
		.helo = "",
		.reason = "",
		.rcpts = &rcpt,
		.rcpt_count = 1,
	};
	struct submission *s = submission_new(&e, body);
	if (s == NULL)
		body_unref(body);
	return s;
}

static void finish(struct making *w)
{
	struct queue *q = w->queue;
	struct submission *bounce = NULL;
	struct buf text;
	unsigned flags = 0;
	buf_init(&text, BOUNCE_MAX);
	if (w->reader != NULL)
		content_reader_close(w->reader);
	if (w->pinned.segment != 0)
		store_unpin(q->store, w->pinned);
	uint64_t id = id_next(&q->ids, core_wall(q, core_now(q)));
	if (id != 0 && write_text(w, id, &text, &flags) == 0)
		bounce = submit_text(w, id, &text, flags);
	if (bounce == NULL)
		LOG_ERR("bounce-not-made", LF_ID("id", w->entry->message->id),
			LF_ADDRESS("to", w->entry->message->sender));
	buf_fini(&text);
	buf_fini(&w->header);
	w->ready(q, w->entry, bounce);
	free(w);
}

static bool take(struct making *w, const uint8_t *p, size_t n)
{
	size_t room = BOUNCE_HEADERS_MAX - w->header.len;
	buf_append(&w->header, p, n < room ? n : room);
	return w->header.len < BOUNCE_HEADERS_MAX;
}

static void on_piece(void *arg)
{
	struct making *w = arg;
	const uint8_t *p;
	size_t n;
	int state;
	while ((state = content_reader_piece(w->reader, &p, &n)) == 1 && take(w, p, n))
		content_reader_next(w->reader);
	if (state != 0)
		finish(w); /* also when it could not be read: better a bounce without the header than none */
}

void bouncer_start(
	struct queue *q, struct entry *e, void (*ready)(struct queue *q, struct entry *e, struct submission *bounce))
{
	struct message *m = e->message;
	struct making *w = calloc(1, sizeof *w);
	if (w == NULL) {
		LOG_ERR("bounce-not-made", LF_ID("id", m->id), LF_ADDRESS("to", m->sender));
		ready(q, e, NULL);
		return;
	}
	w->queue = q;
	w->entry = e;
	w->ready = ready;
	buf_init(&w->header, BOUNCE_HEADERS_MAX);
	if (m->body != NULL && m->body->file == 0) {
		for (const struct body_chunk *c = m->body->first; c != NULL && take(w, c->data, c->len); c = c->next)
			;
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

void bouncer_stored(struct queue *q, struct submission *bounce, uint64_t original)
{
	struct envelope *e;
	struct message *m;
	if (envelope_decode(&e, bounce->meta.data, bounce->meta.len) != 0) {
		q->incomplete = true;
		return;
	}
	COUNT(bounces_sent);
	LOG_INFO("bounce", LF_ID("id", e->id), LF_ID("original", original), LF_ADDRESS("to", e->rcpts[0].address),
		LF_NUM("size", e->size));
	if (index_add(q, e, bounce->commit.place, bounce->commit.place, false, body_ref(bounce->body), &m) == 0) {
		q->schedule(q, m);
	} else {
		body_unref(bounce->body);
		q->incomplete = true;
		LOG_ERR("no-memory", LF_ID("id", e->id),
			LF_STR("what", "stored, but not in the index before the next start"));
	}
	envelope_free(e);
}
