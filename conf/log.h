/* conf/log.h: one line an event, from any thread, written by the log thread. Plumbing.
 *
 * A line is formatted on the thread where it arises and put into a bounded buffer; when that is full the line is
 * dropped and the next one that fits says how many were. No caller ever waits. Before log_start() and after log_stop()
 * lines are written to standard error at once.
 *
 * Text: `2026-11-23T14:15:40.123Z info delivered id=06C… to=<a@b> …`; a value that is empty or has blanks, quotes, `=`,
 * backslashes or control characters is quoted and escaped (\" \\ \n \r \t \xHH \uHHHH). JSON: one object a line with
 * time, level, event, then the fields. A value from a peer can never begin a new line or a new field. A byte that is no
 * UTF-8 is written as \xHH. Values over 1,024 bytes are cut with "…"; a line over 16 KiB loses its last fields and says
 * so (` cut`, `"cut":true`). Lines that were dropped are told by the event `log-dropped` with their number, `lines`. */
#ifndef CONF_LOG_H
#define CONF_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/ip.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
	const char *name; /* NULL ends the list */
	enum { LOG_STR, LOG_BYTES, LOG_NUM, LOG_ID, LOG_MS, LOG_IP, LOG_ENDPOINT, LOG_ADDRESS, LOG_FAMILY } kind;
	const void *text; /* LOG_STR NULL: the field is left out */
	size_t len;	  /* LOG_BYTES */
	int64_t number;
};

/* clang-format off */
#define LF_STR(n, s) {.name = (n), .kind = LOG_STR, .text = (s)}
#define LF_BYTES(n, p, l) {.name = (n), .kind = LOG_BYTES, .text = (p), .len = (l)}
#define LF_NUM(n, v) {.name = (n), .kind = LOG_NUM, .number = (int64_t)(v)}
#define LF_ID(n, id) {.name = (n), .kind = LOG_ID, .number = (int64_t)(id)} /* queue ID, see conf/id.h */
#define LF_MS(n, ms) {.name = (n), .kind = LOG_MS, .number = (int64_t)(ms)} /* text: 1.234 (seconds); JSON: number */
#define LF_IP(n, p) {.name = (n), .kind = LOG_IP, .text = (p)}
#define LF_ENDPOINT(n, p) {.name = (n), .kind = LOG_ENDPOINT, .text = (p)}
#define LF_ADDRESS(n, s) {.name = (n), .kind = LOG_ADDRESS, .text = (s)} /* mail address: text form in <> */
#define LF_FAMILY(n, f) {.name = (n), .kind = LOG_FAMILY, .number = (f)} /* ipv4, ipv6 */
/* clang-format on */

/* LOG_AT(LOG_LEVEL_INFO, "queued", LF_ID("id", id), LF_NUM("size", size)); the event is one word. */
#define LOG_AT(level, event, ...)                                                                                      \
	do {                                                                                                           \
		if (log_enabled(level))                                                                                \
			log_emit((level), (event), (const struct log_field[]){__VA_ARGS__, {.name = NULL}});           \
	} while (0)
#define LOG_ERR(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define LOG_WARN(event, ...) LOG_AT(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define LOG_INFO(event, ...) LOG_AT(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define LOG_DEBUG(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

/* Is it written, or does somebody look on (log_look_on())? */
bool log_enabled(enum log_level level);
void log_emit(enum log_level level, const char *event, const struct log_field *fields);

/* From now on `feed` gets all lines from level info on, whatever the log's own level, on the threads where they arise,
 * before they are written. It must not log. NULL: nobody looks on any more. Any thread; see conf/tap.h. */
typedef void log_feed(enum log_level level, const char *event, const struct log_field *fields);
void log_look_on(log_feed *feed);

/* Formats one line, with its '\n', into `out` (cut to fit, still one whole line); returns its length. Pure: for
 * tests. */
size_t log_format_line(char *out, size_t size, enum log_format format, uint64_t wall_ms, enum log_level level,
	const char *event, const struct log_field *fields);

/* Starts the log thread, writing to `fd`; `buffer` is the most bytes that wait. 0 or a negative code. */
int log_start(int fd, enum log_format format, enum log_level level, size_t buffer);
/* Writes out what waits and ends the thread. */
void log_stop(void);
/* Any time, any thread. */
void log_set(enum log_format format, enum log_level level);

#endif
