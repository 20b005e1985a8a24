/* queue/tool/status.c: plumbing. */
#include "queue/tool/status.h"

#include <string.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "queue/tool/client.h"
#include "queue/tool/table.h"

/* ---- summary ---- */

enum { AGES = 7, NUMBER = 24 };

static const struct column columns[] = {
	{"SITE", false, 12},
	{"RCPTS", true, 0},
	{"5m", true, 0},
	{"15m", true, 0},
	{"1h", true, 0},
	{"4h", true, 0},
	{"1d", true, 0},
	{"3d", true, 0},
	{"MORE", true, 0},
	{"CONN", true, 0},
	{"STATE", false, 8},
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

struct summary {
	struct table *table;
	json_t *suspensions;
	int err;
};

static void print_suspensions(struct tool *t, const json_t *all)
{
	const json_t *s;
	size_t i;
	json_array_foreach(all, i, s)
	{
		char since[CLOCK_STAMP], until[CLOCK_STAMP];
		uint64_t end = line_number(s, "until_ms");
		const char *reason = line_text(s, "reason");
		if (i == 0)
			fprintf(t->out, "\nSuspended by operators:\n");
		fprintf(t->out, "  %s since %s%s%s by %s%s%s\n", line_text(s, "site"),
			clock_stamp(line_number(s, "since_ms"), since), end ? " until " : "",
			end ? clock_stamp(end, until) : "", line_text(s, "by"), *reason ? ": " : "", reason);
	}
}

static bool keep_suspension(struct summary *sum, const json_t *s)
{
	if (json_array_append(sum->suspensions, (json_t *)(uintptr_t)s) != 0)
		sum->err = -1;
	return sum->err == 0;
}

static bool on_site(void *arg, const json_t *s)
{
	struct summary *sum = arg;
	if (strcmp(line_text(s, "type"), "suspension") == 0)
		return keep_suspension(sum, s);
	bool total = strcmp(line_text(s, "type"), "total") == 0;
	char numbers[AGES + 2][NUMBER], span[CLOCK_SPAN], state[600];
	const json_t *ages = json_object_get(s, "ages");
	const char *cells[COLUMNS];
	unsigned c = 0;
	cells[c++] = total ? "(all)" : line_text(s, "name");
	snprintf(numbers[AGES], NUMBER, "%llu", (unsigned long long)line_number(s, "recipients"));
	cells[c++] = numbers[AGES];
	for (unsigned i = 0; i < AGES; i++) {
		json_int_t n = json_integer_value(json_array_get(ages, i));
		snprintf(numbers[i], NUMBER, n != 0 ? "%lld" : ".", (long long)n);
		cells[c++] = numbers[i];
	}
	snprintf(numbers[AGES + 1], NUMBER, "%llu", (unsigned long long)line_number(s, "connections"));
	cells[c++] = numbers[AGES + 1];
	uint64_t probe = line_number(s, "probe_ms"), now = clock_wall_ms();
	if (line_text(s, "suspended")[0])
		snprintf(state, sizeof state, "%s", line_text(s, "suspended"));
	else if (line_true(s, "resting"))
		snprintf(state, sizeof state, "rests, probe in %s: %s",
			clock_span(probe > now ? (probe - now) / 1000 * 1000 : 0, span), line_text(s, "reason"));
	else
		snprintf(state, sizeof state, "%s", line_text(s, "reason"));
	cells[c] = state;
	if (sum->err == 0)
		sum->err = table_row(sum->table, cells);
	return sum->err == 0;
}

enum tool_exit run_summary(struct tool *t)
{
	struct summary sum = {.table = table_new(columns, COLUMNS), .suspensions = json_array()};
	if (sum.table == NULL || sum.suspensions == NULL)
		return tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	json_t *request = json_pack("{s:s}", "command", "summary");
	if (t->options->limit != 0 && request != NULL)
		json_object_set_new(request, "limit", json_integer((json_int_t)t->options->limit));
	enum tool_exit code = client_ask(t, request, on_site, &sum, NULL);
	if (code == TOOL_OK && !t->options->json && sum.err == 0)
		sum.err = table_print(sum.table, t->out, t->out_is_terminal ? t->width : 1000);
	if (code == TOOL_OK && !t->options->json)
		print_suspensions(t, sum.suspensions);
	json_decref(sum.suspensions);
	if (sum.err != 0)
		code = tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	table_free(sum.table);
	return code;
}

/* ---- status ---- */

static const char *help_of(const char *counter)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (strcmp(counter_name((enum counter)i), counter) == 0)
			return counter_help((enum counter)i);
	return "";
}

static bool on_status(void *arg, const json_t *s)
{
	struct tool *t = arg;
	char stamp[CLOCK_STAMP], span[CLOCK_SPAN];
	uint64_t started = line_number(s, "started_ms"), now = line_number(s, "now_ms");
#define N(name) (unsigned long long)line_number(s, name)
	fprintf(t->out, "relay64 %s, up for %s (since %s)\n", line_text(s, "version"),
		clock_span(now > started ? (now - started) / 1000 * 1000 : 0, span), clock_stamp(started, stamp));
	fprintf(t->out, "spool        %s: %s, %llu journal segments\n", line_text(s, "spool"), line_text(s, "storage"),
		N("journal_segments"));
	fprintf(t->out, "queue        %llu messages, %llu recipients; %llu held, %llu damaged\n", N("messages"),
		N("recipients"), N("held"), N("damaged"));
	fprintf(t->out, "destinations %llu sites, %llu resting; %llu connections, %llu being dialled\n", N("sites"),
		N("resting"), N("connections"), N("dials"));
	const json_t *f = json_object_get(s, "families");
	fprintf(t->out, "families     IPv4: %s; IPv6: %s; NAT64: %s\n", line_text(f, "ipv4"), line_text(f, "ipv6"),
		line_text(f, "nat64"));
#undef N
	fprintf(t->out, "\nCounted since the start (what is 0 is left out):\n");
	json_t *counters = json_object_get(s, "counters"), *v;
	const char *name;
	json_object_foreach(counters, name, v) if (json_integer_value(v) != 0)
		fprintf(t->out, "%12lld  %s (%s)\n", (long long)json_integer_value(v), help_of(name), name);
	return true;
}

enum tool_exit run_status(struct tool *t)
{
	return client_ask(t, json_pack("{s:s}", "command", "status"), on_status, t, NULL);
}

/* ---- version ---- */

static bool on_version(void *arg, const json_t *v)
{
	struct tool *t = arg;
	fprintf(t->out, "relay64 %s\n", line_text(v, "version"));
	return true;
}

enum tool_exit run_version(struct tool *t)
{
	if (t->options->json)
		fprintf(t->out, "{\"type\":\"relayq\",\"version\":\"%s\"}\n", RELAY64_VERSION);
	else
		fprintf(t->out, "relayq %s\n", RELAY64_VERSION);
	return client_ask(t, json_pack("{s:s}", "command", "version"), on_version, t, NULL);
}
