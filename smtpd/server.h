/* smtpd/server.h: one SMTP session as the server sees it. Protocol: pure: bytes and events in, replies and wants out.
 *
 * RFC 5321, with PIPELINING (2920), SIZE (1870), 8BITMIME (6152) and ENHANCEDSTATUSCODES (2034). Whoever drives it
 * feeds bytes to smtp_server_receive() and does what the returned want says; the answer to a want is a call that
 * returns the next one. Replies gather in `out`, so that those of a pipelined group leave together; send them whenever
 * a want stops the feeding, and at INPUT when no bytes are left. An idle machine holds nothing but the struct and the
 * HELO name. */
#ifndef SMTPD_SERVER_H
#define SMTPD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "conf/conf.h"
#include "conf/ip.h"
#include "smtpd/content.h"

#define SMTP_SERVER_STATES(X)                                                                                          \
	X(FRESH, "220 sent, no HELO or EHLO yet")                                                                      \
	X(GREETED, "HELO or EHLO done, no transaction")                                                                \
	X(MAIL, "reverse-path known, no recipient yet")                                                                \
	X(RCPT, "at least one recipient known")                                                                        \
	X(OPEN, "DATA said; waits for an ID and a place for the content")                                              \
	X(CONTENT, "354 sent, content comes in")                                                                       \
	X(REFUSED, "354 sent; the content is refused, and read only to find its end")                                  \
	X(COMMIT, "content complete, waits for the disk")                                                              \
	X(CLOSED, "the last reply is in `out`; nothing more is read")

enum smtp_state {
#define X(name, help) SMTP_##name,
	SMTP_SERVER_STATES(X)
#undef X
		SMTP_STATE_COUNT
};

enum smtp_want {
	SMTP_WANT_INPUT,  /* all bytes were taken: more of them, please */
	SMTP_WANT_OUTPUT, /* `out` is at its mark: send, then feed the rest */
	SMTP_WANT_OPEN,	  /* make an ID and a place for the content: smtp_server_opened() */
	SMTP_WANT_BODY,	  /* store s->slice, then feed the rest; if that fails: smtp_server_failed() */
	SMTP_WANT_DROP,	  /* drop what was stored of this content, then feed the rest */
	SMTP_WANT_COMMIT, /* make the message durable: smtp_server_committed() */
	SMTP_WANT_CLOSE,  /* send `out` and close */
};

/* X(name, code, enhanced, text): every 4yz and 5yz that this machine can say; an enhanced code of "" is for HELO and
 * EHLO. */
#define SMTP_REFUSALS(X)                                                                                               \
	X(LINE_END, 500, "5.5.2", "A line must end in CRLF, and CR and LF stand nowhere else")                         \
	X(LINE_LONG, 500, "5.5.2", "Line too long")                                                                    \
	X(UNKNOWN, 500, "5.5.1", "Command not known")                                                                  \
	X(NOT_HERE, 502, "5.5.1", "Command not implemented")                                                           \
	X(FOREIGN, 421, "4.7.0", "This is not an HTTP server")                                                         \
	X(HELO_SYNTAX, 501, "", "Give the name of your host")                                                          \
	X(NO_ARGUMENT, 501, "5.5.4", "This command takes no argument")                                                 \
	X(ARGUMENT, 501, "5.5.4", "An argument is missing")                                                            \
	X(SYNTAX, 501, "5.5.4", "Syntax: MAIL FROM:<address> or RCPT TO:<address>")                                    \
	X(SENDER, 501, "5.1.7", "Sender address cannot be read")                                                       \
	X(RECIPIENT, 501, "5.1.3", "Recipient address cannot be read")                                                 \
	X(SENDER_LONG, 553, "5.1.7", "Sender address too long")                                                        \
	X(RECIPIENT_LONG, 553, "5.1.3", "Recipient address too long")                                                  \
	X(ADDRESS_8BIT, 553, "5.6.7", "Only ASCII addresses are taken here")                                           \
	X(PARAMETER, 555, "5.5.4", "Parameter not known")                                                              \
	X(VALUE, 501, "5.5.4", "Parameter with a wrong value, or twice")                                               \
	X(NEED_HELO, 503, "5.5.1", "Say EHLO or HELO first")                                                           \
	X(NESTED, 503, "5.5.1", "A transaction is open already: RSET ends it")                                         \
	X(NEED_MAIL, 503, "5.5.1", "Say MAIL first")                                                                   \
	X(NO_RECIPIENTS, 554, "5.5.1", "No valid recipients")                                                          \
	X(RELAY, 550, "5.7.1", "Relaying denied: your address is not in `clients`")                                    \
	X(ROUTE, 550, "5.7.1", "Refused by the route of its domain")                                                   \
	X(ROUTE_SOFT, 450, "4.7.1", "Refused by the route of its domain, for now (soft_bounce)")                       \
	X(RECIPIENTS, 452, "4.5.3", "Too many recipients")                                                             \
	X(SIZE, 552, "5.3.4", "Message too big")                                                                       \
	X(HOPS, 554, "5.4.6", "Too many Received fields: this looks like a loop")                                      \
	X(BARE, 550, "5.5.2", "The message has a CR or LF that is not part of a CRLF")                                 \
	X(QUEUE, 452, "4.3.1", "Too many messages in the queue")                                                       \
	X(SPACE, 452, "4.3.1", "Not enough space in the spool")                                                        \
	X(STORAGE, 451, "4.3.0", "The message could not be stored")                                                    \
	X(MEMORY, 451, "4.3.0", "Out of memory")                                                                       \
	X(ERRORS, 421, "4.7.0", "Too many errors")                                                                     \
	X(TIMEOUT, 421, "4.4.2", "You were silent for too long")                                                       \
	X(DATA_TIMEOUT, 421, "4.4.2", "The message took too long")                                                     \
	X(SHUTDOWN, 421, "4.3.2", "Service is shutting down")

