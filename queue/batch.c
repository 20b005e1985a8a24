/* queue/batch.c: state. */
#include "queue/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "conf/log.h"
#include "queue/settle.h"

enum { FULL_BEFORE_MORE = 20 }; /* full transactions that went well, until the site is asked to take more */

static bool was_asked(const struct delivery *d, uint32_t i)
{
	const uint8_t *asked = d->tries->asked;
	return asked != NULL && (asked[(i - d->first) / 8] >> (i - d->first) % 8 & 1) != 0;
}

bool batch_is_due(const struct delivery *d, uint32_t i)
{
	const struct rcpt *r = &d->message->rcpts[i];
	return r->status == RCPT_QUEUED && !was_asked(d, i) && !settle_answered(d, r->index);
}

static unsigned least(unsigned a, uint64_t b)
{
	return b != 0 && b < a ? (unsigned)b : a;
}

/* The most recipients of a transaction over this link. */
static unsigned most_of(const struct link *l)
{
	unsigned most = least(ENVELOPE_RCPTS_MAX, l->site->lane.rcpt_max);
	most = least(most, connection_info(l->connection)->peer.rcpt_max);
	return least(most, l->site->rcpt_limit);
}

struct work *batch_new(struct queue *q, struct delivery *d, struct link *l)
{
	struct message *m = d->message;
	unsigned most = least(d->count, most_of(l));
	struct work *w = calloc(1, sizeof *w + most * sizeof *w->rcpts);
	if (w == NULL)
		return NULL;
	struct transaction *t = &w->transaction;
	for (uint32_t i = d->first; i < d->first + d->count && !w->part; i++) {
		const struct rcpt *r = &m->rcpts[i];
		if (!batch_is_due(d, i))
			continue;
		w->part = t->rcpt_count == most;
		if (!w->part)
			w->rcpts[t->rcpt_count++] = (struct transaction_rcpt){
				.address = r->address, .orcpt = rcpt_orcpt(r), .index = r->index, .notify = r->notify};
	}
	t->rcpts = w->rcpts;
	t->id = m->id;
	t->sender = m->sender;
	t->envid = message_envid(m);
	t->size = m->size;
	t->flags = m->flags;
	t->priority = message_priority(m);
	t->has_by = message_by_ms(m) != 0;
	t->by_s = t->has_by ? ((int64_t)message_by_ms(m) - (int64_t)core_wall(q, core_now(q))) / 1000 : 0;
	t->arg = w;
	w->delivery = d;
	w->link = l;
	return w;
}

static void learn(struct site *s, const struct transaction *t, unsigned rest)
{
	if (rest > 0) {
		s->rcpt_limit = t->accepted;
		s->rcpt_full = 0;
		COUNT(batches_split);
		LOG_INFO("site-recipients", LF_ID("id", t->id), LF_STR("site", s->lane.site),
			LF_NUM("most", t->accepted), LF_NUM("rest", rest));
		return;
	}
	if (s->rcpt_limit == 0 || t->rcpt_count < s->rcpt_limit || ++s->rcpt_full < FULL_BEFORE_MORE)
		return;
	s->rcpt_full = 0;
	s->rcpt_limit += s->rcpt_limit / 4 + 1;
	if (s->rcpt_limit >= ENVELOPE_RCPTS_MAX)
		s->rcpt_limit = 0;
}

bool batch_is_rest(const struct transaction *t, const struct transaction_rcpt *r)
{
	return r->too_many && t->accepted > 0;
}

int batch_note(struct site *s, struct delivery *d, const struct work *w)
{
	const struct message *m = d->message;
	const struct transaction *t = &w->transaction;
	struct tries *tries = d->tries;
	unsigned rest = 0, k = 0;
	for (unsigned i = 0; i < t->rcpt_count; i++)
		rest += batch_is_rest(t, &t->rcpts[i]);
	learn(s, t, rest);
	if (!w->part && rest == 0)
		return 0;
	if (tries->asked == NULL)
		tries->asked = calloc(1, d->count / 8 + 1);
	if (tries->asked == NULL)
		return -ENOMEM;
	/* both are in the order of the message */
	for (uint32_t i = d->first; i < d->first + d->count && k < t->rcpt_count; i++) {
		if (m->rcpts[i].index != t->rcpts[k].index)
			continue;
		if (!batch_is_rest(t, &t->rcpts[k++]))
			tries->asked[(i - d->first) / 8] |= (uint8_t)(1u << (i - d->first) % 8);
	}
	return 1;
}

void batch_restart(struct delivery *d)
{
	free(d->tries->asked);
	d->tries->asked = NULL;
	d->tries->left = false;
}
