/* queue/path/failover.c: state. */
#include "queue/path/failover.h"

#include <stdio.h>

#include "conf/counter.h"
#include "queue/path/pool.h"
#include "queue/path/refusal.h"
#include "queue/site.h"

static enum family other_of(enum family f)
{
	return f == FAMILY_IPV6 ? FAMILY_IPV4 : FAMILY_IPV6;
}

static const char *name_of(enum family f)
{
	return f == FAMILY_IPV6 ? "IPv6" : "IPv4";
}

/* Every address of the family, tried or not: does the site have it? */
static bool has_family(const struct site *s, enum family family)
{
	for (unsigned i = 0; i < s->candidate_count; i++)
		if ((enum family)s->candidates[i].to.ip.family == family)
			return true;
	return false;
}

/* The path over which the reply came: what it said about the family stands there in `relayq show` and the notice. */
static void mark_path(struct attempt *a, const struct reply *r)
{
	if (a->used < 0)
		return;
	a->paths[a->used].fault = FAULT_FAMILY_REFUSED;
	a->paths[a->used].reply = *r;
}

bool failover_refused(
	struct queue *q, const struct link *l, struct delivery *d, const struct reply *r, struct reply *soft)
{
	const struct site *s = l->site;
	const struct endpoint *via = &connection_info(l->connection)->to;
	struct tries *t = d->tries;
	enum family family = (enum family)via->ip.family;
	if (reply_class(r) < 4 || !policy_of(q->conf, core_route(q, d)).policy_failover)
		return false;
	struct refusal_match match = refusal_of(q->conf, r, family);
	if (match.kind == REFUSAL_NONE)
		return false;
	/* another source address of the pool may be welcome: then only this one rests there */
	if (!pool_refused(q, s, pool_of(q, d), &l->source))
		memory_note_refused(q->memory, s->lane.site, via, core_now(q));
	mark_path(t->attempt, r);
	bool again = t->refused == other_of(family) || (t->refusal == REFUSAL_LISTED && t->refused != family);
	if (again || !has_family(s, other_of(family)))
		return false;
	t->refused = family;
	t->refusal = match.kind;
	t->refusal_row = match.row;
	char enhanced[REPLY_ENHANCED], text[REPLY_TEXT_MAX + 32];
	snprintf(enhanced, sizeof enhanced, "4%s", r->enhanced[0] ? r->enhanced + 1 : ".7.0");
	reply_set(soft, 450, enhanced, "refused over %s, to be sent over %s: %s", name_of(family),
		name_of(other_of(family)), reply_format(r, text, sizeof text));
	return true;
}

static bool may_be_refusal(enum fault f)
{
	switch (f) {
	case FAULT_GREETING_4YZ:
	case FAULT_GREETING_5YZ:
	case FAULT_EHLO_4YZ:
	case FAULT_EHLO_5YZ:
	case FAULT_LOAD:
		return true;
	default:
		return false;
	}
}

void failover_look_at_paths(
	const struct queue *q, const struct site *s, struct path_try *paths, unsigned count, int used)
{
	enum family winner = used >= 0 ? (enum family)paths[used].to.ip.family : FAMILY_NONE;
	if (!q->conf->policy_failover)
		return;
	for (unsigned i = 0; i < count; i++) {
		struct path_try *p = &paths[i];
		enum family family = (enum family)p->to.ip.family;
		struct refusal_match match = {.kind = REFUSAL_NONE};
		if (may_be_refusal(p->fault))
			match = refusal_of(q->conf, &p->reply, family);
		if (match.kind == REFUSAL_NONE)
			continue;
		p->fault = FAULT_FAMILY_REFUSED;
		if (winner != other_of(family))
			continue;
		char reply[REPLY_TEXT_MAX + 32];
		COUNT(failovers_policy);
		LOG_INFO("failover", LF_STR("site", s->lane.site), LF_STR("why", match.row),
			LF_ENDPOINT("address", &p->to), LF_FAMILY("family", p->to.ip.family), LF_FAMILY("to", winner),
			LF_STR("reply", reply_format(&p->reply, reply, sizeof reply)));
	}
}

bool failover_avoids(struct queue *q, const struct site *s, const struct delivery *d, enum family family)
{
	return memory_avoids(q->memory, s->lane.site, family, core_now(q)) && site_offers(q, s, d, other_of(family));
}

void failover_begin(const struct queue *q, const struct site *s, const struct delivery *d, const struct transaction *t,
	const struct endpoint *from)
{
	(void)q;
	const struct tries *tries = d->tries;
	char reply[REPLY_TEXT_MAX + 32];
	bool refused = tries->refusal_row != NULL;
	const char *why = refused ? tries->refusal_row : t->end == TRANSACTION_LOST ? fault_word(t->fault) : "deferred";
	if (refused && tries->refusal == REFUSAL_LISTED)
		COUNT(failovers_listed);
	else if (refused)
		COUNT(failovers_policy);
	else if (t->end == TRANSACTION_LOST)
		COUNT(failovers_fault);
	LOG_INFO("failover", LF_ID("id", d->message->id), LF_STR("site", s->lane.site), LF_STR("why", why),
		LF_ENDPOINT("address", from), LF_FAMILY("family", from->ip.family),
		LF_STR("reply", t->last.code ? reply_format(&t->last, reply, sizeof reply) : NULL));
}
