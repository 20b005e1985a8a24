/* queue/path/standing.h: what is to be said of a remembered path today, in one word and in plain words. Protocol: pure;
 * times are arguments. */
#ifndef QUEUE_PATH_STANDING_H
#define QUEUE_PATH_STANDING_H

#include <stddef.h>

#include "queue/path/track.h"

/* The word for JSON: "unknown", "broken" (doubtful: mail goes another way while there is one), "refused" (for its
 * family, or for the source address), "resting" (turned away for load), "good". */
const char *standing_word(const struct track *t, uint64_t now_ms);

enum { STANDING_TEXT = 128 };
/* For people: "broken since 2026-11-26T13:40Z, next probe in 5m". `now_ms` is steady, as the track's times are;
 * `wall_ms` is the same moment in wall time. */
const char *standing_text(const struct track *t, uint64_t now_ms, uint64_t wall_ms, char out[STANDING_TEXT]);

/* A count of a track (1/256, with decay) as a whole number, rounded. */
unsigned standing_count(uint32_t count);

#endif
