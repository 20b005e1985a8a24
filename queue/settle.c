/* queue/settle.c: state. */
#include "queue/settle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "queue/age.h"
#include "queue/entry.h"
#include "queue/index.h"
#include "queue/notifier.h"
#include "queue/path/account.h"
#include "queue/retry.h"
#include "queue/soft.h"
#include "queue/telling.h"

static int begin(struct queue *q, struct delivery *d, const char *site)
{
	uint64_t now = core_now(q);
	struct tries *t = calloc(1, sizeof *t);
	if (t == NULL)
		return -ENOMEM;
	t->attempt = attempt_new(core_wall(q, now), site);
	if (t->attempt == NULL) {
		free(t);
		return -ENOMEM;
	}
	t->began = now;
	d->tries = t;
	return 0;
}

int settle_begin(struct queue *q, struct delivery *d)
{
	if (d->tries != NULL)
		return 0;
	return begin(q, d, d->site ? d->site->lane.site : d->domain ? d->domain->name : "");
}

void settle_paths(struct queue *q, struct delivery *d, const struct path_try *paths, unsigned count, int used)
{
	(void)q;
	struct attempt *a = d->tries->attempt;
	for (unsigned i = 0; i < count; i++) {
		if ((int)i == used)
			attempt_use_path(a, &paths[i]);
		else if (a->path_count < ATTEMPT_PATHS_MAX - ATTEMPT_USED_MAX)
			attempt_add_path(a, &paths[i]);
	}
}

void settle_rcpt(struct queue *q, struct delivery *d, uint16_t index, enum rcpt_status status, const struct reply *r)
{
	(void)q;
	if (attempt_set_rcpt(d->tries->attempt, index, status, r) != 0)
		LOG_ERR("no-memory", LF_ID("id", d->message->id),
			LF_STR("what", "a recipient's outcome could not be kept"));
}

int settle_reserve(struct queue *q, struct delivery *d, unsigned answers)
{
	enum { BESIDE = 4 }; /* answers that are given to the rest, and for time that is over */
	struct tries *t = d->tries;
	(void)q;
	if (attempt_reserve(t->attempt, d->count, answers + BESIDE) != 0)
		return -ENOMEM;
	if (t->outcome == NULL)
		t->outcome = entry_reserve();
	return t->outcome == NULL ? -ENOMEM : entry_make_room(t->outcome, attempt_encoded_most(t->attempt));
}

static int by_index(const void *key, const void *row)
{
	return (int)*(const uint16_t *)key - (int)((const struct attempt_rcpt *)row)->index;
}

static struct attempt_rcpt *find_row(const struct attempt *a, uint16_t index)
{
	return a->rcpt_count == 0 ? NULL : bsearch(&index, a->rcpts, a->rcpt_count, sizeof *a->rcpts, by_index);
}

bool settle_answered(const struct delivery *d, uint16_t index)
{
	const struct attempt_rcpt *row = d->tries ? find_row(d->tries->attempt, index) : NULL;
	return row != NULL && row->status != RCPT_QUEUED;
}

static const char *row_event(const struct tries *t, uint8_t status)
{
	if (t->discarded)
		return "discarded";
	return status == RCPT_DELIVERED ? "delivered" : status == RCPT_FAILED ? "failed" : "deferred";
}

static void count_row(const struct tries *t, uint8_t status, const struct path_try *used)
{
	if (t->discarded) {
		COUNT(recipients_discarded);
	} else if (status == RCPT_FAILED) {
		COUNT(recipients_failed);
	} else if (status == RCPT_QUEUED) {
		COUNT(recipients_deferred);
	} else {
		COUNT(recipients_delivered);
		if (used != NULL && used->real.family != FAMILY_NONE)
			COUNT(delivered_nat64);
		else if (used != NULL && used->to.ip.family == FAMILY_IPV6)
			COUNT(delivered_ipv6);
		else
			COUNT(delivered_ipv4);
	}
}

