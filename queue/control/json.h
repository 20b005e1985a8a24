/* queue/control/json.h: answers written on the control socket, a line each. Protocol: pure.
 *
 * What they look like is in queue/control/protocol.h. */
#ifndef QUEUE_CONTROL_JSON_H
#define QUEUE_CONTROL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "conf/settings.h"
#include "queue/control/causes.h"
#include "queue/control/protocol.h"
#include "queue/control/inspect.h"

/* Each appends one line. 0, -E2BIG, -ENOMEM; on failure nothing is appended. Bytes that are no UTF-8 become U+FFFD. */
int control_put_error(struct buf *out, enum control_error e, const char *text);
struct control_end {
	uint64_t now_ms, count;
	uint64_t next;	     /* 0: left out */
	const char *summary; /* NULL: left out */
	bool acted;	     /* else the rest is left out */
	uint64_t refused;
	bool dry_run;
};
int control_put_end(struct buf *out, const struct control_end *end);
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
int control_put_suspension(struct buf *out, const struct suspension_view *s);
int control_put_pin(struct buf *out, const struct pin_view *p);
int control_put_remembered(struct buf *out, const struct path_view *v);
int control_put_families(struct buf *out, enum tally_over over, enum tally_family f, const struct tally_row *row);
int control_put_broken(struct buf *out, const struct broken_view *b);
int control_put_more_broken(struct buf *out, uint64_t count);
int control_put_reason(struct buf *out, const struct cause *c);
int control_put_others(struct buf *out, uint64_t recipients);
int control_put_setting(struct buf *out, const struct setting *s);
/* One line of the log, as text and as the same line in JSON. */
int control_put_event(struct buf *out, const char *text, const char *json);
int control_put_lost(struct buf *out, uint64_t lines);
int control_put_version(struct buf *out, const char *version);

#endif
