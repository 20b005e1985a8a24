/* queue/path/track.h: what is remembered of one path: an address, or all addresses of one family at a site. State;
 * time is an argument (steady milliseconds, 0 is never).
 *
 * A path whose own fault was seen is doubtful until a connection over it was greeted again. Others go before it, and
 * one connection at a time tries it, on a schedule that grows with each failure in a row. Being turned away for load
 * lets it rest for a minute, which ends by itself. A path that was refused for its family lets others go first until
 * the refusal has faded, longer with each one in a row: no connection alone can tell whether it still holds. */
#ifndef QUEUE_PATH_TRACK_H
#define QUEUE_PATH_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/mail/attempt.h"

/* Milliseconds, as in the block path { } of the configuration. */
struct track_rules {
	uint64_t probe_first, probe_max; /* waits between tries of a doubtful path */
	uint64_t refused_first, refused_max;
	uint64_t half_life; /* of the counts */
};

enum { TRACK_ONE = 256 }; /* the counts are in 1/256 */

struct track {
	uint32_t connect_ms, greeting_ms, ehlo_ms; /* smoothed; 0: not known */
	enum fault last_fault;			   /* the last, also after it is over; FAULT_NONE: none was seen */
	uint64_t fault_at, good_at;
	uint64_t since;	   /* doubtful since; 0: it is not */
	uint64_t probe_at; /* doubtful: from then one connection may try it */
	bool probing;	   /* … and does */
	unsigned in_a_row; /* faults */
	uint64_t rest_until;
	uint64_t refused_at, refused_until;
	unsigned refused_in_a_row;
	uint32_t good, bad, refused; /* with decay */
	uint64_t counted_at;
};

/* What a race measured; UINT32_MAX: not. */
void track_times(struct track *t, uint32_t connect_ms, uint32_t greeting_ms, uint32_t ehlo_ms);
/* It was greeted and ready for mail. */
void track_good(struct track *t, const struct track_rules *r, uint64_t now);
/* Its own fault: of several seen at once, or beside the connection that tries it, one counts. */
void track_fault(struct track *t, const struct track_rules *r, enum fault fault, uint64_t now);
/* Turned away for now, by load or 4yz. */
void track_turned_away(struct track *t, enum fault fault, uint64_t now);
/* Refused for its family. */
void track_refused(struct track *t, const struct track_rules *r, uint64_t now);
/* Mail refused before was taken. */
void track_taken(struct track *t);

/* Should others go before it? */
bool track_doubtful(const struct track *t, uint64_t now);
bool track_is_refused(const struct track *t, uint64_t now);
/* When a connection may try it; UINT64_MAX: it needs none. */
uint64_t track_probe_at(const struct track *t);
/* A connection tries it now: nobody else does for a minute, or until it is over. */
void track_probe(struct track *t, uint64_t now);
/* … and has learned nothing. */
void track_probe_void(struct track *t);
/* The latest time at which anything happened. */
uint64_t track_latest(const struct track *t);
/* The counts as they are now: a count is halved each half-life. */
void track_fade(struct track *t, const struct track_rules *r, uint64_t now);

#endif
