/* queue/doctor/check_daemon.h: the checks of the configuration and of the running daemon. Protocol: pure. See checks.h
 * for what each row looks at. */
#ifndef QUEUE_DOCTOR_CHECK_DAEMON_H
#define QUEUE_DOCTOR_CHECK_DAEMON_H

#include "queue/doctor/facts.h"
#include "queue/doctor/finding.h"
#include "queue/doctor/names.h"

void check_config(const struct facts *f, struct names *n, struct findings *out);
void check_daemon(const struct facts *f, struct names *n, struct findings *out);
void check_version(const struct facts *f, struct names *n, struct findings *out);

#endif
