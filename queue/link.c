/* queue/link.c: state. */
#include "queue/link.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "conf/counter.h"

static void on_closed(struct connection *c)
{
	struct link *l = connection_arg(c);
	struct site *s = l->site;
	struct queue *q = s->queue;
	void (*closed)(struct queue *, struct site *) = l->closed;
	memory_opened(q->memory, &connection_info(c)->to, -1);
	if (l->work == NULL)
		TAILQ_REMOVE(&s->idle, l, next);
	else
		TAILQ_REMOVE(&s->busy, l, next);
	s->links--;
	q->links--;
	connection_release(c);
	free(l->paths);
	free(l);
	closed(q, s);
}

struct link *link_new(
	struct queue *q, struct site *s, struct dial *dial, void (*closed)(struct queue *q, struct site *s))
{
	struct link *l = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	l->connection = dial->connection;
	l->site = s;
	l->paths = dial->paths;
	l->path_count = dial->path_count;
	l->used = dial->used;
	l->race_ms = dial->took_ms;
	l->source =
		dial->paths[dial->used].to.ip.family == FAMILY_IPV6 ? dial->lane.source_ipv6 : dial->lane.source_ipv4;
	l->closed = closed;
	dial->paths = NULL;
	dial->path_count = 0;
	connection_set_arg(l->connection, l);
	connection_on_closed(l->connection, on_closed);
	TAILQ_INSERT_TAIL(&s->idle, l, next);
	s->links++;
	q->links++;
	memory_opened(q->memory, &connection_info(l->connection)->to, 1);
	return l;
}

static uint64_t domain_hash(const struct delivery *d)
{
	const char *domain = address_domain_of(d->message->rcpts[d->first].address);
	return XXH3_64bits(domain, strlen(domain));
}

static unsigned domains_most(const struct link *l)
{
	unsigned most = connection_info(l->connection)->peer.rcpt_domain_max;
	return most < LINK_DOMAINS ? most : LINK_DOMAINS;
}

static bool has_domain(const struct link *l, uint64_t hash)
{
	for (unsigned i = 0; i < l->domain_count; i++)
		if (l->domains[i] == hash)
			return true;
	return false;
}

bool link_fits(const struct link *l, const struct delivery *d)
{
	unsigned most = domains_most(l);
	return most == 0 || l->domain_count < most || has_domain(l, domain_hash(d));
}

void link_take(struct link *l, struct work *w)
{
	if (domains_most(l) != 0 && l->domain_count < LINK_DOMAINS && !has_domain(l, domain_hash(w->delivery)))
		l->domains[l->domain_count++] = domain_hash(w->delivery);
	TAILQ_REMOVE(&l->site->idle, l, next);
	TAILQ_INSERT_TAIL(&l->site->busy, l, next);
	l->work = w;
	l->sent++;
}

void link_put_back(struct link *l, bool reusable)
{
	TAILQ_REMOVE(&l->site->busy, l, next);
	l->work = NULL;
	l->closing = !reusable;
	/* the one used last goes first: the others may reach their idle time and close */
	TAILQ_INSERT_HEAD(&l->site->idle, l, next);
}
