/* queue/route.c: state. */
#include "queue/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/path/pool.h"
#include "queue/settle.h"
#include "queue/site.h"

enum {
	TRIM_SLICE = 5000,
	BETTER_MS = 1000,    /* for which addresses of a family that is not broken are waited for */
	REDIRECT_MARK = '>', /* stands in no domain */
};

bool route_is_fresh(const struct queue *q, const struct domain *domain)
{
	/* while it is asked anew the old answer is none */
	return domain->site != NULL && domain->hops != NULL && domain->conf == q->conf &&
	       domain->hops->state == MX_HOSTS && (!domain->hops->complete || q->clock() < domain->hops->expires_ms);
}

static void point_to(struct domain *domain, struct site *s)
{
	if (domain->site != NULL)
		domain->site->domains--;
	domain->site = s;
	if (s != NULL)
		s->domains++;
}

static void free_domain(struct queue *q, struct domain *domain)
{
	if (domain->looking && domain->site != NULL)
		dispatch_refresh(q, domain->site, true); /* no dial waits for answers that nobody takes any more */
	HASH_DEL(q->domains, domain);
	TAILQ_REMOVE(&q->unused_domains, domain, unused);
	due_clear(&q->due, &domain->due);
	point_to(domain, NULL);
	hops_free(domain->hops);
	conf_unref(domain->conf);
	free(domain);
}

void route_trim(struct queue *q)
{
	struct domain *domain;
	for (unsigned n = 0; n < TRIM_SLICE && (domain = TAILQ_FIRST(&q->unused_domains)) != NULL; n++)
		free_domain(q, domain);
}

void route_stop(struct queue *q)
{
	for (struct domain *domain = q->domains; domain != NULL; domain = domain->hh.next) {
		hops_free(domain->hops);
		domain->hops = NULL;
	}
}

void route_free_all(struct queue *q)
{
	struct domain *domain, *next;
	HASH_ITER (hh, q->domains, domain, next) {
		free_domain(q, domain);
	}
}

static struct domain *get_domain(struct queue *q, const char *name)
{
	struct domain *domain;
	HASH_FIND_STR(q->domains, name, domain);
	if (domain != NULL)
		return domain;
	size_t n = strlen(name);
	domain = calloc(1, sizeof *domain + n + 1);
	if (domain == NULL)
		return NULL;
	memcpy(domain->name, name, n + 1);
	domain->queue = q;
	domain->due.kind = DUE_DOMAIN;
	TAILQ_INIT(&domain->waiting);
	HASH_ADD_STR(q->domains, name, domain);
	if (domain->hh.tbl == NULL) {
		free(domain);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&q->unused_domains, domain, unused);
	return domain;
}

/* All that wait for the domain end their attempt with this. */
static void answer_waiting(struct queue *q, struct domain *domain, const struct reply *r)
{
	struct site *old = domain->site;
	domain->looking = false;
	if (domain->site != NULL)
		dispatch_refresh(q, domain->site, true);
	point_to(domain, NULL);
	domain->refused = reply_class(r) == 5;
	struct delivery *d;
	while ((d = TAILQ_FIRST(&domain->waiting)) != NULL) {
		index_detach(q, d);
		d->route_ms = (uint32_t)(core_now(q) - domain->asked);
		settle_all(q, d, r);
	}
	if (old != NULL && domain->refused)
		dispatch_sweep(q, old);
}

/* The race may start: everybody to the site. */
static void go_to_site(struct queue *q, struct domain *domain)
{
	struct site *s = site_get(q, domain->hops);
	if (s == NULL) {
		struct reply r;
		reply_set(&r, 451, "4.3.0", "not enough memory here");
		answer_waiting(q, domain, &r);
		return;
	}
	due_clear(&q->due, &domain->due);
	struct site *old = domain->site;
	point_to(domain, s);
	domain->refused = false;
	site_take_addresses(s, domain->hops);
	dispatch_refresh(q, s, domain->hops->complete);
	if (old != NULL && old != s)
		dispatch_refresh(q, old, true); /* nothing comes there any more */
	struct delivery *d;
	while ((d = TAILQ_FIRST(&domain->waiting)) != NULL) {
		index_detach(q, d);
		d->route_ms = (uint32_t)(core_now(q) - domain->asked);
		dispatch_enqueue(q, s, d);
	}
	if (old != NULL && old != s)
		dispatch_sweep(q, old);
}

/* The addresses that are known so far are all doubtful, and others may still come: the AAAA answer was the quicker one,
 * and IPv6 is broken there. Or a share says over which family mail goes: then both must be known. */
static bool better_may_come(struct queue *q, const struct domain *domain)
{
	const struct hops *h = domain->hops;
	const struct site *s = h->complete || core_now(q) >= domain->asked + BETTER_MS ? NULL : site_get(q, h);
	if (s == NULL)
		return false;
	if (pool_shares(q))
		return true;
	for (size_t i = 0; i < 2 * h->count; i++) {
		const struct hop_host *host = &h->hosts[i / 2];
		for (size_t k = 0; k < host->host->family[i % 2].count; k++) {
			struct candidate c = {.to = {.ip = host->host->family[i % 2].items[k], .port = host->port}};
			memory_fill(q->memory, s->lane.site, &c, core_now(q));
			if (!c.doubtful)
				return false;
		}
	}
	return true;
}

