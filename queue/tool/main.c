/* queue/tool/main.c: relayq, what looks into the queue of relay64 and acts on it. Plumbing. */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "queue/tool/act.h"
#include "queue/tool/client.h"
#include "queue/tool/config.h"
#include "queue/tool/doctor.h"
#include "queue/tool/families.h"
#include "queue/tool/list.h"
#include "queue/tool/options.h"
#include "queue/tool/path.h"
#include "queue/tool/pin.h"
#include "queue/tool/reasons.h"
#include "queue/tool/show.h"
#include "queue/tool/status.h"
#include "queue/tool/suspend.h"
#include "queue/tool/survey.h"
#include "queue/tool/tail.h"
#include "queue/tool/trace.h"
#include "queue/tool/verify.h"

enum { WIDTH = 80, HEIGHT = 24, LEAST_WIDTH = 40, MOST_WIDTH = 1000 };

static enum tool_exit run_help(struct tool *t)
{
	const struct options *o = t->options;
	const struct command *c = o->arg_count != 0 ? command_find(o->args[0]) : NULL;
	if (o->arg_count != 0 && c == NULL) {
		const char *meant = command_suggest(o->args[0]);
		return tool_fail(t, TOOL_USAGE, "no such command%s%s",
			meant ? ": did you mean " : "; relayq help lists them", meant ? meant : "");
	}
	command_help(t->out, c);
	return TOOL_OK;
}

static enum tool_exit (*const runs[COMMAND_COUNT])(struct tool *t) = {
	[COMMAND_LIST] = run_list,
	[COMMAND_SHOW] = run_show,
	[COMMAND_CAT] = run_cat,
	[COMMAND_SUMMARY] = run_summary,
	[COMMAND_RETRY] = run_act,
	[COMMAND_HOLD] = run_act,
	[COMMAND_RELEASE] = run_act,
	[COMMAND_REMOVE] = run_act,
	[COMMAND_BOUNCE] = run_act,
	[COMMAND_REDIRECT] = run_act,
	[COMMAND_REASONS] = run_reasons,
	[COMMAND_TAIL] = run_tail,
	[COMMAND_SUSPEND] = run_suspend,
	[COMMAND_RESUME] = run_resume,
	[COMMAND_CONFIG] = run_config,
	[COMMAND_PATH] = run_path,
	[COMMAND_PIN] = run_pin,
	[COMMAND_UNPIN] = run_unpin,
	[COMMAND_FAMILIES] = run_families,
	[COMMAND_TRACE] = run_trace,
	[COMMAND_STATUS] = run_status,
	[COMMAND_VERIFY] = run_verify,
	[COMMAND_DOCTOR] = run_doctor,
	[COMMAND_SURVEY] = run_survey,
	[COMMAND_VERSION] = run_version,
	[COMMAND_HELP] = run_help,
};

static void measure_terminal(struct tool *t)
{
	struct winsize w = {0};
	const char *columns = getenv("COLUMNS"), *lines = getenv("LINES");
	t->width = WIDTH;
	t->height = HEIGHT;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col != 0 && w.ws_row != 0) {
		t->width = w.ws_col;
		t->height = w.ws_row;
	}
	if (columns != NULL && atoi(columns) > 0)
		t->width = (unsigned)atoi(columns);
	if (lines != NULL && atoi(lines) > 0)
		t->height = (unsigned)atoi(lines);
	t->width = t->width < LEAST_WIDTH ? LEAST_WIDTH : t->width > MOST_WIDTH ? MOST_WIDTH : t->width;
	t->height = t->height > MOST_WIDTH ? MOST_WIDTH : t->height;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct tool t = {.options = &options,
		.in = stdin,
		.out = stdout,
		.err = stderr,
		.out_is_terminal = isatty(STDOUT_FILENO) == 1,
		.in_is_terminal = isatty(STDIN_FILENO) == 1,
		.err_is_terminal = isatty(STDERR_FILENO) == 1,
		.environment = getenv("RELAY64_CONTROL")};
	char why[256];
	setlocale(LC_CTYPE, "");
	if (t.environment != NULL && t.environment[0] == '\0')
		t.environment = NULL;
	if (options_parse(&options, argc, argv, why) != 0)
		return tool_fail(&t, TOOL_USAGE, "%s", why);
	measure_terminal(&t);
	enum tool_exit code = runs[options.command - commands](&t);
	if (fflush(stdout) != 0 && code == TOOL_OK)
		return tool_fail(&t, TOOL_UNAVAILABLE, "the output could not be written");
	return (int)code;
}
