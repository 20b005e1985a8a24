/* queue/doctor/check_names.h: the checks of what the DNS says of this host. Protocol: pure. See checks.h for what each
 * row looks at. */
#ifndef QUEUE_DOCTOR_CHECK_NAMES_H
#define QUEUE_DOCTOR_CHECK_NAMES_H

#include "queue/doctor/facts.h"
#include "queue/doctor/finding.h"
#include "queue/doctor/names.h"

void check_ptr(const struct facts *f, struct names *n, struct findings *out);
void check_helo(const struct facts *f, struct names *n, struct findings *out);
void check_spf(const struct facts *f, struct names *n, struct findings *out);

#endif