static void look(struct queue *q, struct domain *domain)
{
	struct hops *h = domain->hops;
	if (h->state == MX_PENDING)
		return;
	if (h->state != MX_HOSTS) {
		struct reply r;
		reply_set(&r, (unsigned)h->code, h->enhanced, "%s", h->reason);
		domain->hops = NULL;
		hops_free(h);
		answer_waiting(q, domain, &r);
		return;
	}
	uint64_t clock = q->clock();
	uint64_t at = hops_ready_at(h, clock);
	if (h->complete)
		domain->looking = false;
	if (at <= clock && better_may_come(q, domain))
		due_set(&q->due, &domain->due, domain->asked + BETTER_MS);
	else if (at <= clock)
		go_to_site(q, domain);
	else if (at != UINT64_MAX)
		due_set(&q->due, &domain->due, at + q->base);
}

static void on_hops(void *arg, struct hops *h)
{
	struct domain *domain = arg;
	(void)h;
	/* what waits now is asked for again at the next start: its outcome might come too late to be written */
	if (!domain->queue->draining)
		look(domain->queue, domain);
}

void route_domain_due(struct queue *q, struct domain *domain)
{
	if (domain->hops != NULL)
		look(q, domain);
}

/* Why no look-up could begin. */
static void refuse(struct queue *q, struct domain *domain, int err)
{
	struct reply r;
	if (err == -EINVAL)
		reply_set(&r, 550, "5.1.2", "%s is not an address that mail can go to", domain->name);
	else if (err == -EBADMSG)
		reply_set(&r, 451, "4.3.5", "redirected to \"%s\", which is no next hop", domain->name + 1);
	else
		reply_set(&r, 451, "4.3.0", "the look-up of %s could not be started", domain->name);
	answer_waiting(q, domain, &r);
}

static void ask(struct queue *q, struct domain *domain)
{
	bool redirect = domain->name[0] == REDIRECT_MARK;
	const struct hops_wanted wanted = {
		.domain = domain->name,
		.route = redirect ? NULL : conf_route(q->conf, domain->name),
		.redirect = redirect ? domain->name + 1 : NULL,
	};
	hops_free(domain->hops);
	domain->hops = NULL;
	if (domain->conf != q->conf) {
		conf_unref(domain->conf);
		domain->conf = conf_ref(q->conf);
	}
	domain->looking = true;
	domain->asked = core_now(q);
	if (domain->name[0] == '\0' && (wanted.route == NULL || wanted.route->relay.count == 0)) {
		struct reply r;
		reply_set(&r, 550, "5.1.2", "an address without a domain cannot be relayed");
		answer_waiting(q, domain, &r);
		return;
	}
	int err = hops_start(&domain->hops, q, &wanted, on_hops, domain);
	if (err != 0)
		refuse(q, domain, err);
	else
		look(q, domain); /* what needs no question is known already */
}

/* Under which name the answers for the delivery are kept. */
static const char *domain_name(const struct delivery *d, char room[REDIRECT_MAX + 2])
{
	const char *redirect = message_redirect(d->message);
	if (*redirect == '\0')
		return address_domain_of(d->message->rcpts[d->first].address);
	snprintf(room, REDIRECT_MAX + 2, "%c%s", REDIRECT_MARK, redirect);
	return room;
}

bool route_moved(const struct delivery *d)
{
	char room[REDIRECT_MAX + 2];
	return d->domain != NULL && strcmp(d->domain->name, domain_name(d, room)) != 0;
}

/* A route without a next hop: the mail ends here. */
static bool ends_here(struct queue *q, struct delivery *d)
{
	const struct conf_route *r = *message_redirect(d->message) ? NULL : core_route(q, d);
	struct reply reply;
	if (r == NULL || (!r->discard && r->reject == NULL))
		return false;
	/* what waits at the site to which the domain went before comes here too */
	struct site *old = d->domain ? d->domain->site : NULL;
	if (old != NULL) {
		dispatch_refresh(q, old, true);
		point_to(d->domain, NULL);
		d->domain->refused = true;
		dispatch_sweep(q, old);
	}
	if (r->discard) {
		settle_discard(q, d, r->pattern);
	} else {
		reply_set(&reply, 550, "5.7.1", "%s", r->reject);
		settle_all(q, d, &reply);
	}
	return true;
}

void route_delivery(struct queue *q, struct delivery *d)
{
	char room[REDIRECT_MAX + 2];
	if (ends_here(q, d))
		return;
	struct domain *domain = d->domain;
	if (domain == NULL || route_moved(d)) {
		domain = get_domain(q, domain_name(d, room));
		/* a path of where it went before */
		if (d->domain != NULL) {
			free(d->greylisted);
			d->greylisted = NULL;
		}
	}
	if (domain == NULL) {
		struct reply r;
		reply_set(&r, 451, "4.3.0", "not enough memory here");
		settle_all(q, d, &r);
		return;
	}
	index_set_domain(q, d, domain);
	d->told = false;
	if (route_is_fresh(q, domain)) {
		d->route_ms = 0;
		dispatch_enqueue(q, domain->site, d);
		return;
	}
	d->state = DELIVERY_ROUTING;
	TAILQ_INSERT_TAIL(&domain->waiting, d, link);
	if (!domain->looking)
		ask(q, domain);
}
