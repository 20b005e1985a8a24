/* queue/control/remembered.c: what is remembered of the paths to a site. State; the functions are declared in
 * queue/control/inspect.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/control/inspect.h"
#include "queue/hops.h"
#include "queue/path/memory.h"
#include "queue/site.h"

struct path_look {
	struct queue *queue;
	struct queue_path calls;
	char name[HOST_TEXT]; /* as it was asked for */
	struct hops *hops;
};

static void tell(const struct path_look *l, struct path_view v, const struct track *t)
{
	static const struct track none;
	struct queue *q = l->queue;
	const struct track_rules rules = {.half_life = q->conf->path.half_life};
	v.now_ms = core_now(q);
	v.wall_ms = core_wall(q, v.now_ms);
	v.track = t != NULL ? *t : none;
	track_fade(&v.track, &rules, v.now_ms);
	l->calls.see(l->calls.arg, &v);
}

/* Source addresses that rest there stand in the memory as sites of their own: "SITE from ADDRESS". */
static void tell_sources(const struct path_look *l, const char *site)
{
	static const char from[] = " from ";
	size_t n = strlen(site);
	const struct memory *m = l->queue->memory;
	for (const struct site_memory *s = memory_next_site(m, NULL); s != NULL; s = memory_next_site(m, s)) {
		if (strncmp(s->name, site, n) != 0 || strncmp(s->name + n, from, sizeof from - 1) != 0)
			continue;
		const char *source = s->name + n + sizeof from - 1;
		for (int f = 1; f >= 0; f--)
			if (track_is_refused(&s->family[f], core_now(l->queue)))
				tell(l,
					(struct path_view){.of = "source",
						.site = site,
						.path = source,
						.host = "",
						.family = f ? FAMILY_IPV6 : FAMILY_IPV4},
					&s->family[f]);
	}
}

static void tell_site(const struct path_look *l, const char *name, const struct site *s)
{
	const struct memory *m = l->queue->memory;
	const struct site_memory *known = memory_site(m, name);
	for (int f = 1; f >= 0; f--)
		tell(l,
			(struct path_view){.of = "family",
				.site = name,
				.path = f ? "ipv6" : "ipv4",
				.host = "",
				.family = f ? FAMILY_IPV6 : FAMILY_IPV4},
			known ? &known->family[f] : NULL);
	for (unsigned i = 0; s != NULL && i < s->candidate_count; i++) {
		const struct candidate *c = &s->candidates[i];
		const struct address_memory *a = memory_address(m, &c->to);
		char to[ENDPOINT_TEXT];
		tell(l,
			(struct path_view){.of = "address",
				.site = name,
				.path = endpoint_format(&c->to, to),
				.host = c->host,
				.family = candidate_family(c)},
			a ? &a->track : NULL);
	}
	tell_sources(l, name);
	if (known != NULL && known->pinned != FAMILY_NONE && l->calls.pin != NULL) {
		const struct pin_view p = {known->name, known->pinned_by, known->pinned, known->pinned_until};
		l->calls.pin(l->calls.arg, &p);
	}
}

static void finish(struct path_look *l, int err, const char *text)
{
	l->calls.done(l->calls.arg, err, text);
	hops_free(l->hops);
	free(l);
}

static void on_answers(struct path_look *l)
{
	struct queue *q = l->queue;
	bool found = l->hops->state == MX_HOSTS;
	const struct site *s = found ? site_get(q, l->hops) : NULL;
	bool named = memory_site(q->memory, l->name) != NULL;
	if (s == NULL && !named) {
		finish(l, found ? -ENOMEM : -ENOENT, found ? "" : l->hops->reason);
		return;
	}
	/* what is remembered under this very name goes before what the DNS makes of it */
	const char *name = named || s == NULL ? l->name : s->lane.site;
	struct site shown = {0}; /* not in the queue's table: only carries candidates */
	if (s != NULL)
		site_take_addresses(q->reach, &shown, l->hops);
	tell_site(l, name, &shown);
	free(shown.candidates);
	finish(l, 0, name);
}

static void on_hops(void *arg, struct hops *h)
{
	struct path_look *l = arg;
	if (h->complete || h->state == MX_FAILED || h->state == MX_DEFERRED)
		on_answers(l);
}

/* By its name, or by the name of one of its hosts. */
static const struct site *find(const struct queue *q, const char *name)
{
	const struct site *by_host = NULL;
	for (const struct site *s = q->sites; s != NULL; s = s->hh.next) {
		if (strcmp(s->lane.site, name) == 0)
			return s;
		for (unsigned i = 0; by_host == NULL && i < s->candidate_count; i++)
			if (strcmp(s->candidates[i].host, name) == 0)
				by_host = s;
	}
	return by_host;
}

int queue_path(struct queue *q, const char *name, const struct queue_path *calls, struct path_look **out)
{
	struct path_look *l = strlen(name) < HOST_TEXT ? calloc(1, sizeof *l) : NULL;
	if (l == NULL)
		return strlen(name) < HOST_TEXT ? -ENOMEM : -EINVAL;
	l->queue = q;
	l->calls = *calls;
	snprintf(l->name, sizeof l->name, "%s", name);
	*out = NULL;
	const struct site *s = find(q, name);
	bool plain = name[strcspn(name, ":/ ")] == '\0' || name[0] == '[';
	if ((s != NULL && s->candidate_count > 0) || !plain) {
		const char *site = s != NULL ? s->lane.site : name;
		bool known = s != NULL || memory_site(q->memory, name) != NULL;
		if (known)
			tell_site(l, site, s);
		finish(l, known ? 0 : -ENOENT, known ? site : "nothing is remembered of a site of this name");
		return 0;
	}
	const struct hops_wanted wanted = {.domain = l->name, .route = conf_route(q->conf, l->name)};
	int err = hops_start(&l->hops, q, &wanted, on_hops, l);
	if (err != 0) {
		free(l);
		return err == -EBADMSG ? -EINVAL : err;
	}
	if (l->hops->complete)
		on_answers(l);
	else
		*out = l;
	return 0;
}

void queue_path_cancel(struct path_look *l)
{
	hops_free(l->hops);
	free(l);
}
