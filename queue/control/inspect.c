/* queue/control/inspect.c: state. What an operator does is in queue/control/act.c, what reads the spool for one in
 * queue/control/readback.c, traces are in queue/control/trace.c. */
#include "queue/control/inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "queue/age.h"
#include "queue/core.h"
#include "queue/index.h"
#include "queue/schedule.h"
#include "queue/pace.h"
#include "queue/site.h"
#include "queue/suspension.h"

const uint64_t queue_age_limits_ms[QUEUE_AGES - 1] = {300000, 900000, 3600000, 14400000, 86400000, 259200000};

const char *rcpt_state_word(enum rcpt_state s)
{
	static const char *const words[RCPT_STATE_COUNT] = {
		"active", "ready", "routing", "resting", "suspended", "deferred", "held", "delivered", "failed"};
	return (unsigned)s < RCPT_STATE_COUNT ? words[s] : "unknown";
}

/* ---- views ---- */

static enum rcpt_state state_of(const struct delivery *d)
{
	switch ((enum delivery_state)d->state) {
	case DELIVERY_ROUTING:
		return RCPT_STATE_ROUTING;
	case DELIVERY_READY:
		return d->site->suspension != NULL ? RCPT_STATE_SUSPENDED
		       : d->site->resting	   ? RCPT_STATE_RESTING
						   : RCPT_STATE_READY;
	case DELIVERY_DEFERRED:
		return RCPT_STATE_DEFERRED;
	case DELIVERY_HELD:
		return RCPT_STATE_HELD;
	case DELIVERY_IDLE:
	case DELIVERY_DIALLING:
	case DELIVERY_ACTIVE:
	case DELIVERY_SETTLING:
		break;
	}
	return RCPT_STATE_ACTIVE;
}

static struct rcpt_view view_rcpt(const struct queue *q, const struct delivery *d, const struct rcpt *r)
{
	struct rcpt_view v = {.address = r->address, .index = r->index, .state = state_of(d), .attempts = d->attempts};
	v.site = d->site ? d->site->lane.site : "";
	v.reason = d->reason ? d->reason : "";
	if (d->state == DELIVERY_DEFERRED) {
		v.next_ms = age_held_back(q, d->message) ? message_release_ms(d->message) : core_wall(q, d->due.at);
	} else if (v.state == RCPT_STATE_SUSPENDED) {
		v.next_ms = d->site->suspension->until_ms;
		v.reason = d->site->suspension->text;
	} else if (v.state == RCPT_STATE_RESTING) {
		v.next_ms = d->site->due.place ? core_wall(q, d->site->due.at) : 0;
		v.reason = d->site->reason ? d->site->reason : v.reason;
	} else if (v.state == RCPT_STATE_HELD && d->message->reason) {
		v.reason = d->message->reason;
	}
	return v;
}

static struct message_view view_message(const struct queue *q, const struct message *m, struct rcpt_view *rcpts)
{
	unsigned n = 0;
	for (unsigned i = 0; i < m->delivery_count; i++) {
		const struct delivery *d = &m->deliveries[i];
		for (unsigned j = d->first; j < d->first + d->count; j++)
			if (m->rcpts[j].status == RCPT_QUEUED)
				rcpts[n++] = view_rcpt(q, d, &m->rcpts[j]);
	}
	return (struct message_view){
		.id = m->id,
		.arrival_ms = m->arrival_ms,
		.size = m->size,
		.flags = m->flags,
		.sender = m->sender,
		.reason = m->reason ? m->reason : "",
		.redirect = message_redirect(m),
		.rcpts = rcpts,
		.rcpt_count = n,
	};
}

/* ---- filters ---- */

/* "user@example" or "@example", without case */
static bool address_matches(const char *pattern, const char *address)
{
	if (*pattern != '@')
		return strcasecmp(pattern, address) == 0;
	const char *at = strrchr(address, '@');
	return at != NULL && strcasecmp(pattern, at) == 0;
}

