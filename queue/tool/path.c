/* queue/tool/path.c: plumbing. */
#include "queue/tool/path.h"

#include <errno.h>
#include <string.h>

#include "conf/clock.h"
#include "queue/tool/client.h"
#include "queue/tool/table.h"
#include "queue/tool/text.h"

static const struct column columns[] = {
	{"PATH", false, 12},
	{"CONNECT", true, 0},
	{"GREETING", true, 0},
	{"GOOD", true, 0},
	{"FAULTS", true, 0},
	{"REFUSED", true, 0},
	{"LAST FAULT", false, 12},
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

struct paths {
	struct tool *tool;
	json_t *lines; /* they go into the table behind the end, which has the time */
	int err;
};

static bool on_line(void *arg, const json_t *line)
{
	struct paths *all = arg;
	if (json_array_append(all->lines, (json_t *)(uintptr_t)line) != 0)
		all->err = -ENOMEM;
	return all->err == 0;
}

static bool is(const json_t *line, const char *type)
{
	return strcmp(line_text(line, "type"), type) == 0;
}

static void print_fields(const struct tool *t, const json_t *p)
{
	char stamp[CLOCK_STAMP] = "";
	if (line_number(p, "last_fault_ms") != 0)
		clock_stamp(line_number(p, "last_fault_ms"), stamp);
	fprintf(t->out, "%s\t%s\t%s", line_text(p, "of"), line_text(p, "path"), line_text(p, "state"));
	static const char *const numbers[] = {"connect_ms", "greeting_ms", "successes", "faults", "refusals"};
	for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		fprintf(t->out, "\t%llu", (unsigned long long)line_number(p, numbers[i]));
	fprintf(t->out, "\t%s\t%s\t%s\n", line_text(p, "last_fault"), stamp, line_text(p, "standing"));
}

/* "ipv6: good"; whole, on two lines if it does not fit. */
static void print_standing(const struct tool *t, const json_t *p)
{
	const char *path = line_text(p, "path"), *host = line_text(p, "host"), *standing = line_text(p, "standing");
	bool source = strcmp(line_text(p, "of"), "source") == 0;
	const char *before = source ? "from " : "", *gap = host[0] != '\0' ? " " : "";
	size_t wide =
		2 + strlen(before) + text_columns(path) + strlen(gap) + text_columns(host) + 2 + text_columns(standing);
	fprintf(t->out, "  %s%s%s%s:%s%s\n", before, path, gap, host, wide > t->width ? "\n      " : " ", standing);
}

static int add_row(struct table *table, const json_t *p, uint64_t now_ms)
{
	enum { NUMBER = 24 };
	static const char *const counts[] = {"successes", "faults", "refusals"};
	char connect[CLOCK_SPAN] = "-", greeting[CLOCK_SPAN] = "-", fault[2 * CLOCK_SPAN] = "-", ago[CLOCK_SPAN];
	char numbers[3][NUMBER];
	if (line_number(p, "connect_ms") != 0)
		clock_span(line_number(p, "connect_ms"), connect);
	if (line_number(p, "greeting_ms") != 0)
		clock_span(line_number(p, "greeting_ms"), greeting);
	for (unsigned i = 0; i < 3; i++)
		snprintf(numbers[i], NUMBER, "%llu", (unsigned long long)line_number(p, counts[i]));
	uint64_t at = line_number(p, "last_fault_ms");
	if (at != 0)
		snprintf(fault, sizeof fault, "%.24s, %s ago", line_text(p, "last_fault"),
			clock_span(now_ms > at ? now_ms - at : 0, ago));
	const char *const cells[COLUMNS] = {
		line_text(p, "path"), connect, greeting, numbers[0], numbers[1], numbers[2], fault};
	return table_row(table, cells);
}

static void print_pin(const struct tool *t, const json_t *p)
{
	char until[CLOCK_STAMP] = "unpin";
	if (line_number(p, "until_ms") != 0)
		clock_stamp(line_number(p, "until_ms"), until);
	fprintf(t->out, "  pinned to %s by %s until %s\n", line_text(p, "family"), line_text(p, "by"), until);
}

static int print_page(const struct paths *all, uint64_t now_ms, const char *site)
{
	const struct tool *t = all->tool;
	struct table *table = table_new(columns, COLUMNS);
	int err = table ? 0 : -ENOMEM;
	size_t i;
	const json_t *p;
	fprintf(t->out, "%s\n", site);
	json_array_foreach(all->lines, i, p)
	{
		if (is(p, "pin"))
			print_pin(t, p);
		if (!is(p, "remembered"))
			continue;
		print_standing(t, p);
		if (err == 0 && strcmp(line_text(p, "of"), "source") != 0)
			err = add_row(table, p, now_ms);
	}
	fputc('\n', t->out);
	if (err == 0)
		err = table_print(table, t->out, t->width);
	table_free(table);
	return err;
}

enum tool_exit run_path(struct tool *t)
{
	struct paths all = {.tool = t, .lines = json_array()};
	json_t *end = NULL;
	size_t i;
	const json_t *p;
	enum tool_exit code = client_ask(
		t, json_pack("{s:s,s:s}", "command", "path", "site", t->options->args[0]), on_line, &all, &end);
	if (code == TOOL_OK && !t->options->json && t->out_is_terminal && all.err == 0)
		all.err = print_page(&all, line_number(end, "now_ms"), line_text(end, "summary"));
	else if (code == TOOL_OK && !t->options->json)
		json_array_foreach(all.lines, i, p) if (is(p, "remembered")) print_fields(t, p);
	if (all.err != 0 || all.lines == NULL)
		code = tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	json_decref(end);
	json_decref(all.lines);
	return code;
}
