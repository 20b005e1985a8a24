/* queue/survey/progress.c: protocol. */
#include "queue/survey/progress.h"

#include <stdio.h>
#include <string.h>

#include "conf/clock.h"

enum { BAR = 20, BAR_LEAST = 5, FRAME = 4 };

static void write_bar(char out[BAR + FRAME], size_t columns, const struct progress *p)
{
	size_t filled = p->all != 0 ? columns * p->done / p->all : columns;
	out[0] = '[';
	memset(out + 1, '#', filled);
	memset(out + 1 + filled, '-', columns - filled);
	memcpy(out + 1 + columns, "] ", 3);
}

const char *progress_line(const struct progress *p, unsigned width, char out[PROGRESS_LINE])
{
	char text[PROGRESS_LINE], bar[BAR + FRAME] = "", left[CLOCK_SPAN];
	size_t most = (width < PROGRESS_LINE ? width : PROGRESS_LINE) - 1, done = p->done - p->before;
	size_t percent = p->all != 0 ? p->done * 100 / p->all : 100;
	int n = snprintf(text, sizeof text, "%zu of %zu  %zu%%", p->done, p->all, percent);
	if (done != 0 && p->passed_ms != 0) {
		uint64_t rest_ms = (p->all - p->done) * p->passed_ms / done;
		snprintf(text + n, sizeof text - (size_t)n, "  %llu/s  %s left",
			(unsigned long long)(done * 1000 / p->passed_ms), clock_span(rest_ms / 1000 * 1000, left));
	}
	size_t used = strlen(text);
	if (used + BAR_LEAST + FRAME - 1 <= most) {
		size_t room = most - used - (FRAME - 1);
		write_bar(bar, room < BAR ? room : BAR, p);
	}
	snprintf(out, most + 1, "%s%s", bar, text);
	return out;
}
