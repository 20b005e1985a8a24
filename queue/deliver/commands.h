/* queue/deliver/commands.h: MAIL and RCPT as this peer can take them. Protocol: pure.
 *
 * Only parameters of extensions that the peer offers are written. What the client handed in as xtext (ENVID, ORCPT)
 * goes out as it came, for it was checked at the door; bytes over 127 in it go to a peer without SMTPUTF8 in the form
 * of RFC 6533 §3. */
#ifndef QUEUE_DELIVER_COMMANDS_H
#define QUEUE_DELIVER_COMMANDS_H

#include "conf/buf.h"
#include "queue/deliver/capabilities.h"
#include "queue/deliver/transaction.h"

/* The longest command that these write, with its CRLF. */
enum { COMMAND_MOST = 2048 };

/* Each appends one line. 0, -E2BIG, -ENOMEM; then part of it may stand there. */
int commands_mail(struct buf *out, const struct capabilities *peer, const struct transaction *t);
int commands_rcpt(struct buf *out, const struct capabilities *peer, const struct transaction *t,
	const struct transaction_rcpt *r);

#endif
