/* queue/tool/suspend.c: plumbing. */
#include "queue/tool/suspend.h"

#include <string.h>

#include "queue/tool/client.h"
#include "queue/tool/conditions.h"

static enum tool_exit ask(struct tool *t, json_t *request, const char *done)
{
	json_t *end;
	enum tool_exit code = client_ask(t, request, NULL, NULL, &end);
	uint64_t count = line_number(end, "count");
	json_decref(end);
	if (code != TOOL_OK || t->options->json)
		return code;
	fprintf(t->out, "%s %s", t->options->args[0], done);
	if (count > 1)
		fprintf(t->out, " (%llu suspensions)", (unsigned long long)count);
	fputc('\n', t->out);
	return code;
}

enum tool_exit run_suspend(struct tool *t)
{
	const struct options *o = t->options;
	json_t *r = json_pack("{s:s,s:s}", "command", "suspend", "site", o->args[0]);
	request_number(r, "for_ms", o->for_ms);
	request_text(r, "because", o->because != NULL ? o->because : o->reason);
	return ask(t, r, "suspended");
}

enum tool_exit run_resume(struct tool *t)
{
	return ask(t, json_pack("{s:s,s:s}", "command", "resume", "site", t->options->args[0]), "resumed");
}
