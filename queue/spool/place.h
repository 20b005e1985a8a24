/* queue/spool/place.h: where a record of the journal stands, and which kinds there are. State: types alone. */
#ifndef QUEUE_SPOOL_PLACE_H
#define QUEUE_SPOOL_PLACE_H

#include <stdint.h>

/* Where a record stands; segment 0: nowhere. */
struct place {
	uint32_t segment;
	uint32_t offset;
};

enum record_type {
	RECORD_MESSAGE = 1, /* meta: envelope; content inline or in a body file */
	RECORD_OUTCOME,	    /* meta: attempt */
	RECORD_HOLD,	    /* meta: reason */
	RECORD_RELEASE,
	RECORD_REMOVE,	 /* meta: reason; the message is gone from the queue */
	RECORD_MOVED,	 /* meta: envelope with state, and the last attempts; content again or its reference */
	RECORD_VOID,	 /* written by the store itself */
	RECORD_COMMIT,	 /* likewise: end of a batch, and the ceiling of IDs */
	RECORD_REDIRECT, /* meta: the next hop in place of the routes'; empty: as the routes say */
	RECORD_RETURN,	 /* meta: reason; it goes back to its sender as soon as nothing of it is in transfer */
};

#endif
