/* queue/tool/act.c: plumbing. */
#include "queue/tool/act.h"

#include <string.h>

#include "conf/id.h"
#include "queue/tool/client.h"

enum {
	BATCH = 500,
	INPUT_LINE = 65536
}; /* IDs in one request: far below CONTROL_LINE_MAX of queue/control/protocol.h */

struct work {
	struct tool *tool;
	json_t *ids;
	uint64_t refused;
};

static const char *done_word(enum command_id id)
{
	static const char *const words[COMMAND_COUNT] = {
		[COMMAND_RETRY] = "due now",
		[COMMAND_HOLD] = "held",
		[COMMAND_RELEASE] = "released",
		[COMMAND_REMOVE] = "removed",
	};
	return words[id] != NULL ? words[id] : "done";
}

static bool on_done(void *arg, const json_t *line)
{
	struct work *w = arg;
	struct tool *t = w->tool;
	if (line_true(line, "ok")) {
		fprintf(t->out, "%s %s\n", line_text(line, "id"),
			done_word((enum command_id)(t->options->command - commands)));
		return true;
	}
	w->refused++;
	fprintf(t->err, "relayq: %s: %s\n", line_text(line, "id"), line_text(line, "text"));
	return true;
}

static enum tool_exit send_batch(struct work *w)
{
	struct tool *t = w->tool;
	size_t n = json_array_size(w->ids);
	if (n == 0)
		return TOOL_OK;
	json_t *request = json_pack("{s:s,s:O}", "command", t->options->command->name, "ids", w->ids);
	if (t->options->reason != NULL && request != NULL)
		json_object_set_new(request, "reason", json_string(t->options->reason));
	json_t *end;
	enum tool_exit code = client_ask(t, request, on_done, w, &end);
	if (code == TOOL_OK && t->options->json)
		w->refused += n - line_number(end, "count");
	json_decref(end);
	json_array_clear(w->ids);
	return code;
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
		code = send_batch(&w);
	json_decref(w.ids);
	return code == TOOL_OK && w.refused != 0 ? TOOL_NOTHING : code;
}
