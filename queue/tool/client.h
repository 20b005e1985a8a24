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
uint64_t line_number(const json_t *line, const char *name);
bool line_true(const json_t *line, const char *name);

/* "relayq: " and one line to t->err; returns `code`. */
enum tool_exit tool_fail(struct tool *t, enum tool_exit code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
