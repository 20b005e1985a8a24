/* queue/route.c: state. */
#include "queue/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/settle.h"
#include "queue/site.h"

enum { SMTP_PORT = 25, TRIM_SLICE = 5000 };

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3) */
static int literal_address(const char *domain, struct ip *out)
{
	char text[IP_TEXT + 8];
	size_t n = strlen(domain);
	if (n < 3 || n - 2 >= sizeof text || domain[n - 1] != ']')
		return -EINVAL;
	memcpy(text, domain + 1, n - 2);
	text[n - 2] = '\0';
	return ip_parse(out, strncasecmp(text, "IPv6:", 5) == 0 ? text + 5 : text);
}

int route_wanted(const struct conf *c, const char *domain, const struct conf_route **route, struct mx_wanted *wanted,
	uint16_t *port)
{
	const struct conf_route *r = conf_route(c, domain);
	*route = r;
	*wanted = (struct mx_wanted){.name = domain};
	*port = SMTP_PORT;
	if (r != NULL && r->relay.count > 0) {
		const struct conf_hop *hop = &r->relay.items[0];
		wanted->name = hop->literal.family != FAMILY_NONE ? NULL : hop->host;
		wanted->literal = hop->literal;
		wanted->skip_mx = hop->skip_mx;
		*port = hop->port;
		return 0;
	}
	if (*domain != '[')
		return 0;
	wanted->name = NULL;
	wanted->foreign = true;
	return literal_address(domain, &wanted->literal);
}

const struct conf_route *route_of(const struct queue *q, const struct delivery *d)
{
	return conf_route(q->conf, address_domain_of(d->message->rcpts[d->first].address));
}

bool route_is_fresh(const struct queue *q, const struct domain *domain)
{
	/* while it is asked anew the old answer is none */
	return domain->site != NULL && domain->mx != NULL && domain->conf == q->conf && domain->mx->state == MX_HOSTS &&
	       (!domain->mx->complete || q->clock() < domain->mx->expires_ms);
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
	mx_free(domain->mx);
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
		mx_free(domain->mx);
		domain->mx = NULL;
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

static uint16_t port_of(const struct domain *domain)
{
	return domain->route && domain->route->relay.count ? domain->route->relay.items[0].port : SMTP_PORT;
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
	struct site *s = site_get(q, domain->mx, port_of(domain), NULL);
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
	site_take_addresses(q, s, domain->mx, port_of(domain));
	dispatch_refresh(q, s, domain->mx->complete);
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

static void look(struct queue *q, struct domain *domain)
{
	struct mx *mx = domain->mx;
	if (mx->state == MX_PENDING)
		return;
	if (mx->state != MX_HOSTS) {
		struct reply r;
		reply_set(&r, (unsigned)mx->code, mx->enhanced, "%s", mx->reason);
		domain->mx = NULL;
		mx_free(mx);
		answer_waiting(q, domain, &r);
		return;
	}
	uint64_t clock = q->clock();
	uint64_t at = mx_ready_at(mx, clock);
	if (mx->complete)
		domain->looking = false;
	if (at <= clock)
		go_to_site(q, domain);
	else if (at != UINT64_MAX)
		due_set(&q->due, &domain->due, at + q->base);
}

static void on_mx(void *arg, struct mx *mx)
{
	struct domain *domain = arg;
	(void)mx;
	look(domain->queue, domain);
}

void route_domain_due(struct queue *q, struct domain *domain)
{
	if (domain->mx != NULL)
		look(q, domain);
}

static void ask(struct queue *q, struct domain *domain)
{
	struct mx_wanted wanted;
	uint16_t port;
	struct reply r;
	mx_free(domain->mx);
	domain->mx = NULL;
	if (domain->conf != q->conf) {
		conf_unref(domain->conf);
		domain->conf = conf_ref(q->conf);
	}
	domain->looking = true;
	domain->asked = core_now(q);
	if (route_wanted(q->conf, domain->name, &domain->route, &wanted, &port) != 0) {
		reply_set(&r, 550, "5.1.2", "%s is not an address that mail can go to", domain->name);
		answer_waiting(q, domain, &r);
		return;
	}
	if (domain->name[0] == '\0' && wanted.name == domain->name) {
		reply_set(&r, 550, "5.1.2", "an address without a domain cannot be relayed");
		answer_waiting(q, domain, &r);
		return;
	}
	domain->mx = mx_start(q->resolver, q->conf, &wanted, &q->self, q->clock(), on_mx, domain);
	if (domain->mx == NULL) {
		reply_set(&r, 451, "4.3.0", "the look-up of %s could not be started", domain->name);
		answer_waiting(q, domain, &r);
	} else if (domain->mx->complete) {
		look(q, domain); /* nothing had to be asked: no callback comes */
	}
}

void route_delivery(struct queue *q, struct delivery *d)
{
	const char *name = address_domain_of(d->message->rcpts[d->first].address);
	struct domain *domain = d->domain ? d->domain : get_domain(q, name);
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