/* One line a recipient: everything that one grep for the queue ID should tell. */
static void log_rows(struct queue *q, const struct delivery *d)
{
	const struct tries *t = d->tries;
	const struct attempt *a = t->attempt;
	const struct message *m = d->message;
	uint64_t now = core_now(q);
	uint64_t all = now > d->since ? now - d->since : 0;
	uint64_t known = (uint64_t)d->route_ms + t->race_ms + t->transfer_ms;
	char next[CLOCK_STAMP], reply[REPLY_TEXT_MAX + 32];
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		const struct attempt_rcpt *row = &a->rcpts[i];
		const struct path_try *p = attempt_path(a, row);
		struct delivery *owner;
		const struct rcpt *r = message_rcpt(d->message, row->index, &owner);
		count_row(t, row->status, p);
		if (!t->discarded)
			account_outcome(q, (enum rcpt_status)row->status, p, now > m->arrival ? now - m->arrival : 0);
		LOG_INFO(row_event(t, row->status), LF_ID("id", m->id), LF_ADDRESS("from", m->sender),
			LF_ADDRESS("to", r ? r->address : ""), LF_STR("site", *a->site ? a->site : NULL),
			LF_STR("host", p && p->host[0] ? p->host : NULL), LF_ENDPOINT("address", p ? &p->to : NULL),
			LF_FAMILY("family", p ? path_family(p) : 0), LF_STR("via", p ? path_via(p) : NULL),
			LF_MS("queue", all > known ? all - known : 0), LF_MS("route", d->route_ms),
			LF_MS("race", t->race_ms), LF_MS("transfer", t->transfer_ms),
			LF_NUM("attempts", d->attempts + (a->waited ? 0u : 1u)),
			LF_STR("next", row->status == RCPT_QUEUED && a->next_ms ? clock_stamp(a->next_ms, next) : NULL),
			LF_STR("reply", reply_format(&a->replies[row->reply], reply, sizeof reply)));
	}
}

static bool any_row(const struct attempt *a, uint8_t status)
{
	for (unsigned i = 0; i < a->rcpt_count; i++)
		if (a->rcpts[i].status == status)
			return true;
	return false;
}

/* Does an operator keep it from being tried, or has nothing been tried since one did? */
static bool is_kept_from(const struct delivery *d)
{
	return d->site != NULL && (d->site->suspension != NULL || d->site->untried);
}

/* Deferred rows fail for want of time, with what was said last: the time of DELIVERBY has passed, or the message is too
 * old. */
static void expire_rows(struct queue *q, struct delivery *d)
{
	struct attempt *a = d->tries->attempt;
	const struct message *m = d->message;
	char span[CLOCK_SPAN], last[REPLY_TEXT_MAX];
	if (age_late(q, m) && (m->flags & ENVELOPE_BY_RETURN))
		d->tries->late = true;
	else if (age_expired(q, d) && !(d->tries->attempt->waited && is_kept_from(d)))
		d->tries->expired = true;
	else
		return;
	uint64_t now = core_now(q), began = age_begin(q, m);
	clock_span(now > began ? now - began : 0, span);
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		if (a->rcpts[i].status != RCPT_QUEUED)
			continue;
		struct reply r;
		reply_set(&r, 554, "5.4.7", "%s %s; the last reason was: %s",
			d->tries->late ? "not delivered in the time that the sender allows, after"
				       : "could not be delivered for",
			span, reply_format(&a->replies[a->rcpts[i].reply], last, sizeof last));
		const struct attempt_rcpt was = a->rcpts[i];
		settle_rcpt(q, d, was.index, RCPT_FAILED, &r);
		a->rcpts[i].cause = was.reply;
		a->rcpts[i].path = was.path;
		COUNT(recipients_expired);
	}
}

/* The delivery's recipients as the rows say. */
static void apply_rows(struct queue *q, struct delivery *d, const struct attempt *a)
{
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		struct delivery *owner;
		struct rcpt *r = message_rcpt(d->message, a->rcpts[i].index, &owner);
		if (r == NULL)
			continue;
		r->told |= a->rcpts[i].told;
		index_finish_rcpt(q, owner, r, (enum rcpt_status)a->rcpts[i].status);
	}
}

static void return_now(struct queue *q, struct message *m);

