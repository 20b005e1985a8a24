/* queue/control/json.h: requests read and answers written on the control socket, the daemon's side. Protocol: pure.
 *
 * What they look like is in queue/control/protocol.h. */
#ifndef QUEUE_CONTROL_JSON_H
#define QUEUE_CONTROL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/control/protocol.h"
#include "queue/control/inspect.h"

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
/* `id` 0: `text` is what was asked for; err: 0 or a negative code of queue/control/inspect.h. */
int control_put_done(struct buf *out, const char *given, uint64_t id, int err);
int control_put_route(struct buf *out, const char *text);
int control_put_candidate(struct buf *out, const struct trace_candidate *c);
int control_put_path(struct buf *out, const struct path_try *p);
int control_put_status(struct buf *out, const struct queue_status *s, const char *version, uint64_t now_ms);
int control_put_version(struct buf *out, const char *version);

#endif
