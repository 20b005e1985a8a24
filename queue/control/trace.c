/* queue/control/trace.c: how mail for a domain would go, step by step, without any mail. State; the functions are
 * declared in queue/control/inspect.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/value.h"
#include "queue/control/inspect.h"
#include "queue/hops.h"
#include "queue/pace.h"
#include "queue/reach/way.h"
#include "queue/site.h"

struct trace {
	struct queue *queue;
	struct queue_trace calls;
	bool connect;
	bool cancelled;
	bool posted;	      /* the letter is on its way */
	struct letter letter; /* for answers that are known at once: they too come later */
	char *domain;
	const struct conf_route *route;
	struct conf *conf;
	struct hops *hops;
	struct dial *dial;
	struct site site; /* not in the queue's table: only carries candidates and lane */
};

static void free_trace(struct trace *t)
{
	hops_free(t->hops);
	dial_free(t->dial);
	free(t->site.candidates);
	conf_unref(t->conf);
	free(t->domain);
	free(t);
}

static void finish(struct trace *t, int err, const char *summary)
{
	if (!t->cancelled && t->calls.done != NULL)
		t->calls.done(t->calls.arg, err, summary);
	free_trace(t);
}

static void say(const struct trace *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct trace *t, const char *format, ...)
{
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (t->calls.route != NULL)
		t->calls.route(t->calls.arg, line);
}

static const char *part_word(enum mx_part p)
{
	static const char *const words[] = {"not answered yet", "", "none", "look-up failed"};
	return words[p];
}

static void say_addresses(const struct trace *t, const struct mx_host *h)
{
	static const char *const names[] = {"IPv4", "IPv6"};
	for (int f = 1; f >= 0; f--) {
		char line[512], ip[IP_TEXT];
		size_t n = 0;
		line[0] = '\0';
		for (size_t i = 0; i < h->family[f].count && n + IP_TEXT + 2 < sizeof line; i++)
			n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", i ? ", " : "",
				ip_format(&h->family[f].items[i], ip));
		say(t, "    %s: %s", names[f], line[0] ? line : part_word(h->family[f].state));
	}
}

static void say_hop(const struct trace *t, const struct hop_lookup *hop)
{
	const struct mx *mx = hop->mx;
	if (mx->state != MX_HOSTS)
		say(t, "  %d %s %s", mx->code, mx->enhanced, mx->reason);
	for (size_t i = 0; mx->state == MX_HOSTS && i < mx->count; i++) {
		const struct mx_host *h = &mx->hosts[i];
		if (h->name[0] == '\0')
			say(t, "  address literal");
		else if (mx->implicit)
			say(t, "  host %s", h->name);
		else
			say(t, "  MX %u %s%s", (unsigned)h->preference, h->name, h->secure ? " (DNSSEC)" : "");
		say_addresses(t, h);
	}
}

static void say_hosts(const struct trace *t)
{
	const struct hops *h = t->hops;
	for (size_t i = 0; i < h->item_count; i++) {
		const struct mx *mx = h->items[i].mx;
		if (h->item_count > 1)
			say(t, "next hop %u, port %u:%s", (unsigned)i + 1, (unsigned)h->items[i].port,
				mx == NULL ? " not used, this relay itself stands before it" : "");
		else
			say(t, "%s%s", mx->implicit ? "no MX: the name itself is the host" : "hosts:",
				mx->secure ? " (DNSSEC)" : "");
		if (mx != NULL)
			say_hop(t, &h->items[i]);
	}
}

/* The order in which a race would try them, were it to begin now. */
static bool goes_before(const struct trace_candidate *a, const struct trace_candidate *b)
{
	if (a->c.preference != b->c.preference)
		return a->c.preference < b->c.preference;
	if (a->c.doubtful != b->c.doubtful)
		return b->c.doubtful;
	if (a->c.first != b->c.first)
		return a->c.first;
	return candidate_family(&a->c) > candidate_family(&b->c);
}

