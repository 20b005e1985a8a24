/* queue/telling.c: state. */
#include "queue/telling.h"

#include <string.h>

#include "queue/age.h"
#include "queue/index.h"
#include "queue/mail/notify.h"

static bool has_sender(const struct message *m)
{
	return *m->sender != '\0';
}

void telling_relayed(struct delivery *d, uint16_t index, bool dsn)
{
	const struct message *m = d->message;
	struct attempt *a = d->tries->attempt;
	struct delivery *owner;
	const struct rcpt *r = message_rcpt(d->message, index, &owner);
	if (r == NULL || !has_sender(m) || !notify_wants(r->notify, m->flags, NOTIFY_OF_RELAY))
		return;
	if (dsn && !(m->flags & ENVELOPE_BY_TRACE))
		return;
	for (unsigned i = 0; i < a->rcpt_count; i++)
		if (a->rcpts[i].index == index && a->rcpts[i].status == RCPT_DELIVERED)
			a->rcpts[i].told |= TOLD_RELAYED;
}

/* What the sender is to be told now of a recipient that waits: TOLD_*. */
static uint8_t news_of(const struct queue *q, const struct delivery *d, const struct rcpt *r)
{
	const struct message *m = d->message;
	uint8_t news = 0;
	if (!has_sender(m) || index_withdrawn(m))
		return 0;
	if (!(r->told & TOLD_DELAY) && notify_wants(r->notify, m->flags, NOTIFY_OF_DELAY) && age_warns(q, d))
		news |= TOLD_DELAY;
	if (!(r->told & TOLD_BY) && notify_wants(r->notify, m->flags, NOTIFY_OF_BY_TIME) && age_late(q, m))
		news |= TOLD_BY;
	return news;
}

void telling_waiting(const struct queue *q, struct delivery *d)
{
	struct attempt *a = d->tries->attempt;
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		struct delivery *owner;
		const struct rcpt *r = message_rcpt(d->message, a->rcpts[i].index, &owner);
		if (r != NULL && a->rcpts[i].status == RCPT_QUEUED)
			a->rcpts[i].told |= news_of(q, d, r);
	}
}

bool telling_due(const struct queue *q, const struct delivery *d)
{
	for (unsigned i = d->first; i < d->first + d->count; i++)
		if (d->message->rcpts[i].status == RCPT_QUEUED && news_of(q, d, &d->message->rcpts[i]) != 0)
			return true;
	return false;
}

void telling_undo(struct attempt *a)
{
	for (unsigned i = 0; i < a->rcpt_count; i++)
		a->rcpts[i].told = 0;
}

/* A double bounce about a double bounce, or about mail to where those go, is never made: nothing can go in circles. */
const char *telling_whom(const struct queue *q, const struct message *m, const char *rcpt)
{
	const char *address = q->conf->double_bounces;
	if (has_sender(m))
		return m->sender;
	if (address == NULL || (m->flags & ENVELOPE_DOUBLE) || strcasecmp(rcpt, address) == 0)
		return NULL;
	return address;
}

static bool failure_is_told(const struct queue *q, const struct message *m, const struct rcpt *r)
{
	/* our own notices go out with NEVER, which is for the next servers */
	uint8_t notify = m->flags & ENVELOPE_BOUNCE ? 0 : r->notify;
	return notify_wants(notify, m->flags, NOTIFY_OF_FAILURE) && telling_whom(q, m, r->address) != NULL;
}

bool telling_row(const struct queue *q, struct message *m, const struct attempt_rcpt *row, enum notice_kind kind)
{
	struct delivery *d;
	const struct rcpt *r = message_rcpt(m, row->index, &d);
	if (r == NULL)
		return false;
	switch (kind) {
	case NOTICE_FAILED:
		return row->status == RCPT_FAILED && failure_is_told(q, m, r);
	case NOTICE_DELAYED:
		return row->status == RCPT_QUEUED && (row->told & (TOLD_DELAY | TOLD_BY));
	case NOTICE_RELAYED:
		return row->status == RCPT_DELIVERED && (row->told & TOLD_RELAYED);
	case NOTICE_KINDS:
		break;
	}
	return false;
}

unsigned telling_kinds(const struct queue *q, struct message *m, const struct attempt *a)
{
	unsigned kinds = 0;
	for (unsigned i = 0; i < a->rcpt_count; i++)
		for (unsigned k = 0; k < NOTICE_KINDS; k++)
			if (telling_row(q, m, &a->rcpts[i], (enum notice_kind)k))
				kinds |= 1u << k;
	return kinds;
}
