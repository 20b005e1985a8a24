/* smtpd/listener.h: where clients come in: every listener on every I/O loop, the limits on sessions, reload and stop.
 * Plumbing.
 *
 * Each loop has its own socket for each address (SO_REUSEPORT; IPv6 sockets are IPv6 only), so the kernel spreads the
 * clients. Everything here is called from one thread, the one that opens; the loops are told by letters. */
#ifndef SMTPD_LISTENER_H
#define SMTPD_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "conf/conf.h"
#include "conf/ioloop.h"
#include "queue/submission.h"

struct smtpd;

struct smtpd_setup {
	struct ioloop *loops; /* loop_count of them, inited, not yet started */
	unsigned loop_count;
	struct conf *conf;
	const struct submission_desk *desk; /* must live until smtpd_free() */
	uint64_t id_floor_ms;
	const _Atomic uint64_t *id_ceiling_ms;
	/* addresses that this host does not have are said in `errors` and left out, but not all of them */
	bool skip_missing;
};

/* Binds all that conf->listen names and puts it on the loops. Nothing is accepted before the loops run. 0; or a
 * negative code with a line in `errors` for each listener that cannot be opened, and nothing is left open. */
int smtpd_open(struct smtpd **out, const struct smtpd_setup *setup, struct buf *errors);
/* New clients get `conf`; running sessions keep theirs. Unchanged listeners keep their sockets, those not named any
 * more close. 0; or a negative code with lines in `errors` about new listeners that cannot be opened: all else is
 * done. */
int smtpd_reload(struct smtpd *d, struct conf *conf, struct buf *errors);
/* Stops accepting; sessions have `drain_ms` for the message that they are receiving. `done` runs on one of the loops
 * when the last session and handle is closed. Called again, with a shorter time (0: at once), it shortens the wait;
 * `done` stays. */
void smtpd_stop(struct smtpd *d, uint64_t drain_ms, void (*done)(void *arg), void *arg);
/* After `done`, when the loops have ended; or when they were never started (then it closes the handles by running each
 * loop until they are). NULL is fine. */
void smtpd_free(struct smtpd *d);

/* Sessions open now. Any thread. */
uint64_t smtpd_sessions(const struct smtpd *d);

#endif
