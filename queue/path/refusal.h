/* queue/path/refusal.h: is a refusal about the address family, or about the address, so that the other one may not
 * share it? Protocol: pure.
 *
 * The answer comes from the rows of the configuration (block `refusal`): those of the file in its order, then the
 * built-in ones (conf/refusals.h); the first that matches decides. A row matches when each condition that it has does:
 * the reply code (RFC 5321 §4.2), the enhanced status code (RFC 3463), the text, the family of the connection. The text
 * is that of all lines of the reply, joined by blanks, as struct reply keeps it. */
#ifndef QUEUE_PATH_REFUSAL_H
#define QUEUE_PATH_REFUSAL_H

#include "conf/conf.h"
#include "queue/mail/reply.h"

enum refusal {
	REFUSAL_NONE,
	REFUSAL_FAMILY, /* about this family or its PTR, SPF and the like: the other family may not share it */
	REFUSAL_LISTED, /* a block list's wording about the address: another address may not be listed */
};

struct refusal_match {
	enum refusal kind;
	const char *
		row; /* the name of the row that decided, for the log and relayq; the configuration's. NULL: none did */
};

/* What is the reply to a connection over `via` about? Any reply may be given: one that is no refusal (not 4yz or 5yz)
 * is REFUSAL_NONE. Allocates nothing. */
struct refusal_match refusal_of(const struct conf *c, const struct reply *r, enum family via);

#endif
