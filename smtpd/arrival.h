/* smtpd/arrival.h: from an accepted socket to a client that may be greeted. Plumbing.
 *
 * A balancer's PROXY header is read here, to its last byte and no further (smtpd/proxy.h); the client is judged
 * (smtpd/admission.h); who speaks before the greeting is found, at once or within limits { greet_wait }. An arrival
 * that has to wait has a place in the census like a session. */
#ifndef SMTPD_ARRIVAL_H
#define SMTPD_ARRIVAL_H

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "conf/conf.h"
#include "smtpd/admission.h"
#include "smtpd/census.h"

struct arrival;

/* Those of one loop. On its thread alone, but for init. */
struct arrivals {
	uv_loop_t *uv;
	struct census *census;
	/* A client may be greeted: takes over the socket and the guest's place. `listen` belongs to `conf`. */
	void (*welcome)(struct arrivals *a, struct conf *conf, const struct conf_listen *listen, int fd,
		const struct guest *guest);
	void (*emptied)(struct arrivals *a); /* none is left after there was one */
	LIST_HEAD(, arrival) waiting;
	unsigned count; /* not yet freed */
};

/* Takes over the socket of a client that connected to `listen`, a listener of `conf` or NULL. It is welcomed at once or
 * later, or gone. */
void arrival_start(
	struct arrivals *a, struct conf *conf, const struct conf_listen *listen, int fd, const struct endpoint *peer);
/* Those that wait are told that the service ends. */
void arrivals_stop(struct arrivals *a);

/* Few words on a socket that gets no session, and its end. */
void turn_away(const struct conf *conf, int fd, enum smtp_refusal why);

#endif
