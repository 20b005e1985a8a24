/* queue/index.c: state. */
#include "queue/index.h"

#include <errno.h>
#include <stdlib.h>

#include "conf/counter.h"
#include "queue/entry.h"

/* What a message costs in the journal beside its content, about. */
enum { RECORD_COST = 512 };

static uint64_t journal_bytes(const struct message *m)
{
	return RECORD_COST + (m->in_file ? 0 : m->size);
}

struct message *index_get(const struct queue *q, uint64_t id)
{
	return idmap_get(&q->messages, id);
}

static void drop_body(struct queue *q, struct message *m)
{
	if (m->body == NULL)
		return;
	TAILQ_REMOVE(&q->with_body, m, with_body);
	body_unref(m->body);
	m->body = NULL;
}

uint64_t index_live_in(const struct queue *q, uint32_t segment)
{
	struct segment_count *c;
	HASH_FIND(hh, q->segments, &segment, sizeof segment, c);
	return c ? c->live : 0;
}

static void count_in(struct queue *q, uint32_t segment, int change)
{
	struct segment_count *c;
	HASH_FIND(hh, q->segments, &segment, sizeof segment, c);
	if (c == NULL) {
		if (change < 0)
			return;
		c = calloc(1, sizeof *c);
		if (c == NULL) {
			q->incomplete = true;
			return;
		}
		c->segment = segment;
		HASH_ADD(hh, q->segments, segment, sizeof c->segment, c);
		if (c->hh.tbl == NULL) {
			free(c);
			q->incomplete = true;
			return;
		}
	}
	c->live += (uint64_t)change;
	if (c->live == 0) {
		HASH_DEL(q->segments, c);
		free(c);
	}
}

void index_place(struct queue *q, struct message *m, struct place content)
{
	count_in(q, m->content.segment, -1);
	m->content = content;
	count_in(q, m->content.segment, 1);
}

int index_add(struct queue *q, const struct envelope *e, struct place content, struct place newest, bool in_file,
	struct body *body, struct message **out)
{
	struct message *old = index_get(q, e->id);
	if (old != NULL) {
		if (old->busy > 0)
			return -EEXIST;
		index_drop(q, old);
	}
	bool empty;
	struct message *m = message_new(e, &empty);
	if (m == NULL)
		return empty ? -ENOENT : -ENOMEM;
	bool timed = message_by_ms(m) != 0;
	uint32_t waiting = (uint32_t)(q->recipients + m->rcpt_count + q->by_count + timed + q->site_count + 1024);
	if (due_reserve(&q->due, waiting) != 0 || idmap_add(&q->messages, m->id, m) != 0) {
		message_free(m);
		return -ENOMEM;
	}
	q->by_count += timed;
	m->arrival = core_steady(q, m->arrival_ms);
	m->content = content;
	count_in(q, content.segment, 1);
	m->newest = newest;
	m->in_file = in_file;
	if (body != NULL) {
		m->body = body;
		TAILQ_INSERT_TAIL(&q->with_body, m, with_body);
	}
	if (*e->reason != '\0')
		m->reason = intern_take(&q->reasons, e->reason);
	q->recipients += m->open;
	q->live_bytes += journal_bytes(m);
	if (m->flags & ENVELOPE_HELD)
		COUNT_SET(messages_held, ++q->held);
	if (m->flags & ENVELOPE_DAMAGED)
		COUNT_SET(messages_damaged, ++q->damaged);
	for (unsigned i = 0; i < m->rcpt_count; i++)
		ages_add(&q->ages, m->arrival_ms, core_wall(q, core_now(q)));
	COUNT_SET(messages_queued, q->messages.count);
	*out = m;
	return 0;
}

/* Of a message or a delivery; NULL: none. */
static void set_reason(struct queue *q, const char **at, const char *reason)
{
	const char *old = *at;
	*at = reason ? intern_take(&q->reasons, reason) : NULL;
	intern_drop(&q->reasons, old);
}

void index_set_reason(struct queue *q, struct delivery *d, const char *reason)
{
	set_reason(q, &d->reason, reason);
}

static unsigned open_rcpts(const struct delivery *d)
{
	unsigned n = 0;
	for (unsigned i = d->first; i < d->first + d->count; i++)
		n += d->message->rcpts[i].status == RCPT_QUEUED;
	return n;
}

void index_set_site(struct queue *q, struct delivery *d, struct site *s)
{
	if (d->site == s)
		return;
	unsigned open = open_rcpts(d);
	if (d->site != NULL) {
		d->site->deliveries--;
		for (unsigned i = 0; i < open; i++)
			ages_remove(&d->site->ages, d->message->arrival_ms);
	}
	d->site = s;
	if (s != NULL) {
		s->deliveries++;
		for (unsigned i = 0; i < open; i++)
			ages_add(&s->ages, d->message->arrival_ms, core_wall(q, core_now(q)));
	}
}

