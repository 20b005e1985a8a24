/* queue/survey/tally.h: what a survey found, counted. Protocol: pure.
 *
 * Shares are of the domains that take mail, and whose servers are known: those of both families or of one. */
#ifndef QUEUE_SURVEY_TALLY_H
#define QUEUE_SURVEY_TALLY_H

#include "queue/survey/list.h"

struct survey_count {
	uint64_t domains, mail; /* mail: the sum of the weights */
	uint64_t implicit;	/* of the domains: without MX */
};

struct survey_tally {
	struct survey_count kinds[SURVEY_KIND_COUNT];
	struct survey_count all;     /* of all kinds */
	struct survey_count taking;  /* take mail */
	struct survey_count lost[2]; /* of these: an IPv4-only [0], an IPv6-only [1] server could not send it */
};

void survey_tally_list(struct survey_tally *t, const struct survey_list *l);

enum { SURVEY_SHARE = 16 };
/* "2.5%"; "<0.1%" and ">99.9%" where rounding would say none or all; "-" of nothing. */
const char *survey_share(uint64_t part, uint64_t whole, char out[SURVEY_SHARE]);

#endif
