/* queue/tool/show.c: plumbing. */
#include "queue/tool/show.h"

#include <string.h>

#include "conf/clock.h"
#include "conf/utf8.h"
#include "queue/tool/client.h"
#include "queue/tool/text.h"

struct page {
	struct tool *tool;
	unsigned rcpts, attempts;
};

static void print_message(struct tool *t, const json_t *m)
{
	char stamp[CLOCK_STAMP], size[TEXT_SIZE], span[CLOCK_SPAN];
	const char *sender = line_text(m, "sender"), *reason = line_text(m, "reason");
	uint64_t arrival = line_number(m, "arrival_ms"), now = clock_wall_ms();
	fprintf(t->out, "Message    %s\n", line_text(m, "id"));
	fprintf(t->out, "Sender     <%s>%s\n", sender,
		sender[0] ? "" : " (a bounce, or another notice without return)");
	fprintf(t->out, "Arrived    %s (%s ago)\n", clock_stamp(arrival, stamp),
		clock_span(now > arrival ? (now - arrival) / 1000 * 1000 : 0, span));
	fprintf(t->out, "Size       %s\n", text_size(line_number(m, "size"), size));
	const json_t *flags = json_object_get(m, "flags"), *f;
	size_t i;
	json_array_foreach(flags, i, f) fprintf(t->out, "%s%s", i ? ", " : "Flags      ", json_string_value(f));
	if (i != 0)
		fputc('\n', t->out);
	if (reason[0])
		fprintf(t->out, "Reason     %s\n", reason);
	if (line_text(m, "redirect")[0])
		fprintf(t->out, "Redirected to %s\n", line_text(m, "redirect"));
}

/* "now", or the time and how long that is from now. */
static void print_next(struct tool *t, uint64_t next_ms)
{
	char stamp[CLOCK_STAMP], span[CLOCK_SPAN];
	uint64_t now = clock_wall_ms();
	if (next_ms <= now)
		fprintf(t->out, "due now");
	else
		fprintf(t->out, "next try %s (in %s)", clock_stamp(next_ms, stamp),
			clock_span((next_ms - now) / 1000 * 1000, span));
}

static void print_rcpt(struct page *p, const json_t *r)
{
	struct tool *t = p->tool;
	const char *state = line_text(r, "state"), *site = line_text(r, "site"), *reason = line_text(r, "reason");
	char stamp[CLOCK_STAMP];
	if (p->rcpts++ == 0)
		fprintf(t->out, "\nRecipients that are not finished:\n");
	fprintf(t->out, "  <%s> %s", line_text(r, "address"), state);
	if (strcmp(state, "deferred") == 0 || strcmp(state, "resting") == 0) {
		fputs(", ", t->out);
		print_next(t, line_number(r, "next_ms"));
	} else if (strcmp(state, "suspended") == 0 && line_number(r, "next_ms") == 0) {
		fputs(" until its site is resumed", t->out);
	} else if (strcmp(state, "suspended") == 0) {
		fprintf(t->out, " until %s", clock_stamp(line_number(r, "next_ms"), stamp));
	}
	fprintf(t->out, ", %llu attempt%s", (unsigned long long)line_number(r, "attempts"),
		line_number(r, "attempts") == 1 ? "" : "s");
	if (site[0])
		fprintf(t->out, ", site %s", site);
	fputc('\n', t->out);
	if (reason[0])
		fprintf(t->out, "      %s\n", reason);
}

static void print_reply(struct tool *t, const json_t *reply)
{
	uint64_t code = line_number(reply, "code");
	if (code != 0)
		fprintf(t->out, "%llu ", (unsigned long long)code);
	if (line_text(reply, "enhanced")[0])
		fprintf(t->out, "%s ", line_text(reply, "enhanced"));
	fprintf(t->out, "%s\n", line_text(reply, "text"));
}

static void print_path(struct tool *t, const json_t *path)
{
	char span[CLOCK_SPAN], a[CLOCK_SPAN], b[CLOCK_SPAN], way[WAY_TEXT];
	const json_t *reply = json_object_get(path, "reply");
	bool ok = strcmp(line_text(path, "fault"), "ok") == 0;
	const char *host = line_text(path, "host"); /* an address literal has none */
	fprintf(t->out, "    %s%s%s (preference %llu): %s, %s", line_way(path, way), *host ? " " : "", host,
		(unsigned long long)line_number(path, "preference"),
		ok ? "ready for mail" : line_text(path, "fault_text"), clock_span(line_number(path, "total_ms"), span));
	if (json_object_get(path, "connect_ms") != NULL)
		fprintf(t->out, " (connected after %s", clock_span(line_number(path, "connect_ms"), a));
	if (json_object_get(path, "connect_ms") != NULL && json_object_get(path, "greeting_ms") != NULL)
		fprintf(t->out, ", greeted after %s", clock_span(line_number(path, "greeting_ms"), b));
	fputs(json_object_get(path, "connect_ms") != NULL ? ")\n" : "\n", t->out);
	if (line_number(reply, "code") != 0 || line_text(reply, "text")[0]) {
		fputs("        ", t->out);
		print_reply(t, reply);
	}
}