void index_set_domain(struct queue *q, struct delivery *d, struct domain *domain)
{
	if (d->domain == domain)
		return;
	if (d->domain != NULL && --d->domain->deliveries == 0)
		TAILQ_INSERT_TAIL(&q->unused_domains, d->domain, unused);
	d->domain = domain;
	if (domain != NULL && domain->deliveries++ == 0)
		TAILQ_REMOVE(&q->unused_domains, domain, unused);
}

void index_detach(struct queue *q, struct delivery *d)
{
	switch ((enum delivery_state)d->state) {
	case DELIVERY_ROUTING:
		TAILQ_REMOVE(&d->domain->waiting, d, link);
		d->domain->waiting_count--;
		break;
	case DELIVERY_READY:
		ready_remove(&d->site->ready, d);
		break;
	case DELIVERY_DEFERRED:
		due_clear(&q->due, &d->due);
		break;
	case DELIVERY_IDLE:
	case DELIVERY_DIALLING:
	case DELIVERY_ACTIVE:
	case DELIVERY_SETTLING:
	case DELIVERY_HELD:
		break;
	}
	d->state = DELIVERY_IDLE;
}

void index_finish_rcpt(struct queue *q, struct delivery *d, struct rcpt *r, enum rcpt_status status)
{
	if (r->status != RCPT_QUEUED || status == RCPT_QUEUED)
		return;
	r->status = (uint8_t)status;
	d->message->open--;
	q->recipients--;
	ages_remove(&q->ages, d->message->arrival_ms);
	if (d->site != NULL)
		ages_remove(&d->site->ages, d->message->arrival_ms);
}

void index_drop(struct queue *q, struct message *m)
{
	for (unsigned i = 0; i < m->delivery_count; i++) {
		struct delivery *d = &m->deliveries[i];
		index_detach(q, d);
		for (unsigned j = d->first; j < d->first + d->count; j++)
			index_finish_rcpt(q, d, &m->rcpts[j], RCPT_FAILED);
		index_set_site(q, d, NULL);
		index_set_domain(q, d, NULL);
		index_set_reason(q, d, NULL);
		free(d->greylisted);
		d->greylisted = NULL;
		tries_free(d);
	}
	if (m->extra != NULL)
		due_clear(&q->due, &m->extra->due);
	q->by_count -= message_by_ms(m) != 0;
	idmap_remove(&q->messages, m->id);
	count_in(q, m->content.segment, -1);
	q->live_bytes -= journal_bytes(m);
	if (m->flags & ENVELOPE_HELD)
		COUNT_SET(messages_held, --q->held);
	if (m->flags & ENVELOPE_DAMAGED)
		COUNT_SET(messages_damaged, --q->damaged);
	COUNT_SET(messages_queued, q->messages.count);
	intern_drop(&q->reasons, m->reason);
	drop_body(q, m);
	if (m->in_file && q->store != NULL)
		store_forget(q->store, m->id);
	message_free(m);
}

static bool in_attempt(const struct delivery *d)
{
	return d->state == DELIVERY_ACTIVE || d->state == DELIVERY_DIALLING || d->state == DELIVERY_SETTLING;
}

bool index_in_transfer(const struct message *m)
{
	for (unsigned i = 0; i < m->delivery_count; i++)
		if (in_attempt(&m->deliveries[i]))
			return true;
	return false;
}

bool index_settle(struct queue *q, struct message *m)
{
	if (m->open > 0 || m->busy > 0 || index_in_transfer(m))
		return false;
	uint64_t now = core_wall(q, core_now(q));
	LOG_INFO("finished", LF_ID("id", m->id), LF_ADDRESS("from", m->sender),
		LF_MS("age", now > m->arrival_ms ? now - m->arrival_ms : 0));
	index_drop(q, m);
	return true;
}

static void on_noted(struct entry *e, int status)
{
	(void)status;
	index_settle(e->queue, e->message);
}

/* Writes a record that only carries a reason. Without memory the state holds until the next start, and the log says
 * so. */
static void note(struct queue *q, struct message *m, enum record_type type, const char *reason,
	void (*done)(struct entry *e, int status))
{
	struct entry *e = entry_new(q, m, type, done);
	if (e != NULL && buf_append_str(&e->meta, reason) == 0) {
		entry_post(e);
		return;
	}
	if (e != NULL)
		entry_drop(e);
	LOG_ERR("no-memory", LF_ID("id", m->id),
		LF_STR("what", "what an operator did could not be written: it holds until the next start"));
}

