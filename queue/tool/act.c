/* queue/tool/act.c: plumbing. */
#include "queue/tool/act.h"

#include <string.h>

#include "conf/id.h"
#include "queue/tool/client.h"
#include "queue/tool/conditions.h"

enum {
	BATCH = 500,
	INPUT_LINE = 65536
}; /* IDs in one request: far below CONTROL_LINE_MAX of queue/control/protocol.h */

struct work {
	struct tool *tool;
	json_t *ids;
	uint64_t refused;
};

static const char *done_word(const struct tool *t)
{
	static const char *const words[COMMAND_COUNT] = {
		[COMMAND_RETRY] = "due now",
		[COMMAND_HOLD] = "held",
		[COMMAND_RELEASE] = "released",
		[COMMAND_REMOVE] = "removed",
		[COMMAND_BOUNCE] = "returned to its sender",
		[COMMAND_REDIRECT] = "redirected",
	};
	return words[t->options->command - commands];
}

static const char *would(const struct tool *t)
{
	return t->options->dry_run ? "would be " : "";
}

static bool on_done(void *arg, const json_t *line)
{
	struct work *w = arg;
	struct tool *t = w->tool;
	if (line_true(line, "ok")) {
		fprintf(t->out, "%s %s%s%s\n", line_text(line, "id"), would(t), done_word(t),
			line_true(line, "in_transfer") ? " when its transfer ends" : "");
		return true;
	}
	w->refused++;
	fprintf(t->err, "relayq: %s: %s\n", line_text(line, "id"), line_text(line, "text"));
	return true;
}

/* What to do, without to what. */
static json_t *request_of(const struct options *o)
{
	json_t *r = conditions_request(o);
	request_text(r, "because", o->because);
	if (o->command == &commands[COMMAND_REDIRECT])
		request_text(r, "to", o->undo ? "" : o->to);
	if (r != NULL && o->all)
		json_object_set_new(r, "all", json_true());
	if (r != NULL && o->dry_run)
		json_object_set_new(r, "dry_run", json_true());
	return r;
}

static enum tool_exit send_batch(struct work *w)
{
	struct tool *t = w->tool;
	size_t n = json_array_size(w->ids);
	if (n == 0)
		return TOOL_OK;
	json_t *request = request_of(t->options);
	if (request != NULL)
		json_object_set(request, "ids", w->ids);
	json_t *end;
	enum tool_exit code = client_ask(t, request, on_done, w, &end);
	if (code == TOOL_OK && t->options->json)
		w->refused += n - line_number(end, "count");
	json_decref(end);
	json_array_clear(w->ids);
	return code;
}

/* All that meet the conditions: the daemon finds them. */
static enum tool_exit act_on_all(struct work *w)
{
	struct tool *t = w->tool;
	json_t *end;
	enum tool_exit code = client_ask(t, request_of(t->options), on_done, w, &end);
	uint64_t done = line_number(end, "count"), refused = line_number(end, "refused");
	json_decref(end);
	if (code != TOOL_OK)
		return code;
	w->refused = refused;
	if (done + refused == 0)
		return tool_fail(t, TOOL_NOTHING, "no message meets these conditions");
	if (!t->options->json)
		fprintf(t->err, "relayq: %llu %s%s, %llu refused%s\n", (unsigned long long)done, would(t), done_word(t),
			(unsigned long long)refused, t->options->dry_run ? "; nothing was changed" : "");
	return TOOL_OK;
}

static enum tool_exit add(struct work *w, const char *id)
{
	uint64_t first, last;
	if (id_parse_prefix(&first, &last, id) != 0) {
		w->refused++;
		return tool_fail(w->tool, TOOL_OK, "not a queue ID: %.20s", id);
	}
	if (json_array_append_new(w->ids, json_string(id)) != 0)
		return tool_fail(w->tool, TOOL_UNAVAILABLE, "out of memory");
	return json_array_size(w->ids) < BATCH ? TOOL_OK : send_batch(w);
}

/* The first word of each line. */
static enum tool_exit add_input(struct work *w)
{
	static char line[INPUT_LINE];
	enum tool_exit code = TOOL_OK;
	while (code == TOOL_OK && fgets(line, sizeof line, w->tool->in) != NULL) {
		if (strchr(line, '\n') == NULL) { /* the rest of a longer line is not a line */
			for (int c = 0; c != '\n' && c != EOF;)
				c = fgetc(w->tool->in);
		}
		char *word = line + strspn(line, " \t\r\n");
		word[strcspn(word, " \t\r\n")] = '\0';
		if (word[0] != '\0')
			code = add(w, word);
	}
	return code;
}

enum tool_exit run_act(struct tool *t)
{
	struct work w = {.tool = t, .ids = json_array()};
	enum tool_exit code = TOOL_OK;
	for (int i = 0; i < t->options->arg_count && code == TOOL_OK; i++)
		code = strcmp(t->options->args[i], "-") == 0 ? add_input(&w) : add(&w, t->options->args[i]);
	if (code == TOOL_OK)
		code = t->options->arg_count == 0 ? act_on_all(&w) : send_batch(&w);
	json_decref(w.ids);
	return code == TOOL_OK && w.refused != 0 ? TOOL_NOTHING : code;
}
