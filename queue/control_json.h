/* queue/control_json.h: what relayq and the daemon say to each other on the control socket. Protocol: pure.
 *
 * A client writes one JSON object on one line (at most CONTROL_LINE_MAX bytes with its end) and reads lines, each one
 * object, up to the one of type "end" or "error", which closes the answer; then it may ask again. Answers are ASCII:
 * all else is \u-escaped. Names that end in `_ms` are milliseconds: wall time since 1970 UTC, or a span. A client that
 * closes its side ends what it asked for. New members may come in answers at any time; others are refused in requests.
 *
 * Request: {"v":1,"command":"list", …}
 *   list      sender rcpt site domain state reason (strings), older_ms younger_ms larger, after (ID to go on behind),
 * limit (0: all) show      id (or its unambiguous beginning) cat       id summary   limit (sites; default 100, at most
 * CONTROL_SITES_MAX) retry hold release remove   ids (array of strings); hold, remove: reason trace     domain, connect
 * (boolean) status version Answer lines, by "type": message   id arrival_ms size sender flags (array of words) reason
 * rcpt_count rcpts (list: the first CONTROL_RCPTS_LISTED; show: none, they follow one a line) rcpt      index address
 * state attempts next_ms site reason attempt   when_ms took_ms next_ms site used paths replies rcpts (the first
 * CONTROL_RCPTS_SHOWN) rcpt_count content   base64 (a piece of the message, in order) site      name recipients ages
 * oldest_ms active connections concurrency resting probe_ms reason; "total" is alike done      id ok [code text] (one
 * for each of `ids`, in their order) route     text candidate host address family preference usable why history path as
 * in an attempt: host address family preference fault fault_text started_ms connect_ms greeting_ms total_ms reply
 *   status    version storage spool messages recipients held damaged sites resting connections dials journal_segments
 *             started_ms now_ms counters (object)
 *   version   version protocol
 *   end       v count [next (list: go on behind this ID)] [summary (trace)] now_ms
 *   error     v code text; codes: the words of CONTROL_ERRORS */
#ifndef QUEUE_CONTROL_JSON_H
#define QUEUE_CONTROL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/inspect.h"

enum {
	CONTROL_VERSION = 1,
	CONTROL_LINE_MAX = 16384,
	CONTROL_SITES_MAX = 10000,
	CONTROL_IDS_MAX = 1000,
	CONTROL_RCPTS_LISTED = 20,
	CONTROL_RCPTS_SHOWN = 100,
	CONTROL_STRING_MAX = 1024,
	CONTROL_PIECE = 24576, /* bytes of content in one line at the most */
};

/* X(name, word) */
#define CONTROL_ERRORS(X)                                                                                              \
	X(SYNTAX, "syntax")	  /* not one JSON object on one line */                                                \
	X(TOO_LONG, "too-long")	  /* the line is over CONTROL_LINE_MAX */                                              \
	X(VERSION, "version")	  /* "v" is not ours */                                                                \
	X(COMMAND, "command")	  /* no such command */                                                                \
	X(ARGUMENT, "argument")	  /* a member is missing, unknown or out of range */                                   \
	X(NOT_FOUND, "not-found") /* no such message */                                                                \
	X(AMBIGUOUS, "ambiguous") /* more than one ID begins so */                                                     \
	X(ALREADY, "already")	  /* held already, not held */                                                         \
	X(DENIED, "denied")	  /* this user may not ask */                                                          \
	X(BUSY, "busy")		  /* limits { control } */                                                             \
	X(FAILED, "failed")	  /* the text says why */

enum control_error {
#define X(name, word) CONTROL_ERROR_##name,
	CONTROL_ERRORS(X)
#undef X
		CONTROL_ERROR_COUNT
};
const char *control_error_word(enum control_error e);
/* Of a negative code of queue/inspect.h. */
enum control_error control_error_of(int err);

enum control_verb {
	CONTROL_LIST,
	CONTROL_SHOW,
	CONTROL_CAT,
	CONTROL_SUMMARY,
	CONTROL_RETRY,
	CONTROL_HOLD,
	CONTROL_RELEASE,
	CONTROL_REMOVE,
	CONTROL_TRACE,
	CONTROL_STATUS,
	CONTROL_VERSION_VERB,
	CONTROL_VERB_COUNT
};

/* A request that was read; strings are lent by `root`. */
struct control_request {
	json_t *root;
	enum control_verb verb;
	struct queue_filter filter; /* list */
	uint64_t after, limit;
	const char *id;	    /* show, cat: as given */
	const json_t *ids;  /* array of strings, 1 to CONTROL_IDS_MAX */
	const char *reason; /* hold, remove; "" */
	const char *domain;
	bool connect;
};

/* Reads one line (without its end). 0; or -EINVAL or -ENOMEM with `*what` and a text in `why`, and nothing to free. */
int control_request_parse(
	struct control_request *out, const char *line, size_t len, enum control_error *what, char why[256]);
void control_request_fini(struct control_request *r);

/* Each appends one line. 0, -E2BIG, -ENOMEM; on failure nothing is appended. Bytes that are no UTF-8 become U+FFFD. */
int control_put_error(struct buf *out, enum control_error e, const char *text);
int control_put_end(
	struct buf *out, uint64_t now_ms, uint64_t count, uint64_t next, const char *summary); /* 0, NULL: left out */
int control_put_message(struct buf *out, const struct message_view *m, bool with_rcpts);
int control_put_rcpt(struct buf *out, const struct rcpt_view *r);
int control_put_attempt(
	struct buf *out, const struct attempt *a, const struct envelope *e); /* `e` names recipients; may be NULL */
int control_put_content(struct buf *out, const uint8_t *p, size_t n);	     /* n <= CONTROL_PIECE */
int control_put_site(struct buf *out, const struct site_view *s, bool total);
/* `id` 0: `text` is what was asked for; err: 0 or a negative code of queue/inspect.h. */
int control_put_done(struct buf *out, const char *given, uint64_t id, int err);
int control_put_route(struct buf *out, const char *text);
int control_put_candidate(struct buf *out, const struct trace_candidate *c);
int control_put_path(struct buf *out, const struct path_try *p);
int control_put_status(struct buf *out, const struct queue_status *s, const char *version, uint64_t now_ms);
int control_put_version(struct buf *out, const char *version);

#endif
