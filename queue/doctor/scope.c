/* queue/doctor/scope.c: protocol. */
#include "queue/doctor/scope.h"

#include <stddef.h>

bool scope_is_private(const struct ip *ip)
{
	static const char *const blocks[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
		"169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128"};
	struct prefix p;
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
		if (prefix_parse(&p, blocks[i]) == 0 && prefix_contains(&p, ip))
			return true;
	return false;
}
