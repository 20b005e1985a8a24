/* queue/submission.h: a received message on its way from its session to the queue thread. State.
 *
 * It is shared by the session that made it and the queue thread that indexes it: each holds a reference. */
#ifndef QUEUE_SUBMISSION_H
#define QUEUE_SUBMISSION_H

#include "conf/body.h"
#include "queue/mail/envelope.h"
#include "queue/spool/store.h"

struct submission {
	struct commit commit; /* after the answer: status, place */
	struct buf meta;      /* the encoded envelope */
	struct body *body;
	void *session; /* the poster's */
	void *queue;   /* the receiver's */
	atomic_uint refs;
};

/* Encodes `e`, takes over the caller's reference to `body`. NULL: no memory, or the envelope is too large; then the
 * reference stays with the caller. One reference, the caller's. */
struct submission *submission_new(const struct envelope *e, struct body *body);
void submission_unref(struct submission *s);

/* Where stored messages go; the queue thread fills it at start. */
struct submission_desk {
	struct store *store;
	struct mailbox *mailbox;	      /* the queue thread's */
	void (*stored)(struct letter *first); /* opened there: it takes over one reference */
	void *queue;
};

/* Commits. Once it is durable the queue thread gets it, then `done` is opened at `home` (LETTER_OF(letter, struct
 * submission, commit.second)); on failure only the latter: then the poster drops the queue's reference too
 * (submission_abandon). */
void submission_post(struct submission *s, const struct submission_desk *desk, struct mailbox *home,
	void (*done)(struct letter *second), void *session);

/* In `done`, when commit.status < 0: drops the queue's reference and discards the body's file. */
void submission_abandon(struct submission *s, const struct submission_desk *desk);

#endif
