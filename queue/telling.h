/* queue/telling.h: which notices an attempt's outcome asks for. State.
 *
 * What is told is written in the outcome's rows (attempt_rcpt.told) and goes to the disk in one group with the notice,
 * so that neither is there without the other, and a restart does not repeat it. */
#ifndef QUEUE_TELLING_H
#define QUEUE_TELLING_H

#include "queue/core.h"
#include "queue/mail/notice.h"

/* The recipient was taken by a server over this connection: marks its row if its sender wants to know that now.
 * `dsn`: that server gives notices of its own, so success is its matter (RFC 3461 §5.2.2). */
void telling_relayed(struct delivery *d, uint16_t index, bool dsn);
/* Marks the rows of recipients that stay in the queue and whose sender is to be told so now: once each of the delay,
 * and of the time of DELIVERBY with mode N. */
void telling_waiting(const struct queue *q, struct delivery *d);
/* Has the delivery a recipient that telling_waiting() would mark? */
bool telling_due(const struct queue *q, const struct delivery *d);
/* Takes back what rows say of notices: they could not be stored. */
void telling_undo(struct attempt *a);

/* To whom notices about the message go: its sender; mail without one: the address for double bounces. NULL: to nobody.
 * `rcpt`: the recipient that they are about. */
const char *telling_whom(const struct queue *q, const struct message *m, const char *rcpt);
/* Is the row to stand in a notice of this kind? */
bool telling_row(const struct queue *q, struct message *m, const struct attempt_rcpt *row, enum notice_kind kind);
/* Bits 1 << kind. */
unsigned telling_kinds(const struct queue *q, struct message *m, const struct attempt *a);

#endif
