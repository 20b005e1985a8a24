/* queue/schedule.c: state. */
#include "queue/schedule.h"

#include "queue/deadline.h"
#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/notifier.h"
#include "queue/retry.h"
#include "queue/route.h"
#include "queue/settle.h"
#include "queue/suspension.h"

enum { LOOK_UP_MS = 30000 };

/* No wait is longer than the longest: a time beyond that was written while the clock was wrong. */
static uint64_t not_too_late(const struct queue *q, const struct delivery *d, uint64_t at, uint64_t now)
{
	uint64_t latest = now + retry_of(q, d).max;
	return at > latest ? latest : at;
}

/* It is due: on its way, unless its sender wants it later, or not any more. */
static void try_delivery(struct queue *q, struct delivery *d)
{
	struct message *m = d->message;
	if (m->flags & ENVELOPE_RETURNING) {
		/* begun before a restart */
		settle_return(q, m, m->reason ? m->reason : "");
		return;
	}
	if (!deadline_stops(q, d))
		route_delivery(q, d);
}

static void schedule_delivery(struct queue *q, struct delivery *d)
{
	if (index_withdrawn(d->message)) {
		d->state = DELIVERY_HELD;
		return;
	}
	uint64_t now = core_now(q);
	d->since = not_too_late(q, d, d->since, now);
	if (d->since > now) {
		d->state = DELIVERY_DEFERRED;
		d->due.kind = DUE_DELIVERY;
		due_set(&q->due, &d->due, d->since);
		return;
	}
	if (d->since == 0)
		d->since = now;
	try_delivery(q, d);
}

void schedule_message(struct queue *q, struct message *m)
{
	deadline_watch(q, m);
	for (unsigned i = 0; i < m->delivery_count; i++)
		if (m->deliveries[i].state == DELIVERY_IDLE && delivery_open(&m->deliveries[i]))
			schedule_delivery(q, &m->deliveries[i]);
}

void schedule_all(struct queue *q)
{
	uint64_t now = core_now(q);
	struct message *m;
	for (uint64_t id = 0; (m = idmap_next(&q->messages, id, &id)) != NULL;) {
		deadline_watch(q, m);
		for (unsigned i = 0; i < m->delivery_count; i++) {
			struct delivery *d = &m->deliveries[i];
			if ((m->flags & (ENVELOPE_HELD | ENVELOPE_DAMAGED)) && !(m->flags & ENVELOPE_RETURNING)) {
				d->state = DELIVERY_HELD;
				continue;
			}
			/* `since` is the wall time of the next try as the spool has it */
			uint64_t at = core_steady(q, d->since);
			d->since = d->since == 0 || at < now ? now : not_too_late(q, d, at, now);
			d->state = DELIVERY_DEFERRED;
			d->due.kind = DUE_DELIVERY;
			due_set(&q->due, &d->due, d->since);
		}
	}
}

void schedule_retry(struct queue *q, struct message *m)
{
	for (unsigned i = 0; i < m->delivery_count; i++) {
		struct delivery *d = &m->deliveries[i];
		bool under_way = d->state == DELIVERY_DIALLING || d->state == DELIVERY_ACTIVE;
		if (d->state == DELIVERY_SETTLING || (under_way && route_moved(d)))
			d->again = true;
		bool moved = (d->state == DELIVERY_READY || d->state == DELIVERY_ROUTING) && route_moved(d);
		if (d->state == DELIVERY_DEFERRED || moved) {
			/* if it has to be looked up first, it probes when it comes there */
			if (!moved && d->site != NULL && d->site->resting)
				d->site->probe_due = true;
			index_detach(q, d);
			d->since = core_now(q);
			try_delivery(q, d);
		}
		if (d->state == DELIVERY_READY && d->site->resting) {
			/* this one is to be the probe */
			ready_remove(&d->site->ready, d);
			ready_add_first(&d->site->ready, d);
			dispatch_probe(q, d->site);
		}
	}
}

/* The end of a site's rest. Answers that have run out are asked again first: the first in line goes the whole way. */
static void site_due(struct queue *q, struct site *s)
{
	struct delivery *d = ready_first(&s->ready);
	if (!s->resting || d == NULL || d->domain == NULL || route_is_fresh(q, d->domain)) {
		dispatch_probe(q, s);
		return;
	}
	s->probe_due = true;
	/* if its domain is elsewhere now, or cannot be found, the next one has its turn */
	due_set(&q->due, &s->due, core_now(q) + LOOK_UP_MS);
	index_detach(q, d);
	route_delivery(q, d);
}

uint64_t schedule_run(struct queue *q, unsigned budget)
{
	q->slice_notices = 0;
	for (unsigned n = 0; n < budget && (n == 0 || !notifier_slice_full(q)); n++) {
		struct due *due = due_first(&q->due);
		if (due == NULL)
			return UINT64_MAX;
		if (due->at > core_now(q))
			return due->at;
		due_clear(&q->due, due);
		switch ((enum due_kind)due->kind) {
		case DUE_DELIVERY: {
			struct delivery *d = LETTER_OF(due, struct delivery, due);
			d->state = DELIVERY_IDLE;
			try_delivery(q, d);
			break;
		}
		case DUE_MESSAGE:
			deadline_due(q, LETTER_OF(due, struct message_extra, due)->message);
			break;
		case DUE_SITE:
			site_due(q, LETTER_OF(due, struct site, due));
			break;
		case DUE_SWEEP:
			dispatch_sweep_slice(q, LETTER_OF(due, struct site, sweep_due));
			break;
		case DUE_SERVE:
			route_serve(q, LETTER_OF(due, struct domain, serve_due));
			break;
		case DUE_RESUME:
			suspension_slice(q);
			break;
		case DUE_DOMAIN:
			route_domain_due(q, LETTER_OF(due, struct domain, due));
			break;
		}
	}
	return 0;
}
