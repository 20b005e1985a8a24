/* queue/deliver/client.h: the sending side of SMTP as a function of bytes: RFC 5321, 2920, 1870, 6152, 2034. Protocol:
 * pure.
 *
 * One client is one connection, from the greeting to QUIT. The plumbing feeds what it reads (client_receive), sends
 * what client_output() shows, gives the content when client_wants_content() says so, and takes the transactions that
 * came to their end (client_ended) after each call. No clock: the plumbing looks at `state` and `progress`, and calls
 * client_lost() when time is over. A client that is CLIENT_CLOSED wants its connection closed; `fault` says why.
 *
 * Two transactions may be under way: if the peer offers PIPELINING, MAIL, RCPT and DATA of the second follow the final
 * dot of the first at once (RFC 2920 §3.1). */
#ifndef QUEUE_DELIVER_CLIENT_H
#define QUEUE_DELIVER_CLIENT_H

#include "conf/buf.h"
#include "queue/deliver/transaction.h"

#define CLIENT_STATES(X)                                                                                               \
	X(GREETING, "connected, the whole greeting has not come")                                                      \
	X(GREETED, "220 came: client_hello() or client_quit()")                                                        \
	X(EHLO, "EHLO sent")                                                                                           \
	X(HELO, "HELO sent, because EHLO was refused")                                                                 \
	X(READY, "between transactions")                                                                               \
	X(ENVELOPE, "MAIL and RCPT under way")                                                                         \
	X(DATA, "DATA sent, all before it is answered")                                                                \
	X(CONTENT, "354 came, the content is being sent")                                                              \
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
enum { CLIENT_WINDOW = 100, CLIENT_SLICES = 16 };

struct client_slice {
	const void *p;
	size_t n;
	bool text; /* in the client's own buffer; else in the content */
};

struct client_job {
	struct transaction *t;
	bool first; /* nothing was sent over this connection before it */
	bool rset_unread;
	bool mail_sent, mail_read, mail_ok;
	bool data_sent, data_read;
	bool content;	     /* 354 came */
	bool empty;	     /* … though no recipient was accepted: a dot alone, RFC 2920 §3.1 */
	bool dot_sent;	     /* given to the plumbing, that is */
	unsigned rcpts_sent; /* places in t->rcpts: the next to send */
	unsigned rcpts_read; /* … and the next to be answered */
	unsigned unread;     /* RCPTs sent and not answered */
	unsigned accepted;
	uint64_t dot_at; /* place of the dot's end in all that is ever sent */
	uint64_t given;	 /* bytes of content that came from the plumbing */
	bool given_all;
};

struct client {
	/* for the plumbing to read */
	enum client_state state;
	enum fault fault;    /* CLIENT_CLOSED: why; FAULT_NONE after QUIT */
	struct reply last;   /* the last whole reply; with fault GARBAGE or TOO_LONG the line, code 0 */
	uint32_t progress;   /* grows with each whole reply and each change of state */
	bool greeting_begun; /* "220-" is there */
	bool pipelining, eightbit, has_size;
	uint64_t size_limit; /* SIZE; 0: none */
	unsigned begun;	     /* transactions so far */

	/* private */
	const char *helo;
	unsigned reply_lines;
	size_t reply_bytes;
	struct reply_parser parser;
	unsigned hello_lines;
	struct buf out;
	uint64_t sent;	 /* bytes that the plumbing took, ever */
	uint64_t unsent; /* of these, not yet with the kernel when bytes came in last */
	unsigned unanswered;
	bool needs_rset;
	struct client_job jobs[2];
	unsigned job_count;
	struct transaction *ended, **ended_end;
	/* content: the rest of the piece given, and what of it goes out next */
	const uint8_t *piece;
	size_t piece_left;
	bool line_start, doubled, after_cr, ends_crlf;
	struct client_slice slices[CLIENT_SLICES];
	unsigned slice_first, slice_count;
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
unsigned client_output(struct client *c, struct client_slice out[CLIENT_SLICES + 1]);
void client_sent(struct client *c, size_t n);

/* Does the first transaction want its next piece of content? */
bool client_wants_content(const struct client *c);
/* Lent until client_wants_content() and all slices of it are sent. n > 0. */
void client_content(struct client *c, const void *p, size_t n);
/* No piece comes any more. If bytes are missing, no dot is sent: TRANSACTION_LOCAL, -EBADMSG. */
void client_content_end(struct client *c);
/* The content cannot be read: TRANSACTION_LOCAL; the connection must be closed, for DATA has no other way out. */
void client_content_failed(struct client *c, int error);

#endif
