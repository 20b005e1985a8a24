/* queue/tool/tail.c: plumbing. */
#include "queue/tool/tail.h"

#include <string.h>

#include "queue/tool/client.h"
#include "queue/tool/conditions.h"

static bool on_line(void *arg, const json_t *line)
{
	struct tool *t = arg;
	const char *type = line_text(line, "type");
	if (strcmp(type, "event") == 0)
		fprintf(t->out, "%s\n", line_text(line, "line"));
	else if (strcmp(type, "lost") == 0)
		fprintf(t->err, "relayq: %llu lines were lost: the output is too slow\n",
			(unsigned long long)line_number(line, "lines"));
	return !ferror(t->out);
}

enum tool_exit run_tail(struct tool *t)
{
	const struct options *o = t->options;
	json_t *r = conditions_request(o);
	request_text(r, "id", o->id);
	request_text(r, "event", o->event);
	setvbuf(t->out, NULL, _IOLBF, BUFSIZ); /* each line as it comes, also into a pipe */
	return client_ask(t, r, on_line, t, NULL);
}
