/* queue/reclaim.h: keeps the journal short: frees segments, copies the rest of an old one forward, writes checkpoints.
 * State; all in slices over a cursor by ID. */
#ifndef QUEUE_RECLAIM_H
#define QUEUE_RECLAIM_H

#include "queue/core.h"

struct reclaim;

/* NULL without memory. */
struct reclaim *reclaim_new(struct queue *q);
void reclaim_free(struct reclaim *r); /* nothing of it is under way */
/* Once a second: begins what is wanted. */
void reclaim_tick(struct reclaim *r);
/* A slice of what is under way; true if it wants another one at once. */
bool reclaim_slice(struct reclaim *r);
/* A checkpoint now, at the end of the daemon's life; `done` comes when it is durable or has failed. */
void reclaim_checkpoint(struct reclaim *r, void (*done)(void *arg, int err), void *arg);
/* Is nothing under way? */
bool reclaim_idle(const struct reclaim *r);

#endif
