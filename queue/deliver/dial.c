/* queue/deliver/dial.c: plumbing: the race on its loop, and the queue thread's handle on it.
 *
 * `struct dial` is the queue thread's. What the loop works on is a `struct dialling`, counted: one reference of the
 * dial until dial_free(), one of the loop from dial_start() until its timer is closed, one of each letter on its
 * way. */
#include "queue/deliver/dialer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "conf/counter.h"
#include "conf/log.h"
#include "queue/deliver/connection.h"
#include "queue/deliver/outbound.h"
#include "queue/deliver/race.h"

struct dialling {
	atomic_uint refs;
	struct dial *dial;		    /* the loop may use it from dial_start() until `finished` */
	struct race *race;		    /* the queue thread's until dial_start() */
	bool started, cancelled, completed; /* the queue thread's */
	struct letter start_letter, cancel_letter, complete_letter;

	/* the loop's */
	LIST_ENTRY(dialling) entry;
	uv_timer_t timer;
	uint64_t begun_ms;
	bool finished, stepping, again;
	bool more;    /* answers may still come */
	size_t count; /* attempts so far; paths[] and attempts[] go with it */
	size_t room;
	struct path_try *paths;
	struct connection **attempts; /* NULL: over */
};

/* A candidate that came late. */
struct late {
	struct letter letter;
	struct dialling *dialling;
	struct candidate candidate;
};

/* A path that ended, for `progress`. */
struct news {
	struct letter letter;
	struct dial *dial;
	struct path_try path;
};

static void unref(struct dialling *g)
{
	if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	race_free(g->race);
	free(g->attempts);
	free(g);
}

static void ref(struct dialling *g)
{
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
}

static uint32_t since(uint64_t from, uint64_t now)
{
	return now - from < UINT32_MAX ? (uint32_t)(now - from) : UINT32_MAX - 1;
}

static uint64_t now_ms(const struct dialling *g)
{
	return uv_now(&g->dial->loop->uv);
}

bool lane_equal(const struct lane *a, const struct lane *b)
{
	return a->security == b->security && a->policy_digest == b->policy_digest &&
	       ip_equal(&a->source_ipv4, &b->source_ipv4) && ip_equal(&a->source_ipv6, &b->source_ipv6) &&
	       strcmp(a->site, b->site) == 0 && strcmp(a->reference_names, b->reference_names) == 0 &&
	       strcmp(a->credentials, b->credentials) == 0 && strcmp(a->helo_ipv4, b->helo_ipv4) == 0 &&
	       strcmp(a->helo_ipv6, b->helo_ipv6) == 0;
}

/* ---- the loop's side ---- */

static void step(struct dialling *g);

static void open_done(struct letter *letter)
{
	struct dial *d = LETTER_OF(letter, struct dial, letter);
	d->done(d);
}

static void open_news(struct letter *letter)
{
	struct news *n = LETTER_OF(letter, struct news, letter);
	n->dial->progress(n->dial, &n->path);
	free(n);
}

/* A path came to its end: ready, failed, or not wanted any more. */
static void end_path(struct dialling *g, size_t attempt, enum fault fault, const struct reply *reply)
{
	struct path_try *p = &g->paths[attempt];
	p->fault = fault;
	p->total_ms = since(g->begun_ms + p->started_ms, now_ms(g));
	if (reply != NULL)
		p->reply = *reply;
	else if (fault != FAULT_NONE)
		reply_set(&p->reply, 0, "", "%s", fault_text(fault));
	g->attempts[attempt] = NULL;

	char words[REPLY_TEXT_MAX + 32];
	LOG_DEBUG("path", LF_STR("site", g->dial->lane.site), LF_STR("host", p->host), LF_ENDPOINT("to", &p->to),
		LF_FAMILY("family", path_family(p)), LF_STR("via", path_via(p)), LF_STR("fault", fault_word(fault)),
		LF_MS("took", p->total_ms), LF_STR("reply", reply_format(&p->reply, words, sizeof words)));

	if (g->dial->progress == NULL)
		return;
	struct news *n = malloc(sizeof *n);
	if (n == NULL)
		return; /* it stands in `paths` all the same */
	n->dial = g->dial;
	n->path = *p;
	mailbox_post(g->dial->home, &n->letter, open_news);
}