static void print_attempt(struct page *p, const json_t *a)
{
	struct tool *t = p->tool;
	char stamp[CLOCK_STAMP], span[CLOCK_SPAN];
	if (p->attempts++ == 0)
		fprintf(t->out, "\nAttempts, oldest first:\n");
	const char *site = line_text(a, "site"); /* none where an operator ended it */
	fprintf(t->out, "  %s%s%s, took %s", clock_stamp(line_number(a, "when_ms"), stamp), *site ? " site " : "", site,
		clock_span(line_number(a, "took_ms"), span));
	if (line_number(a, "next_ms") != 0)
		fprintf(t->out, ", next try %s", clock_stamp(line_number(a, "next_ms"), stamp));
	fputc('\n', t->out);
	const json_t *item, *replies = json_object_get(a, "replies");
	size_t i;
	json_array_foreach(json_object_get(a, "paths"), i, item) print_path(t, item);
	json_array_foreach(json_object_get(a, "rcpts"), i, item)
	{
		fprintf(t->out, "    <%s> %s: ", line_text(item, "address"), line_text(item, "status"));
		print_reply(t, json_array_get(replies, (size_t)line_number(item, "reply")));
	}
	uint64_t all = line_number(a, "rcpt_count");
	if (all > i)
		fprintf(t->out, "    and %llu recipients more\n", (unsigned long long)(all - i));
}

static bool on_show(void *arg, const json_t *line)
{
	struct page *p = arg;
	const char *type = line_text(line, "type");
	if (strcmp(type, "message") == 0)
		print_message(p->tool, line);
	else if (strcmp(type, "rcpt") == 0)
		print_rcpt(p, line);
	else if (strcmp(type, "attempt") == 0)
		print_attempt(p, line);
	return true;
}

enum tool_exit run_show(struct tool *t)
{
	enum tool_exit worst = TOOL_OK;
	for (int i = 0; i < t->options->arg_count; i++) {
		if (i != 0 && !t->options->json)
			fputc('\n', t->out);
		struct page p = {.tool = t};
		enum tool_exit code = client_ask(
			t, json_pack("{s:s,s:s}", "command", "show", "id", t->options->args[i]), on_show, &p, NULL);
		if (code == TOOL_OK && p.attempts == 0 && !t->options->json)
			fprintf(t->out, "\nNo attempt has been made yet.\n");
		if (code > worst)
			worst = code;
		if (code == TOOL_UNAVAILABLE)
			break;
	}
	return worst;
}

/* ---- cat ---- */

struct content {
	struct tool *tool;
	/* Decoded, not yet printed: the beginning of a character whose end comes with the next piece. */
	struct buf rest;
	bool bad;
};

enum { CONTENT_MAX = 1 << 20 };

/* For a terminal: lines as they are, everything else clean. */
static void print_clean(struct content *c, bool last)
{
	struct buf line;
	buf_init(&line, CONTENT_MAX * 6);
	size_t at = 0;
	while (at < c->rest.len) {
		const uint8_t *p = c->rest.data + at;
		size_t left = c->rest.len - at, n = 0;
		while (n < left && p[n] != '\r' && p[n] != '\n' && p[n] != '\t')
			n++;
		size_t whole = n;
		if (n == left && !last) { /* maybe cut inside a character */
			while (whole > 0 && n - whole < 3 && (p[whole - 1] & 0xc0) == 0x80)
				whole--;
			if (whole > 0 && p[whole - 1] >= 0xc0)
				whole--;
			else
				whole = n;
		}
		buf_reset(&line);
		c->bad = c->bad || text_clean(&line, p, whole) != 0;
		if (line.len != 0)
			fwrite(line.data, 1, line.len, c->tool->out);
		at += whole;
		if (whole < n || n == left)
			break;
		if (p[n] != '\r')
			fputc(p[n], c->tool->out);
		else if (n + 1 < left && p[n + 1] != '\n')
			fputs("\\x0d", c->tool->out);
		at++;
	}
	buf_consume(&c->rest, at);
	buf_fini(&line);
}

static bool on_content(void *arg, const json_t *line)
{
	struct content *c = arg;
	const char *s = line_text(line, "base64");
	if (text_base64(&c->rest, s, strlen(s)) != 0) {
		c->bad = true;
		return false;
	}
	if (c->tool->out_is_terminal) {
		print_clean(c, false);
		return !c->bad && !ferror(c->tool->out);
	}
	fwrite(c->rest.data, 1, c->rest.len, c->tool->out);
	buf_reset(&c->rest);
	return !ferror(c->tool->out);
}

enum tool_exit run_cat(struct tool *t)
{
	struct content c = {.tool = t};
	buf_init(&c.rest, CONTENT_MAX);
	enum tool_exit code = client_ask(
		t, json_pack("{s:s,s:s}", "command", "cat", "id", t->options->args[0]), on_content, &c, NULL);
	if (t->out_is_terminal)
		print_clean(&c, true);
	buf_fini(&c.rest);
	if (c.bad)
		return tool_fail(t, TOOL_UNAVAILABLE, "the daemon's answer could not be read");
	return code;
}
