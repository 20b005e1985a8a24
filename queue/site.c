/* queue/site.c: state. */
#include "queue/site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "queue/pace.h"
#include "queue/path/pool.h"
#include "queue/reach/way.h"
#include "queue/suspension.h"

enum { SITES_KEPT = 20000, SMTP_PORT = 25 };

/* "25 10 a,b 20 c": the hosts of each preference in the order of their names, so that every order of an answer gives
 * one key. */
static int by_preference_and_name(const void *a, const void *b)
{
	const struct mx_host *x = *(const struct mx_host *const *)a, *y = *(const struct mx_host *const *)b;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int literal_text(const struct hops *h, char out[IP_TEXT + 2])
{
	char ip[IP_TEXT];
	const struct mx_host *host = h->count == 1 && h->hosts[0].host->name[0] == '\0' ? h->hosts[0].host : NULL;
	for (int f = 0; f < 2; f++)
		if (host != NULL && host->family[f].count > 0)
			return snprintf(out, IP_TEXT + 2, "[%s]", ip_format(&host->family[f].items[0], ip));
	out[0] = '\0';
	return 0;
}

/* By the hosts that are known: one hop's come all at once. */
static int build_hosts_key(const struct hops *h, struct buf *key)
{
	const struct mx_host **sorted = calloc(h->count ? h->count : 1, sizeof(const struct mx_host *));
	if (sorted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < h->count; i++)
		sorted[i] = h->hosts[i].host;
	qsort(sorted, h->count, sizeof(const struct mx_host *), by_preference_and_name);
	char literal[IP_TEXT + 2];
	literal_text(h, literal);
	int err = buf_printf(key, "%u", (unsigned)h->items[0].port);
	for (size_t i = 0; err == 0 && i < h->count; i++) {
		if (i == 0 || sorted[i]->preference != sorted[i - 1]->preference)
			err = buf_printf(key, " %u %s", (unsigned)sorted[i]->preference,
				sorted[i]->name[0] ? sorted[i]->name : literal);
		else
			err = buf_printf(key, ",%s", sorted[i]->name);
	}
	free(sorted);
	return err;
}

static int build_key(const struct hops *h, struct buf *key)
{
	/* the route goes first: what does not fit tells no sites apart */
	int err = h->route ? buf_printf(key, "/%s ", h->route) : 0;
	if (err == 0)
		err = h->key ? buf_append_str(key, h->key) : build_hosts_key(h, key);
	return err == -E2BIG ? 0 : err;
}

/* Appends what fits and leaves room for `keep` more. */
static void append(char out[HOST_TEXT], const char *text, size_t keep)
{
	size_t n = strlen(out), len = strlen(text);
	size_t room = n + keep < HOST_TEXT - 1 ? HOST_TEXT - 1 - n - keep : 0;
	if (len > room)
		len = room;
	memcpy(out + n, text, len);
	out[n + len] = '\0';
}

/* What people see: the best host, or the hops; with the port unless it is 25, and the route whose own it is, as sites
 * that differ must not look alike. */
static void name_site(const struct hops *h, char out[HOST_TEXT])
{
	char literal[IP_TEXT + 2], port[8] = "";
	literal_text(h, literal);
	const char *best = h->name ? h->name : literal;
	for (size_t i = 0; i < h->count && h->name == NULL && literal[0] == '\0'; i++)
		if (h->hosts[i].preference == h->hosts[0].preference &&
			(best == literal || strcmp(h->hosts[i].host->name, best) < 0))
			best = h->hosts[i].host->name;
	if (h->name == NULL && h->items[0].port != SMTP_PORT)
		snprintf(port, sizeof port, ":%u", (unsigned)h->items[0].port);
	out[0] = '\0';
	append(out, best, strlen(port) + (h->route ? strlen(h->route) + 1 : 0));
	append(out, port, 0);
	if (h->route != NULL) {
		append(out, "/", 0);
		append(out, h->route, 0);
	}
}

/* A route's own limits may have changed since the site was made. */
static void take_policy(struct site *s, const struct hops *h)
{
	s->own = h->route != NULL;
	s->policy = h->policy;
	s->lane.messages = s->own ? h->policy.messages : 0;
	s->lane.rcpt_max = s->own ? h->policy.recipients : 0;
}

static void fill_lane(const struct queue *q, struct site *s, const struct hops *h)
{
	const struct conf *c = q->conf;
	struct lane *l = &s->lane;
	name_site(h, l->site);
	l->security = LANE_PLAIN;
	l->source_ipv4 = c->source.ipv4;
	l->source_ipv6 = c->source.ipv6;
	const char *helo = c->source.helo ? c->source.helo : c->hostname;
	snprintf(l->helo_ipv4, sizeof l->helo_ipv4, "%s", c->source.helo_ipv4 ? c->source.helo_ipv4 : helo);
	snprintf(l->helo_ipv6, sizeof l->helo_ipv6, "%s", c->source.helo_ipv6 ? c->source.helo_ipv6 : helo);
}

uint64_t site_connections(const struct queue *q, const struct site *s)
{
	return s->own ? s->policy.connections : q->conf->limits.site_connections;
}

static void free_site(struct queue *q, struct site *s)
{
	HASH_DEL(q->sites, s);
	TAILQ_REMOVE(&q->sites_by_use, s, use);
	if (s->in_turn)
		TAILQ_REMOVE(&q->sites_in_turn, s, turn);
	suspension_part(q, s);
	due_clear(&q->due, &s->due);
	due_clear(&q->due, &s->sweep_due);
	if (s->resting)
		q->resting--;
	q->site_count--;
	intern_drop(&q->reasons, s->reason);
	attempt_free(s->fault);
	free(s->candidates);
	free(s->key);
	free(s);
}

static bool unused(const struct site *s)
{
	return s->deliveries == 0 && s->domains == 0 && s->links == 0 && s->dial_count == 0 && s->probe == NULL;
}

void site_trim(struct queue *q)
{
	struct site *s = TAILQ_FIRST(&q->sites_by_use);
	/* while all are gone over, the next one must be there */
	for (int looked = 0; !q->sites_walked && q->site_count > SITES_KEPT && s != NULL && looked < 64; looked++) {
		struct site *next = TAILQ_NEXT(s, use);
		if (unused(s))
			free_site(q, s);
		s = next;
	}
}

void site_free_all(struct queue *q)
{
	struct site *s;
	while ((s = TAILQ_FIRST(&q->sites_by_use)) != NULL)
		free_site(q, s);
}

struct site *site_find(const struct queue *q, const char *name)
{
	for (struct site *s = q->sites; s != NULL; s = s->hh.next)
		if (strcasecmp(s->lane.site, name) == 0)
			return s;
	return NULL;
}

static struct site *add_site(struct queue *q, const struct hops *h, const char *key, size_t len)
{
	struct site *s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	s->key = strndup(key, len);
	if (s->key == NULL || due_reserve(&q->due, (uint32_t)(q->recipients + 2 * q->site_count + 1024)) != 0) {
		free(s->key);
		free(s);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, q->sites, s->key, strlen(s->key), s);
	if (s->hh.tbl == NULL) {
		free(s->key);
		free(s);
		return NULL;
	}
	s->queue = q;
	s->next_source = q->next_source++;
	pace_restart(s);
	s->due.kind = DUE_SITE;
	s->sweep_due.kind = DUE_SWEEP;
	ready_init(&s->ready);
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->busy);
	TAILQ_INIT(&s->dials);
	TAILQ_INSERT_TAIL(&q->sites_by_use, s, use);
	q->site_count++;
	fill_lane(q, s, h);
	suspension_meet(q, s);
	return s;
}