static void on_timer_closed(uv_handle_t *handle)
{
	unref(handle->data);
}

/* Closes what is left of the race and gives the dial back. `winner`: an attempt that is ready, or -1. */
static void finish(struct dialling *g, int winner, bool slow)
{
	struct dial *d = g->dial;
	if (g->finished)
		return;
	g->finished = true;
	for (size_t i = 0; i < g->count; i++) {
		struct connection *c = g->attempts[i];
		if (c == NULL)
			continue;
		end_path(g, i, (int)i == winner ? FAULT_NONE : FAULT_SUPERSEDED, NULL);
		if ((int)i == winner && !d->probe) {
			connection_adopt(c);
			d->connection = c;
		} else {
			connection_drop(c);
		}
	}
	d->paths = g->paths;
	g->paths = NULL;
	d->path_count = (unsigned)g->count;
	d->used = winner;
	d->slow = slow;
	d->took_ms = since(g->begun_ms, now_ms(g));
	if (winner < 0)
		COUNT(races_failed);
	else if (d->paths[winner].real.family != FAMILY_NONE)
		COUNT(wins_nat64);
	else if (d->paths[winner].to.ip.family == FAMILY_IPV4)
		COUNT(wins_ipv4);
	else
		COUNT(wins_ipv6);
	LIST_REMOVE(g, entry);
	g->dial = NULL;
	uv_close((uv_handle_t *)&g->timer, on_timer_closed);
	mailbox_post(d->home, &d->letter, open_done);
}

static void on_connected(struct connection *c, void *arg)
{
	struct dialling *g = arg;
	size_t attempt = connection_attempt(c);
	g->paths[attempt].connect_ms = since(g->begun_ms + g->paths[attempt].started_ms, now_ms(g));
	race_connected(g->race, attempt, now_ms(g));
	step(g);
}

static void on_greeting_begun(struct connection *c, void *arg)
{
	struct dialling *g = arg;
	race_greeting_begun(g->race, connection_attempt(c));
	step(g);
}

static void on_greeted(struct connection *c, void *arg, const struct reply *reply)
{
	struct dialling *g = arg;
	size_t attempt = connection_attempt(c);
	struct path_try *p = &g->paths[attempt];
	p->greeting_ms = since(g->begun_ms + p->started_ms, now_ms(g));
	p->reply = *reply;
	COUNT(connections_made);
	/* who comes too late is given up in the next step, and says QUIT */
	if (race_greeted(g->race, attempt, now_ms(g)))
		connection_hello(c);
	step(g);
}

static void on_ready(struct connection *c, void *arg)
{
	finish(arg, (int)connection_attempt(c), false);
}

static void on_failed(struct connection *c, void *arg, enum fault fault, const struct reply *why)
{
	struct dialling *g = arg;
	size_t attempt = connection_attempt(c);
	end_path(g, attempt, fault, why);
	race_failed(g->race, attempt, fault);
	step(g);
}

static const struct connection_owner owner = {
	.connected = on_connected,
	.greeting_begun = on_greeting_begun,
	.greeted = on_greeted,
	.ready = on_ready,
	.failed = on_failed,
};

static int make_room(struct dialling *g)
{
	if (g->count < g->room)
		return 0;
	size_t room = g->room ? g->room * 2 : 4;
	struct path_try *paths = realloc(g->paths, room * sizeof *paths);
	if (paths == NULL)
		return -ENOMEM;
	g->paths = paths;
	struct connection **attempts = realloc(g->attempts, room * sizeof(struct connection *));
	if (attempts == NULL)
		return -ENOMEM;
	g->attempts = attempts;
	g->room = room;
	return 0;
}

