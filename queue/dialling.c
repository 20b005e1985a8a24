/* queue/dialling.c: state. */
#include "queue/dialling.h"

#include <stdlib.h>

#include "queue/path/pool.h"
#include "queue/site.h"

void dialling_count(struct queue *q, const struct dialling *w, int change)
{
	for (unsigned i = 0; i < w->counted; i++)
		memory_opened(q->memory, &w->addresses[i], change);
}

/* The worse preferences of many sites are one host: they would wait for each other, and most never come there. */
static void take_address(struct dialling *w, const struct candidate *c)
{
	for (unsigned i = 0; i < w->counted; i++)
		if (endpoint_equal(&w->addresses[i], &c->to))
			return;
	if (w->counted == CANDIDATES_MAX || (w->counted > 0 && c->preference > w->preference))
		return;
	w->preference = c->preference;
	w->addresses[w->counted++] = c->to;
}

/* Are those left, with others left out for want of room, worth a dial? Not if they are of a worse preference or known
 * to be broken: room comes. */
static bool worth_it(const struct site *s, const struct delivery *d, const struct candidate *left, unsigned n)
{
	unsigned best = UINT16_MAX;
	for (unsigned i = 0; i < s->candidate_count; i++)
		if (s->candidates[i].preference < best && !site_was_tried(d, &s->candidates[i].to))
			best = s->candidates[i].preference;
	for (unsigned i = 0; i < n; i++)
		if (left[i].preference == best && !left[i].doubtful)
			return true;
	return false;
}

bool dialling_answers_come(const struct site *s, const struct delivery *d)
{
	return d->domain != NULL && d->domain->looking && d->domain->site == s;
}

struct dial *dialling_build(struct queue *q, struct site *s, struct delivery *d, struct dialling *w)
{
	struct candidate *candidates = calloc(CANDIDATES_MAX, sizeof *candidates);
	if (candidates == NULL)
		return NULL;
	unsigned n = site_candidates(q, s, d, candidates, &w->partial);
	if (w->partial && !worth_it(s, d, candidates, n))
		n = 0;
	struct ioloop *loop = &q->loops[q->next_loop++ % q->loop_count];
	/* an attempt under way waits for the answers that come */
	bool wait = d->tries != NULL && dialling_answers_come(s, d);
	const struct conf_pool *pool = pool_of(q, d);
	struct lane lane = s->lane;
	pool_choose(q, s, pool, &lane);
	w->pool = pool_key(pool);
	w->share = pool_family(q, d);
	w->failover = policy_of(q->conf, core_route(q, d)).policy_failover;
	struct dial *dial = n || wait ? dial_new(loop, q->mailbox, q->conf, q->store, &lane) : NULL;
	for (unsigned i = 0; dial != NULL && i < n; i++) {
		dial_add(dial, &candidates[i]);
		take_address(w, &candidates[i]);
	}
	free(candidates);
	return dial;
}

void dialling_refresh(struct queue *q, struct dialling *w, struct candidate candidates[CANDIDATES_MAX])
{
	bool full;
	dialling_count(q, w, -1); /* its own places are no reason to leave them out */
	const struct delivery *d = w->picky ? w->picky : ready_first(&w->site->ready);
	unsigned n = site_candidates(q, w->site, d, candidates, &full);
	for (unsigned i = 0; i < n; i++) {
		dial_add(w->dial, &candidates[i]);
		take_address(w, &candidates[i]);
	}
	dialling_count(q, w, 1);
	w->partial |= full;
}

void dialling_reply(const struct dial *dial, struct reply *out)
{
	const struct path_try *best = NULL;
	for (unsigned i = 0; i < dial->path_count; i++) {
		const struct path_try *p = &dial->paths[i];
		if (p->fault != FAULT_SUPERSEDED && (best == NULL || (p->reply.code != 0 && best->reply.code == 0)))
			best = p;
	}
	char to[ENDPOINT_TEXT], words[REPLY_TEXT_MAX + 32] = "";
	if (best == NULL) {
		reply_set(out, 451, "4.4.1", "no path could be tried");
		return;
	}
	if (best->reply.code != 0)
		snprintf(words, sizeof words, " (%u %s)", (unsigned)best->reply.code, best->reply.text);
	/* an address literal has no host */
	reply_set(out, 451, "4.4.1", "%s%s%s: %s%s", best->host, *best->host ? " " : "", endpoint_format(&best->to, to),
		fault_text(best->fault), words);
}
