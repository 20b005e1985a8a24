/* queue/path/account.h: what is counted of address families as mail goes: fills the tally (queue/path/tally.h), and
 * keeps it in spool/state/families. State.
 *
 * It is written at most once a minute, and at the end; losing it loses counts, no mail. */
#ifndef QUEUE_PATH_ACCOUNT_H
#define QUEUE_PATH_ACCOUNT_H

#include "queue/core.h"
#include "queue/deliver/dialer.h"

/* A race is over, its policy faults are marked (failover_look_at_paths()). */
void account_race(struct queue *q, const struct dial *dial);
void account_probe(struct queue *q, const struct dial *dial);
/* A recipient's row; `used` may be NULL: no path. `delay_ms`: from acceptance. */
void account_outcome(struct queue *q, enum rcpt_status status, const struct path_try *used, uint64_t delay_ms);
/* A message's content was taken over this connection. */
void account_content(struct queue *q, const struct connection_info *via, uint64_t bytes);
/* A message leaves this connection for the other family: refused with `refusal` (REFUSAL_NONE: for a fault). */
void account_failover(
	struct queue *q, const struct connection_info *from, enum refusal refusal, const struct transaction *t);

/* Start-up, the store is open; once a second; the end. */
void account_load(struct queue *q);
void account_tick(struct queue *q);
void account_keep(struct queue *q);
void account_free(struct queue *q);

#endif
