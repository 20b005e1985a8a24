/* queue/spool/history.h: what a message's records say: envelope and last attempts, read back from the journal.
 * Plumbing. */
#ifndef QUEUE_SPOOL_HISTORY_H
#define QUEUE_SPOOL_HISTORY_H

#include "conf/buf.h"
#include "conf/mailbox.h"
#include "queue/mail/attempt.h"
#include "queue/mail/envelope.h"
#include "queue/spool/layout.h"
#include "queue/spool/place.h"
#include "queue/spool/worker.h"

/* Belongs to its maker, who zeroes it, sets the first four and waits for `done`. */
struct store_history {
	struct mailbox *home;
	void (*done)(struct store_history *h); /* at home */
	void *arg;
	struct place newest; /* the message's newest record; its content's place is pinned by the caller until `done` */
	int status;	     /* 0; or negative, and the rest holds what could be read: then the envelope may be NULL */
	struct envelope *envelope; /* as it was when its record was written */
	struct attempt **attempts; /* oldest first, at most ATTEMPTS_KEPT */
	unsigned attempt_count;
	struct letter letter; /* private */
};

/* Walks back on a worker. `done` always comes. */
void history_read(struct workers *workers, const struct layout *layout, struct store_history *h);
/* Frees envelope and attempts. */
void store_history_fini(struct store_history *h);

/* Encodes the meta of a MOVED record: the envelope and at most ATTEMPTS_KEPT attempts, oldest first. 0, -E2BIG,
 * -ENOMEM. */
int store_encode_moved(const struct envelope *e, struct attempt *const *attempts, unsigned count, struct buf *out);

#endif