/* The delivery's message is withdrawn: then it is held, removed or returned. */
static bool take_back(struct queue *q, struct delivery *d)
{
	struct message *m = d->message;
	if ((m->flags & ENVELOPE_RETURNING) == 0 || m->removing)
		return index_take_back(q, d);
	d->state = DELIVERY_HELD;
	if (m->open > 0 && !index_in_transfer(m))
		return_now(q, m);
	return true;
}

static void go_on_alone(struct queue *q, struct delivery *d, bool tried, uint64_t next_at)
{
	struct message *m = d->message;
	tries_free(d);
	if (tried && d->attempts < UINT16_MAX)
		d->attempts++;
	d->state = DELIVERY_IDLE;
	if (!delivery_open(d)) {
		index_set_site(q, d, NULL);
		index_set_domain(q, d, NULL);
		take_back(q, d);
		index_settle(q, m);
		return;
	}
	if (take_back(q, d)) {
		index_settle(q, m);
		return;
	}
	if (d->again)
		next_at = core_now(q);
	d->again = false;
	d->state = DELIVERY_DEFERRED;
	d->due.kind = DUE_DELIVERY;
	/* who was due before and was only looked at keeps that time: it is how long it has waited for its turn */
	if (tried || d->since > core_now(q) || next_at > core_now(q))
		d->since = next_at;
	due_set(&q->due, &d->due, next_at);
}

/* The attempt is over and written down: the delivery goes to where it belongs now, and with it those that were settled
 * by the same outcome. */
static void go_on(struct queue *q, struct delivery *d, bool tried, uint64_t next_at)
{
	struct message *m = d->message;
	for (unsigned i = 0; d->joined && i < m->delivery_count; i++) {
		struct delivery *other = &m->deliveries[i];
		m->flags &= ~(uint32_t)ENVELOPE_RETURNING;
		if (other == d || !other->joined)
			continue;
		other->joined = false;
		go_on_alone(q, other, tried, next_at);
	}
	d->joined = false;
	go_on_alone(q, d, tried, next_at);
}

static void post_outcome(struct queue *q, struct entry *e);

/* The sender cannot be told now: those that failed stay in the queue, the others' outcomes count. */
static void keep_failed(struct queue *q, struct delivery *d, struct attempt *a)
{
	telling_undo(a);
	if (!any_row(a, RCPT_FAILED))
		return;
	for (unsigned i = 0; i < a->rcpt_count; i++)
		if (a->rcpts[i].status == RCPT_FAILED)
			a->rcpts[i].status = RCPT_QUEUED;
	d->due.at = core_now(q) + retry_of(q, d).first;
	a->next_ms = core_wall(q, d->due.at);
	index_set_reason(q, d, "the bounce could not be stored here");
}

static void on_outcome(struct entry *e, int status)
{
	struct queue *q = e->queue;
	struct delivery *d = e->delivery;
	if (status == 0) {
		apply_rows(q, d, e->attempt);
		notifier_stored(q, e);
		go_on(q, d, !e->attempt->waited, d->due.at);
		return;
	}
	LOG_ERR("bounce-not-stored", LF_ID("id", d->message->id), LF_STR("error", strerror(-status)),
		LF_STR("what", "the message stays in the queue"));
	keep_failed(q, d, e->attempt);
	struct entry *alone = entry_new(q, d->message, RECORD_OUTCOME, on_outcome);
	if (alone == NULL) {
		apply_rows(q, d, e->attempt);
		go_on(q, d, !e->attempt->waited, d->due.at);
		return;
	}
	alone->delivery = d;
	alone->attempt = e->attempt;
	e->attempt = NULL;
	post_outcome(q, alone);
}

static void post_outcome(struct queue *q, struct entry *e)
{
	if (attempt_encode(e->attempt, &e->meta) == 0) {
		entry_post(e);
		return;
	}
	LOG_ERR("no-memory", LF_ID("id", e->message->id),
		LF_STR("what", "an outcome could not be written; it is tried again"));
	struct delivery *d = e->delivery;
	entry_drop(e);
	go_on(q, d, true, core_now(q) + retry_of(q, d).first);
}