static unsigned show_candidates(struct trace *t)
{
	struct queue *q = t->queue;
	struct candidate *candidates = calloc(CANDIDATES_MAX, sizeof *candidates);
	struct trace_candidate *shown = calloc(CANDIDATES_MAX, sizeof *shown);
	bool full = false;
	unsigned n = candidates && shown ? site_candidates(q, &t->site, NULL, candidates, &full) : 0;
	for (unsigned i = 0; i < n; i++) {
		struct trace_candidate c = {.c = candidates[i], .usable = true};
		memory_describe(q->memory, &c.c.to, core_now(q), c.history, sizeof c.history);
		unsigned at = i;
		while (at > 0 && goes_before(&c, &shown[at - 1])) {
			shown[at] = shown[at - 1];
			at--;
		}
		shown[at] = c;
	}
	for (unsigned i = 0; i < n && t->calls.candidate != NULL; i++)
		t->calls.candidate(t->calls.arg, &shown[i]);
	if (full)
		say(t, "  some addresses are left out: limits { address_connections } is reached there");
	free(candidates);
	free(shown);
	return n;
}

static void on_progress(struct dial *d, const struct path_try *p)
{
	struct trace *t = d->arg;
	if (!t->cancelled && t->calls.path != NULL)
		t->calls.path(t->calls.arg, p);
}

static void on_dial(struct dial *d)
{
	struct trace *t = d->arg;
	memory_note(t->queue->memory, t->site.lane.site, d->paths, d->path_count, core_now(t->queue));
	char line[512], to[ENDPOINT_TEXT];
	const struct path_try *winner = d->used >= 0 ? &d->paths[d->used] : NULL;
	if (winner != NULL)
		snprintf(line, sizeof line, "greeted by %s %s over %s after %u ms", winner->host,
			endpoint_format(&winner->to, to), path_family(winner) == FAMILY_IPV6 ? "IPv6" : "IPv4",
			d->took_ms);
	else
		snprintf(line, sizeof line, "no path works (%u tried, %u ms)", d->path_count, d->took_ms);
	finish(t, winner ? 0 : -EHOSTUNREACH, line);
}

static void begin_race(struct trace *t)
{
	struct queue *q = t->queue;
	if (q->draining) { /* the I/O loops may have ended */
		finish(t, -ECANCELED, "the relay is stopping");
		return;
	}
	struct candidate *candidates = calloc(CANDIDATES_MAX, sizeof *candidates);
	bool full;
	unsigned n = candidates ? site_candidates(q, &t->site, NULL, candidates, &full) : 0;
	t->dial = n ? dial_new(&q->loops[q->next_loop++ % q->loop_count], q->mailbox, q->conf, q->store, &t->site.lane)
		    : NULL;
	if (t->dial == NULL) {
		free(candidates);
		finish(t, -EHOSTUNREACH, "no address can be tried now");
		return;
	}
	for (unsigned i = 0; i < n; i++)
		dial_add(t->dial, &candidates[i]);
	free(candidates);
	t->dial->probe = true;
	t->dial->done = on_dial;
	t->dial->progress = on_progress;
	t->dial->arg = t;
	dial_start(t->dial);
}

static void on_answers(struct trace *t)
{
	struct queue *q = t->queue;
	struct hops *h = t->hops;
	char line[sizeof h->reason + 32], why[WAY_WHY];
	if (h->state == MX_FAILED || h->state == MX_DEFERRED) {
		snprintf(line, sizeof line, "%d %s %s", h->code, h->enhanced, h->reason);
		finish(t, h->state == MX_FAILED ? -ENOENT : -EAGAIN, line);
		return;
	}
	say_hosts(t);
	const struct site *known = site_get(q, h);
	if (known != NULL) {
		say(t, "site %s: %u connections, %u at once at the most now%s", known->lane.site, known->links,
			pace_window(known), known->resting ? ", resting" : "");
		if (known->resting && known->reason != NULL)
			say(t, "  reason: %s", known->reason);
		t->site.lane = known->lane;
		t->site.own = known->own;
		t->site.policy = known->policy;
	}
	site_take_addresses(t->queue->reach, &t->site, h);
	if (!way_any(t->queue->reach, h))
		say(t, "no way from here: it %s", way_why(t->queue->reach, h, why));
	unsigned n = show_candidates(t);
	if (t->connect) {
		begin_race(t);
		return;
	}
	snprintf(line, sizeof line, "%u address%s", n, n == 1 ? "" : "es");
	finish(t, 0, line);
}

