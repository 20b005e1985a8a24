/* queue/oracle/oracle.h: the answer to a mail server that has one family only: is it to deliver a mail itself, or to
 * hand it to this relay? Plumbing; the queue thread's loop.
 *
 * Each block `oracle` of the configuration is a place where such servers ask, in the protocols of Postfix's tables
 * `socketmap` and `tcp` (queue/oracle/request.h). queue/oracle/verdict.h says what is answered. The look-ups are those
 * of the queue: one cache, one question for each name however many ask. */
#ifndef QUEUE_ORACLE_ORACLE_H
#define QUEUE_ORACLE_ORACLE_H

#include <uv.h>

#include "conf/conf.h"
#include "dns/resolver.h"

struct oracle;

/* Opens all that conf->oracles names; before the loop runs or on its thread. 0; or a negative code with a line in
 * `errors` for each that cannot be opened, and nothing is left open. The resolver outlives it. */
int oracle_open(struct oracle **out, uv_loop_t *loop, struct resolver *r, struct conf *conf, struct buf *errors);
/* Another configuration, for the next question of each connection. Blocks whose title stays keep socket and
 * connections, others are closed with theirs or opened. 0; or a negative code with lines in `errors` about those that
 * cannot be opened: all else is done. */
int oracle_configure(struct oracle *o, struct conf *conf, struct buf *errors);
/* Closes sockets and connections and ends their look-ups at once; `closed` comes when the last handle is closed; the
 * oracle is freed then. */
void oracle_close(struct oracle *o, void (*closed)(void *arg), void *arg);

#endif
