/* queue/tool/pin.c: plumbing. */
#include "queue/tool/pin.h"

#include <string.h>

#include "conf/clock.h"
#include "queue/tool/client.h"
#include "queue/tool/conditions.h"
#include "queue/tool/table.h"

static const struct column columns[] = {
	{"SITE", false, 12},
	{"FAMILY", false, 0},
	{"UNTIL", false, 0},
	{"BY", false, 8},
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

struct pins {
	struct tool *tool;
	struct table *table;
	uint64_t count;
	int err;
};

static bool on_pin(void *arg, const json_t *p)
{
	struct pins *all = arg;
	char until[CLOCK_STAMP] = "unpin";
	if (line_number(p, "until_ms") != 0)
		clock_stamp(line_number(p, "until_ms"), until);
	const char *const cells[COLUMNS] = {line_text(p, "site"), line_text(p, "family"), until, line_text(p, "by")};
	all->count++;
	if (!all->tool->out_is_terminal)
		fprintf(all->tool->out, "%s\t%s\t%s\t%s\n", cells[0], cells[1], cells[2], cells[3]);
	else if (all->err == 0)
		all->err = table_row(all->table, cells);
	return all->err == 0;
}

static enum tool_exit list(struct tool *t)
{
	struct pins all = {.tool = t, .table = table_new(columns, COLUMNS)};
	if (all.table == NULL)
		return tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	enum tool_exit code = client_ask(t, json_pack("{s:s}", "command", "pins"), on_pin, &all, NULL);
	if (code == TOOL_OK && !t->options->json && all.count == 0)
		fprintf(t->err, "relayq: no site is pinned\n");
	else if (code == TOOL_OK && !t->options->json && t->out_is_terminal && all.err == 0)
		all.err = table_print(all.table, t->out, t->width);
	if (all.err != 0)
		code = tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	table_free(all.table);
	return code;
}

enum tool_exit run_pin(struct tool *t)
{
	const struct options *o = t->options;
	if (o->arg_count == 0 && o->for_ms == 0)
		return list(t);
	if (o->arg_count != 2)
		return tool_fail(
			t, TOOL_USAGE, "usage: relayq pin SITE ipv4|ipv6 [--for TIME]; relayq pin alone lists");
	json_t *r = json_pack("{s:s,s:s,s:s}", "command", "pin", "site", o->args[0], "family", o->args[1]);
	request_number(r, "for_ms", o->for_ms);
	enum tool_exit code = client_ask(t, r, NULL, NULL, NULL);
	if (code == TOOL_OK && !o->json)
		fprintf(t->out, "%s pinned to %s\n", o->args[0], o->args[1]);
	return code;
}

enum tool_exit run_unpin(struct tool *t)
{
	const char *site = t->options->args[0];
	enum tool_exit code = client_ask(t, json_pack("{s:s,s:s}", "command", "unpin", "site", site), NULL, NULL, NULL);
	if (code == TOOL_OK && !t->options->json)
		fprintf(t->out, "%s unpinned\n", site);
	return code;
}
