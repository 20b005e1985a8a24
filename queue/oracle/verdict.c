/* queue/oracle/verdict.c: protocol. */
#include "queue/oracle/verdict.h"

#include <string.h>

/* How many hosts have each state in one family. */
struct tally {
	size_t pending, have;
};

static struct tally count(const struct mx *mx, unsigned family)
{
	struct tally t = {0};
	for (size_t i = 0; i < mx->count; i++) {
		t.pending += mx->hosts[i].family[family].state == MX_PART_PENDING;
		t.have += mx->hosts[i].family[family].state == MX_PART_HAVE;
	}
	return t;
}

static enum oracle_verdict by_dns(const struct mx *mx, enum family own, bool late)
{
	switch (mx->state) {
	case MX_PENDING:
		return late ? ORACLE_UNCERTAIN : ORACLE_PENDING;
	case MX_FAILED:
		return ORACLE_NOWHERE;
	case MX_DEFERRED:
		return ORACLE_UNCERTAIN;
	case MX_HOSTS:
		break;
	}
	const struct tally mine = count(mx, own == FAMILY_IPV6), other = count(mx, own != FAMILY_IPV6);
	if (mine.have > 0)
		return ORACLE_ITSELF;
	if (mine.pending > 0 && !late)
		return ORACLE_PENDING;
	if (other.have > 0)
		return ORACLE_RELAY;
	return late ? ORACLE_UNCERTAIN : ORACLE_PENDING;
}

enum oracle_verdict oracle_judge(const struct mx *mx, enum family own, const struct conf_route *route, bool late)
{
	enum oracle_verdict v = by_dns(mx, own, late);
	if (route == NULL || strcmp(route->pattern, "*") == 0)
		return v;
	if ((v == ORACLE_NOWHERE || v == ORACLE_UNCERTAIN) && route->relay.count > 0)
		return ORACLE_RELAY;
	if (v == ORACLE_NOWHERE && (route->discard || route->reject != NULL))
		return ORACLE_RELAY;
	return v;
}
