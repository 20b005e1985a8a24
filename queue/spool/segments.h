/* queue/spool/segments.h: which segments the journal has, who reads from them, and when one may be used again. State,
 * any thread.
 *
 * Reclaim is first in, first out: a segment is released only when it was freed, nobody has it pinned, all older ones
 * are released, and the newest durable checkpoint begins behind it (a start from that checkpoint must find every record
 * that ended a message which the checkpoint names). */
#ifndef QUEUE_SPOOL_SEGMENTS_H
#define QUEUE_SPOOL_SEGMENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct segment_use {
	uint32_t number;
	uint32_t pins;
	bool freed;
	uint64_t bytes; /* once freed: of its records */
};

struct segments {
	pthread_mutex_t lock;
	struct segment_use *items; /* oldest first; the last one is being written */
	size_t count, cap;
	uint32_t next;	     /* the first number that is not in the table yet */
	uint32_t checkpoint; /* the segment where the newest durable checkpoint begins; 0: there is none */
};

void segments_init(struct segments *s);
void segments_fini(struct segments *s);
/* The journal begins with segment `oldest`. Once, before the next one. */
void segments_begin(struct segments *s, uint32_t oldest);
/* The journal has reached segment `number`; the table takes in all up to it. 0 or -ENOMEM: again at the next call. */
int segments_reach(struct segments *s, uint32_t number);
/* The oldest one that was not freed; 0 if that is the one being written. */
uint32_t segments_oldest(struct segments *s);
/* Unknown numbers are ignored by all of these. */
void segments_pin(struct segments *s, uint32_t number);
void segments_unpin(struct segments *s, uint32_t number);
/* `bytes` of records go with it. */
void segments_free(struct segments *s, uint32_t number, uint64_t bytes);
/* Bytes of records in segments that were freed and not released yet. */
uint64_t segments_freed_bytes(struct segments *s);
void segments_set_checkpoint(struct segments *s, uint32_t number);
/* Does a freed segment wait for a newer checkpoint? */
bool segments_wait_for_checkpoint(struct segments *s);
/* Takes one that may be used again out of the table; 0 if there is none. */
uint32_t segments_release(struct segments *s);

#endif
