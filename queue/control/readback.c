/* queue/control/readback.c: what an operator wants to read of a message from the spool: its attempts, its content.
 * State; the functions are declared in queue/control/inspect.h. */
#include <errno.h>
#include <stdlib.h>

#include "queue/core.h"
#include "queue/index.h"
#include "queue/control/inspect.h"

/* ---- attempts ---- */

struct looking {
	struct queue *queue;
	struct message *message;
	struct place pinned;
	struct store_history history;
	void (*done)(void *arg, const struct queue_history *h);
	void *arg;
};

static void on_history(struct store_history *h)
{
	struct looking *l = h->arg;
	struct queue_history view = {
		.status = h->status, .envelope = h->envelope, .attempts = h->attempts, .count = h->attempt_count};
	l->done(l->arg, &view);
	store_unpin(l->queue->store, l->pinned);
	store_history_fini(h);
	l->message->busy--;
	index_settle(l->queue, l->message);
	free(l);
}

int queue_read_history(struct queue *q, uint64_t id, void (*done)(void *arg, const struct queue_history *h), void *arg)
{
	struct message *m = index_get(q, id);
	if (m == NULL)
		return -ENOENT;
	struct looking *l = calloc(1, sizeof *l);
	if (l == NULL)
		return -ENOMEM;
	*l = (struct looking){.queue = q, .message = m, .pinned = m->content, .done = done, .arg = arg};
	l->history = (struct store_history){.home = q->mailbox, .done = on_history, .arg = l, .newest = m->newest};
	m->busy++;
	store_pin(q->store, l->pinned);
	store_read_history(q->store, &l->history);
	return 0;
}

/* ---- content ---- */

struct queue_content {
	struct queue *queue;
	struct message *message;
	struct place pinned;
	struct content_reader *reader;
	bool lent, ended;
	void (*piece)(void *arg, int err, const uint8_t *p, size_t n);
	void *arg;
};

static void on_piece(void *arg)
{
	struct queue_content *c = arg;
	const uint8_t *p;
	size_t n;
	if (c->lent || c->ended)
		return;
	int state = content_reader_piece(c->reader, &p, &n);
	if (state == 0)
		return;
	c->lent = state == 1;
	c->ended = state != 1;
	if (state == 1)
		c->piece(c->arg, 0, p, n);
	else
		c->piece(c->arg, state == 2 ? 0 : state, NULL, 0);
}

int queue_read_content(struct queue *q, uint64_t id, struct queue_content **out,
	void (*piece)(void *arg, int err, const uint8_t *p, size_t n), void *arg)
{
	struct message *m = index_get(q, id);
	if (m == NULL)
		return -ENOENT;
	struct queue_content *c = calloc(1, sizeof *c);
	if (c == NULL)
		return -ENOMEM;
	*c = (struct queue_content){.queue = q, .message = m, .pinned = m->content, .piece = piece, .arg = arg};
	store_pin(q->store, c->pinned);
	c->reader = content_reader_open(q->store, c->pinned, q->mailbox, on_piece, c);
	if (c->reader == NULL) {
		store_unpin(q->store, c->pinned);
		free(c);
		return -ENOMEM;
	}
	m->busy++;
	*out = c;
	return 0;
}

void queue_content_next(struct queue_content *c)
{
	if (!c->lent)
		return;
	c->lent = false;
	content_reader_next(c->reader);
	on_piece(c);
}

void queue_content_close(struct queue_content *c)
{
	struct queue *q = c->queue;
	struct message *m = c->message;
	content_reader_close(c->reader);
	store_unpin(q->store, c->pinned);
	free(c);
	m->busy--;
	index_settle(q, m);
}
