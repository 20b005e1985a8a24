/* queue/doctor/check_host.h: the checks of addresses, routes and sources. Protocol: pure. See checks.h for what each
 * row looks at. */
#ifndef QUEUE_DOCTOR_CHECK_HOST_H
#define QUEUE_DOCTOR_CHECK_HOST_H

#include "queue/doctor/facts.h"
#include "queue/doctor/finding.h"
#include "queue/doctor/names.h"

void check_families(const struct facts *f, struct names *n, struct findings *out);
void check_routes(const struct facts *f, struct names *n, struct findings *out);
void check_source(const struct facts *f, struct names *n, struct findings *out);

#endif
