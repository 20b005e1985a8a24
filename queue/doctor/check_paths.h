/* queue/doctor/check_paths.h: the checks of who is reached, and how we are reached. Protocol: pure. See checks.h for
 * what each row looks at. */
#ifndef QUEUE_DOCTOR_CHECK_PATHS_H
#define QUEUE_DOCTOR_CHECK_PATHS_H

#include "queue/doctor/facts.h"
#include "queue/doctor/finding.h"
#include "queue/doctor/names.h"

void check_port25(const struct facts *f, struct names *n, struct findings *out);
void check_resolver(const struct facts *f, struct names *n, struct findings *out);
void check_dnssec(const struct facts *f, struct names *n, struct findings *out);
void check_listeners(const struct facts *f, struct names *n, struct findings *out);

#endif