static void on_notices_ready(struct queue *q, struct entry *e, bool made)
{
	if (!made)
		keep_failed(q, e->delivery, e->attempt);
	post_outcome(q, e);
}

/* Recipients failed, and not all of them are told of. */
static void log_untold(const struct queue *q, struct message *m, const struct attempt *a)
{
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		struct delivery *owner;
		const struct rcpt *r = message_rcpt(m, a->rcpts[i].index, &owner);
		if (r == NULL || a->rcpts[i].status != RCPT_FAILED || telling_row(q, m, &a->rcpts[i], NOTICE_FAILED))
			continue;
		COUNT(bounces_dropped);
		if (*m->sender == '\0')
			LOG_WARN("bounce-dropped", LF_ID("id", m->id), LF_ADDRESS("to", r->address),
				LF_STR("what", "failed, and its reverse-path is null: nobody to tell"));
		else
			LOG_INFO("bounce-dropped", LF_ID("id", m->id), LF_ADDRESS("to", r->address),
				LF_STR("what", "failed, and its NOTIFY asks for no notice of that"));
	}
}

static uint64_t next_time(struct queue *q, const struct delivery *d, uint64_t next_at)
{
	if (next_at != 0)
		return next_at;
	struct retry_times times = retry_of(q, d);
	return core_now(q) + retry_delay(&times, d->attempts + 1u, d->tries->greylisted, q->chance());
}

/* Where the next attempt begins: a greylisting server knows us over this path. */
static void keep_greylisted(struct delivery *d)
{
	if (d->tries->first_4yz.ip.family == FAMILY_NONE)
		return;
	if (d->greylisted == NULL)
		d->greylisted = malloc(sizeof *d->greylisted);
	if (d->greylisted != NULL)
		*d->greylisted = d->tries->first_4yz;
}

static void write_outcome(struct queue *q, struct delivery *d)
{
	struct message *m = d->message;
	struct tries *t = d->tries;
	struct entry *e = t->outcome ? entry_begin(t->outcome, q, m, RECORD_OUTCOME, on_outcome)
				     : entry_new(q, m, RECORD_OUTCOME, on_outcome);
	t->outcome = NULL;
	if (e == NULL) {
		LOG_ERR("no-memory", LF_ID("id", m->id),
			LF_STR("what", "an outcome could not be written; it is tried again"));
		go_on(q, d, true, core_now(q) + retry_of(q, d).first);
		return;
	}
	e->delivery = d;
	e->attempt = t->attempt;
	e->expired = t->expired;
	e->late = t->late;
	e->tried_ms = t->tried_ms;
	t->attempt = NULL;
	log_untold(q, m, e->attempt);
	unsigned kinds = telling_kinds(q, m, e->attempt);
	if (kinds == 0)
		post_outcome(q, e);
	else
		notifier_start(q, e, kinds, on_notices_ready);
}

void settle_end(struct queue *q, struct delivery *d, const struct reply *rest, uint64_t next_at)
{
	struct tries *t = d->tries;
	struct attempt *a = t->attempt;
	struct message *m = d->message;
	d->state = DELIVERY_SETTLING;
	for (unsigned i = d->first; i < d->first + d->count; i++)
		if (m->rcpts[i].status == RCPT_QUEUED && find_row(a, m->rcpts[i].index) == NULL)
			settle_rcpt(q, d, m->rcpts[i].index, RCPT_QUEUED, rest);
	a->took_ms = (uint32_t)(core_now(q) - t->began);
	if (any_row(a, RCPT_QUEUED))
		expire_rows(q, d);
	telling_waiting(q, d);
	if (any_row(a, RCPT_QUEUED)) {
		if (d->again)
			next_at = core_now(q);
		keep_greylisted(d);
		/* in steady time: the wall clock may step before the outcome is durable */
		d->due.at = next_time(q, d, next_at);
		a->next_ms = core_wall(q, d->due.at);
		for (unsigned i = 0; i < a->rcpt_count; i++) {
			char text[REPLY_TEXT_MAX + 32];
			if (a->rcpts[i].status == RCPT_QUEUED && !a->waited) {
				index_set_reason(q, d, reply_format(&a->replies[a->rcpts[i].reply], text, sizeof text));
				break;
			}
		}
	}
	if (!a->waited || !any_row(a, RCPT_QUEUED))
		log_rows(q, d);
	write_outcome(q, d);
}

