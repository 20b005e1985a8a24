/* queue/doctor/finding.h: what the checks of a host found, line by line. State: no clock, no socket. */
#ifndef QUEUE_DOCTOR_FINDING_H
#define QUEUE_DOCTOR_FINDING_H

#include <stdbool.h>
#include <stddef.h>

/* UNKNOWN: neither ok nor wrong: not asked for, no rights, or not to be told from here. It never counts as ok. */
enum finding_status { FINDING_OK, FINDING_UNKNOWN, FINDING_WARNING, FINDING_ERROR, FINDING_STATUS_COUNT };

enum { FINDING_TEXT = 640, FINDINGS_MAX = 2000 };

struct finding {
	const char *check; /* the row's name, checks.h */
	enum finding_status status;
	char found[FINDING_TEXT];
	char mend[FINDING_TEXT]; /* "": nothing to do */
};

struct findings {
	const char *check; /* of the row that is being examined */
	struct finding *items;
	size_t count, cap;
	bool lost; /* there was no memory, or more than FINDINGS_MAX */
};

/* "ok", "unknown", "warning", "error" */
const char *finding_word(enum finding_status s);
/* Adds a line of the current check; what is too long is cut. */
void findings_add(struct findings *f, enum finding_status s, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Says how the last line added is mended. */
void findings_mend(struct findings *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t findings_of(const struct findings *f, enum finding_status s);
/* ERROR if there is one, else WARNING, else OK. */
enum finding_status findings_worst(const struct findings *f);
void findings_reset(struct findings *f); /* none any more; keeps the memory */
void findings_fini(struct findings *f);

#endif
