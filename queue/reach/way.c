/* queue/reach/way.c: state. */
#include "queue/reach/way.h"

#include <stdio.h>

bool way_to(const struct reach *r, const struct ip *ip, struct candidate *out)
{
	struct ip ipv4;
	out->to.ip = *ip;
	out->real = (struct ip){.family = FAMILY_NONE};
	if (ip->family == FAMILY_IPV6 && reach_behind(r, ip, &ipv4) == 0) {
		out->real = ipv4;
		if (!reach_embeds(
			    r, &ipv4)) /* this host's own, a private one behind the common prefix: made by nobody */
			return false;
	}
	if (reach_direct(r, ip))
		return true;
	if (ip->family != FAMILY_IPV4 || reach_nat64(r, ip, &out->to.ip) != 0)
		return false;
	out->real = *ip;
	return true;
}

bool way_any(const struct reach *r, const struct hops *h)
{
	struct candidate c;
	for (size_t i = 0; i < 2 * h->count; i++) {
		const struct mx_host *host = h->hosts[i / 2].host;
		for (size_t k = 0; k < host->family[i % 2].count; k++)
			if (way_to(r, &host->family[i % 2].items[k], &c))
				return true;
	}
	return false;
}

enum family way_only(const struct hops *h)
{
	bool have[2] = {false, false};
	for (size_t i = 0; i < 2 * h->count; i++)
		have[i % 2] |= h->hosts[i / 2].host->family[i % 2].count > 0;
	return have[0] == have[1] ? FAMILY_NONE : have[1] ? FAMILY_IPV6 : FAMILY_IPV4;
}

const char *way_why(const struct reach *r, const struct hops *h, char out[WAY_WHY])
{
	char ipv4[REACH_TEXT], ipv6[REACH_TEXT];
	const char *no_prefix = reach_has_nat64(r) ? ", and NAT64 does not lead there" : "";
	switch (way_only(h)) {
	case FAMILY_IPV6:
		snprintf(out, WAY_WHY, "has IPv6 addresses alone, and %s", reach_why(r, FAMILY_IPV6, ipv6));
		break;
	case FAMILY_IPV4:
		snprintf(
			out, WAY_WHY, "has IPv4 addresses alone, and %s%s", reach_why(r, FAMILY_IPV4, ipv4), no_prefix);
		break;
	default:
		snprintf(out, WAY_WHY, "cannot be reached: %s, and %s%s", reach_why(r, FAMILY_IPV6, ipv6),
			reach_why(r, FAMILY_IPV4, ipv4), no_prefix);
	}
	return out;
}
