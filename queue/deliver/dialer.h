/* queue/deliver/dialer.h: connections to other servers, as the queue thread sees them. Plumbing.
 *
 * The queue thread posts a dial to an I/O loop: candidates in, one connection that is ready for MAIL (greeted, EHLO or
 * HELO answered) or a list of faults out. Then it hands transactions to that connection, one after another; each comes
 * back with one outcome per recipient. All calls here are made on the queue thread; all callbacks (`…_done`, events)
 * are opened there, from its mailbox. What happens on the I/O loop is in dial.c, connection.c (plumbing), race.c,
 * client.c (pure). */
#ifndef QUEUE_DELIVER_DIALER_H
#define QUEUE_DELIVER_DIALER_H

#include "conf/body.h"
#include "conf/conf.h"
#include "conf/ioloop.h"
#include "queue/deliver/capabilities.h"
#include "queue/mail/attempt.h"
#include "queue/deliver/path.h"
#include "queue/deliver/transaction.h"
#include "queue/spool/store.h"

/* ---- dialling ---- */

struct dial {
	/* in; the dial takes over nothing but counts a reference to conf */
	struct ioloop *loop;
	struct mailbox *home;
	const struct conf *conf;
	struct store *store;
	struct lane lane;
	struct candidate *candidates; /* sorted by preference; the dial's own copy */
	unsigned candidate_count;
	bool patient; /* the site is known to be slow: one path at a time, the RFC's times */
	bool more;    /* answers may still come: with no path left it waits for dial_add() or dial_complete() */
	bool probe;   /* QUIT as soon as it is ready; `connection` stays NULL */
	uint64_t connect_time;	      /* of the last path, milliseconds; 0: race { connect_time } */
	void (*done)(struct dial *d); /* on the queue thread; the dial is the caller's again: dial_free() */
	void (*progress)(struct dial *d,
		const struct path_try *p); /* not NULL for trace: each path as it ends, on the queue thread */
	void *arg;

	/* out */
	struct connection *connection; /* NULL: no path worked */
	struct path_try *paths;	       /* all that were tried, in the order of their start */
	unsigned path_count;
	int used;  /* index of the winner, or -1 */
	bool slow; /* every path was given up at the same step by patience: slow, not broken */
	uint32_t took_ms;

	/* private */
	struct letter letter;
	void *race;
};

struct dial *dial_new(struct ioloop *loop, struct mailbox *home, const struct conf *conf, struct store *store,
	const struct lane *lane);
/* Before dial_start(), or after it while the dial is under way: late answers join. 0, -ENOMEM, -E2BIG. Addresses that
 * are there already are ignored. */
int dial_add(struct dial *d, const struct candidate *c);
void dial_start(struct dial *d);
/* No more answers come: a dial that was started with `more` ends when no path is left. Again is fine. */
void dial_complete(struct dial *d);
/* Ends the race early (drain at TERM, site removed); `done` still comes. */
void dial_cancel(struct dial *d);
void dial_free(struct dial *d); /* before dial_start() or after `done`; NULL is fine */

/* ---- a connection; the queue thread's view ---- */

struct connection_info {
	struct endpoint to; /* peer */
	struct ip real;	    /* as in struct path_try: the IPv4 address behind NAT64 */
	char host[HOST_TEXT];
	uint16_t preference;
	struct capabilities peer;
	unsigned loop; /* number of its I/O loop */
};
const struct connection_info *connection_info(const struct connection *c);
/* The family that the peer sees: IPv4 behind NAT64. */
static inline enum family connection_family(const struct connection_info *info)
{
	return (enum family)(info->real.family != FAMILY_NONE ? info->real.family : info->to.ip.family);
}
void connection_set_arg(struct connection *c, void *arg);
void *connection_arg(const struct connection *c);

/* Called (queue thread) when the connection is gone or must not be used any more (421, idle time over, messages' limit
 * reached, reset). It comes once, after the last transaction's `done`. Then connection_release(). To be set within
 * the dial's `done`. */
void connection_on_closed(struct connection *c, void (*closed)(struct connection *c));
void connection_release(struct connection *c); /* after `closed`: frees it */
/* QUIT and close when idle (drain, or a lane no longer wanted); `closed` comes later. */
void connection_quit(struct connection *c);

/* ---- transactions: queue/deliver/transaction.h ---- */

/* Sends it as soon as the one before has ended; at most two may be posted to a connection at a time. `last_path`:
 * nothing else is left to try, so the RFC's times instead of `patience`. */
void connection_send(struct connection *c, struct transaction *t, bool last_path);

/* ---- the I/O loop's side of start and stop ---- */

/* On the loop's thread: TERM. Idle connections QUIT, races end, transactions under way have until `deadline_ms`
 * (monotonic), then they end as TRANSACTION_UNKNOWN or _LOST. `closed` comes for each connection. */
void dialer_drain(struct ioloop *loop, uint64_t deadline_ms);

#endif
