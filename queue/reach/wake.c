/* queue/reach/wake.c: state. */
#include "queue/reach/wake.h"

#include "conf/counter.h"
#include "queue/index.h"
#include "queue/reach/reach.h"
#include "queue/route.h"

enum { SLICE = 1000 };

enum { HAS_IPV4 = 1, HAS_IPV6 = 2, HAS_NAT64 = 4 };

static unsigned what_there_is(const struct reach *r)
{
	return (reach_has(r, FAMILY_IPV4) ? HAS_IPV4 : 0) | (reach_has(r, FAMILY_IPV6) ? HAS_IPV6 : 0) |
	       (reach_leads_nat64(r) ? HAS_NAT64 : 0);
}

/* The first in line goes the whole way, and its domain's addresses are looked over for all. */
static void wake_site(struct queue *q, struct site *s, bool gained)
{
	struct delivery *d = ready_first(&s->ready);
	if (d == NULL || d->domain == NULL || route_is_fresh(q, d->domain))
		return;
	if (s->resting) {
		if (gained)
			due_set(&q->due, &s->due, core_now(q));
		return;
	}
	index_detach(q, d);
	route_delivery(q, d);
}

void wake_all(struct queue *q)
{
	char ipv4[REACH_TEXT], ipv6[REACH_TEXT], nat64[REACH_TEXT];
	unsigned now = what_there_is(q->reach);
	bool gained = (now & ~q->reach_had) != 0;
	q->reach_had = now;
	COUNT(families_changes);
	LOG_INFO("families", LF_STR("ipv4", reach_family(q->reach, FAMILY_IPV4, ipv4)),
		LF_STR("ipv6", reach_family(q->reach, FAMILY_IPV6, ipv6)),
		LF_STR("nat64", reach_prefixes(q->reach, nat64)));
	q->wake_round++;
	q->waking = true;
	q->wake_from = 0;
	for (struct domain *domain = q->domains; domain != NULL; domain = domain->hh.next)
		if (domain->unreached || domain->turned_back)
			domain->woken = q->wake_round;
	struct site *s, *next;
	q->sites_walked = true;
	HASH_ITER (hh, q->sites, s, next) {
		wake_site(q, s, gained);
	}
	q->sites_walked = false;
}

/* What is tried at once; also when its wait is still being written down. The round is kept apart from `unreached`,
 * which is over for the whole domain as soon as the first of its mail has been looked up again. */
static void wake_message(struct queue *q, struct message *m)
{
	for (unsigned i = 0; i < m->delivery_count; i++) {
		struct delivery *d = &m->deliveries[i];
		if (d->domain == NULL || d->domain->woken != q->wake_round)
			continue;
		if (d->state == DELIVERY_SETTLING)
			d->again = true;
		if (d->state != DELIVERY_DEFERRED)
			continue;
		d->since = core_now(q);
		d->due.kind = DUE_DELIVERY;
		due_set(&q->due, &d->due, d->since);
	}
}

bool wake_slice(struct queue *q)
{
	struct message *m;
	for (unsigned n = 0; q->waking && n < SLICE; n++) {
		if ((m = idmap_next(&q->messages, q->wake_from, &q->wake_from)) == NULL)
			q->waking = false;
		else
			wake_message(q, m);
	}
	return q->waking;
}