struct site *site_get(struct queue *q, const struct hops *h)
{
	struct buf key;
	struct site *s = NULL;
	buf_init(&key, SITE_KEY);
	if (build_key(h, &key) == 0) {
		HASH_FIND(hh, q->sites, key.data, key.len, s);
		if (s == NULL) {
			site_trim(q);
			s = add_site(q, h, (const char *)key.data, key.len);
		} else {
			TAILQ_REMOVE(&q->sites_by_use, s, use);
			TAILQ_INSERT_TAIL(&q->sites_by_use, s, use);
		}
	}
	buf_fini(&key);
	if (s != NULL)
		take_policy(s, h);
	return s;
}

/* While a host's addresses of one family are asked for, those that were known so far stay. */
static unsigned keep_pending(const struct site *s, const struct hops *hops, struct candidate *all, unsigned n)
{
	for (unsigned i = 0; i < s->candidate_count && n < CANDIDATES_MAX; i++) {
		const struct candidate *c = &s->candidates[i];
		for (size_t k = 0; k < hops->count; k++) {
			const struct mx_host *h = hops->hosts[k].host;
			if (h->family[candidate_family(c) == FAMILY_IPV6].state != MX_PART_PENDING ||
				hops->hosts[k].preference != c->preference || hops->hosts[k].port != c->to.port ||
				strcmp(h->name, c->host) != 0)
				continue;
			all[n++] = *c;
			break;
		}
	}
	return n;
}

