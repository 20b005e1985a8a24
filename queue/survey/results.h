/* queue/survey/results.h: the file in which a survey keeps what it found, line by line (queue/survey/record.h), so that
 * it can go on after any end. Plumbing.
 *
 * Each line is one write() behind the last one: whatever ends the process, at most the last line is cut, and only that
 * domain is asked again. The file is locked (flock) while it is open. */
#ifndef QUEUE_SURVEY_RESULTS_H
#define QUEUE_SURVEY_RESULTS_H

#include "queue/survey/list.h"

struct results {
	int fd;		  /* -1: none */
	size_t strangers; /* lines of domains that are not in the list */
};

enum { RESULTS_WHY = 256 };

/* Makes the file, or with `resume` reads it if it is there: the domains of the list that it has are answered then. What
 * was cut is taken away. 0; -EINVAL: it is no such file; or another negative code; with one line in `why`. */
int results_open(struct results *r, const char *path, bool resume, struct survey_list *l, char why[RESULTS_WHY]);
/* Appends an answered domain. 0 or a negative code. */
int results_add(struct results *r, const struct survey_domain *d);
/* 0, or a negative code if what was added is not safe on the disk. */
int results_close(struct results *r);

#endif
