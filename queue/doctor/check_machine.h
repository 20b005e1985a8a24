/* queue/doctor/check_machine.h: the checks of clock, files and disk. Protocol: pure. See checks.h for what each row
 * looks at. */
#ifndef QUEUE_DOCTOR_CHECK_MACHINE_H
#define QUEUE_DOCTOR_CHECK_MACHINE_H

#include "queue/doctor/facts.h"
#include "queue/doctor/finding.h"
#include "queue/doctor/names.h"

void check_clock(const struct facts *f, struct names *n, struct findings *out);
void check_files(const struct facts *f, struct names *n, struct findings *out);
void check_spool(const struct facts *f, struct names *n, struct findings *out);
void check_sync(const struct facts *f, struct names *n, struct findings *out);
void check_certificates(const struct facts *f, struct names *n, struct findings *out);

#endif