/* A DNS64 server and this relay make the same address of an IPv4 one. */
static bool is_there(const struct candidate *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (all[i].preference == all[n].preference && endpoint_equal(&all[i].to, &all[n].to))
			return true;
	return false;
}

void site_take_addresses(const struct reach *r, struct site *s, const struct hops *hops)
{
	struct candidate *all = calloc(CANDIDATES_MAX, sizeof *all);
	if (all == NULL)
		return;
	unsigned n = 0;
	/* one address of each host and family first, so that a host with many leaves room for the others */
	for (size_t round = 0, more = 1; more && n < CANDIDATES_MAX; round++) {
		more = 0;
		for (size_t i = 0; i < hops->count; i++)
			for (int f = 1; f >= 0; f--) {
				const struct mx_host *h = hops->hosts[i].host;
				if (round >= h->family[f].count || n >= CANDIDATES_MAX)
					continue;
				more = 1;
				all[n] = (struct candidate){
					.to = {.port = hops->hosts[i].port}, .preference = hops->hosts[i].preference};
				snprintf(all[n].host, sizeof all[n].host, "%s", h->name);
				n += way_to(r, &h->family[f].items[round], &all[n]) && !is_there(all, n);
			}
	}
	if (n == 0) {
		free(all);
		return;
	}
	n = keep_pending(s, hops, all, n);
	struct candidate *fit = reallocarray(all, n, sizeof *all);
	free(s->candidates);
	s->candidates = fit ? fit : all;
	s->candidate_count = n;
}

bool site_was_tried(const struct delivery *d, const struct endpoint *to)
{
	for (unsigned i = 0; d != NULL && d->tries != NULL && i < d->tries->tried_count; i++)
		if (endpoint_equal(&d->tries->tried[i], to))
			return true;
	return false;
}

/* Is the delivery to go over the other family, because it was refused for this one? */
static bool is_refused(const struct delivery *d, const struct candidate *c)
{
	return d != NULL && d->tries != NULL && d->tries->refused == candidate_family(c);
}

static bool goes_first(struct queue *q, const struct site *s, const struct delivery *d, const struct candidate *c)
{
	if (d != NULL && d->tries != NULL && d->tries->other != FAMILY_NONE)
		return candidate_family(c) == d->tries->other && !c->doubtful;
	if (d != NULL && d->greylisted != NULL)
		return endpoint_equal(d->greylisted, &c->to);
	/* what has just failed does not go first, whatever the route prefers */
	enum family prefer = s->own ? s->policy.prefer : FAMILY_NONE;
	if (prefer == FAMILY_NONE && d != NULL)
		prefer = pool_family(q, d);
	if (prefer == FAMILY_NONE)
		prefer = memory_quicker(q->memory, s->lane.site);
	return candidate_family(c) == prefer && !c->doubtful;
}

bool site_offers(struct queue *q, const struct site *s, const struct delivery *d, enum family family)
{
	for (unsigned i = 0; i < s->candidate_count; i++) {
		struct candidate c = s->candidates[i];
		if (candidate_family(&c) != family || site_was_tried(d, &c.to) ||
			memory_open(q->memory, &c.to) >= q->conf->limits.address_connections)
			continue;
		memory_fill(q->memory, s->lane.site, &c, core_now(q));
		if (!c.doubtful)
			return true;
	}
	return false;
}

unsigned site_candidates(
	struct queue *q, const struct site *s, const struct delivery *d, struct candidate *out, bool *full)
{
	unsigned n = 0;
	*full = false;
	for (unsigned i = 0; i < s->candidate_count; i++) {
		if (site_was_tried(d, &s->candidates[i].to) || is_refused(d, &s->candidates[i]))
			continue;
		if (memory_open(q->memory, &s->candidates[i].to) >= q->conf->limits.address_connections) {
			*full = true;
			COUNT(limit_address_connections);
			continue;
		}
		struct candidate c = s->candidates[i];
		memory_fill(q->memory, s->lane.site, &c, core_now(q));
		c.first = goes_first(q, s, d, &c);
		unsigned at = n++;
		while (at > 0 && out[at - 1].preference > c.preference) {
			out[at] = out[at - 1];
			at--;
		}
		out[at] = c;
	}
	return n;
}