bool queue_filter_meets(const struct queue_filter *f, const struct rcpt_view *v)
{
	if (f->rcpt != NULL && !address_matches(f->rcpt, v->address))
		return false;
	if (f->domain != NULL && strcasecmp(f->domain, address_domain_of(v->address)) != 0)
		return false;
	if (f->site != NULL && strcasecmp(f->site, v->site) != 0)
		return false;
	if (f->state != RCPT_STATE_COUNT && f->state != v->state)
		return false;
	return f->reason == NULL || strcasestr(v->reason, f->reason) != NULL;
}

static bool any_rcpt_matches(const struct queue *q, const struct queue_filter *f, const struct message *m)
{
	for (unsigned i = 0; i < m->delivery_count; i++) {
		const struct delivery *d = &m->deliveries[i];
		for (unsigned j = d->first; j < d->first + d->count; j++) {
			if (m->rcpts[j].status != RCPT_QUEUED)
				continue;
			struct rcpt_view v = view_rcpt(q, d, &m->rcpts[j]);
			if (queue_filter_meets(f, &v))
				return true;
		}
	}
	return false;
}

static bool matches(const struct queue *q, const struct queue_filter *f, const struct message *m)
{
	uint64_t now = core_wall(q, core_now(q));
	uint64_t age = now > m->arrival_ms ? now - m->arrival_ms : 0;
	if (f->sender != NULL) {
		bool null_wanted = strcmp(f->sender, "<>") == 0;
		if (null_wanted ? *m->sender != '\0' : !address_matches(f->sender, m->sender))
			return false;
	}
	if (f->older_than_ms != 0 && age < f->older_than_ms)
		return false;
	if (f->younger_than_ms != 0 && age > f->younger_than_ms)
		return false;
	if (f->larger_than != 0 && m->size <= f->larger_than)
		return false;
	bool all = f->rcpt == NULL && f->domain == NULL && f->site == NULL && f->state == RCPT_STATE_COUNT &&
		   f->reason == NULL;
	return all || any_rcpt_matches(q, f, m);
}

uint64_t queue_list(struct queue *q, const struct queue_filter *f, uint64_t after, unsigned budget,
	bool (*each)(void *arg, const struct message_view *m), void *arg)
{
	struct rcpt_view few[64];
	for (unsigned n = 0; n < budget; n++) {
		const struct message *m = idmap_next(&q->messages, after, &after);
		if (m == NULL)
			return 0;
		if (m->open == 0 || (f != NULL && !matches(q, f, m)))
			continue;
		struct rcpt_view *rcpts = m->rcpt_count <= 64 ? few : calloc(m->rcpt_count, sizeof *rcpts);
		if (rcpts == NULL)
			continue;
		struct message_view v = view_message(q, m, rcpts);
		bool more = each(arg, &v);
		if (rcpts != few)
			free(rcpts);
		if (!more)
			break;
	}
	return after;
}

uint64_t queue_newest(const struct queue *q)
{
	return idmap_last(&q->messages);
}

int queue_find(struct queue *q, const char *text, uint64_t *id)
{
	uint64_t first, last, found, next;
	if (id_parse_prefix(&first, &last, text) != 0)
		return -EINVAL;
	if (idmap_get(&q->messages, first) != NULL)
		found = first;
	else if (idmap_next(&q->messages, first, &found) == NULL || found > last)
		return -ENOENT;
	if (idmap_next(&q->messages, found, &next) != NULL && next <= last)
		return -EEXIST;
	*id = found;
	return 0;
}

int queue_view(struct queue *q, uint64_t id, void (*see)(void *arg, const struct message_view *m), void *arg)
{
	const struct message *m = index_get(q, id);
	if (m == NULL)
		return -ENOENT;
	struct rcpt_view *rcpts = calloc(m->rcpt_count ? m->rcpt_count : 1, sizeof *rcpts);
	if (rcpts == NULL)
		return -ENOMEM;
	struct message_view v = view_message(q, m, rcpts);
	see(arg, &v);
	free(rcpts);
	return 0;
}

