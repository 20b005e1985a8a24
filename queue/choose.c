/* queue/choose.c: state. */
#include "queue/choose.h"

#include "queue/link.h"
#include "queue/pace.h"
#include "queue/path/failover.h"
#include "queue/path/pool.h"
#include "queue/site.h"

enum { BACKLOG_MS = 60000 /* mail that waits for so long is a backlog */ };

static bool family_left(const struct site *s, const struct delivery *d, enum family family)
{
	for (unsigned i = 0; i < s->candidate_count; i++)
		if (s->candidates[i].to.ip.family == family && !site_was_tried(d, &s->candidates[i].to))
			return true;
	return false;
}

/* The family that a connection must have; FAMILY_NONE: either. */
static enum family wanted_family(struct queue *q, const struct site *s, const struct delivery *d)
{
	enum family other = d->tries ? d->tries->other : FAMILY_NONE;
	if (other != FAMILY_NONE && (d->tries->refused != FAMILY_NONE || family_left(s, d, other)))
		return other;
	if (failover_avoids(q, s, d, FAMILY_IPV6))
		return FAMILY_IPV4;
	return failover_avoids(q, s, d, FAMILY_IPV4) ? FAMILY_IPV6 : FAMILY_NONE;
}

/* The family that the delivery has by its share, if it works there. */
static enum family by_share(struct queue *q, const struct site *s, const struct delivery *d)
{
	enum family family = pool_family(q, d);
	return family != FAMILY_NONE && site_offers(q, s, d, family) ? family : FAMILY_NONE;
}

/* What a connection must be like. */
struct wanted {
	enum family family; /* FAMILY_NONE: either */
	enum family share;  /* likewise, but a new one that was made for such mail and came out otherwise is taken */
	uint64_t pool;
};

static struct wanted wants(struct queue *q, const struct site *s, const struct delivery *d)
{
	struct wanted w = {.family = wanted_family(q, s, d), .pool = pool_key(pool_of(q, d))};
	w.share = w.family == FAMILY_NONE ? by_share(q, s, d) : FAMILY_NONE;
	return w;
}

static bool fits(const struct link *l, const struct delivery *d, const struct wanted *w)
{
	enum family family = (enum family)connection_info(l->connection)->to.ip.family;
	return link_fits(l, d) && l->pool == w->pool && !l->shunned &&
	       (w->family == FAMILY_NONE || family == w->family) &&
	       (w->share == FAMILY_NONE || family == w->share || (l->paths != NULL && l->share == w->share));
}

struct link *choose_link(struct queue *q, const struct site *s, const struct delivery *d)
{
	if (TAILQ_EMPTY(&s->idle))
		return NULL;
	struct wanted w = wants(q, s, d);
	struct link *l, *found = NULL;
	TAILQ_FOREACH (l, &s->idle, next) {
		const struct endpoint *to = &connection_info(l->connection)->to;
		if (l->closing || !fits(l, d, &w) || site_was_tried(d, to))
			continue;
		if (d->greylisted == NULL || endpoint_equal(d->greylisted, to))
			return l;
		if (found == NULL)
			found = l;
	}
	return found;
}

void choose_room(struct queue *q, struct site *s, const struct delivery *d)
{
	struct link *l;
	if (TAILQ_EMPTY(&s->idle) || s->dial_count > 0 ||
		(s->links < pace_window(s) && s->links < site_connections(q, s)))
		return;
	struct wanted w = wants(q, s, d);
	TAILQ_FOREACH (l, &s->idle, next) {
		if (l->closing || fits(l, d, &w))
			continue;
		l->closing = true;
		connection_quit(l->connection);
		return;
	}
}

struct delivery *choose_fresh(const struct queue *q, struct site *s, const struct delivery *first)
{
	struct delivery *last = ready_newest(&s->ready, first);
	s->turn_of_fresh = !s->turn_of_fresh;
	bool backlog = core_now(q) >= first->since + BACKLOG_MS && last->since >= first->since + BACKLOG_MS;
	return backlog && s->turn_of_fresh ? last : NULL;
}
