/* conf/id.h: queue IDs. Protocol (time is an argument).
 *
 * An ID is 64 bits: 42 of milliseconds since 1970, 6 of the giver (an I/O loop's number; ID_GIVER_QUEUE for the queue
 * thread), 16 of a counter. Its text is 13 characters of Crockford's base 32, so the text sorts as the number does.
 * An ID is never below the last one given by the same giver, even if the clock goes back or the daemon restarts: every
 * giver starts above what the spool has seen, and below a ceiling that the spool has made durable. */
#ifndef CONF_ID_H
#define CONF_ID_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { ID_TEXT = 14, ID_GIVER_QUEUE = 63, ID_LOOPS_MAX = 63 };

struct id_giver {
	unsigned number;
	uint64_t last;			    /* the last ID given, or the floor */
	const _Atomic uint64_t *ceiling_ms; /* IDs stay below it; NULL: none */
};

/* `floor_ms`: IDs begin above this time. */
void id_giver_init(struct id_giver *g, unsigned number, uint64_t floor_ms, const _Atomic uint64_t *ceiling_ms);
/* 0 if the ceiling forbids another one (a storage fault: answer 451). */
uint64_t id_next(struct id_giver *g, uint64_t wall_ms);
uint64_t id_time_ms(uint64_t id);

const char *id_format(uint64_t id, char out[ID_TEXT]);
/* Reads 13 characters, either case, I L as 1 and O as 0. 0 or -EINVAL. */
int id_parse(uint64_t *out, const char *text);
/* Reads 1 to 13 characters: the IDs that begin so are those of first..last. 0 or -EINVAL. */
int id_parse_prefix(uint64_t *first, uint64_t *last, const char *text);

#endif
