/* queue/doctor/outgoing.c: protocol. */
#include "queue/doctor/outgoing.h"

#include <string.h>

#include "conf/sources.h"

static bool has_family(const struct conf_pool *pool, enum family family)
{
	for (size_t i = 0; pool != NULL && i < pool->addresses.count; i++)
		if (pool->addresses.items[i].ip.family == family)
			return true;
	return false;
}

static bool has_address(const struct conf_pool *pool, const struct ip *ip)
{
	for (size_t i = 0; pool != NULL && i < pool->addresses.count; i++)
		if (ip_equal(&pool->addresses.items[i].ip, ip))
			return true;
	return false;
}

enum { LACKING = FAMILIES }; /* f->sources[LACKING + i]: for pools without the family */

/* Mail whose pool has no address of a family leaves from one that the kernel chooses. */
static void note_lacking(struct facts *f, const struct conf_pool *pool, bool by_route)
{
	for (unsigned i = 0; i < FAMILIES; i++) {
		struct fact_source *s = &f->sources[f->sources[i].configured ? LACKING + i : i];
		if (has_family(pool, family_at(i)))
			continue;
		s->used = true;
		s->by_route = s->by_route || by_route;
	}
}

static struct fact_source *find(struct facts *f, const struct ip *ip)
{
	for (size_t i = 0; i < f->source_count; i++)
		if (f->sources[i].used && ip_equal(&f->sources[i].ip, ip))
			return &f->sources[i];
	return NULL;
}

static void add_pool(struct facts *f, const char *name, bool by_route)
{
	const struct conf_pool *pool = name != NULL ? sources_pool(f->conf.conf, name) : NULL;
	if (pool == NULL)
		return;
	note_lacking(f, pool, by_route);
	for (size_t i = 0; i < pool->addresses.count; i++) {
		const struct ip *ip = &pool->addresses.items[i].ip;
		struct fact_source *s = find(f, ip);
		if (s == NULL && f->source_count == FACT_SOURCES) {
			f->sources_left = true;
			return;
		}
		if (s == NULL) {
			s = &f->sources[f->source_count++];
			*s = (struct fact_source){
				.ip = *ip, .family = (enum family)ip->family, .used = true, .configured = true};
		}
		s->pool = s->pool != NULL ? s->pool : pool->name;
		s->by_route = s->by_route || by_route;
	}
}

void outgoing_list(struct facts *f)
{
	const struct conf *c = f->conf.conf;
	bool all_routed = false;
	f->unrouted = false;
	for (size_t i = 0; i < c->route_count; i++) {
		f->unrouted = f->unrouted || c->routes[i].pool == NULL;
		all_routed = all_routed || strcmp(c->routes[i].pattern, "*") == 0;
	}
	f->unrouted = f->unrouted || !all_routed;
	f->source_count = (size_t)LACKING + FAMILIES;
	for (unsigned i = 0; i < FAMILIES; i++) {
		const struct ip *own = i == 0 ? &c->source.ipv4 : &c->source.ipv6;
		f->sources[i] = (struct fact_source){.ip = *own,
			.family = family_at(i),
			.configured = own->family != FAMILY_NONE,
			.used = f->unrouted};
		f->sources[LACKING + i] = (struct fact_source){.family = family_at(i)};
	}
	for (size_t i = 0; i < c->route_count; i++)
		add_pool(f, c->routes[i].pool, true);
	for (size_t i = 0; i < c->sender_count && f->unrouted; i++)
		add_pool(f, c->senders[i].pool, false);
}

bool outgoing_may(const struct facts *f, size_t i, const char *domain)
{
	const struct fact_source *s = &f->sources[i];
	const struct conf_pool *own = f->unrouted ? sources_of(f->conf.conf, NULL, domain) : NULL;
	bool lacks = own != NULL && !has_family(own, s->family);
	if (!s->used || s->by_route)
		return s->used;
	if (i < LACKING && f->unrouted && own == NULL)
		return true;
	if (!s->configured)
		return lacks;
	return has_address(own, &s->ip);
}

const struct fact_source *outgoing_first(const struct facts *f, enum family family)
{
	for (size_t i = 0; i < f->source_count; i++)
		if (f->sources[i].used && f->sources[i].family == family)
			return &f->sources[i];
	return NULL;
}

const char *outgoing_helo(const struct facts *f, const struct fact_source *s)
{
	static const struct ip chosen = {.family = FAMILY_NONE};
	return sources_helo(f->conf.conf, s->configured ? &s->ip : &chosen, s->family);
}
