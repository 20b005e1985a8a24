/* smtpd/admission.h: who comes in, and as what: the rights of a client and its place in the census. State: any thread.
 *
 * A client is judged when it is accepted, behind a balancer when its header has come, and again when XCLIENT names
 * another one. */
#ifndef SMTPD_ADMISSION_H
#define SMTPD_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "conf/rights.h"
#include "smtpd/census.h"
#include "smtpd/server.h"

struct guest {
	struct endpoint client; /* who is counted and logged */
	struct endpoint via;	/* who connected: at first the same */
	struct rights rights;
	uint32_t place; /* for census_leave() */
};

/* Judges `client` and counts its session; what is refused is counted and logged. `known`: it is who speaks; else it is
 * only whom we see, and has no rights of its own. `listen` may be NULL. */
enum census_result admission_enter(struct guest *g, struct census *census, const struct conf *c,
	const struct conf_listen *listen, const struct endpoint *client, bool known);
/* What a refused client is told. */
enum smtp_refusal admission_refusal(enum census_result result);

#endif
