/* queue/deliver/client.h: the sending side of SMTP as a function of bytes: RFC 5321, 2920, 3030, 2034, and the
 * extensions of capabilities.h. Protocol: pure.
 *
 * One client is one connection, from the greeting to QUIT. The plumbing feeds what it reads (client_receive), sends
 * what client_output() shows, gives the content when client_wants_content() says so, and takes the transactions that
 * came to their end (client_ended) after each call. No clock: the plumbing looks at `state` and `progress`, and calls
 * client_lost() when time is over. A client that is CLIENT_CLOSED wants its connection closed; `fault` says why.
 *
 * Two transactions may be under way: if the peer offers PIPELINING, MAIL, RCPT and DATA of the second follow the final
 * dot of the first at once (RFC 2920 §3.1).
 *
 * Content goes by DATA. Binary content goes in chunks (RFC 3030), which any content does if `bdat` says so: they end
 * with a last one that is empty, "BDAT 0 LAST", which is "the dot" in all that is said here. No chunk is sent before
 * the recipients have their answers, and the next transaction waits until the one with chunks is over: a server that
 * refused a chunk wants RSET before it goes on. */
#ifndef QUEUE_DELIVER_CLIENT_H
#define QUEUE_DELIVER_CLIENT_H

#include "conf/buf.h"
#include "queue/deliver/capabilities.h"
#include "queue/deliver/transaction.h"
#include "queue/deliver/wire.h"

#define CLIENT_STATES(X)                                                                                               \
	X(GREETING, "connected, the whole greeting has not come")                                                      \
	X(GREETED, "220 came: client_hello() or client_quit()")                                                        \
	X(EHLO, "EHLO sent")                                                                                           \
	X(HELO, "HELO sent, because EHLO was refused")                                                                 \
	X(READY, "between transactions")                                                                               \
	X(ENVELOPE, "MAIL and RCPT under way")                                                                         \
	X(DATA, "DATA sent, all before it is answered")                                                                \
	X(CONTENT, "354 came, or chunks may go out: the content is being sent")                                        \
	X(CHUNK, "chunks were given to the plumbing, and their replies are waited for")                                \
	X(DOT, "the final dot was given to the plumbing, its reply has not come")                                      \
	X(QUIT, "QUIT sent")                                                                                           \
	X(CLOSED, "over: close the connection")

enum client_state {
#define X(name, text) CLIENT_##name,
	CLIENT_STATES(X)
#undef X
};
const char *client_state_word(enum client_state s);

/* Commands without an answer at any time; slices of one output. */
enum { CLIENT_WINDOW = 100, CLIENT_SLICES = WIRE_SLICES };

struct client_job {
	struct transaction *t;
	bool first; /* nothing was sent over this connection before it */
	bool rset_unread;
	bool mail_sent, mail_read, mail_ok;
	bool data_sent, data_read;
	bool content;	     /* 354 came, or the first chunk may go out */
	bool empty;	     /* … though no recipient was accepted: a dot alone, RFC 2920 §3.1 */
	bool bdat;	     /* in chunks */
	bool refused;	     /* … of which one was refused: no more of them */
	bool dot_sent;	     /* given to the plumbing, that is */
	unsigned rcpts_sent; /* places in t->rcpts: the next to send */
	unsigned rcpts_read; /* … and the next to be answered */
	unsigned unread;     /* RCPTs sent and not answered */
	unsigned chunks_unread;
	uint64_t chunk_at; /* place of the latest chunk's end in all that is ever sent */
	uint64_t dot_at;   /* … of the dot's */
	bool given_all;	   /* no more content comes from the plumbing */
};

struct client {
	/* for the plumbing to read */
	enum client_state state;
	enum fault fault;    /* CLIENT_CLOSED: why; FAULT_NONE after QUIT */
	struct reply last;   /* the last whole reply; with fault GARBAGE or TOO_LONG the line, code 0 */
	uint32_t progress;   /* grows with each whole reply and each change of state */
	bool greeting_begun; /* "220-" is there */
	struct capabilities peer;
	unsigned begun; /* transactions so far */

	/* for the plumbing to set before client_hello() */
	enum {
		CLIENT_BDAT_BINARY,
		CLIENT_BDAT_ALWAYS,
		CLIENT_BDAT_NEVER
	} bdat; /* what goes in chunks, if the peer has them */

	/* private */
	const char *helo;
	unsigned reply_lines;
	size_t reply_bytes;
	struct reply_parser parser;
	unsigned hello_lines;
	struct buf out;
	unsigned out_lines; /* commands in it */
	uint64_t sent;	    /* bytes that the plumbing took, ever */
	uint64_t unsent;    /* of these, not yet with the kernel when bytes came in last */
	unsigned unanswered;
	bool needs_rset;
	struct client_job jobs[2];
	unsigned job_count;
	struct transaction *ended, **ended_end;
	struct wire wire; /* content of the first transaction */
};

/* `helo` must live as long as the client. Replies over `reply_lines` or `reply_bytes` are TOO_LONG. */
void client_init(struct client *c, const char *helo, unsigned reply_lines, size_t reply_bytes);
void client_fini(struct client *c);

/* Takes all. `unsent`: bytes taken by client_sent() that the kernel has not got yet (0 if not known). */
void client_receive(struct client *c, const void *in, size_t len, uint64_t unsent);
/* The connection is gone or given up. A transaction whose dot surely was not sent (it lies in the `unsent` last bytes)
 * is LOST; whose reply alone is missing, UNKNOWN: never success or failure. */
void client_lost(struct client *c, enum fault why, uint64_t unsent);

/* CLIENT_GREETED: says EHLO. */
void client_hello(struct client *c);
/* QUIT; between transactions, or in place of EHLO, or when a greeting has begun. */
void client_quit(struct client *c);
/* From CLIENT_READY until CLIENT_QUIT. 0; -EBUSY: two are under way; -ENOTCONN: too late or too early. */
int client_begin(struct client *c, struct transaction *t);
/* The next one that came to its end, with all its out fields but transfer_ms and reusable; NULL: none. */
struct transaction *client_ended(struct client *c);

/* What to send now: fills at most CLIENT_SLICES + 1 slices, returns how many. They point into the client's buffer
 * (valid until its next call) or into the content (valid as long as that is). Then say how many bytes of them were
 * taken. */
unsigned client_output(struct client *c, struct wire_slice out[CLIENT_SLICES + 1]);
void client_sent(struct client *c, size_t n);

/* Does the first transaction want its next piece of content? */
bool client_wants_content(const struct client *c);
/* Lent until client_wants_content() and all slices of it are sent. n > 0. Content that is more than the transaction's
 * size is damaged, and goes no further. Lines that hold a CR or LF alone go out neither: all that are left are answered
 * 554 by us (see wire.h). */
void client_content(struct client *c, const void *p, size_t n);
/* No piece comes any more. If bytes are missing, no dot is sent: TRANSACTION_LOCAL, -EBADMSG. */
void client_content_end(struct client *c);
/* The content cannot be read: TRANSACTION_LOCAL; the connection must be closed, for DATA has no other way out. */
void client_content_failed(struct client *c, int error);

#endif
