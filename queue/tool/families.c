/* queue/tool/families.c: plumbing. */
#include "queue/tool/families.h"

#include <string.h>

#include "conf/clock.h"
#include "queue/tool/client.h"
#include "queue/tool/conditions.h"
#include "queue/tool/table.h"

enum { FAMILIES = 3, OVERS = 2, CELLS = FAMILIES * OVERS, CELL = 24 };

struct page {
	struct tool *tool;
	json_t *lines[CELLS]; /* hour: IPv4, IPv6, NAT64; day: likewise */
	struct table *broken;
	uint64_t broken_count, more;
	int err;
};

/* ---- cells ---- */

static void number_cell(const json_t *line, const char *name, char out[CELL])
{
	uint64_t n = line_number(line, name);
	if (n == 0)
		snprintf(out, CELL, "-");
	else
		snprintf(out, CELL, "%llu", (unsigned long long)n);
}

static void bytes_cell(const json_t *line, const char *name, char out[CELL])
{
	static const char units[] = "BKMGT";
	double n = (double)line_number(line, name);
	unsigned unit = 0;
	while (n >= 1000 && unit + 2 < sizeof units) {
		n /= 1024;
		unit++;
	}
	if (n == 0)
		snprintf(out, CELL, "-");
	else
		snprintf(out, CELL, n < 10 && unit > 0 ? "%.1f%c" : "%.0f%c", n, units[unit]);
}

/* A percentile of a span; "-" where nothing was measured. */
static void span_cell(const json_t *line, const char *name, const char *which, char out[CELL])
{
	const json_t *spread = json_object_get(line, name);
	char span[CLOCK_SPAN];
	snprintf(out, CELL, "%s",
		line_number(spread, "count") == 0 ? "-" : clock_span(line_number(spread, which), span));
}

static void failover_cell(const json_t *line, const char *why, char out[CELL])
{
	const json_t *steps = json_object_get(json_object_get(line, "failovers"), why), *n;
	const char *step;
	uint64_t all = 0;
	json_object_foreach((json_t *)(uintptr_t)steps, step, n) all += (uint64_t)json_integer_value(n);
	snprintf(out, CELL, "%llu", (unsigned long long)all);
	if (all == 0)
		snprintf(out, CELL, "-");
}

/* ---- the page ---- */

/* The rows of the page, in their order; a row without a name is empty. */
static const struct row {
	const char *label;
	enum { NOTHING, NUMBER, BYTES, MEDIAN, NINETY, FAILOVER } kind;
	const char *name;
} rows[] = {
	{"recipients delivered", NUMBER, "delivered"},
	{"  deferred", NUMBER, "deferred"},
	{"  failed", NUMBER, "failed"},
	{"bytes", BYTES, "bytes"},
	{"delay, median", MEDIAN, "delay"},
	{"  9 of 10 below", NINETY, "delay"},
	{"connect, median", MEDIAN, "connect"},
	{"greeting, median", MEDIAN, "greeting"},
	{"", NOTHING, NULL},
	{"races won", NUMBER, "won"},
	{"  nothing beside it", NUMBER, "won_alone"},
	{"  the other failed", NUMBER, "won_failed"},
	{"  it was quicker", NUMBER, "won_slower"},
	{"    by, median", MEDIAN, "lead"},
	{"connections tried", NUMBER, "attempts"},
	{"  not needed", NUMBER, "unused"},
	{"probes", NUMBER, "probes"},
	{"  it works again", NUMBER, "probes_good"},
	{"", NOTHING, NULL},
	{"left for another", NOTHING, NULL},
	{"  refused for it", FAILOVER, "policy"},
	{"  block list", FAILOVER, "listed"},
	{"  fault", FAILOVER, "fault"},
	{"  black hole", FAILOVER, "silent"},
};