static void on_hops(void *arg, struct hops *h)
{
	struct trace *t = arg;
	if (h->complete || h->state == MX_FAILED || h->state == MX_DEFERRED)
		on_answers(t);
}

static void on_known(struct letter *letter)
{
	struct trace *t = LETTER_OF(letter, struct trace, letter);
	t->posted = false;
	if (t->cancelled)
		free_trace(t);
	else if (t->hops == NULL)
		finish(t, 0, "nothing is looked up: the mail ends here");
	else
		on_answers(t);
}

/* What is in force there, if it is not as for all. */
static void say_policy(const struct trace *t)
{
	static const char *const families[] = {[FAMILY_IPV4] = "ipv4", [FAMILY_IPV6] = "ipv6"};
	const struct policy p = policy_of(t->conf, t->route);
	char first[CLOCK_SPAN], max[CLOCK_SPAN], give_up[CLOCK_SPAN], recipients[24] = "as the next hop allows";
	if (p.recipients != 0)
		snprintf(recipients, sizeof recipients, "%llu", (unsigned long long)p.recipients);
	if (p.own_site)
		say(t, "  limits of its own: connections %llu, messages %llu, recipients %s",
			(unsigned long long)p.connections, (unsigned long long)p.messages, recipients);
	if (p.only != FAMILY_NONE)
		say(t, "  only %s", families[p.only]);
	if (p.prefer != FAMILY_NONE)
		say(t, "  prefers %s", families[p.prefer]);
	say(t, "  tried again after %s, at most every %s, given up after %s%s", clock_span(p.retry.first, first),
		clock_span(p.retry.max, max), clock_span(p.retry.give_up, give_up),
		p.soft_bounce ? "; soft_bounce: what would fail waits" : "");
}

/* False: mail ends at the route, there is nothing to look up. */
static bool say_route(const struct trace *t)
{
	const struct conf_route *r = t->route;
	struct buf relay;
	buf_init(&relay, 2000);
	if (r == NULL)
		say(t, "no route names %s: by MX", t->domain);
	else if (r->discard)
		say(t, "route %s: mail is accepted and dropped (discard)", r->pattern);
	else if (r->reject != NULL)
		say(t, "route %s: refused: %s 5.7.1 %s", r->pattern,
			policy_of(t->conf, r).soft_bounce ? "450 (soft_bounce)" : "550", r->reject);
	else if (r->relay.count == 0)
		say(t, "route %s: by MX", r->pattern);
	else if (value_write_relay(&r->relay, &relay) == 0)
		say(t, "route %s: relay %.*s%s", r->pattern, (int)relay.len, (const char *)relay.data,
			r->relay.count > 1 ? ", in this order" : "");
	buf_fini(&relay);
	if (r != NULL && (r->discard || r->reject != NULL))
		return false;
	say_policy(t);
	return true;
}

int queue_trace(struct queue *q, const char *domain, bool connect, const struct queue_trace *calls, struct trace **out)
{
	struct trace *t = calloc(1, sizeof *t);
	if (t == NULL)
		return -ENOMEM;
	t->queue = q;
	t->calls = *calls;
	t->connect = connect;
	t->conf = conf_ref(q->conf);
	t->domain = strdup(domain);
	int err = t->domain ? 0 : -ENOMEM;
	for (char *c = t->domain; err == 0 && *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	if (err == 0) {
		t->route = conf_route(t->conf, t->domain);
		bool goes_on = say_route(t);
		const struct hops_wanted wanted = {.domain = t->domain, .route = t->route};
		err = goes_on ? hops_start(&t->hops, q, &wanted, on_hops, t) : 0;
	}
	if (err != 0) {
		free_trace(t);
		return err;
	}
	*out = t;
	if (t->hops == NULL || t->hops->complete) {
		t->posted = true;
		mailbox_post(q->mailbox, &t->letter, on_known);
	}
	return 0;
}

void queue_trace_cancel(struct trace *t)
{
	t->cancelled = true;
	if (t->dial != NULL)
		dial_cancel(t->dial); /* its end frees the trace */
	else if (!t->posted)
		free_trace(t);
}
