/* queue/deliver/capabilities.c: protocol. */
#include "queue/deliver/capabilities.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits alone, up to `most` (more counts as `most`); 0 if there are none. */
static uint64_t number(const char *text, size_t n, uint64_t most)
{
	uint64_t v = 0;
	if (n == 0 || strspn(text, "0123456789") < n)
		return 0;
	for (size_t i = 0; i < n && v <= most; i++)
		v = v * 10 + (uint64_t)(text[i] - '0');
	return v < most ? v : most;
}

static void take_size(struct capabilities *c, const char *parameter)
{
	c->has_size = true;
	c->size = number(parameter, strcspn(parameter, " \t"), UINT64_MAX / 100);
}

static void take_by(struct capabilities *c, const char *parameter)
{
	c->by_least = (uint32_t)number(parameter, strcspn(parameter, " \t"), 999999999);
}

/* "RCPTMAX=100 MAILMAX=20" */
static void take_limits(struct capabilities *c, const char *parameter)
{
	static const struct {
		const char *name;
		size_t at;
	} rows[] = {
		{"MAILMAX=", offsetof(struct capabilities, mail_max)},
		{"RCPTMAX=", offsetof(struct capabilities, rcpt_max)},
		{"RCPTDOMAINMAX=", offsetof(struct capabilities, rcpt_domain_max)},
	};
	while (*parameter != '\0') {
		size_t n = strcspn(parameter, " \t");
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
			size_t skip = strlen(rows[i].name);
			if (n > skip && strncasecmp(parameter, rows[i].name, skip) == 0)
				*(unsigned *)(void *)((char *)c + rows[i].at) =
					(unsigned)number(parameter + skip, n - skip, 999999);
		}
		parameter += n;
		parameter += strspn(parameter, " \t");
	}
}

void capabilities_take(struct capabilities *c, const char *line)
{
	static const struct {
		const char *keyword;
		size_t flag;
		void (*take)(struct capabilities *c, const char *parameter);
	} rows[] = {
		{"PIPELINING", offsetof(struct capabilities, pipelining), NULL},
		{"8BITMIME", offsetof(struct capabilities, eightbit), NULL},
		{"SIZE", offsetof(struct capabilities, has_size), take_size},
		{"CHUNKING", offsetof(struct capabilities, chunking), NULL},
		{"BINARYMIME", offsetof(struct capabilities, binary), NULL},
		{"SMTPUTF8", offsetof(struct capabilities, utf8), NULL},
		{"DSN", offsetof(struct capabilities, dsn), NULL},
		{"DELIVERBY", offsetof(struct capabilities, deliver_by), take_by},
		{"MT-PRIORITY", offsetof(struct capabilities, priority), NULL},
	};
	line += strspn(line, " \t");
	size_t n = strcspn(line, " \t=");
	const char *parameter = line + n + strspn(line + n, " \t=");
	if (n == strlen("LIMITS") && strncasecmp(line, "LIMITS", n) == 0) {
		take_limits(c, parameter);
		return;
	}
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strlen(rows[i].keyword) != n || strncasecmp(line, rows[i].keyword, n) != 0)
			continue;
		*(bool *)(void *)((char *)c + rows[i].flag) = true;
		if (rows[i].take != NULL)
			rows[i].take(c, parameter);
		return;
	}
}
