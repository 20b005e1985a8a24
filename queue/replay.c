/* queue/replay.c: state. */
#include "queue/replay.h"

#include <errno.h>
#include <stdlib.h>

#include "queue/index.h"

/* The message has ended, by the journal. Its body file is unlinked when the store is open. */
static void end_message(struct queue *q, struct message *m)
{
	if (m->in_file) {
		uint64_t *files = reallocarray(q->ended_files, q->ended_count + 1, sizeof *files);
		if (files != NULL) {
			q->ended_files = files;
			q->ended_files[q->ended_count++] = m->id;
		}
	}
	index_drop(q, m);
}

void replay_end(struct queue *q)
{
	for (size_t i = 0; i < q->ended_count; i++)
		store_forget(q->store, q->ended_files[i]);
	free(q->ended_files);
	q->ended_files = NULL;
	q->ended_count = 0;
}

static int on_message(void *arg, enum record_type type, const struct envelope *e, struct place content,
	struct place newest, bool in_file)
{
	struct queue *q = arg;
	struct message *m;
	(void)type;
	int err = index_add(q, e, content, newest, in_file, NULL, &m);
	if (err != -ENOENT)
		return err;
	/* written down when its last recipient was just done */
	struct message *old = index_get(q, e->id);
	if (old != NULL)
		end_message(q, old);
	return 0;
}

static int on_outcome(void *arg, uint64_t id, const struct attempt *a, struct place newest)
{
	struct queue *q = arg;
	struct message *m = index_get(q, id);
	if (m == NULL)
		return 0;
	m->newest = newest;
	const struct delivery *counted = NULL;
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		struct delivery *d;
		struct rcpt *r = message_rcpt(m, a->rcpts[i].index, &d);
		if (r == NULL)
			continue;
		r->told |= a->rcpts[i].told;
		index_finish_rcpt(q, d, r, (enum rcpt_status)a->rcpts[i].status);
		if (a->rcpts[i].status == RCPT_QUEUED) {
			/* one record of an attempt alone has such rows, its last; others are of mail that waits */
			if (counted != d && !a->waited && d->attempts < UINT16_MAX)
				d->attempts++;
			counted = d;
			char text[REPLY_TEXT_MAX + 32];
			/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a recipient has a delivery */
			d->since = a->next_ms;
			index_set_reason(q, d, reply_format(&a->replies[a->rcpts[i].reply], text, sizeof text));
		}
	}
	if (m->open == 0)
		end_message(q, m);
	return 0;
}

static int on_held(void *arg, uint64_t id, bool held, const char *reason, struct place newest)
{
	struct queue *q = arg;
	struct message *m = index_get(q, id);
	if (m == NULL)
		return 0;
	m->newest = newest;
	if (held)
		index_hold(q, m, ENVELOPE_HELD, reason, true);
	else
		index_release(q, m, true);
	return 0;
}

static int on_redirected(void *arg, uint64_t id, const char *relay, struct place newest)
{
	struct queue *q = arg;
	struct message *m = index_get(q, id);
	if (m == NULL)
		return 0;
	m->newest = newest;
	for (unsigned i = 0; i < m->delivery_count; i++)
		m->deliveries[i].since = 0; /* due now */
	return index_redirect(q, m, relay, true);
}

static int on_returned(void *arg, uint64_t id, const char *reason, struct place newest)
{
	struct queue *q = arg;
	struct message *m = index_get(q, id);
	if (m == NULL)
		return 0;
	m->newest = newest;
	index_return(q, m, reason, true);
	return 0;
}

static int on_removed(void *arg, uint64_t id)
{
	struct queue *q = arg;
	struct message *m = index_get(q, id);
	if (m != NULL)
		end_message(q, m);
	return 0;
}

static void on_damaged(void *arg, uint64_t id, struct place where, const char *what)
{
	struct queue *q = arg;
	struct message *m = id != 0 ? index_get(q, id) : NULL;
	LOG_ERR("spool-damage", LF_ID("id", id), LF_NUM("segment", where.segment), LF_NUM("offset", where.offset),
		LF_STR("what", what), LF_STR("then", m ? "the message is held" : "no message is known to need it"));
	if (m != NULL)
		index_hold(q, m, ENVELOPE_DAMAGED, what, true);
}

void replay_calls(struct store_replay *out, struct queue *q)
{
	*out = (struct store_replay){.arg = q,
		.message = on_message,
		.outcome = on_outcome,
		.held = on_held,
		.redirected = on_redirected,
		.returned = on_returned,
		.removed = on_removed,
		.damaged = on_damaged};
}
