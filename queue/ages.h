/* queue/ages.h: how many recipients are how old, without looking at them. State; time is an argument.
 *
 * Counts by time of arrival in at most AGES_SLOTS runs of time, in whatever order mail comes; when they are used up the
 * two neighbours that are nearest for their age become one. So the sum is right, the oldest about, and an age up to
 * half of itself off when mail of many ages waits. */
#ifndef QUEUE_AGES_H
#define QUEUE_AGES_H

#include <stdint.h>

enum { AGES_SLOTS = 24 };

struct ages {
	struct {
		uint64_t from_ms, to_ms; /* wall time of the first and last arrival in it */
		uint64_t count;
	} slots[AGES_SLOTS];
	unsigned used;
	uint64_t total;
};

void ages_add(struct ages *a, uint64_t arrival_ms, uint64_t now_ms);
void ages_remove(struct ages *a, uint64_t arrival_ms);
/* Wall time of the oldest arrival, about; 0 if there is none. */
uint64_t ages_oldest(const struct ages *a);
/* Spreads the counts over `limit_count` + 1 ages: up to limits[0], up to limits[1] … older than the last. */
void ages_spread(const struct ages *a, uint64_t now_ms, const uint64_t *limits, unsigned limit_count, uint64_t *out);

#endif