void settle_end_at_rest(struct queue *q, struct delivery *d, const struct reply *rest, uint64_t probe_at)
{
	settle_end(q, d, rest, probe_at);
	if (d->state == DELIVERY_SETTLING)
		d->due.at = core_now(q);
}

/* The sender is not told with this record: with the attempt's last one, if that is still to come. */
static void tell_later(struct entry *e)
{
	telling_undo(e->attempt);
	for (unsigned i = 0; i < e->attempt->rcpt_count; i++) {
		struct attempt_rcpt *row =
			e->delivery->tries ? find_row(e->delivery->tries->attempt, e->attempt->rcpts[i].index) : NULL;
		if (row != NULL)
			row->told |= TOLD_RELAYED;
	}
}

static void on_interim(struct entry *e, int status)
{
	if (status == 0)
		notifier_stored(e->queue, e);
	else
		tell_later(e); /* what was delivered is written down at the end of the attempt too */
	apply_rows(e->queue, e->delivery, e->attempt);
	index_settle(e->queue, e->message);
}

static void post_interim(struct queue *q, struct entry *e, bool made)
{
	(void)q;
	if (!made)
		tell_later(e);
	if (attempt_encode(e->attempt, &e->meta) == 0)
		entry_post(e);
	else
		entry_drop(e);
}

/* Those that were delivered and are not written down yet; the notices that they ask for go with this record. */
static int take_delivered(struct attempt *a, struct attempt *part)
{
	for (unsigned i = 0; i < a->rcpt_count; i++) {
		struct attempt_rcpt *row = &a->rcpts[i];
		const struct path_try *path = attempt_path(a, row);
		if (row->status != RCPT_DELIVERED || row->noted)
			continue;
		if (path != NULL && (part->used < 0 || !endpoint_equal(&part->paths[part->used].to, &path->to)))
			attempt_use_path(part, path);
		if (attempt_set_rcpt(part, row->index, RCPT_DELIVERED, &a->replies[row->reply]) != 0)
			return -ENOMEM;
		part->rcpts[part->rcpt_count - 1].told = row->told;
	}
	return 0;
}

void settle_interim(struct queue *q, struct delivery *d)
{
	struct attempt *a = d->tries->attempt;
	struct attempt *part = attempt_new(a->when_ms, a->site);
	struct entry *e = part ? entry_new(q, d->message, RECORD_OUTCOME, on_interim) : NULL;
	if (e == NULL) {
		attempt_free(part);
		return;
	}
	e->attempt = part;
	e->delivery = d;
	if (take_delivered(a, part) != 0 || part->rcpt_count == 0) {
		entry_drop(e);
		return;
	}
	for (unsigned i = 0; i < a->rcpt_count; i++)
		if (a->rcpts[i].status == RCPT_DELIVERED) {
			a->rcpts[i].noted = true;
			a->rcpts[i].told = 0;
		}
	unsigned kinds = telling_kinds(q, d->message, part);
	if (kinds == 0)
		post_interim(q, e, true);
	else
		notifier_start(q, e, kinds, post_interim);
}

/* Who was answered in an attempt that waited for its next connection keeps that. */
static void settle_rest(struct queue *q, struct delivery *d, enum rcpt_status status, const struct reply *r)
{
	for (unsigned i = d->first; i < d->first + d->count; i++)
		if (d->message->rcpts[i].status == RCPT_QUEUED && !settle_answered(d, d->message->rcpts[i].index))
			settle_rcpt(q, d, d->message->rcpts[i].index, status, r);
}

