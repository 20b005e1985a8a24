/* queue/survey/survey.h: asks the DNS which families the mail servers of many domains have, at a bounded pace.
 * Plumbing; a loop and a resolver of its own, no daemon is needed. */
#ifndef QUEUE_SURVEY_SURVEY_H
#define QUEUE_SURVEY_SURVEY_H

#include "queue/survey/list.h"

struct survey_wanted {
	const struct conf *conf;	/* its dns { } and nat64 */
	const struct endpoint *servers; /* in place of those of the configuration; */
	size_t server_count;		/* 0: those of the configuration */
	unsigned rate;			/* domains a second, 1 to SURVEY_RATE_MAX */
	unsigned in_flight;		/* domains at a time, 1 to SURVEY_IN_FLIGHT_MAX */
	/* A domain is answered. Not 0: it could not be kept; the survey ends with that code. */
	int (*answered)(void *arg, const struct survey_domain *d);
	/* Some four times a second; NULL: not wanted. */
	void (*tick)(void *arg);
	void *arg;
};

enum { SURVEY_RATE_MAX = 10000, SURVEY_IN_FLIGHT_MAX = 1000 };

/* Asks about every domain of the list that is unasked, each once. 0: all are answered; -ECANCELED: SIGINT or SIGTERM
 * came, those under way are unasked; -ENOMEM, what the loop or `answered` said. */
int survey_run(const struct survey_wanted *w, struct survey_list *l);

#endif
