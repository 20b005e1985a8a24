/* queue/deliver/path.c: state. */
#include "queue/deliver/path.h"

#include "queue/deliver/dialer.h"

enum family candidate_family(const struct candidate *c)
{
	return (enum family)(c->real.family != FAMILY_NONE ? c->real.family : c->to.ip.family);
}

enum family connection_family(const struct connection_info *info)
{
	return (enum family)(info->real.family != FAMILY_NONE ? info->real.family : info->to.ip.family);
}
