/* queue/path/failover.h: mail that is refused for its address family goes over the other one in the same attempt.
 * State.
 *
 * What such a refusal is, the table of queue/path/refusal.h knows. It may come to the greeting, EHLO, MAIL, RCPT or
 * after the content; never is mail sent again whose final reply was lost. The site remembers, so that the next mail
 * goes over the other family from the start. For the wording of a block list alone a message goes to one other address
 * and no further. */
#ifndef QUEUE_PATH_FAILOVER_H
#define QUEUE_PATH_FAILOVER_H

#include "queue/core.h"
#include "queue/deliver/dialer.h"

/* The site refused a recipient of the delivery over this connection with this reply. True: another family may not share
 * that: the recipient is to stay queued, and the attempt to go on over the other family (tries->refused says which one
 * is out of question), or, once, from another source address if there is no other family. False: it is no such refusal,
 * or both families refuse, or there is no other. `soft`: what to defer with if no path can be had now. */
bool failover_refused(struct queue *q, struct link *l, struct delivery *d, const struct reply *r, struct reply *soft);
/* Paths of a dial whose greeting or EHLO was refused for the family, or for a source address of the pool of this key,
 * get that fault. */
void failover_look_at_paths(struct queue *q, const struct site *s, struct dial *dial, uint64_t pool);
/* Is a connection over this family to be left alone, because the site refuses mail over it (or an operator pinned the
 * other one) and the other one has an address that is not doubtful? */
bool failover_avoids(struct queue *q, const struct site *s, const struct delivery *d, enum family family);
/* Logs and counts that the attempt goes on over another path. */
void failover_begin(struct queue *q, const struct site *s, const struct delivery *d, const struct transaction *t,
	const struct connection_info *from);

#endif
