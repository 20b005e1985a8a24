/* queue/survey/record.h: the lines of a results file. Protocol: pure.
 *
 *   relay64-survey 1                      the first one
 *   DOMAIN TAB KIND TAB HOST TAB REASON   for each domain; HOST: "mx", or "implicit" where the domain is the host
 *
 * Printable ASCII, each line ended by LF. What stands behind the last LF was cut off, and counts as unwritten. */
#ifndef QUEUE_SURVEY_RECORD_H
#define QUEUE_SURVEY_RECORD_H

#include "queue/survey/list.h"

#define SURVEY_HEAD "relay64-survey 1\n"

enum { SURVEY_RECORD_MAX = 1024 };

struct survey_record {
	char domain[DNS_NAME_MAX];
	enum survey_kind kind;
	bool implicit;
	char reason[SURVEY_REASON_MAX + 1];
};

/* Writes the line of an answered domain, with its end. Its length. */
size_t survey_record_write(const struct survey_domain *d, char out[SURVEY_RECORD_MAX]);
/* Reads a line without its end. 0 or -EINVAL. */
int survey_record_read(struct survey_record *out, const char *text, size_t len);

#endif