/* No attempt begins any more; deliveries in one go on, and index_take_back sets them aside as they come back. */
static void set_aside(struct queue *q, struct message *m)
{
	for (unsigned i = 0; i < m->delivery_count; i++) {
		struct delivery *d = &m->deliveries[i];
		if (in_attempt(d))
			continue;
		index_detach(q, d);
		d->state = DELIVERY_HELD;
	}
}

void index_hold(struct queue *q, struct message *m, unsigned flag, const char *reason, bool replayed)
{
	if ((m->flags & flag) || m->removing)
		return;
	m->flags |= flag;
	if (flag == ENVELOPE_HELD)
		COUNT_SET(messages_held, ++q->held);
	else
		COUNT_SET(messages_damaged, ++q->damaged);
	set_reason(q, &m->reason, reason);
	set_aside(q, m);
	if (!replayed)
		note(q, m, RECORD_HOLD, reason, on_noted);
}

void index_release(struct queue *q, struct message *m, bool replayed)
{
	if (m->removing)
		return;
	if (m->flags & ENVELOPE_HELD)
		COUNT_SET(messages_held, --q->held);
	m->flags &= ~(uint32_t)ENVELOPE_HELD;
	if (m->flags & ENVELOPE_REMAINS)
		return; /* there is nothing that could be delivered */
	if (m->flags & ENVELOPE_DAMAGED)
		COUNT_SET(messages_damaged, --q->damaged);
	m->flags &= ~(uint32_t)ENVELOPE_DAMAGED;
	set_reason(q, &m->reason, NULL);
	for (unsigned i = 0; i < m->delivery_count; i++)
		if (m->deliveries[i].state == DELIVERY_HELD)
			m->deliveries[i].state = DELIVERY_IDLE;
	if (!replayed)
		note(q, m, RECORD_RELEASE, "", on_noted);
}

/* The message is gone, durably, and nothing of it is in transfer any more: index_settle() drops it. */
static void finish_removed(struct queue *q, struct message *m)
{
	for (unsigned i = 0; i < m->delivery_count; i++)
		for (unsigned j = m->deliveries[i].first; j < m->deliveries[i].first + m->deliveries[i].count; j++)
			index_finish_rcpt(q, &m->deliveries[i], &m->rcpts[j], RCPT_FAILED);
}

static void on_removed(struct entry *e, int status)
{
	(void)status;
	struct message *m = e->message;
	m->removed = true;
	if (!index_in_transfer(m))
		finish_removed(e->queue, m);
	index_settle(e->queue, m);
}

int index_remove(struct queue *q, struct message *m, const char *reason)
{
	if (m->removing)
		return 0;
	struct entry *e = entry_new(q, m, RECORD_REMOVE, on_removed);
	if (e == NULL || buf_append_str(&e->meta, reason) != 0) {
		if (e != NULL)
			entry_drop(e);
		return -ENOMEM;
	}
	m->removing = true;
	set_reason(q, &m->reason, reason);
	set_aside(q, m);
	entry_post(e);
	return 0;
}

void index_return(struct queue *q, struct message *m, const char *reason, bool replayed)
{
	m->flags |= ENVELOPE_RETURNING;
	set_reason(q, &m->reason, reason);
	set_aside(q, m);
	if (!replayed && index_in_transfer(m))
		note(q, m, RECORD_RETURN, reason, on_noted);
}

int index_redirect(struct queue *q, struct message *m, const char *relay, bool replayed)
{
	int err = message_set_redirect(m, relay);
	for (unsigned i = 0; err == 0 && i < m->delivery_count; i++) {
		free(m->deliveries[i].greylisted); /* a path of the way that it went before */
		m->deliveries[i].greylisted = NULL;
	}
	if (err == 0 && !replayed)
		note(q, m, RECORD_REDIRECT, relay, on_noted);
	return err;
}

bool index_withdrawn(const struct message *m)
{
	return m->removing || (m->flags & (ENVELOPE_HELD | ENVELOPE_DAMAGED | ENVELOPE_RETURNING)) != 0;
}

bool index_take_back(struct queue *q, struct delivery *d)
{
	struct message *m = d->message;
	if (m->removing) {
		d->state = DELIVERY_HELD;
		if (m->removed && !index_in_transfer(m))
			finish_removed(q, m);
		return true;
	}
	if (m->flags & (ENVELOPE_HELD | ENVELOPE_DAMAGED)) {
		d->state = DELIVERY_HELD;
		return true;
	}
	return false;
}

void index_trim_bodies(struct queue *q)
{
	struct message *m;
	while ((m = TAILQ_FIRST(&q->with_body)) != NULL && body_memory_used() > q->conf->spool_io.body_memory / 4 * 3) {
		/* a message in transfer keeps its own reference; ours only serves the next attempt */
		drop_body(q, m);
		COUNT(bodies_dropped);
	}
}
