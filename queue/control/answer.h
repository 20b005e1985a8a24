/* queue/control/answer.h: one answer to one request on the control socket, made in slices. State; the queue thread
 * only.
 *
 * It knows no socket and no clock: lines are appended to a buffer, and whoever owns the client decides when to go
 * on. */
#ifndef QUEUE_CONTROL_ANSWER_H
#define QUEUE_CONTROL_ANSWER_H

#include "conf/buf.h"
#include "conf/mailbox.h"
#include "queue/control/request.h"
#include "queue/control/slice.h"

struct answer;

/* Takes over what `r` holds; `who` is copied. `home` is the calling thread's mailbox. `wake(arg)` says that something
 * came: maybe lines were appended; it may come from within answer_step() and must not call back. NULL without memory
 * (`r` is released). */
struct answer *answer_new(struct queue *q, struct mailbox *home, struct control_request *r, const char *who,
	struct buf *out, void (*wake)(void *arg), void *arg);
/* Does one slice. `now_ms` is wall time. */
enum answer_state answer_step(struct answer *a, uint64_t now_ms);
/* Any state: cancels what is under way. NULL is fine. */
void answer_free(struct answer *a);

#endif
