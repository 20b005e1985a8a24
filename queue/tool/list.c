/* queue/tool/list.c: plumbing. */
#include "queue/tool/list.h"

#include <string.h>

#include "conf/clock.h"
#include "queue/tool/client.h"
#include "queue/tool/conditions.h"
#include "queue/tool/table.h"
#include "queue/tool/text.h"

/* A page is read whole before any of it is printed, and each has a connection of its own: however long the reader of
 * our output takes, nobody waits in the daemon. */
enum { PIPE_PAGE = 1000, LEAST_PAGE = 5, CELL = 4096 };

static const struct column columns[] = {
	{"ID", false, 0},
	{"AGE", true, 0},
	{"SIZE", true, 0},
	{"STATE", false, 0},
	{"SENDER", false, 10},
	{"RECIPIENT", false, 10},
	{"REASON", false, 6},
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

static json_t *request_of(const struct options *o, const char *after, uint64_t limit)
{
	json_t *r = conditions_request(o);
	request_text(r, "after", after);
	request_number(r, "limit", limit);
	return r;
}

static const char *sender_of(const json_t *m)
{
	const char *s = line_text(m, "sender");
	return s[0] ? s : "<>";
}

/* The recipient that says most about the message: the first with a reason. */
static const json_t *speaking_rcpt(const json_t *m)
{
	const json_t *rcpts = json_object_get(m, "rcpts");
	const json_t *r;
	size_t i;
	json_array_foreach(rcpts, i, r) if (line_text(r, "reason")[0]) return r;
	return json_array_get(rcpts, 0);
}

static const char *reason_of(const json_t *m)
{
	const char *own = line_text(m, "reason");
	return own[0] ? own : line_text(speaking_rcpt(m), "reason");
}

/* Recipients joined by commas; how many more there are. */
static void put_rcpts(struct buf *out, const json_t *m, size_t most)
{
	const json_t *rcpts = json_object_get(m, "rcpts");
	size_t n = json_array_size(rcpts), all = (size_t)line_number(m, "rcpt_count");
	for (size_t i = 0; i < n && i < most; i++)
		buf_printf(out, "%s%s", i ? "," : "", line_text(json_array_get(rcpts, i), "address"));
	size_t shown = n < most ? n : most;
	if (all > shown)
		buf_printf(out, "%s(+%zu)", shown ? " " : "", all - shown);
}

static void print_for_pipe(struct tool *t, const json_t *m)
{
	char stamp[CLOCK_STAMP];
	struct buf rcpts;
	buf_init(&rcpts, 65536);
	put_rcpts(&rcpts, m, SIZE_MAX);
	const json_t *r = speaking_rcpt(m);
	const char *redirect = line_text(m, "redirect");
	fprintf(t->out, "%s\t%s\t%s\t%s\t%s\t%llu\t%s\t%s%s%s\n", line_text(m, "id"), sender_of(m),
		rcpts.len ? (char *)rcpts.data : "", line_text(r, "state"),
		clock_stamp(line_number(m, "arrival_ms"), stamp), (unsigned long long)line_number(m, "size"),
		line_text(r, "site"), reason_of(m), *redirect ? "\t" : "", redirect);
	buf_fini(&rcpts);
}

static int print_table(struct tool *t, const json_t *page, uint64_t now_ms)
{
	struct table *table = table_new(columns, COLUMNS);
	int err = table != NULL ? 0 : -1;
	const json_t *m;
	size_t i;
	json_array_foreach(page, i, m)
	{
		char age[CLOCK_SPAN], size[TEXT_SIZE], reason[CELL];
		const char *redirect = line_text(m, "redirect");
		snprintf(reason, sizeof reason, "%s%s%s%s", *redirect ? "(to " : "", redirect, *redirect ? ") " : "",
			reason_of(m));
		struct buf rcpts;
		buf_init(&rcpts, CELL);
		put_rcpts(&rcpts, m, 1);
		uint64_t arrival = line_number(m, "arrival_ms");
		const char *const cells[COLUMNS] = {line_text(m, "id"),
			clock_span(now_ms > arrival ? (now_ms - arrival) / 1000 * 1000 : 0, age),
			text_size(line_number(m, "size"), size), line_text(speaking_rcpt(m), "state"), sender_of(m),
			rcpts.len ? (char *)rcpts.data : "", reason};
		if (err == 0)
			err = table_row(table, cells);
		buf_fini(&rcpts);
	}
	if (err == 0)
		err = table_print(table, t->out, t->width);
	table_free(table);
	return err;
}

static bool gather(void *arg, const json_t *line)
{
	json_t *page = arg;
	return json_array_append(page, (json_t *)(uintptr_t)line) == 0;
}

static enum tool_exit print_page(struct tool *t, const json_t *page, const json_t *end)
{
	if (t->options->json || json_array_size(page) == 0)
		return TOOL_OK;
	if (t->out_is_terminal && print_table(t, page, line_number(end, "now_ms")) != 0)
		return tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	const json_t *m;
	size_t i;
	json_array_foreach(page, i, m) if (!t->out_is_terminal) print_for_pipe(t, m);
	return TOOL_OK;
}

/* True to go on with the next page. */
static bool ask_for_more(struct tool *t)
{
	if (!t->out_is_terminal || !t->in_is_terminal || t->options->json)
		return true;
	fprintf(t->out, "-- Enter: next page, q: end -- ");
	fflush(t->out);
	char answer[64];
	return fgets(answer, sizeof answer, t->in) != NULL && answer[0] != 'q' && answer[0] != 'Q';
}

static bool has_filter(const struct options *o)
{
	return o->sender || o->rcpt || o->site || o->domain || o->state || o->reason || o->older_ms || o->younger_ms ||
	       o->larger || o->after;
}

enum tool_exit run_list(struct tool *t)
{
	const struct options *o = t->options;
	uint64_t page_size = PIPE_PAGE, seen = 0;
	if (t->out_is_terminal && t->in_is_terminal && !o->json)
		page_size = t->height > LEAST_PAGE + 2 ? t->height - 2 : LEAST_PAGE; /* titles, question */
	char after[32];
	snprintf(after, sizeof after, "%s", o->after != NULL ? o->after : "");
	for (;;) {
		uint64_t limit = o->limit != 0 && o->limit - seen < page_size ? o->limit - seen : page_size;
		json_t *page = json_array(), *end;
		enum tool_exit code = client_ask(t, request_of(o, after[0] ? after : NULL, limit), gather, page, &end);
		if (code == TOOL_OK)
			code = print_page(t, page, end);
		json_decref(page);
		seen += line_number(end, "count");
		snprintf(after, sizeof after, "%s", line_text(end, "next"));
		json_decref(end);
		if (code != TOOL_OK)
			return code;
		if (after[0] == '\0' || (o->limit != 0 && seen >= o->limit) || !ask_for_more(t))
			break;
	}
	if (seen == 0 && !o->json)
		fprintf(t->err, "relayq: %s\n",
			has_filter(o) ? "no message meets these conditions" : "the queue is empty");
	return seen == 0 && has_filter(o) ? TOOL_NOTHING : TOOL_OK;
}
