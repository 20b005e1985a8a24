/* queue/doctor/checks.h: the one table of checks: their names, what they look at, and how they judge it. Protocol:
 * pure.
 *
 * A row reads facts and names, writes findings and nothing else; whatever the others find, it says its own. The manual
 * lists the same rows. */
#ifndef QUEUE_DOCTOR_CHECKS_H
#define QUEUE_DOCTOR_CHECKS_H

#include "queue/doctor/facts.h"
#include "queue/doctor/finding.h"
#include "queue/doctor/names.h"

struct doctor_check {
	const char *name;
	const char *looks_at;
	void (*examine)(const struct facts *f, struct names *n, struct findings *out);
};
extern const struct doctor_check doctor_checks[];
extern const size_t doctor_check_count;

/* All rows, in their order. Names that they want are noted in `n` (names.h): until it has them all, what is found is
 * not the last word. */
void doctor_examine(const struct facts *f, struct names *n, struct findings *out);

#endif
