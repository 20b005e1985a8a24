/* queue/tool/trace.c: plumbing. */
#include "queue/tool/trace.h"

#include <string.h>

#include "conf/clock.h"
#include "queue/tool/client.h"

struct steps {
	struct tool *tool;
	unsigned candidates, paths;
};

static void print_candidate(struct steps *s, const json_t *c)
{
	struct tool *t = s->tool;
	char way[WAY_TEXT];
	const char *history = line_text(c, "history"), *why = line_text(c, "why"), *host = line_text(c, "host");
	if (s->candidates++ == 0)
		fprintf(t->out, "\nAddresses, in the order in which they would be tried:\n");
	fprintf(t->out, "  %u. %s%s%s (preference %llu)", s->candidates, line_way(c, way), *host ? " " : "", host,
		(unsigned long long)line_number(c, "preference"));
	if (!line_true(c, "usable"))
		fprintf(t->out, " not usable: %s", why);
	fputc('\n', t->out);
	if (history[0])
		fprintf(t->out, "      %s\n", history);
}

static void print_path(struct steps *s, const json_t *p)
{
	struct tool *t = s->tool;
	char began[CLOCK_SPAN], took[CLOCK_SPAN], way[WAY_TEXT];
	const json_t *reply = json_object_get(p, "reply");
	if (s->paths++ == 0)
		fprintf(t->out, "\nTried now:\n");
	fprintf(t->out, "  at %s: %s %s: %s after %s\n", clock_span(line_number(p, "started_ms"), began),
		line_way(p, way), line_text(p, "host"),
		strcmp(line_text(p, "fault"), "ok") == 0 ? "ready for mail" : line_text(p, "fault_text"),
		clock_span(line_number(p, "total_ms"), took));
	uint64_t code = line_number(reply, "code");
	if (code != 0)
		fprintf(t->out, "      %llu %s\n", (unsigned long long)code, line_text(reply, "text"));
	else if (line_text(reply, "text")[0])
		fprintf(t->out, "      %s\n", line_text(reply, "text"));
}

static bool on_line(void *arg, const json_t *line)
{
	struct steps *s = arg;
	const char *type = line_text(line, "type");
	if (strcmp(type, "route") == 0)
		fprintf(s->tool->out, "%s\n", line_text(line, "text"));
	else if (strcmp(type, "candidate") == 0)
		print_candidate(s, line);
	else if (strcmp(type, "path") == 0)
		print_path(s, line);
	fflush(s->tool->out); /* each as it happens */
	return true;
}

enum tool_exit run_trace(struct tool *t)
{
	struct steps s = {.tool = t};
	json_t *end;
	enum tool_exit code = client_ask(t,
		json_pack("{s:s,s:s,s:b}", "command", "trace", "domain", t->options->args[0], "connect",
			(int)t->options->connect),
		on_line, &s, &end);
	if (code == TOOL_OK && !t->options->json && line_text(end, "summary")[0])
		fprintf(t->out, "\n%s\n", line_text(end, "summary"));
	json_decref(end);
	return code;
}
