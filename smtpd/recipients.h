/* smtpd/recipients.h: the recipients of one transaction, each address once, however it is quoted. Protocol: pure.
 *
 * Empty it holds no memory. Which address is looked at in which order tells nothing to a client who would make the
 * table slow: the hash is seeded. */
#ifndef SMTPD_RECIPIENTS_H
#define SMTPD_RECIPIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"

struct recipient {
	const char *address;
	const char *orcpt; /* RFC 3461 §4.2, as it was given; "" */
	uint8_t notify;	   /* NOTIFY_* (queue/mail/envelope.h) */
};

struct recipients {
	uint32_t count;
	uint32_t most;
	/* private */
	struct buf texts; /* for each: the byte `notify`, address, 0, ORCPT, 0 */
	uint32_t *table;  /* places in `texts`, plus 1; NULL while there are few */
	uint32_t room;	  /* of the table, a power of two */
};

/* At most `most` can be added. */
void recipients_init(struct recipients *r, uint32_t most);
void recipients_fini(struct recipients *r); /* it is empty then, and may be used on */
/* Copies. 0; -EEXIST: the address is there already, nothing is changed; -E2BIG: there are `most`; -ENOMEM. */
int recipients_add(struct recipients *r, const struct recipient *one);
/* In the order in which they were added: `*at` is 0 to begin with. False behind the last. Lent until the next
 * change. */
bool recipients_next(const struct recipients *r, size_t *at, struct recipient *out);

#endif
