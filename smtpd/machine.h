/* smtpd/machine.h: the state of one SMTP session as the server sees it, and what its parts do to it. Protocol: pure.
 *
 * Those who drive the machine use smtpd/server.h; the functions here are for its parts: server.c, verbs.c, chunk.c. */
#ifndef SMTPD_MACHINE_H
#define SMTPD_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "conf/conf.h"
#include "conf/ip.h"
#include "conf/rights.h"
#include "smtpd/content.h"
#include "smtpd/piece.h"
#include "smtpd/recipients.h"
#include "smtpd/xclient.h"

#define SMTP_SERVER_STATES(X)                                                                                          \
	X(FRESH, "220 sent, no HELO or EHLO yet")                                                                      \
	X(GREETED, "HELO or EHLO done, no transaction")                                                                \
	X(MAIL, "reverse-path known, no recipient yet")                                                                \
	X(RCPT, "at least one recipient known")                                                                        \
	X(OPEN, "DATA or the first BDAT said; waits for an ID and a place for the content")                            \
	X(CONTENT, "354 sent, content comes in")                                                                       \
	X(REFUSED, "354 sent; the content is refused, and read only to find its end")                                  \
	X(CHUNK, "inside a chunk of BDAT")                                                                             \
	X(CHUNKS, "between the chunks of a message")                                                                   \
	X(SKIP, "inside a chunk that is refused, and read only to find its end")                                       \
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
	X(TLS, 421, "4.7.0", "This port does not begin with TLS")                                                      \
	X(HELO_SYNTAX, 501, "", "Give the name of your host")                                                          \
	X(NO_ARGUMENT, 501, "5.5.4", "This command takes no argument")                                                 \
	X(ARGUMENT, 501, "5.5.4", "An argument is missing")                                                            \
	X(SYNTAX, 501, "5.5.4", "Syntax: MAIL FROM:<address> or RCPT TO:<address>")                                    \
	X(SENDER, 501, "5.1.7", "Sender address cannot be read")                                                       \
	X(RECIPIENT, 501, "5.1.3", "Recipient address cannot be read")                                                 \
	X(SENDER_LONG, 553, "5.1.7", "Sender address too long")                                                        \
	X(RECIPIENT_LONG, 553, "5.1.3", "Recipient address too long")                                                  \
	X(ADDRESS_8BIT, 553, "5.6.7", "An address beyond ASCII needs SMTPUTF8, and UTF-8 that is valid")               \
	X(PARAMETER, 555, "5.5.4", "Parameter not known")                                                              \
	X(VALUE, 501, "5.5.4", "Parameter with a wrong value, or twice")                                               \
	X(RANGE, 501, "5.5.4", "Parameter out of the range that EHLO names")                                           \
	X(NEED_HELO, 503, "5.5.1", "Say EHLO or HELO first")                                                           \
	X(NESTED, 503, "5.5.1", "A transaction is open already: RSET ends it")                                         \
	X(NEED_MAIL, 503, "5.5.1", "Say MAIL first")                                                                   \
	X(CHUNK_SYNTAX, 501, "5.5.4", "Syntax: BDAT size [LAST]")                                                      \
	X(CHUNK_SPOILED, 503, "5.5.1", "A chunk before this one was refused: RSET")                                    \
	X(IN_CHUNKS, 503, "5.5.1", "The message is coming in chunks: go on with BDAT, or RSET")                        \
	X(BINARY_DATA, 503, "5.5.1", "BODY=BINARYMIME needs BDAT")                                                     \
	X(NO_RECIPIENTS, 554, "5.5.1", "No valid recipients")                                                          \
	X(RELAY, 550, "5.7.1", "Relaying denied: your address is not in `clients`")                                    \
	X(POSTMASTER, 550, "5.1.1", "Nobody reads mail for postmaster here: `postmaster` is not set")                  \
	X(ROUTE, 550, "5.7.1", "Refused by the route of its domain")                                                   \
	X(ROUTE_SOFT, 450, "4.7.1", "Refused by the route of its domain, for now (soft_bounce)")                       \
	X(RECIPIENTS, 452, "4.5.3", "Too many recipients")                                                             \
	X(SIZE, 552, "5.3.4", "Message too big")                                                                       \
	X(HOPS, 554, "5.4.6", "Too many Received fields: this looks like a loop")                                      \
	X(BARE, 550, "5.5.2", "The message has a CR or LF that is not part of a CRLF")                                 \
	X(VEILED, 550, "5.5.2", "The message has a line that is a dot behind NUL bytes")                               \
	X(QUEUE, 452, "4.3.1", "Too many messages in the queue")                                                       \
	X(SPACE, 452, "4.3.1", "Not enough space in the spool")                                                        \
	X(STORAGE, 451, "4.3.0", "The message could not be stored")                                                    \
	X(MEMORY, 451, "4.3.0", "Out of memory")                                                                       \
	X(ERRORS, 421, "4.7.0", "Too many errors")                                                                     \
	X(TIMEOUT, 421, "4.4.2", "You were silent for too long")                                                       \
	X(DATA_TIMEOUT, 421, "4.4.2", "The message took too long")                                                     \
	X(SESSIONS, 421, "4.3.2", "Too many connections")                                                              \
	X(CLIENT_SESSIONS, 421, "4.7.0", "Too many connections from your address")                                     \
	X(JUNK, 503, "5.5.1", "Too many commands without a message")                                                   \
	X(BEHALF, 550, "5.7.0", "You may not say on whose behalf you speak")                                           \
	X(BEHALF_SYNTAX, 501, "5.5.4", "Not a valid list of attributes")                                               \
	X(NO_MEMORY, 421, "4.3.2", "Out of memory")                                                                    \
	X(EARLY, 554, "5.5.1", "You spoke before you were greeted")                                                    \
	X(SHUTDOWN, 421, "4.3.2", "Service is shutting down")

