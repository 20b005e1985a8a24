/* queue/deliver/transaction.h: one message to some recipients over one connection, and what became of it. State: types
 * alone.
 *
 * The queue thread fills it and hands it to connection_send() (queue/deliver/dialer.h); the SMTP client works on it on
 * its I/O loop; `done` gives it back. */
#ifndef QUEUE_DELIVER_TRANSACTION_H
#define QUEUE_DELIVER_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/body.h"
#include "conf/mailbox.h"
#include "queue/mail/attempt.h"
#include "queue/mail/reply.h"
#include "queue/spool/place.h"

struct connection;
struct conversion;

/* How far it came. */
enum transaction_end {
	TRANSACTION_ANSWERED, /* each recipient has the peer's answer (delivered, 4yz, 5yz), or ours (5.6.3, 5.3.4) */
	/* the connection was closed before MAIL was sent, or, if it had carried another message before, before anything
	 * was answered to it: no attempt at all, choose another connection */
	TRANSACTION_UNSTARTED,
	/* lost or given up before the final dot: recipients without an answer may go over the next path */
	TRANSACTION_LOST,
	/* lost, or TERM came, after the final dot and before its reply: deferred, no other path now */
	TRANSACTION_UNKNOWN,
	/* the content could not be read: `error` says; -EBADMSG is damage. Recipients that are answered stay so */
	TRANSACTION_LOCAL,
};

struct transaction_rcpt {
	const char *address;
	const char *orcpt;  /* as the client gave it; "" or NULL: not given */
	uint16_t index;	    /* in the message */
	uint8_t notify;	    /* NOTIFY_* (queue/mail/envelope.h) */
	bool too_many;	    /* refused at RCPT as one more than the peer takes at a time: RFC 5321 §4.5.3.1.10 */
	bool answered;	    /* `reply` is the peer's final word about this recipient in this transaction */
	struct reply reply; /* 2yz here: delivered (after the dot) */
};

struct transaction {
	/* in; strings live until `done` */
	uint64_t id;
	const char *sender;
	const char *envid; /* likewise */
	uint64_t size;
	unsigned flags; /* ENVELOPE_* */
	int priority;	/* MT-PRIORITY; 0 is the usual one */
	bool has_by;	/* DELIVERBY … */
	int64_t by_s;	/* … in so many seconds from now; negative: it is over */
	/* in memory: the caller holds a reference until `done`. NULL, or one that is in a file: it is read from
	 * `content`, which the caller keeps pinned */
	struct body *body;
	struct place content;
	struct transaction_rcpt *rcpts;
	unsigned rcpt_count;
	void (*done)(struct transaction *t); /* on the queue thread */
	void *arg;

	/* out */
	enum transaction_end end;
	int error; /* TRANSACTION_LOCAL */
	/* TRANSACTION_LOST, _UNKNOWN, _UNSTARTED: what ended the connection. _ANSWERED: NONE, or what ended the
	 * connection at the same time (LOAD: a 421 was the answer to the dot) */
	enum fault fault;
	bool for_message;     /* `last` is the answer to the message, whoever its recipients are */
	unsigned accepted;    /* recipients that the peer took at RCPT */
	struct reply last;    /* the reply that decided, or ours (code 0: what happened to the connection) */
	uint32_t transfer_ms; /* from MAIL to the end */
	uint32_t slowest_ms;  /* the longest wait for replies before the content, while this was the first under way */
	bool reusable;	      /* the connection takes another one; else `closed` comes next */

	/* private */
	struct letter letter;
	struct connection *connection;
	struct conversion *conversion; /* its content is converted for this peer; NULL: it goes as it is */
	struct transaction *next;
	uint64_t begun_ms;
	bool last_path;
	bool utf8; /* it goes with SMTPUTF8 */
};

#endif
