/* conf/sources.c: protocol. */
#include "conf/sources.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { DOMAIN_MAX = 255 /* RFC 5321 §4.5.3.1.2 */ };

bool sources_is_name(const char *text)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");
	return n > 0 && n <= POOL_NAME_MAX && text[n] == '\0';
}

const struct conf_pool *sources_pool(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->pool_count; i++)
		if (strcasecmp(c->pools[i].name, name) == 0)
			return &c->pools[i];
	return NULL;
}

/* The senders are sorted by pattern. */
static const struct conf_sender *find_sender(const struct conf *c, const char *pattern)
{
	size_t low = 0, high = c->sender_count;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = strcmp(c->senders[mid].pattern, pattern);
		if (order == 0)
			return &c->senders[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct conf_pool *sources_of(const struct conf *c, const struct conf_route *route, const char *domain)
{
	if (route != NULL && route->pool != NULL)
		return sources_pool(c, route->pool);
	if (c->sender_count == 0 || *domain == '\0')
		return NULL;
	char lower[DOMAIN_MAX + 1];
	size_t n = strlen(domain);
	if (n > DOMAIN_MAX)
		return NULL;
	for (size_t i = 0; i <= n; i++)
		lower[i] = (char)(domain[i] >= 'A' && domain[i] <= 'Z' ? domain[i] - 'A' + 'a' : domain[i]);
	const struct conf_sender *s = find_sender(c, lower);
	for (const char *dot = strchr(lower, '.'); s == NULL && dot != NULL; dot = strchr(dot + 1, '.'))
		s = find_sender(c, dot);
	return s ? sources_pool(c, s->pool) : NULL;
}

const char *sources_helo(const struct conf *c, const struct ip *source, enum family family)
{
	const char *common = c->source.helo ? c->source.helo : c->hostname;
	const char *own = family == FAMILY_IPV4 ? c->source.helo_ipv4 : c->source.helo_ipv6;
	for (size_t i = 0; source->family != FAMILY_NONE && i < c->identity_count; i++)
		if (ip_equal(&c->identities[i].at, source) && c->identities[i].helo != NULL)
			return c->identities[i].helo;
	return own ? own : common;
}

void sources_share(const struct conf *c, const struct conf_pool *pool, uint64_t *percent, uint64_t *warmup_ms)
{
	*percent = pool && pool->ipv6_share != CONF_INHERIT ? pool->ipv6_share : c->source.ipv6_share;
	*warmup_ms = pool && pool->ipv6_warmup != CONF_INHERIT ? pool->ipv6_warmup : c->source.ipv6_warmup;
}

int sources_complain(const struct conf_pool *pool, struct buf *why)
{
	char text[PREFIX_TEXT];
	if (pool->addresses.count == 0) {
		buf_append_str(why, "has no addresses; expected addresses = ADDRESS, …");
		return -EINVAL;
	}
	for (size_t i = 0; i < pool->addresses.count; i++) {
		const struct prefix *p = &pool->addresses.items[i];
		if (p->bits == (p->ip.family == FAMILY_IPV4 ? 32 : 128))
			continue;
		buf_printf(why, "%s is a network; expected single addresses", prefix_format(p, text));
		return -EINVAL;
	}
	return 0;
}

int sources_missing(const struct conf *c, const char *name, struct buf *why)
{
	if (name == NULL || sources_pool(c, name) != NULL)
		return 0;
	buf_printf(why, "pool %s is not there; expected one of the blocks pool NAME { }", name);
	return -EINVAL;
}
