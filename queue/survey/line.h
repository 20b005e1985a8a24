/* queue/survey/line.h: one line of a list of domains. Protocol: pure.
 *
 *   line   = [blanks] [domain [(blanks / ",") [blanks] weight]] [blanks] [comment]
 *   weight = 1 to 12 digits
 *   comment = "#" …, at the line's start or behind a blank
 *
 * The domain is one of A-labels or of UTF-8, and may end in a dot. A mail address or an IP address is none. */
#ifndef QUEUE_SURVEY_LINE_H
#define QUEUE_SURVEY_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "dns/answer.h"

enum { SURVEY_LINE_MAX = 1024, SURVEY_WHY = 160 };

struct survey_line {
	char domain[DNS_NAME_MAX]; /* lower-case A-labels; "": the line has none */
	uint64_t weight;	   /* 1 if none is given */
	bool weighted;		   /* one is */
};

/* `text` is without its end ("\r" before it may be there) and may hold any bytes. 0; -EINVAL: `why` says what is wrong
 * and what was expected, in ASCII; -ENOMEM. */
int survey_line_read(struct survey_line *out, const char *text, size_t len, char why[SURVEY_WHY]);

#endif
