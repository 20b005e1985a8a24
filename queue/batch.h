/* queue/batch.h: how many recipients of one message go in one transaction, and which. State.
 *
 * A peer may say how many it takes (LIMITS RCPTMAX, RFC 9422), or show it by refusing what is too much at RCPT (452
 * 4.5.3, RFC 5321 §4.5.3.1.10): the site remembers that, and tries more again after a while. The rest of the
 * recipients goes in further transactions at once: over the same connection, or the next one if that takes no more.
 * That is one attempt and one session. Each transaction asks for at least one recipient who was not asked for before
 * over this path, so it comes to an end. */
#ifndef QUEUE_BATCH_H
#define QUEUE_BATCH_H

#include "queue/core.h"

/* The work of sending over this link to recipients that are left, with what concerns them filled in; NULL without
 * memory. */
struct work *batch_new(struct queue *q, struct delivery *d, struct link *l);
/* Learns from a transaction that ended with answers how many recipients the site takes. 1: others are left, for a
 * further transaction at once (who was only one too many, while others were taken, is among them); 0: none;
 * -ENOMEM. */
int batch_note(struct site *s, struct delivery *d, const struct work *w);
/* Was the recipient refused only as one more than the peer takes at a time, and others were taken? */
bool batch_is_rest(const struct transaction *t, const struct transaction_rcpt *r);
/* Is recipient number `i` of the message left to be asked for? */
bool batch_is_due(const struct delivery *d, uint32_t i);
/* The attempt goes on over another path: who has no final answer is asked for again. */
void batch_restart(struct delivery *d);

#endif
