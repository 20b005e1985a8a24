/* queue/deadline.c: state. */
#include "queue/deadline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "queue/age.h"
#include "queue/index.h"
#include "queue/notifier.h"
#include "queue/settle.h"
#include "queue/suspension.h"
#include "queue/telling.h"

enum { LOOK_AGAIN_MS = 60000, BUSY_MS = 1000 };

bool deadline_busy(const struct queue *q)
{
	return notifier_busy(q);
}

/* When to look at a wall time that is still to come: the clock may be set meanwhile. */
static uint64_t look_at(const struct queue *q, uint64_t wall_ms)
{
	uint64_t now = core_now(q), at = core_steady(q, wall_ms);
	if (at <= now) /* since the caller looked */
		return now;
	return at - now < LOOK_AGAIN_MS ? at : now + LOOK_AGAIN_MS;
}

/* ---- why a delivery waits ---- */

/* A reason is a reply as text, "451 4.4.1 no answer". */
static void reason_reply(const char *reason, struct reply *out)
{
	char *rest;
	unsigned long code = strtoul(reason, &rest, 10);
	if (rest != reason + 3 || *rest != ' ' || code < 400 || code > 499) {
		reply_set(out, 451, "4.4.1", "%s", reason);
		return;
	}
	const char *text = rest + 1;
	size_t n = strspn(text, "0123456789.");
	char enhanced[REPLY_ENHANCED] = "";
	if (n > 0 && n < sizeof enhanced && text[n] == ' ') {
		memcpy(enhanced, text, n);
		enhanced[n] = '\0';
		text += n + 1;
	}
	reply_set(out, (unsigned)code, enhanced, "%s", text);
}

static void why_it_waits(const struct delivery *d, struct reply *out)
{
	const struct site *s = d->state == DELIVERY_READY ? d->site : NULL;
	if (s != NULL && s->suspension != NULL)
		reply_set(out, 451, "4.3.2", "%s", s->suspension->text);
	else if (s != NULL && s->resting && s->reason != NULL)
		reply_set(out, 451, "4.4.1", "%s", s->reason);
	else if (d->reason != NULL)
		reason_reply(d->reason, out);
	else
		reply_set(out, 451, "4.4.5", "it still waits for its turn here");
}

/* ---- DELIVERBY ---- */

static bool has_mode(const struct message *m)
{
	return message_by_ms(m) != 0 && (m->flags & (ENVELOPE_BY_RETURN | ENVELOPE_BY_NOTIFY));
}

void deadline_watch(struct queue *q, struct message *m)
{
	if (!has_mode(m))
		return;
	m->extra->due.kind = DUE_MESSAGE;
	uint64_t now = core_now(q);
	if (core_wall(q, now) < message_by_ms(m))
		due_set(&q->due, &m->extra->due, look_at(q, message_by_ms(m)));
	else
		due_set(&q->due, &m->extra->due, now > q->no_expiry_until ? now : q->no_expiry_until);
}

/* With mode R, or something to be said. */
static bool has_news(const struct queue *q, const struct delivery *d)
{
	const struct message *m = d->message;
	return (age_late(q, m) && (m->flags & ENVELOPE_BY_RETURN)) || telling_due(q, d);
}

/* The delivery waits (ROUTING, READY, DEFERRED): it fails, or its sender is told and it waits on as before. */
static void pass(struct queue *q, struct delivery *d)
{
	struct reply why;
	const struct attempt *fault = d->state == DELIVERY_READY && d->site->resting ? d->site->fault : NULL;
	uint64_t next = d->state == DELIVERY_DEFERRED ? d->due.at : core_now(q);
	why_it_waits(d, &why);
	index_detach(q, d);
	settle_waiting(q, d, fault, &why, next);
}

void deadline_due(struct queue *q, struct message *m)
{
	if (!age_late(q, m)) {
		deadline_watch(q, m); /* the clock went back, or it was only looked at */
		return;
	}
	if (deadline_busy(q)) {
		due_set(&q->due, &m->extra->due, core_now(q) + BUSY_MS);
		return;
	}
	/* what waits is found before any of it is settled: the last of it may end the message */
	m->busy++;
	for (unsigned i = 0; i < m->delivery_count; i++) {
		struct delivery *d = &m->deliveries[i];
		bool waits =
			d->state == DELIVERY_ROUTING || d->state == DELIVERY_READY || d->state == DELIVERY_DEFERRED;
		if (waits && delivery_open(d) && has_news(q, d))
			pass(q, d);
	}
	m->busy--;
	index_settle(q, m);
}

/* ---- before an attempt ---- */

static void defer(struct queue *q, struct delivery *d, uint64_t at)
{
	d->state = DELIVERY_DEFERRED;
	d->due.kind = DUE_DELIVERY;
	d->since = at;
	due_set(&q->due, &d->due, at);
}

bool deadline_stops(struct queue *q, struct delivery *d)
{
	struct message *m = d->message;
	char stamp[CLOCK_STAMP], reason[CLOCK_STAMP + 32];
	if (age_late(q, m) && (m->flags & ENVELOPE_BY_RETURN)) {
		struct reply why;
		if (deadline_busy(q)) {
			defer(q, d, core_now(q) + BUSY_MS);
			return true;
		}
		why_it_waits(d, &why);
		settle_waiting(q, d, NULL, &why, 0);
		return true;
	}
	if (!age_held_back(q, m))
		return false;
	snprintf(reason, sizeof reason, "held for release at %s", clock_stamp(message_release_ms(m), stamp));
	index_set_reason(q, d, reason);
	defer(q, d, look_at(q, message_release_ms(m)));
	return true;
}

/* ---- at a site that rests or is suspended ---- */

bool deadline_at_rest(struct queue *q, struct delivery *d)
{
	struct reply why;
	const struct site *s = d->site;
	/* what an operator keeps from being tried is not given up before it was */
	bool expires = s->suspension == NULL && !s->untried && age_expired(q, d);
	if ((!s->resting && s->suspension == NULL) || (!expires && !has_news(q, d)))
		return false;
	if (s->suspension != NULL)
		reply_set(&why, 451, "4.3.2", "%s", s->suspension->text);
	else
		reply_set(&why, 451, "4.4.1", "%s", s->reason ? s->reason : "no path to the site works");
	/* it stays one of those that wait for the site, and goes as soon as that is greeted */
	settle_waiting(q, d, s->fault, &why, core_now(q));
	return true;
}
