/* conf/clock.h: the two clocks and the texts of times. Plumbing: the only file that reads a clock.
 *
 * Wall time is milliseconds since 1970 UTC: for the disk, logs and people. Monotonic time is milliseconds since some
 * start: for timers. Protocol and state files take either as an argument. */
#ifndef CONF_CLOCK_H
#define CONF_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_wall_ms(void);
uint64_t clock_mono_ms(void);

enum { CLOCK_DATE = 40, CLOCK_STAMP = 32, CLOCK_SPAN = 48 };

/* RFC 5322 §3.3 date-time in local time with its offset: "Mon, 23 Nov 2026 14:15:40 +0000". */
const char *clock_date(uint64_t wall_ms, char out[CLOCK_DATE]);
/* RFC 3339 in UTC with milliseconds: "2026-11-23T14:15:40.123Z". */
const char *clock_stamp(uint64_t wall_ms, char out[CLOCK_STAMP]);
/* A span for people, its two largest units: "4h12m", "3d2h", "12s", "350ms". */
const char *clock_span(uint64_t ms, char out[CLOCK_SPAN]);

#endif
