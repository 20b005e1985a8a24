/* queue/replay.h: start-up: what the spool tells becomes the index. State. */
#ifndef QUEUE_REPLAY_H
#define QUEUE_REPLAY_H

#include "queue/core.h"

/* The calls for store_open(); nothing is scheduled by them. */
void replay_calls(struct store_replay *out, struct queue *q);
/* After store_open(): unlinks the body files of messages that the journal saw ending. */
void replay_end(struct queue *q);

#endif
