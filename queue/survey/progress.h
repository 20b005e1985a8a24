/* queue/survey/progress.h: how far a survey is, in one line of a terminal. Protocol: pure. */
#ifndef QUEUE_SURVEY_PROGRESS_H
#define QUEUE_SURVEY_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

enum { PROGRESS_LINE = 128 };

struct progress {
	size_t done, all; /* domains */
	size_t before;	  /* of those done: by an earlier run */
	uint64_t passed_ms;
};

/* "[#####-----]  1000 of 2000  50%  49/s  20s left", fewer columns than `width` (20 to PROGRESS_LINE): what does not
 * fit is left out from the end, the bar first of all. Without an end or a line's beginning. */
const char *progress_line(const struct progress *p, unsigned width, char out[PROGRESS_LINE]);

#endif
