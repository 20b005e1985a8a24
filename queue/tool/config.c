/* queue/tool/config.c: plumbing. */
#include "queue/tool/config.h"

#include <string.h>

#include "queue/tool/client.h"
#include "queue/tool/conditions.h"

enum { COMMENT_COLUMN = 48 };

/* "retry.first", "route example.com: relay" */
static int print_name(struct tool *t, const json_t *s)
{
	const char *block = line_text(s, "block"), *title = line_text(s, "title"), *key = line_text(s, "key");
	const char *between = !*key ? "" : *title ? ": " : *block ? "." : "";
	return fprintf(t->out, "%s%s%s%s%s", block, *title ? " " : "", title, between, key);
}

static bool on_setting(void *arg, const json_t *s)
{
	struct tool *t = arg;
	int n = print_name(t, s);
	const json_t *value = json_object_get(s, "value");
	if (json_is_null(value))
		n += fprintf(t->out, " is not set");
	else if (line_text(s, "key")[0])
		n += fprintf(t->out, " = %s", line_text(s, "value"));
	fprintf(t->out, "%*s# %s\n", n < COMMENT_COLUMN ? COMMENT_COLUMN - n : 1, "", line_text(s, "from"));
	if (t->options->arg_count != 0)
		fprintf(t->out, "    %s%s\n", line_text(s, "help"),
			line_true(s, "restart") ? " (a change needs a restart)" : "");
	return true;
}

enum tool_exit run_config(struct tool *t)
{
	json_t *r = json_pack("{s:s}", "command", "config");
	request_text(r, "key", t->options->arg_count != 0 ? t->options->args[0] : NULL);
	return client_ask(t, r, on_setting, t, NULL);
}
