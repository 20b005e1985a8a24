/* queue/control/trace.c: how mail for a domain would go, step by step, without any mail. State; the functions are
 * declared in queue/control/inspect.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/core.h"
#include "queue/control/inspect.h"
#include "queue/route.h"
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
	uint16_t port;
	struct mx *mx;
	struct dial *dial;
	struct site site; /* not in the queue's table: only carries candidates and lane */
};

static void free_trace(struct trace *t)
{
	mx_free(t->mx);
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

static void say_hosts(const struct trace *t)
{
	for (size_t i = 0; i < t->mx->count; i++) {
		const struct mx_host *h = &t->mx->hosts[i];
		if (h->name[0] == '\0')
			say(t, "  address literal");
		else if (t->mx->implicit)
			say(t, "  host %s", h->name);
		else
			say(t, "  MX %u %s%s", (unsigned)h->preference, h->name, h->secure ? " (DNSSEC)" : "");
		say_addresses(t, h);
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
	return a->c.to.ip.family > b->c.to.ip.family;
}

static unsigned show_candidates(struct trace *t)
{
	struct queue *q = t->queue;
	struct candidate *candidates = calloc(CANDIDATES_MAX, sizeof *candidates);
	struct trace_candidate *shown = calloc(CANDIDATES_MAX, sizeof *shown);
	bool full = false;
	unsigned n = candidates && shown ? site_candidates(q, &t->site, NULL, false, candidates, &full) : 0;
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
	for (unsigned i = 0; i < d->path_count; i++)
		memory_note(t->queue->memory, &d->paths[i], core_now(t->queue));
	char line[512], to[ENDPOINT_TEXT];
	const struct path_try *winner = d->used >= 0 ? &d->paths[d->used] : NULL;
	if (winner != NULL)
		snprintf(line, sizeof line, "greeted by %s %s over %s after %u ms", winner->host,
			endpoint_format(&winner->to, to), winner->to.ip.family == FAMILY_IPV6 ? "IPv6" : "IPv4",
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
	unsigned n = candidates ? site_candidates(q, &t->site, NULL, false, candidates, &full) : 0;
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
	struct mx *mx = t->mx;
	char line[sizeof mx->reason + 32];
	if (mx->state == MX_FAILED || mx->state == MX_DEFERRED) {
		snprintf(line, sizeof line, "%d %s %s", mx->code, mx->enhanced, mx->reason);
		finish(t, mx->state == MX_FAILED ? -ENOENT : -EAGAIN, line);
		return;
	}
	say(t, "%s%s", mx->implicit ? "no MX: the name itself is the host" : "hosts:", mx->secure ? " (DNSSEC)" : "");
	say_hosts(t);
	const struct site *known = site_get(q, mx, t->port, NULL);
	if (known != NULL) {
		say(t, "site %s: %u connections, %u at once at the most now%s", known->lane.site, known->links,
			known->window / 16, known->resting ? ", resting" : "");
		if (known->resting && known->reason != NULL)
			say(t, "  reason: %s", known->reason);
		t->site.lane = known->lane;
		t->site.prefer = known->prefer;
		t->site.prefer_until = known->prefer_until;
	}
	site_take_addresses(q, &t->site, mx, t->port);
	unsigned n = show_candidates(t);
	if (t->connect) {
		begin_race(t);
		return;
	}
	snprintf(line, sizeof line, "%u address%s", n, n == 1 ? "" : "es");
	finish(t, 0, line);
}

static void on_mx(void *arg, struct mx *mx)
{
	struct trace *t = arg;
	if (mx->complete || mx->state == MX_FAILED || mx->state == MX_DEFERRED)
		on_answers(t);
}

static void on_known(struct letter *letter)
{
	struct trace *t = LETTER_OF(letter, struct trace, letter);
	t->posted = false;
	if (t->cancelled)
		free_trace(t);
	else
		on_answers(t);
}

static void say_route(const struct trace *t)
{
	const struct conf_route *r = t->route;
	if (r == NULL)
		say(t, "no route names %s: by MX", t->domain);
	else if (r->relay.count == 0)
		say(t, "route %s: by MX", r->pattern);
	else
		say(t, "route %s: relay %s%s%s, port %u", r->pattern, r->relay.items[0].skip_mx ? "[" : "",
			r->relay.items[0].host, r->relay.items[0].skip_mx ? "]" : " by MX", (unsigned)t->port);
}

int queue_trace(struct queue *q, const char *domain, bool connect, const struct queue_trace *calls, struct trace **out)
{
	struct mx_wanted wanted;
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
	if (err == 0)
		err = route_wanted(t->conf, t->domain, &t->route, &wanted, &t->port);
	if (err == 0) {
		say_route(t);
		t->mx = mx_start(q->resolver, t->conf, &wanted, &q->self, q->clock(), on_mx, t);
		err = t->mx ? 0 : -ENOMEM;
	}
	if (err != 0) {
		free_trace(t);
		return err;
	}
	*out = t;
	if (t->mx->complete) {
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
