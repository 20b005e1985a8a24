/* queue/tool/reasons.c: plumbing. */
#include "queue/tool/reasons.h"

#include <string.h>

#include "conf/clock.h"
#include "queue/tool/client.h"
#include "queue/tool/conditions.h"
#include "queue/tool/table.h"

enum { NUMBER = 24 };

static const struct column columns[] = {
	{"RCPTS", true, 0},
	{"OLDEST", true, 0},
	{"SITE", false, 12},
	{"OLDEST ID", false, 0},
	{"REASON", false, 20},
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

struct reasons {
	struct tool *tool;
	struct table *table;
	uint64_t now_ms;
	uint64_t count;
	int err;
};

static void print_for_pipe(struct tool *t, const json_t *r)
{
	fprintf(t->out, "%llu\t%llu\t%s\t%s\t%s\n", (unsigned long long)line_number(r, "recipients"),
		(unsigned long long)line_number(r, "messages"), line_text(r, "site"), line_text(r, "id"),
		strcmp(line_text(r, "type"), "others") == 0 ? "(other reasons)" : line_text(r, "reason"));
}

static bool on_reason(void *arg, const json_t *r)
{
	struct reasons *all = arg;
	char count[NUMBER], age[CLOCK_SPAN] = "";
	bool others = strcmp(line_text(r, "type"), "others") == 0;
	uint64_t oldest = line_number(r, "oldest_ms");
	all->count++;
	if (!all->tool->out_is_terminal) {
		print_for_pipe(all->tool, r);
		return true;
	}
	snprintf(count, sizeof count, "%llu", (unsigned long long)line_number(r, "recipients"));
	if (!others)
		clock_span(all->now_ms > oldest ? (all->now_ms - oldest) / 1000 * 1000 : 0, age);
	const char *const cells[COLUMNS] = {count, age, line_text(r, "site"), line_text(r, "id"),
		others ? "(other reasons)" : line_text(r, "reason")};
	if (all->err == 0)
		all->err = table_row(all->table, cells);
	return all->err == 0;
}

enum tool_exit run_reasons(struct tool *t)
{
	struct reasons all = {.tool = t, .table = table_new(columns, COLUMNS), .now_ms = clock_wall_ms()};
	if (all.table == NULL)
		return tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	json_t *r = conditions_request(t->options);
	request_number(r, "limit", t->options->limit);
	enum tool_exit code = client_ask(t, r, on_reason, &all, NULL);
	if (code == TOOL_OK && !t->options->json && t->out_is_terminal && all.count != 0 && all.err == 0)
		all.err = table_print(all.table, t->out, t->width);
	if (all.err != 0)
		code = tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	else if (code == TOOL_OK && all.count == 0 && !t->options->json)
		fprintf(t->err, "relayq: nothing waits for a reason\n");
	table_free(all.table);
	return code;
}
