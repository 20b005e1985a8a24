/* queue/doctor/finding.c: state. */
#include "queue/doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *finding_word(enum finding_status s)
{
	static const char *const words[FINDING_STATUS_COUNT] = {
		[FINDING_OK] = "ok",
		[FINDING_UNKNOWN] = "unknown",
		[FINDING_WARNING] = "warning",
		[FINDING_ERROR] = "error",
	};
	return words[s];
}

static struct finding *next(struct findings *f)
{
	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 32;
		struct finding *grown = f->count < FINDINGS_MAX ? reallocarray(f->items, cap, sizeof *grown) : NULL;
		if (grown == NULL) {
			f->lost = true;
			return NULL;
		}
		f->items = grown;
		f->cap = cap;
	}
	return &f->items[f->count++];
}

void findings_add(struct findings *f, enum finding_status s, const char *format, ...)
{
	struct finding *line = next(f);
	if (line == NULL)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(line->found, sizeof line->found, format, args);
	va_end(args);
	line->check = f->check;
	line->status = s;
	line->mend[0] = '\0';
}

void findings_mend(struct findings *f, const char *format, ...)
{
	if (f->count == 0)
		return;
	struct finding *line = &f->items[f->count - 1];
	va_list args;
	va_start(args, format);
	vsnprintf(line->mend, sizeof line->mend, format, args);
	va_end(args);
}

size_t findings_of(const struct findings *f, enum finding_status s)
{
	size_t n = 0;
	for (size_t i = 0; i < f->count; i++)
		n += f->items[i].status == s;
	return n;
}

enum finding_status findings_worst(const struct findings *f)
{
	if (findings_of(f, FINDING_ERROR) != 0)
		return FINDING_ERROR;
	return findings_of(f, FINDING_WARNING) != 0 ? FINDING_WARNING : FINDING_OK;
}

void findings_reset(struct findings *f)
{
	f->count = 0;
	f->lost = false;
}

void findings_fini(struct findings *f)
{
	free(f->items);
	*f = (struct findings){0};
}