/* 0, or -ENOMEM: then the race is over. */
static int start_attempt(struct dialling *g, const struct race_step *s)
{
	struct dial *d = g->dial;
	const struct candidate *c = race_candidate(g->race, s->candidate);
	int err = make_room(g);
	if (err != 0)
		return err;
	size_t i = g->count++;
	g->attempts[i] = NULL;
	g->paths[i] = (struct path_try){
		.to = c->to,
		.real = c->real,
		.preference = c->preference,
		.started_ms = since(g->begun_ms, now_ms(g)),
		.connect_ms = UINT32_MAX,
		.greeting_ms = UINT32_MAX,
	};
	snprintf(g->paths[i].host, sizeof g->paths[i].host, "%s", c->host);
	if (c->real.family != FAMILY_NONE)
		COUNT(attempts_nat64);
	else if (c->to.ip.family == FAMILY_IPV4)
		COUNT(attempts_ipv4);
	else
		COUNT(attempts_ipv6);

	struct connection_setup setup = {
		.loop = d->loop,
		.home = d->home,
		.conf = d->conf,
		.store = d->store,
		.lane = &d->lane,
		.candidate = c,
		.owner = &owner,
		.arg = g,
		.attempt = i,
	};
	enum fault fault;
	struct reply why;
	if (connection_open(&g->attempts[i], &setup, &fault, &why) != 0) {
		end_path(g, i, fault, &why);
		race_failed(g->race, i, fault);
	}
	return 0;
}

static void on_timer(uv_timer_t *timer)
{
	step(timer->data);
}

/* Does what the race says, until it wants to wait. */
static void obey(struct dialling *g)
{
	while (!g->finished) {
		struct race_step s = race_next(g->race, now_ms(g));
		switch (s.action) {
		case RACE_START:
			if (start_attempt(g, &s) != 0)
				finish(g, -1, false);
			break;
		case RACE_GIVE_UP: {
			struct connection *c = g->attempts[s.attempt];
			end_path(g, s.attempt, s.fault, NULL);
			connection_drop(c);
			break;
		}
		case RACE_WAIT:
			if (s.until_ms == UINT64_MAX)
				uv_timer_stop(&g->timer);
			else
				uv_timer_start(&g->timer, on_timer, s.until_ms - now_ms(g), 0);
			return;
		case RACE_EXHAUSTED:
			if (g->more) {
				uv_timer_stop(&g->timer);
				return;
			}
			finish(g, -1, race_was_slow(g->race));
			return;
		}
	}
}

/* Events may arise from within obey(): they are looked at in its next round, not in a deeper one. */
static void step(struct dialling *g)
{
	if (g->finished)
		return;
	g->again = true;
	if (g->stepping)
		return;
	g->stepping = true;
	while (g->again && !g->finished) {
		g->again = false;
		obey(g);
	}
	g->stepping = false;
}

static void on_start(struct letter *letter)
{
	struct dialling *g = LETTER_OF(letter, struct dialling, start_letter);
	struct outbound *o = outbound_of(g->dial->loop);
	uv_timer_init(&g->dial->loop->uv, &g->timer);
	g->timer.data = g;
	LIST_INSERT_HEAD(&o->dials, g, entry);
	g->begun_ms = now_ms(g);
	g->more = g->dial->more;
	COUNT(races_started);
	if (o->draining || g->race == NULL)
		finish(g, -1, false);
	else
		step(g);
}

static void on_late(struct letter *letter)
{
	struct late *l = LETTER_OF(letter, struct late, letter);
	struct dialling *g = l->dialling;
	/* no room for it: the race goes on with those it has */
	if (!g->finished && race_add(g->race, &l->candidate) == 0)
		step(g);
	unref(g);
	free(l);
}

static void on_cancel(struct letter *letter)
{
	struct dialling *g = LETTER_OF(letter, struct dialling, cancel_letter);
	finish(g, -1, false);
	unref(g);
}

static void on_complete(struct letter *letter)
{
	struct dialling *g = LETTER_OF(letter, struct dialling, complete_letter);
	g->more = false;
	step(g);
	unref(g);
}

