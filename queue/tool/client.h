/* queue/tool/client.h: one question to the daemon and its answer, over a blocking socket. Plumbing. */
#ifndef QUEUE_TOOL_CLIENT_H
#define QUEUE_TOOL_CLIENT_H

#include <jansson.h>

#include "queue/tool/tool.h"

/* Connects, sends `request` (taken over; "v" is added) and calls `each` for every line of the answer but the last. In
 * JSON mode
 * (--json) lines are printed as they came and `each` is not called; else every string of `line` is clean
 * (queue/tool/text.h). `each` returns false to stop early. `each` may be NULL. TOOL_OK with the line of type "end" in
 * `*end` (NULL: not wanted; the caller frees it; NULL after an early stop); else an exit code, and one line has been
 * printed that says what went wrong and how to mend it. */
enum tool_exit client_ask(
	struct tool *t, json_t *request, bool (*each)(void *arg, const json_t *line), void *arg, json_t **end);

/* Members of a line; what is missing or of another type gives "", 0, false. */
const char *line_text(const json_t *line, const char *name);
enum { WAY_TEXT = 160 };
/* Of a path or a candidate: "ipv6 [2001:db8::1]:25", or "ipv4 192.0.2.1 through nat64 [64:ff9b::c000:201]:25". */
const char *line_way(const json_t *line, char out[WAY_TEXT]);
uint64_t line_number(const json_t *line, const char *name);
bool line_true(const json_t *line, const char *name);

/* "relayq: " and one line to t->err; returns `code`. */
enum tool_exit tool_fail(struct tool *t, enum tool_exit code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
