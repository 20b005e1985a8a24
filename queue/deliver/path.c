/* queue/deliver/path.c: state. */
#include "queue/deliver/path.h"

enum family candidate_family(const struct candidate *c)
{
	return (enum family)(c->real.family != FAMILY_NONE ? c->real.family : c->to.ip.family);
}
