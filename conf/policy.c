/* conf/policy.c: protocol. */
#include "conf/policy.h"

static uint64_t own_or(uint64_t own, uint64_t inherited)
{
	return own != CONF_INHERIT ? own : inherited;
}

static bool own_answer_or(enum conf_answer own, bool inherited)
{
	return own == CONF_ANSWER_INHERIT ? inherited : own == CONF_ANSWER_YES;
}

static enum family family_of(enum conf_family f)
{
	return f == CONF_FAMILY_IPV6 ? FAMILY_IPV6 : f == CONF_FAMILY_IPV4 ? FAMILY_IPV4 : FAMILY_NONE;
}

struct policy policy_of(const struct conf *c, const struct conf_route *route)
{
	static const struct conf_route none = {.connections = CONF_INHERIT,
		.messages = CONF_INHERIT,
		.recipients = CONF_INHERIT,
		.first = CONF_INHERIT,
		.max = CONF_INHERIT,
		.give_up = CONF_INHERIT,
		.warn = CONF_INHERIT};
	const struct conf_route *r = route ? route : &none;
	struct policy p = {
		.connections = own_or(r->connections, c->limits.site_connections),
		.messages = own_or(r->messages, c->limits.connection_messages),
		.recipients = own_or(r->recipients, 0),
		.retry = {.first = own_or(r->first, c->retry.first),
			.max = own_or(r->max, c->retry.max),
			.give_up = own_or(r->give_up, c->retry.give_up),
			.warn = own_or(r->warn, c->retry.warn)},
		.prefer = family_of(r->prefer),
		.only = family_of(r->only),
		.soft_bounce = own_answer_or(r->soft_bounce, c->soft_bounce),
		.policy_failover = own_answer_or(r->policy_failover, c->policy_failover),
	};
	p.retry.greylist = c->retry.greylist < p.retry.first ? c->retry.greylist : p.retry.first;
	p.own_site = r->connections != CONF_INHERIT || r->messages != CONF_INHERIT || r->recipients != CONF_INHERIT ||
		     p.prefer != FAMILY_NONE || p.only != FAMILY_NONE;
	return p;
}

const struct conf_relay *policy_family_relay(const struct conf *c, const struct conf_route *route, enum family family)
{
	bool ipv6 = family == FAMILY_IPV6;
	const struct conf_relay *all = ipv6 ? &c->ipv6_relay : &c->ipv4_relay;
	if (route != NULL && route->relay.count > 0)
		return NULL;
	const struct conf_relay *own = route == NULL ? all : ipv6 ? &route->ipv6_relay : &route->ipv4_relay;
	return own->count > 0 ? own : all->count > 0 ? all : NULL;
}