enum smtp_refusal {
#define X(name, code, enhanced, text) SMTP_REFUSED_##name,
	SMTP_REFUSALS(X)
#undef X
		SMTP_REFUSAL_COUNT
};
enum smtp_room { SMTP_ROOM_OK, SMTP_ROOM_QUEUE, SMTP_ROOM_SPACE, SMTP_ROOM_BROKEN };

/* What the machine asks and tells at once; neither may call back into it. */
struct smtp_server_host {
	/* Asked at MAIL: may a message of this size (0: not declared) come in? */
	enum smtp_room (*room)(void *arg, uint64_t size);
	/* Told of every refusal, for log and counters. `what`: the address or verb that was refused (not clean text),
	 * or NULL. */
	void (*refused)(void *arg, enum smtp_refusal why, const char *what, size_t what_len);
	/* Wall time in milliseconds, for what a client wants at some time. */
	uint64_t (*wall)(void *arg);
	/* XCLIENT: the client is now the one that `x` names (without ADDR the same as before); gives its rights. 0, or
	 * why it is not let in. Asked only where `rights.xclient` is set. */
	enum smtp_refusal (*named)(void *arg, const struct xclient *x, struct rights *rights);
};

struct smtp_server {
	const struct conf *conf;	     /* borrowed */
	const struct smtp_server_host *host; /* borrowed */
	void *arg;
	struct ip client;
	struct rights rights;
	uint8_t state;	/* enum smtp_state; only server_enter() sets it */
	bool extended;	/* EHLO, not HELO */
	bool skip_line; /* the rest of a line that was too long */
	bool long_bdat; /* … and begins with BDAT */
	bool shutting_down;
	bool drop;		 /* what was stored of a content is to be dropped: SMTP_WANT_DROP is due */
	uint8_t fault;		 /* in REFUSED, SKIP and a spoiled CHUNK: the enum smtp_refusal to be said at its end */
	uint32_t errors;	 /* 5yz said since the last message; what a route refuses to a client is none */
	uint32_t junk;		 /* commands that do nothing, since the last message */
	char *helo;		 /* NULL: none yet */
	struct buf line;	 /* a line of which the end has not come */
	struct buf out;		 /* replies not yet sent */
	struct xclient *forward; /* what XFORWARD said of the next message; NULL: nothing */
	/* The transaction. */
	struct buf arena; /* sender, ENVID, then the trace field, each text with its 0 */
	struct recipients recipients;
	uint32_t trace;	      /* place of the trace field in the arena */
	uint32_t flags;	      /* ENVELOPE_* that MAIL declared */
	uint64_t by_ms;	      /* wall time of DELIVERBY; 0: none */
	uint64_t release_ms;  /* wall time of FUTURERELEASE; 0: none */
	int8_t priority;      /* MT-PRIORITY … */
	bool has_priority;    /* … was given: 0 is a priority too */
	bool told_recipients; /* that there are too many */
	bool chunked;	      /* the content comes by BDAT */
	bool spoiled;	      /* … and a chunk of it was refused */
	bool chunk_last;
	uint8_t resume; /* SKIP: the state behind the chunk */
	uint64_t chunk_size, chunk_left;
	uint64_t id;
	struct content content;
	const uint8_t *slice; /* SMTP_WANT_BODY */
	size_t slice_len;
};

/* The only place that sets the state. */
void server_enter(struct smtp_server *s, enum smtp_state next);
/* The 220. */
void server_greet(struct smtp_server *s);
/* A reply of one line or many; without memory for it the session cannot go on. */
void server_say(struct smtp_server *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says it and counts it; 421 and the error too many end the session. `what`: as in smtp_server_host.refused. */
void server_refuse(struct smtp_server *s, enum smtp_refusal why);
void server_refuse_what(struct smtp_server *s, enum smtp_refusal why, const struct piece *what);
/* The same in words of the configuration. */
void server_refuse_in_words(struct smtp_server *s, enum smtp_refusal why, const struct piece *what, const char *words);
/* Says it without a word in the log: the same was told just before. */
void server_say_refusal(struct smtp_server *s, enum smtp_refusal why);
/* Frees the transaction. What is stored of its content is dropped. The state stays. */
void server_forget(struct smtp_server *s);
/* Frees what XFORWARD said: the next message comes from the client itself. */
void server_forget_origin(struct smtp_server *s);
/* The content is read to its end and refused with s->fault: back to GREETED. */
void server_refuse_content(struct smtp_server *s);
/* Has the content so far a fault of its own? Sets s->fault. */
bool server_find_fault(struct smtp_server *s);

#endif
