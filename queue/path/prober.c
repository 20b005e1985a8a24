/* queue/path/prober.c: state. */
#include "queue/path/prober.h"

#include <stdlib.h>

#include "conf/counter.h"
#include "queue/path/account.h"
#include "queue/path/pool.h"

enum {
	LOOK_MS = 60000,       /* addresses come and go: looked at again after this at the latest */
	REMEASURE_MS = 3600000 /* how slow the slower family is, where the other one goes first for that */
};

/* The slower family's time is measured again now and then: it may have become the quicker one. */
static uint64_t remeasure_at(const struct queue *q, const struct site *s, const struct candidate *c)
{
	const struct site_memory *known = memory_site(q->memory, s->lane.site);
	enum family quicker = memory_quicker(q->memory, s->lane.site);
	if (known == NULL || quicker == FAMILY_NONE || quicker == candidate_family(c) || known->pinned != FAMILY_NONE)
		return UINT64_MAX;
	return track_latest(&known->family[candidate_family(c) == FAMILY_IPV6]) + REMEASURE_MS;
}

/* The address whose turn comes first; NULL: none needs a probe. */
static const struct candidate *next_one(const struct queue *q, const struct site *s, uint64_t now, uint64_t *when)
{
	const struct candidate *first = NULL;
	uint64_t tried = 0;
	*when = UINT64_MAX;
	for (unsigned i = 0; i < s->candidate_count; i++) {
		const struct candidate *c = &s->candidates[i];
		uint64_t at = memory_probe_at(q->memory, s->lane.site, c, now);
		if (at == UINT64_MAX)
			at = remeasure_at(q, s, c);
		if (at == UINT64_MAX || at > *when)
			continue;
		/* of a family that is broken as a whole the address tried longest ago */
		const struct address_memory *a = memory_address(q->memory, &c->to);
		uint64_t last = a ? track_latest(&a->track) : 0;
		if (at < *when || last < tried) {
			first = c;
			tried = last;
			*when = at;
		}
	}
	return first;
}

static void on_probed(struct dial *dial)
{
	struct probe *p = dial->arg;
	struct queue *q = p->queue;
	struct site *s = p->site;
	TAILQ_REMOVE(&q->probes, p, next);
	memory_opened(q->memory, &p->to, -1);
	s->probe = NULL;
	q->dials--;
	/* without a path nothing was learned: its turn is over in a minute */
	if (dial->path_count > 0)
		memory_note_probe(q->memory, s->lane.site, &dial->paths[0], core_now(q));
	account_probe(q, dial);
	if (dial->used >= 0)
		COUNT(probes_greeted);
	LOG_INFO("path-probed", LF_STR("site", s->lane.site), LF_ENDPOINT("address", &p->to),
		LF_FAMILY("family", p->family),
		LF_STR("fault", fault_word(dial->path_count > 0 ? dial->paths[0].fault : FAULT_LOCAL)));
	prober_changed(s);
	dial_free(dial);
	free(p);
}

static void start(struct queue *q, struct site *s, const struct candidate *which, uint64_t now)
{
	struct candidate c = *which;
	struct probe *p = calloc(1, sizeof *p);
	struct ioloop *loop = &q->loops[q->next_loop++ % q->loop_count];
	struct lane lane = s->lane;
	pool_choose(q, s, NULL, &lane);
	struct dial *dial = p ? dial_new(loop, q->mailbox, q->conf, q->store, &lane) : NULL;
	if (dial == NULL) {
		free(p);
		return;
	}
	memory_fill(q->memory, s->lane.site, &c, now);
	c.doubtful = c.first = false;
	uint64_t usual = 2 * (uint64_t)c.usual_connect_ms;
	dial->connect_time = usual > q->conf->path.probe_time ? usual : q->conf->path.probe_time;
	if (dial_add(dial, &c) != 0) {
		dial_free(dial);
		free(p);
		return;
	}
	dial->probe = true;
	dial->done = on_probed;
	dial->arg = p;
	p->queue = q;
	p->site = s;
	p->dial = dial;
	p->to = c.to;
	p->family = candidate_family(&c);
	s->probe = p;
	TAILQ_INSERT_TAIL(&q->probes, p, next);
	memory_probe(q->memory, s->lane.site, &c, now);
	memory_opened(q->memory, &c.to, 1);
	q->dials++;
	COUNT(probes_started);
	dial_start(dial);
}

void prober_look(struct queue *q, struct site *s)
{
	uint64_t now = core_now(q), when;
	if (now < s->probe_at || s->probe != NULL || s->resting || s->suspension != NULL || q->draining)
		return;
	const struct candidate *c = next_one(q, s, now, &when);
	s->probe_at = c != NULL && when < now + LOOK_MS ? when : now + LOOK_MS;
	if (c == NULL || when > now || q->links + q->dials >= q->conf->limits.connections ||
		memory_open(q->memory, &c->to) >= q->conf->limits.address_connections)
		return;
	start(q, s, c, now);
}

void prober_changed(struct site *s)
{
	s->probe_at = 0;
}

void prober_drain(struct queue *q)
{
	struct probe *p;
	TAILQ_FOREACH (p, &q->probes, next)
		dial_cancel(p->dial);
}