static void cell_of(const struct row *row, const json_t *line, char out[CELL])
{
	switch (row->kind) {
	case NUMBER:
		number_cell(line, row->name, out);
		break;
	case BYTES:
		bytes_cell(line, row->name, out);
		break;
	case MEDIAN:
		span_cell(line, row->name, "p50", out);
		break;
	case NINETY:
		span_cell(line, row->name, "p90", out);
		break;
	case FAILOVER:
		failover_cell(line, row->name, out);
		break;
	default:
		out[0] = '\0';
	}
}

static void print_page(const struct page *p)
{
	FILE *out = p->tool->out;
	fprintf(out, "%-20s %27s   %27s\n", "", "LAST HOUR", "LAST DAY");
	fprintf(out, "%-20s %9s%9s%9s   %9s%9s%9s\n", "", "IPv4", "IPv6", "NAT64", "IPv4", "IPv6", "NAT64");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char cells[CELLS][CELL];
		if (rows[i].kind == NOTHING) {
			fprintf(out, "%s\n", rows[i].label);
			continue;
		}
		for (unsigned c = 0; c < CELLS; c++)
			cell_of(&rows[i], p->lines[c], cells[c]);
		fprintf(out, "%-20s %9s%9s%9s   %9s%9s%9s\n", rows[i].label, cells[0], cells[1], cells[2], cells[3],
			cells[4], cells[5]);
	}
}

static bool take_families(struct page *p, const json_t *line)
{
	static const char *const families[FAMILIES] = {"ipv4", "ipv6", "nat64"};
	unsigned at = strcmp(line_text(line, "over"), "day") == 0 ? FAMILIES : 0;
	for (unsigned f = 0; f < FAMILIES; f++)
		if (strcmp(line_text(line, "family"), families[f]) == 0 && p->lines[at + f] == NULL)
			p->lines[at + f] = json_deep_copy(line);
	return true;
}

static bool on_line(void *arg, const json_t *line)
{
	struct page *p = arg;
	const char *type = line_text(line, "type");
	char since[CLOCK_STAMP], next[CLOCK_STAMP];
	if (strcmp(type, "families") == 0)
		return take_families(p, line);
	if (strcmp(type, "more_broken") == 0)
		p->more = line_number(line, "count");
	if (strcmp(type, "broken") != 0)
		return true;
	bool refused = strcmp(line_text(line, "state"), "refused") == 0;
	const char *const cells[] = {line_text(line, "site"), line_text(line, "family"),
		refused ? "refused for it" : line_text(line, "fault"),
		clock_stamp(line_number(line, "since_ms"), since), clock_stamp(line_number(line, "next_ms"), next)};
	p->broken_count++;
	p->err = table_row(p->broken, cells);
	return p->err == 0;
}

static const struct column columns[] = {
	{"SITE", false, 16},
	{"FAMILY", false, 0},
	{"WHY", false, 0},
	{"SINCE", false, 0},
	{"TRIED AGAIN", false, 11},
};

enum tool_exit run_families(struct tool *t)
{
	struct page p = {.tool = t, .broken = table_new(columns, sizeof columns / sizeof columns[0])};
	if (p.broken == NULL)
		return tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	json_t *r = json_pack("{s:s}", "command", "families");
	request_number(r, "limit", t->options->limit);
	enum tool_exit code = client_ask(t, r, on_line, &p, NULL);
	if (code == TOOL_OK && !t->options->json) {
		print_page(&p);
		fprintf(t->out,
			p.broken_count ? "\nOut of use now, the latest first:\n" : "\nNo site has a broken family.\n");
		if (p.broken_count > 0 && p.err == 0)
			p.err = table_print(p.broken, t->out, t->width);
		if (p.more > 0)
			fprintf(t->out, "and %llu more: --limit\n", (unsigned long long)p.more);
	}
	if (p.err != 0)
		code = tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	for (unsigned i = 0; i < CELLS; i++)
		json_decref(p.lines[i]);
	table_free(p.broken);
	return code;
}
