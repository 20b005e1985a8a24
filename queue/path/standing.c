/* queue/path/standing.c: protocol. */
#include "queue/path/standing.h"

#include <stdio.h>
#include <string.h>

#include "conf/clock.h"

enum standing { UNKNOWN, BROKEN, REFUSED, RESTING, GOOD };

static enum standing standing_of(const struct track *t, uint64_t now_ms)
{
	if (t->since != 0)
		return BROKEN;
	if (t->refused_until > now_ms)
		return REFUSED;
	if (t->rest_until > now_ms)
		return RESTING;
	return track_latest(t) == 0 ? UNKNOWN : GOOD;
}

const char *standing_word(const struct track *t, uint64_t now_ms)
{
	static const char *const words[] = {
		[UNKNOWN] = "unknown",
		[BROKEN] = "broken",
		[REFUSED] = "refused",
		[RESTING] = "resting",
		[GOOD] = "good",
	};
	return words[standing_of(t, now_ms)];
}

/* "2026-11-26T13:40Z": a minute is exact enough here. */
static const char *minute(uint64_t at, uint64_t now_ms, uint64_t wall_ms, char out[CLOCK_STAMP])
{
	enum { UP_TO_MINUTES = 16 };
	clock_stamp(at > now_ms ? wall_ms + (at - now_ms) : wall_ms - (now_ms - at), out);
	memcpy(out + UP_TO_MINUTES, "Z", 2);
	return out;
}

static void next_probe(const struct track *t, uint64_t now_ms, char *out, size_t size)
{
	char span[CLOCK_SPAN];
	if (t->probing)
		snprintf(out, size, "a probe is under way");
	else if (t->probe_at > now_ms)
		snprintf(out, size, "next probe in %s", clock_span(t->probe_at - now_ms, span));
	else
		snprintf(out, size, "next probe with the next mail");
}

const char *standing_text(const struct track *t, uint64_t now_ms, uint64_t wall_ms, char out[STANDING_TEXT])
{
	char stamp[CLOCK_STAMP], probe[CLOCK_SPAN + 24];
	switch (standing_of(t, now_ms)) {
	case UNKNOWN:
		snprintf(out, STANDING_TEXT, "not known");
		break;
	case BROKEN:
		next_probe(t, now_ms, probe, sizeof probe);
		snprintf(out, STANDING_TEXT, "broken since %s, %s", minute(t->since, now_ms, wall_ms, stamp), probe);
		break;
	case REFUSED:
		snprintf(out, STANDING_TEXT, "refuses mail over it until %s",
			minute(t->refused_until, now_ms, wall_ms, stamp));
		break;
	case RESTING:
		snprintf(out, STANDING_TEXT, "turned mail away for now, rests until %s",
			minute(t->rest_until, now_ms, wall_ms, stamp));
		break;
	case GOOD:
		snprintf(out, STANDING_TEXT, "good");
		break;
	}
	return out;
}

unsigned standing_count(uint32_t count)
{
	return (unsigned)(((uint64_t)count + TRACK_ONE / 2) / TRACK_ONE);
}
