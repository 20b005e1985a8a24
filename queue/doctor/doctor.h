/* queue/doctor/doctor.h: asks this host and its surroundings, all at once, and has the answers judged. Plumbing.
 *
 * It runs on a loop of its own. Nothing waits for anything else but the names that a question needs; when the time is
 * over, what has not come is judged as it is. */
#ifndef QUEUE_DOCTOR_DOCTOR_H
#define QUEUE_DOCTOR_DOCTOR_H

#include <stdint.h>

#include "queue/doctor/finding.h"

struct doctor_wanted {
	const char *config; /* NULL: the default place, or what the daemon says */
	const char *socket; /* NULL: that of the configuration, or the usual places */
	const char *const *senders;
	unsigned sender_count;	   /* at most FACT_SENDERS (facts.h) */
	const char *const *probes; /* HOST, ADDRESS, may be with :PORT */
	unsigned probe_count;	   /* at most FACT_PROBES */
	uint64_t timeout_ms;
};

enum { DOCTOR_WHY = 256 };

/* 0: `out` has what was found; -EINVAL: a sender or a probe host is none, `why` says so; -ENOMEM or what the loop
 * says. */
int doctor_run(const struct doctor_wanted *w, struct findings *out, char why[DOCTOR_WHY]);

#endif
