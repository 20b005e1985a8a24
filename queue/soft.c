/* queue/soft.c: state. */
#include "queue/soft.h"

#include <stdio.h>

#include "conf/counter.h"

bool soft_bounce(const struct queue *q, const struct delivery *d, const struct reply *r, struct reply *soft)
{
	char enhanced[sizeof r->enhanced], text[REPLY_TEXT_MAX + 32];
	if (reply_class(r) != 5 || !policy_of(q->conf, core_route(q, d)).soft_bounce)
		return false;
	snprintf(enhanced, sizeof enhanced, "4%s", r->enhanced[0] ? r->enhanced + 1 : ".0.0");
	reply_set(soft, 450, enhanced, "soft_bounce: %s", reply_format(r, text, sizeof text));
	COUNT(soft_bounces);
	return true;
}