void dialer_drain(struct ioloop *loop, uint64_t deadline_ms)
{
	struct outbound *o = outbound_of(loop);
	struct connection *c, *next;
	o->draining = true;
	o->deadline_ms = deadline_ms;
	while (!LIST_EMPTY(&o->dials))
		finish(LIST_FIRST(&o->dials), -1, false);
	for (c = LIST_FIRST(&o->connections); c != NULL; c = next) {
		next = connection_next(c);
		connection_drain(c);
	}
}

/* ---- the queue thread's side ---- */

struct dial *dial_new(struct ioloop *loop, struct mailbox *home, const struct conf *conf, struct store *store,
	const struct lane *lane)
{
	struct dial *d = calloc(1, sizeof *d);
	struct dialling *g = calloc(1, sizeof *g);
	if (d == NULL || g == NULL) {
		free(d);
		free(g);
		return NULL;
	}
	atomic_init(&g->refs, 1);
	g->dial = d;
	d->loop = loop;
	d->home = home;
	d->conf = conf_ref((struct conf *)(uintptr_t)conf);
	d->store = store;
	d->lane = *lane;
	d->used = -1;
	d->race = g;
	return d;
}

/* Keeps the dial's own list, sorted by preference. 1: it is there already. */
static int remember(struct dial *d, const struct candidate *c)
{
	unsigned at = 0;
	for (unsigned i = 0; i < d->candidate_count; i++) {
		if (endpoint_equal(&d->candidates[i].to, &c->to))
			return 1;
		at += d->candidates[i].preference <= c->preference;
	}
	if (d->candidate_count == CANDIDATES_MAX)
		return -E2BIG;
	struct candidate *grown = realloc(d->candidates, (d->candidate_count + 1) * sizeof *grown);
	if (grown == NULL)
		return -ENOMEM;
	d->candidates = grown;
	memmove(grown + at + 1, grown + at, (d->candidate_count - at) * sizeof *grown);
	grown[at] = *c;
	d->candidate_count++;
	return 0;
}

int dial_add(struct dial *d, const struct candidate *c)
{
	struct dialling *g = d->race;
	struct late *l = g->started ? malloc(sizeof *l) : NULL;
	if (g->started && l == NULL)
		return -ENOMEM;
	int err = remember(d, c);
	if (err != 0) {
		free(l);
		return err < 0 ? err : 0;
	}
	if (l == NULL)
		return 0;
	l->dialling = g;
	l->candidate = *c;
	ref(g);
	mailbox_post(&d->loop->mailbox, &l->letter, on_late);
	return 0;
}

static uint64_t random_seed(void)
{
	uint64_t seed = 0;
	if (uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL) != 0)
		seed = uv_hrtime();
	return seed;
}

void dial_start(struct dial *d)
{
	struct dialling *g = d->race;
	struct race_rules rules = {
		.attempt_delay = d->conf->race.attempt_delay,
		.greeting_delay = d->conf->race.greeting_delay,
		.patience = d->conf->race.patience,
		.connect_time = d->connect_time ? d->connect_time : d->conf->race.connect_time,
		.width = (unsigned)d->conf->race.width,
		.patient = d->patient,
		.seed = random_seed(),
	};
	g->started = true;
	g->race = race_new(&rules);
	for (unsigned i = 0; g->race != NULL && i < d->candidate_count; i++)
		race_add(g->race, &d->candidates[i]);
	ref(g);
	mailbox_post(&d->loop->mailbox, &g->start_letter, on_start);
}

void dial_cancel(struct dial *d)
{
	struct dialling *g = d->race;
	if (g->cancelled || !g->started)
		return;
	g->cancelled = true;
	ref(g);
	mailbox_post(&d->loop->mailbox, &g->cancel_letter, on_cancel);
}

void dial_complete(struct dial *d)
{
	struct dialling *g = d->race;
	if (!d->more || g->completed || !g->started)
		return;
	g->completed = true;
	ref(g);
	mailbox_post(&d->loop->mailbox, &g->complete_letter, on_complete);
}

void dial_free(struct dial *d)
{
	if (d == NULL)
		return;
	unref(d->race);
	conf_unref((struct conf *)(uintptr_t)d->conf);
	free(d->candidates);
	free(d->paths);
	free(d);
}
