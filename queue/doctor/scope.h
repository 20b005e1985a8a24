/* queue/doctor/scope.h: which addresses the Internet can answer to. Protocol: pure. */
#ifndef QUEUE_DOCTOR_SCOPE_H
#define QUEUE_DOCTOR_SCOPE_H

#include "conf/ip.h"

/* Private, shared, link-local, unique local, loopback: RFC 1918, 6598, 3927, 4193, 4291. */
bool scope_is_private(const struct ip *ip);

#endif