enum smtp_refusal {
#define X(name, code, enhanced, text) SMTP_REFUSED_##name,
	SMTP_REFUSALS(X)
#undef X
		SMTP_REFUSAL_COUNT
};
/* "550 5.7.1 Relaying denied…" without CRLF, for logs. */
const char *smtp_refusal_text(enum smtp_refusal why);

enum smtp_room { SMTP_ROOM_OK, SMTP_ROOM_QUEUE, SMTP_ROOM_SPACE, SMTP_ROOM_BROKEN };

/* What the machine asks and tells at once; neither may call back into it. */
struct smtp_server_host {
	/* Asked at MAIL: may a message of this size (0: not declared) come in? */
	enum smtp_room (*room)(void *arg, uint64_t size);
	/* Told of every refusal, for log and counters. `what`: the address or verb that was refused (not clean text),
	 * or NULL. */
	void (*refused)(void *arg, enum smtp_refusal why, const char *what, size_t what_len);
};

struct smtp_server {
	const struct conf *conf;	     /* borrowed */
	const struct smtp_server_host *host; /* borrowed */
	void *arg;
	struct ip client;
	uint8_t state; /* enum smtp_state; only enter() sets it */
	bool may_relay;
	bool extended;	/* EHLO, not HELO */
	bool skip_line; /* the rest of a line that was too long */
	bool shutting_down;
	uint8_t fault;	 /* in REFUSED: the enum smtp_refusal to be said at the content's end */
	uint32_t errors; /* 5yz said */
	char *helo;	 /* NULL: none yet */
	struct buf line; /* a line of which the end has not come */
	struct buf out;	 /* replies not yet sent */
	/* The transaction, one arena: sender, recipients, then the trace field, each text with its 0. */
	struct buf arena;
	uint32_t rcpt_count;
	uint32_t trace;	      /* where the recipients end */
	bool body_8bit;	      /* BODY=8BITMIME */
	bool told_recipients; /* that there are too many */
	uint64_t id;
	struct content content;
	const uint8_t *slice; /* SMTP_WANT_BODY */
	size_t slice_len;
};

/* Greets: `out` has the 220. `may_relay`: the client is one of conf->clients. */
void smtp_server_init(struct smtp_server *s, const struct conf *conf, const struct smtp_server_host *host, void *arg,
	const struct ip *client, bool may_relay);
void smtp_server_fini(struct smtp_server *s);

/* Reads on, until all of `in` is used or something is wanted; `*used` tells how far it came. Not to be called while
 * OPEN or COMMIT is to be answered. */
enum smtp_want smtp_server_receive(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used);

/* OPEN: `err` 0: the ID and the date of the trace field; else -ENOSPC or another negative code: the message is refused
 * for now. */
enum smtp_want smtp_server_opened(struct smtp_server *s, int err, uint64_t id, const char *date);
/* BODY could not be stored (as above): the rest of the content is read and dropped. */
void smtp_server_failed(struct smtp_server *s, int err);
/* COMMIT: 0: durable, so 250; -ENOSPC 452; else 451. */
enum smtp_want smtp_server_committed(struct smtp_server *s, int err);
/* The time for a command, or for the whole content, is over. Always CLOSE. */
enum smtp_want smtp_server_timed_out(struct smtp_server *s, bool whole_data);
/* The daemon ends: CLOSE with 421 4.3.2 at once between transactions, or after the reply to the content that is coming
 * in. INPUT if the latter. */
enum smtp_want smtp_server_shutdown(struct smtp_server *s);

/* The transaction, from OPEN until the answer to COMMIT: sender, then rcpt_count recipients by smtp_server_next(). */
const char *smtp_server_sender(const struct smtp_server *s);
/* The text behind this one. */
const char *smtp_server_next(const char *text);

#endif
