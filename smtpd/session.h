/* smtpd/session.h: one client on one I/O loop. Plumbing.
 *
 * Drives struct smtp_server: reads into a buffer that all sessions of the loop share, hands content to the store with
 * its back-pressure, posts the message, owns the clock. What a client can make it keep: one read that could not be
 * handled yet (64 KiB), one line, the replies of one group and one transaction; a client that does not read its replies
 * is not read either. A session that nobody waits for costs sizeof (struct session). */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "conf/conf.h"
#include "conf/id.h"
#include "conf/ioloop.h"
#include "queue/submission.h"
#include "smtpd/admission.h"

struct session;

/* What the sessions of one loop share. Used on its thread alone, but for init (before it runs) and fini (after). */
struct session_home {
	struct ioloop *loop;
	const struct submission_desk *desk;
	struct id_giver ids;
	/* A session is gone, with all it held; `place` as census_enter() gave it. */
	void (*ended)(struct session_home *home, uint32_t place);
	LIST_HEAD(, session) sessions;
	uint8_t *scratch;
	struct census *census; /* where a client that XCLIENT names is counted */
};

/* 0 or -ENOMEM. */
int session_home_init(struct session_home *home, struct ioloop *loop, const struct submission_desk *desk,
	uint64_t id_floor_ms, const _Atomic uint64_t *id_ceiling_ms,
	void (*ended)(struct session_home *home, uint32_t place));
void session_home_fini(struct session_home *home);

/* Takes over the connected socket and greets. Keeps a reference to `conf` until its end; `listen`, a listener of it,
 * may be NULL. 0, and `ended` will be called; or -ENOMEM, and the socket stays with the caller. */
int session_start(struct session_home *home, struct conf *conf, const struct conf_listen *listen, int fd,
	const struct guest *guest);

/* Sessions between transactions are told 421 4.3.2; those inside DATA, or waiting for the disk, after the reply to
 * it. */
void session_home_stop(struct session_home *home);
/* Ends all sessions as if their clients had vanished. Those that wait for the disk end when its answer has come. */
void session_home_abort(struct session_home *home);

/* Of one session, for tests. */
size_t session_size(void);

#endif
