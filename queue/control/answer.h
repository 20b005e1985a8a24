/* queue/control/answer.h: one answer to one request on the control socket, made in slices. State; the queue thread
 * only.
 *
 * It knows no socket and no clock: lines are appended to a buffer, and whoever owns the client decides when to go
 * on. */
#ifndef QUEUE_CONTROL_ANSWER_H
#define QUEUE_CONTROL_ANSWER_H

#include "queue/control/json.h"

enum {
	ANSWER_LOOKED = 500, /* messages that one slice of a list looks at, at the most */
	ANSWER_COST = 150,   /* messages and recipients that one slice writes, about */
	ANSWER_ACTS = 50,    /* messages that one slice acts on */
};

struct answer;
enum answer_state {
	ANSWER_MORE,  /* call answer_step() again, soon */
	ANSWER_WAIT,  /* call it after the next `wake` */
	ANSWER_DONE,  /* its last line is written */
	ANSWER_BROKEN /* a line did not fit or memory is short: the client cannot be given a whole answer */
};

/* Takes over what `r` holds; `who` is copied. `wake(arg)` says that something came: maybe lines were appended; it may
 * come from within answer_step() and must not call back. NULL without memory (`r` is released). */
struct answer *answer_new(struct queue *q, struct control_request *r, const char *who, struct buf *out,
	void (*wake)(void *arg), void *arg);
/* Does one slice. `now_ms` is wall time. */
enum answer_state answer_step(struct answer *a, uint64_t now_ms);
/* Any state: cancels what is under way. NULL is fine. */
void answer_free(struct answer *a);

#endif