void settle_all(struct queue *q, struct delivery *d, const struct reply *r)
{
	if (settle_begin(q, d) != 0) {
		go_on(q, d, true, core_now(q) + retry_of(q, d).first);
		return;
	}
	struct reply soft;
	if (soft_bounce(q, d, r, &soft))
		r = &soft;
	settle_rest(q, d, reply_class(r) == 5 ? RCPT_FAILED : RCPT_QUEUED, r);
	settle_end(q, d, r, 0);
}

void settle_discard(struct queue *q, struct delivery *d, const char *route)
{
	struct reply r;
	if (settle_begin(q, d) != 0) {
		go_on(q, d, true, core_now(q) + retry_of(q, d).first);
		return;
	}
	reply_set(&r, 250, "2.0.0", "discarded by route %s", route);
	d->tries->discarded = true;
	settle_rest(q, d, RCPT_DELIVERED, &r);
	settle_end(q, d, &r, 0);
}

static bool has_answers(const struct delivery *d)
{
	return d->tries != NULL && d->tries->attempt->rcpt_count > 0;
}

static void end_early(struct queue *q, struct delivery *d)
{
	struct reply r;
	reply_set(&r, 451, "4.4.2", "the attempt was ended here before all recipients had their turn");
	settle_end(q, d, &r, 0);
}

void settle_cancel(struct queue *q, struct delivery *d)
{
	if (has_answers(d))
		end_early(q, d);
	else
		go_on_alone(q, d, false, core_now(q));
}

void settle_answers(struct queue *q, struct message *m)
{
	for (unsigned i = 0; i < m->delivery_count; i++) {
		struct delivery *d = &m->deliveries[i];
		bool waits = d->state == DELIVERY_READY || d->state == DELIVERY_ROUTING ||
			     d->state == DELIVERY_DEFERRED || d->state == DELIVERY_HELD;
		if (!waits || !has_answers(d))
			continue;
		index_detach(q, d);
		end_early(q, d);
	}
}

/* Nothing of the message is in transfer. Its deliveries wait for what becomes of the one attempt. */
static void return_now(struct queue *q, struct message *m)
{
	struct reply r;
	struct delivery *first = NULL;
	reply_set(&r, 554, "5.7.0", "returned by the operator: %s", m->reason ? m->reason : "");
	for (unsigned i = 0; i < m->delivery_count; i++) {
		struct delivery *d = &m->deliveries[i];
		if (!delivery_open(d))
			continue;
		tries_free(d);
		d->state = DELIVERY_SETTLING;
		d->joined = true;
		if (first == NULL && begin(q, d, "") == 0) {
			first = d;
			d->tries->attempt->waited = true; /* nothing was tried */
		}
		for (unsigned j = d->first; first != NULL && j < d->first + d->count; j++)
			if (m->rcpts[j].status == RCPT_QUEUED)
				settle_rcpt(q, first, m->rcpts[j].index, RCPT_FAILED, &r);
	}
	if (first == NULL) {
		LOG_ERR("no-memory", LF_ID("id", m->id), LF_STR("what", "it could not be returned"));
		for (unsigned i = 0; i < m->delivery_count; i++)
			if (m->deliveries[i].joined)
				first = &m->deliveries[i];
		if (first != NULL)
			go_on(q, first, true, core_now(q) + retry_of(q, first).first);
		return;
	}
	log_rows(q, first);
	write_outcome(q, first);
}

void settle_return(struct queue *q, struct message *m, const char *reason)
{
	settle_answers(q, m);
	index_return(q, m, reason, false);
	if (!index_in_transfer(m))
		return_now(q, m);
}

void settle_waiting(
	struct queue *q, struct delivery *d, const struct attempt *fault, const struct reply *why, uint64_t next_at)
{
	if (settle_begin(q, d) != 0) {
		go_on(q, d, true, core_now(q) + retry_of(q, d).first);
		return;
	}
	/* with some answers it is the end of an attempt that was waiting for its next connection */
	d->tries->attempt->waited = d->tries->attempt->rcpt_count == 0;
	if (d->tries->attempt->waited)
		d->tries->tried_ms = fault ? fault->when_ms : 0;
	if (fault != NULL)
		settle_paths(q, d, fault->paths, fault->path_count, -1);
	settle_end(q, d, why, next_at);
}