/* ---- summaries ---- */

static unsigned active_at(const struct site *s)
{
	unsigned n = 0;
	const struct link *l;
	TAILQ_FOREACH (l, &s->busy, next) {
		n++;
	}
	return n;
}

static struct site_view view_site(const struct queue *q, const struct site *s)
{
	struct site_view v = {
		.name = s->lane.site,
		.recipients = s->ages.total,
		.oldest_ms = ages_oldest(&s->ages),
		.active = active_at(s),
		.connections = s->links,
		.concurrency = pace_window(s),
		.resting = s->resting,
		.probe_ms = s->resting && s->due.place ? core_wall(q, s->due.at) : 0,
		.reason = s->reason ? s->reason : "",
		.suspended = s->suspension ? s->suspension->text : NULL,
		.until_ms = s->suspension ? s->suspension->until_ms : 0,
	};
	ages_spread(&s->ages, core_wall(q, core_now(q)), queue_age_limits_ms, QUEUE_AGES - 1, v.ages);
	return v;
}

static int fuller_first(const void *a, const void *b)
{
	const struct site *x = *(const struct site *const *)a, *y = *(const struct site *const *)b;
	return (x->ages.total < y->ages.total) - (x->ages.total > y->ages.total);
}

void queue_summary(struct queue *q, unsigned most, void (*each)(void *arg, const struct site_view *s),
	struct site_view *total, void *arg)
{
	*total = (struct site_view){
		.name = "", .recipients = q->recipients, .oldest_ms = ages_oldest(&q->ages), .reason = ""};
	total->connections = q->links;
	ages_spread(&q->ages, core_wall(q, core_now(q)), queue_age_limits_ms, QUEUE_AGES - 1, total->ages);
	const struct site **sites = calloc(q->site_count ? q->site_count : 1, sizeof(const struct site *));
	unsigned n = 0;
	for (const struct site *s = q->sites; sites != NULL && s != NULL; s = s->hh.next)
		if (s->ages.total > 0 || s->links > 0)
			sites[n++] = s;
	if (n > 1)
		qsort(sites, n, sizeof(const struct site *), fuller_first);
	for (unsigned i = 0; i < n; i++) {
		total->active += active_at(sites[i]);
		if (i < most) {
			struct site_view v = view_site(q, sites[i]);
			each(arg, &v);
		}
	}
	free(sites);
}

void queue_suspensions(const struct queue *q, void (*each)(void *arg, const struct suspension_view *s), void *arg)
{
	const struct suspension *p;
	TAILQ_FOREACH (p, &q->suspensions, next) {
		const struct suspension_view v = {.pattern = p->pattern,
			.reason = p->reason,
			.who = p->who,
			.since_ms = p->since_ms,
			.until_ms = p->until_ms};
		each(arg, &v);
	}
}

void queue_status(struct queue *q, struct queue_status *out)
{
	static const char *const rooms[] = {"ok", "full", "broken"};
	*out = (struct queue_status){
		.messages = q->messages.count,
		.recipients = q->recipients,
		.held = q->held,
		.damaged = q->damaged,
		.sites = q->site_count,
		.resting = q->resting,
		.connections = q->links,
		.dials = q->dials,
		.started_ms = core_wall(q, q->started),
		.spool = q->conf->spool,
		.storage = rooms[store_room(q->store, 0)],
		.journal_segments = counter_get(COUNTER_journal_segments),
	};
	reach_family(q->reach, FAMILY_IPV4, out->ipv4);
	reach_family(q->reach, FAMILY_IPV6, out->ipv6);
	reach_prefixes(q->reach, out->nat64);
}

const struct conf *queue_conf(const struct queue *q)
{
	return q->conf;
}
