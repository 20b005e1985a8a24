/* conf/rights.h: what a client may do, by its address and the listener that it came to. State; reads only. */
#ifndef CONF_RIGHTS_H
#define CONF_RIGHTS_H

#include "conf/conf.h"

struct rights {
	bool relay;			 /* mail for anybody: it is in `clients` */
	bool normalize;			 /* bare CR and LF are mended, not refused */
	bool xclient, xforward;		 /* may say for whom it speaks */
	bool deliver_by, future_release; /* DELIVERBY, FUTURERELEASE, */
	bool priority;			 /* MT-PRIORITY */
	bool early;			 /* may speak before it is greeted */
	uint64_t sessions;		 /* at once, */
	unsigned sessions_bits;		 /* of all addresses that share so many bits (IPv4: one address) */
	const char *sessions_key;	 /* what says so, for the log */
};

/* An address of FAMILY_NONE is a client of whom nobody knows who it is: it may nothing that is given to some.
 * For each key: the longest `client` network that has the address and gives the key; then the listener (NULL: none);
 * then the top level. */
struct rights rights_of(const struct conf *c, const struct conf_listen *listen, const struct ip *client);
/* The listener at an address, by its exact endpoint; NULL. */
const struct conf_listen *rights_listen(const struct conf *c, const struct endpoint *at);

#endif
