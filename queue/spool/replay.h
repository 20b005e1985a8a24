/* queue/spool/replay.h: what recovery tells the owner of the index. State: types alone. */
#ifndef QUEUE_SPOOL_REPLAY_H
#define QUEUE_SPOOL_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/mail/attempt.h"
#include "queue/mail/envelope.h"
#include "queue/spool/place.h"

/* Called in the order of the journal. A message that ended is reported with its end: the caller keeps the index. Calls
 * for an ID that the caller does not know are to be ignored (its message ended before the checkpoint). Replay is
 * idempotent: a message that is known already is told again (keep the newer state that follows). */
struct store_replay {
	void *arg;
	/* MESSAGE, MOVED, and each entry of the checkpoint. `content` is where the content stands (the record of the
	 * last MESSAGE or MOVED), `newest` the newest record, `in_file` says that it is in a body file. -ENOMEM stops
	 * the start. */
	int (*message)(void *arg, enum record_type type, const struct envelope *e, struct place content,
		struct place newest, bool in_file);
	int (*outcome)(void *arg, uint64_t id, const struct attempt *a, struct place newest);
	int (*held)(void *arg, uint64_t id, bool held, const char *reason, struct place newest);
	/* REDIRECT; "": as the routes say */
	int (*redirected)(void *arg, uint64_t id, const char *relay, struct place newest);
	int (*returned)(void *arg, uint64_t id, const char *reason, struct place newest); /* RETURN */
	int (*removed)(void *arg, uint64_t id);						  /* REMOVE or VOID */
	/* A record that cannot be believed; id 0 if not even that is known. The message, if known, is to be held as
	 * damaged. */
	void (*damaged)(void *arg, uint64_t id, struct place where, const char *what);
};

#endif
