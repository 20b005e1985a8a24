/* queue/survey/throttle.h: no more than so many a second. State; time is an argument.
 *
 * A token bucket: what was not taken is saved up for a twentieth of a second, so that the pace holds on a timer that is
 * late, and nobody is flooded after a pause. */
#ifndef QUEUE_SURVEY_THROTTLE_H
#define QUEUE_SURVEY_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle {
	uint64_t rate;	   /* a second; at most 1,000,000 */
	uint64_t saved;	   /* in thousandths */
	uint64_t since_ms; /* up to when */
};

/* The first one may be taken at once. */
void throttle_init(struct throttle *t, uint64_t rate, uint64_t now_ms);
/* Is there one? Then it is taken. */
bool throttle_take(struct throttle *t, uint64_t now_ms);

#endif
