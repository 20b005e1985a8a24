/* queue/doctor/machine.h: clock and limits, as the kernel tells them. Plumbing. */
#ifndef QUEUE_DOCTOR_MACHINE_H
#define QUEUE_DOCTOR_MACHINE_H

#include "queue/doctor/facts.h"

void machine_read_clock(struct fact_clock *out);
/* `wanted` is what a daemon with this configuration asks for at its start. */
void machine_read_files(struct fact_files *out, const struct conf *conf);
/* The limits of the daemon's process, as far as they are ours to see. */
void machine_read_daemon(struct fact_daemon *d);
/* "Max open files" of the text of /proc/PID/limits: 0, or -EINVAL. Pure; for tests. */
int machine_parse_limits(const char *text, uint64_t *soft);

#endif
