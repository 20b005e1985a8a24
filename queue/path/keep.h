/* queue/path/keep.h: what is known of paths, kept across restarts in spool/state/paths, and pins in spool/state/pins.
 * State.
 *
 * The first is written at most once a minute, and at the end; it is made in slices. What does not fit, and what has not
 * been heard of for seven half-lives, is left out. Pins are written at once. Times are wall time there. Losing the
 * files loses no mail: paths are learned anew. */
#ifndef QUEUE_PATH_KEEP_H
#define QUEUE_PATH_KEEP_H

#include "queue/core.h"

/* Start-up, the store is open. A file that cannot be read is logged and begun anew. */
void keep_load(struct queue *q);
/* Once a second: a slice of what is to be written; ends pins that are over. */
void keep_tick(struct queue *q);
/* The end: writes all of it. */
void keep_all(struct queue *q);
/* A pin was set or ended. */
void keep_pins(struct queue *q);
void keep_free(struct queue *q); /* after store_close() */

/* Appends a slice of the content of the file `paths`, of `most` entries; memory_walk() begins it. 1: more are left;
 * 0: it is whole; -ENOMEM. */
int keep_encode(const struct queue *q, struct buf *out, unsigned most);
/* Hostile input: -EBADMSG, and nothing of it is taken; -ENOMEM. */
int keep_decode(struct queue *q, const struct buf *b);

#endif
