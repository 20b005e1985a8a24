/* queue/path/failover.c: state. */
#include "queue/path/failover.h"

#include <stdio.h>

#include "conf/counter.h"
#include "queue/path/account.h"
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
		if (candidate_family(&s->candidates[i]) == family)
			return true;
	return false;
}

/* The path over which the reply came: what it said about the family stands there in `relayq show` and the notice. */
static void mark_path(struct attempt *a, enum fault fault, const struct reply *r)
{
	if (a->used < 0)
		return;
	a->paths[a->used].fault = fault;
	a->paths[a->used].reply = *r;
}

/* The same address once more, from another source. */
static void untry(struct tries *t, const struct endpoint *to)
{
	for (unsigned i = 0; i < t->tried_count; i++)
		if (endpoint_equal(&t->tried[i], to))
			t->tried[i--] = t->tried[--t->tried_count];
}

/* What the recipient is deferred with if the other way turns out to be none. */
static void say_soft(struct reply *soft, const struct reply *r, const char *from, const char *next)
{
	char enhanced[REPLY_ENHANCED], text[REPLY_TEXT_MAX + 32];
	snprintf(enhanced, sizeof enhanced, "4%s", r->enhanced[0] ? r->enhanced + 1 : ".7.0");
	reply_set(soft, 450, enhanced, "refused %s, to be sent %s: %s", from, next, reply_format(r, text, sizeof text));
}

bool failover_refused(struct queue *q, struct link *l, struct delivery *d, const struct reply *r, struct reply *soft)
{
	char from[IP_TEXT + 8], next[16];
	const struct site *s = l->site;
	const struct endpoint *via = &connection_info(l->connection)->to;
	struct tries *t = d->tries;
	enum family family = connection_family(connection_info(l->connection));
	if (reply_class(r) < 4 || !policy_of(q->conf, core_route(q, d)).policy_failover)
		return false;
	struct refusal_match match = refusal_of(q->conf, r, family);
	if (match.kind == REFUSAL_NONE)
		return false;
	/* another source address of the pool may be welcome: then only this one rests there */
	bool translated = connection_info(l->connection)->real.family != FAMILY_NONE; /* it shows its own address */
	l->shunned = l->shunned || (!translated && pool_refused(q, s, l->pool, &l->source));
	if (!l->shunned)
		memory_note_refused(q->memory, s->lane.site, via, family, core_now(q));
	mark_path(t->attempt, l->shunned ? FAULT_SOURCE_REFUSED : FAULT_FAMILY_REFUSED, r);
	bool again = t->refused == other_of(family) || (t->refusal == REFUSAL_LISTED && t->refused != family);
	bool other = has_family(s, other_of(family));
	/* whichever recipient of the transaction it is, the attempt is the same */
	bool resourced = t->resourced && t->refusal_row == NULL;
	if (again || (!other && (!l->shunned || resourced)))
		return false;
	t->refusal = match.kind;
	t->refusal_row = match.row;
	if (other) {
		t->refused = family;
		snprintf(from, sizeof from, "over %s", name_of(family));
		snprintf(next, sizeof next, "over %s", name_of(other_of(family)));
	} else {
		char text[IP_TEXT];
		t->resourced = true;
		untry(t, via);
		snprintf(from, sizeof from, "from %s", ip_format(&l->source, text));
		snprintf(next, sizeof next, "from another");
	}
	say_soft(soft, r, from, next);
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

void failover_look_at_paths(struct queue *q, const struct site *s, struct dial *dial, uint64_t pool)
{
	enum family winner = dial->used >= 0 ? path_family(&dial->paths[dial->used]) : FAMILY_NONE;
	if (!q->conf->policy_failover)
		return;
	for (unsigned i = 0; i < dial->path_count; i++) {
		struct path_try *p = &dial->paths[i];
		enum family family = path_family(p);
		struct refusal_match match = {.kind = REFUSAL_NONE};
		if (may_be_refusal(p->fault))
			match = refusal_of(q->conf, &p->reply, family);
		if (match.kind == REFUSAL_NONE)
			continue;
		const struct ip *source = family == FAMILY_IPV6 ? &dial->lane.source_ipv6 : &dial->lane.source_ipv4;
		bool shunned = p->real.family == FAMILY_NONE && pool_refused(q, s, pool, source);
		p->fault = shunned ? FAULT_SOURCE_REFUSED : FAULT_FAMILY_REFUSED;
		if (winner != other_of(family))
			continue;
		char reply[REPLY_TEXT_MAX + 32];
		COUNT(failovers_policy);
		LOG_INFO("failover", LF_STR("site", s->lane.site), LF_STR("why", match.row),
			LF_ENDPOINT("address", &p->to), LF_FAMILY("family", family), LF_FAMILY("to", winner),
			LF_STR("reply", reply_format(&p->reply, reply, sizeof reply)));
	}
}

bool failover_avoids(struct queue *q, const struct site *s, const struct delivery *d, enum family family)
{
	return memory_avoids(q->memory, s->lane.site, family, core_now(q)) && site_offers(q, s, d, other_of(family));
}

void failover_begin(struct queue *q, const struct site *s, const struct delivery *d, const struct transaction *t,
	const struct connection_info *from)
{
	const struct tries *tries = d->tries;
	char reply[REPLY_TEXT_MAX + 32];
	bool refused = tries->refusal_row != NULL;
	const char *why = refused ? tries->refusal_row : t->end == TRANSACTION_LOST ? fault_word(t->fault) : "deferred";
	if (refused || t->end == TRANSACTION_LOST)
		account_failover(q, from, refused ? tries->refusal : REFUSAL_NONE, t);
	if (refused && tries->refusal == REFUSAL_LISTED)
		COUNT(failovers_listed);
	else if (refused)
		COUNT(failovers_policy);
	else if (t->end == TRANSACTION_LOST)
		COUNT(failovers_fault);
	LOG_INFO("failover", LF_ID("id", d->message->id), LF_STR("site", s->lane.site), LF_STR("why", why),
		LF_ENDPOINT("address", &from->to), LF_FAMILY("family", connection_family(from)),
		LF_STR("reply", t->last.code ? reply_format(&t->last, reply, sizeof reply) : NULL));
}
