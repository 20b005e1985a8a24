/* queue/tool/survey.c: plumbing. */
#include "queue/tool/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/value.h"
#include "queue/doctor/settings.h"
#include "queue/survey/line.h"
#include "queue/survey/progress.h"
#include "queue/survey/results.h"
#include "queue/survey/survey.h"
#include "queue/tool/client.h"
#include "queue/tool/survey_page.h"

enum { DNS_PORT = 53, PIPE_WIDTH = 80, ERRORS_SHOWN = 20, ERRORS_MAX = 65536 };

struct job {
	struct tool *tool;
	const char *name; /* of the list, for people */
	struct survey_list list;
	struct results results;
	size_t skipped; /* lines that name no domain */
	size_t before;	/* answered by an earlier run */
	uint64_t started_ms;
	bool bar; /* a progress bar stands in the terminal's last line */
	int keep_err;
	struct endpoint servers[OPTION_VALUES_MAX];
	struct conf *conf;
};

/* ---- the list ---- */

static int take_line(struct job *j, size_t number, const char *text, size_t len)
{
	struct survey_line line;
	char why[SURVEY_WHY];
	int err = len <= SURVEY_LINE_MAX ? survey_line_read(&line, text, len, why) : -EINVAL;
	if (err == -EINVAL) {
		if (++j->skipped <= ERRORS_SHOWN)
			fprintf(j->tool->err, "relayq: %s:%zu: %s\n", j->name, number,
				len <= SURVEY_LINE_MAX ? why : "the line is too long; expected at most 1024 bytes");
		return 0;
	}
	if (err != 0 || line.domain[0] == '\0')
		return err;
	j->list.weighted = j->list.weighted || line.weighted;
	return survey_list_add(&j->list, line.domain, line.weight);
}

/* What does not fit into `text` is passed over; `len` is past its size then. */
static int read_lines(struct job *j, FILE *f)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, at the beginning of some files */
	char text[SURVEY_LINE_MAX];
	size_t len = 0, number = 1;
	int c, err = 0;
	do {
		c = getc_unlocked(f);
		if (c != EOF && c != '\n') {
			if (len < sizeof text)
				text[len] = (char)c;
			len += len <= sizeof text;
			continue;
		}
		if (len != 0) {
			bool marked = number == 1 && len >= 3 && memcmp(text, mark, 3) == 0;
			err = take_line(j, number, text + (marked ? 3 : 0), len - (marked ? 3 : 0));
		}
		number++;
		len = 0;
	} while (c != EOF && err == 0);
	return err == 0 && ferror(f) ? -EIO : err;
}

static enum tool_exit read_list(struct job *j)
{
	struct tool *t = j->tool;
	const char *path = t->options->args[0];
	bool standard = strcmp(path, "-") == 0;
	FILE *f = standard ? t->in : fopen(path, "re");
	j->name = standard ? "standard input" : path;
	if (f == NULL)
		return tool_fail(t, TOOL_UNAVAILABLE, "%s: %s", path, strerror(errno));
	int err = read_lines(j, f);
	if (!standard)
		fclose(f);
	if (j->skipped > ERRORS_SHOWN)
		fprintf(t->err, "relayq: %s: and %zu more lines that name no domain\n", j->name,
			j->skipped - ERRORS_SHOWN);
	if (err == -E2BIG)
		return tool_fail(t, TOOL_DAMAGED, "%s: more than %d domains", j->name, SURVEY_DOMAINS_MAX);
	if (err != 0)
		return tool_fail(t, TOOL_UNAVAILABLE, "%s: %s", j->name, strerror(-err));
	if (j->list.count == 0)
		return tool_fail(t, TOOL_DAMAGED,
			"%s: no line names a domain; expected one a line, such as example.com", j->name);
	return TOOL_OK;
}

/* ---- settings ---- */

static enum tool_exit read_servers(struct job *j)
{
	const struct option_values *given = &j->tool->options->resolvers;
	for (unsigned i = 0; i < given->count; i++)
		if (value_read_endpoint(&j->servers[i], given->items[i], DNS_PORT) != 0)
			return tool_fail(j->tool, TOOL_USAGE,
				"--resolver \"%.64s\" is no ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT", given->items[i]);
	return TOOL_OK;
}

static enum tool_exit read_settings(struct job *j)
{
	static const char built_in[] = "hostname = localhost\n";
	const char *file;
	char errors[FACT_TEXT];
	int err = settings_read(j->tool->options->config, &j->conf, &file, errors);
	if (err != 0)
		return tool_fail(j->tool, TOOL_UNAVAILABLE, "%s", errors);
	if (j->conf != NULL)
		return TOOL_OK;
	struct buf text;
	buf_init(&text, ERRORS_MAX);
	err = conf_parse(&j->conf, "the built-in defaults", built_in, sizeof built_in - 1, &text);
	buf_fini(&text);
	return err == 0 ? TOOL_OK : tool_fail(j->tool, TOOL_UNAVAILABLE, "%s", strerror(-err));
}

static enum tool_exit check_options(struct tool *t)
{
	const struct options *o = t->options;
	if (o->csv && o->json)
		return tool_fail(t, TOOL_USAGE, "--csv or --json, one of the two");
	if (o->resume && o->results == NULL)
		return tool_fail(t, TOOL_USAGE, "--resume needs --results FILE, that of the run before");
	if (o->rate == 0 || o->rate > SURVEY_RATE_MAX)
		return tool_fail(t, TOOL_USAGE, "--rate must be between 1 and %d", SURVEY_RATE_MAX);
	if (o->in_flight == 0 || o->in_flight > SURVEY_IN_FLIGHT_MAX)
		return tool_fail(t, TOOL_USAGE, "--in-flight must be between 1 and %d", SURVEY_IN_FLIGHT_MAX);
	return TOOL_OK;
}

static enum tool_exit open_results(struct job *j)
{
	const struct options *o = j->tool->options;
	char why[RESULTS_WHY];
	j->results.fd = -1;
	if (o->results == NULL)
		return TOOL_OK;
	int err = results_open(&j->results, o->results, o->resume, &j->list, why);
	j->before = j->list.answered;
	if (err != 0)
		return tool_fail(j->tool,
			err == -EEXIST	 ? TOOL_USAGE
			: err == -EINVAL ? TOOL_DAMAGED
					 : TOOL_UNAVAILABLE,
			"%s", why);
	if (j->results.strangers != 0)
		fprintf(j->tool->err, "relayq: %s: %zu results are of domains that %s does not name\n", o->results,
			j->results.strangers, j->name);
	return TOOL_OK;
}

/* ---- the run ---- */

static int on_answered(void *arg, const struct survey_domain *d)
{
	struct job *j = arg;
	j->keep_err = results_add(&j->results, d);
	return j->keep_err;
}

static void on_tick(void *arg)
{
	struct job *j = arg;
	const struct progress p = {j->list.answered, j->list.count, j->before, clock_mono_ms() - j->started_ms};
	char line[PROGRESS_LINE];
	fprintf(j->tool->err, "\r%s\033[K", progress_line(&p, j->tool->width, line));
	fflush(j->tool->err);
	j->bar = true;
}

static enum tool_exit ask(struct job *j)
{
	struct tool *t = j->tool;
	const struct options *o = t->options;
	const struct survey_wanted wanted = {.conf = j->conf,
		.servers = j->servers,
		.server_count = o->resolvers.count,
		.rate = (unsigned)o->rate,
		.in_flight = (unsigned)o->in_flight,
		.answered = on_answered,
		.tick = t->err_is_terminal ? on_tick : NULL,
		.arg = j};
	j->started_ms = clock_mono_ms();
	int err = survey_run(&wanted, &j->list);
	int keep_err = results_close(&j->results);
	if (j->bar)
		fprintf(t->err, "\r\033[K");
	keep_err = j->keep_err != 0 ? j->keep_err : keep_err;
	if (keep_err != 0)
		return tool_fail(t, TOOL_UNAVAILABLE, "%s: %s", o->results, strerror(-keep_err));
	if (err == -ECANCELED) {
		return tool_fail(t, TOOL_NOTHING, "stopped at %zu of %zu domains%s", j->list.answered, j->list.count,
			o->results != NULL ? "; --resume goes on" : "");
	}
	return err == 0 ? TOOL_OK : tool_fail(t, TOOL_UNAVAILABLE, "%s", strerror(-err));
}

static size_t without_answer(const struct survey_list *l)
{
	size_t n = 0;
	for (size_t i = 0; i < l->count; i++)
		n += survey_domain_kind(l->items[i]) == SURVEY_NO_ANSWER;
	return n;
}

/* What was found before a signal is printed as well. */
static enum tool_exit print(struct job *j)
{
	struct tool *t = j->tool;
	int err = 0;
	if (t->options->json)
		err = survey_json(&j->list, j->skipped, t->out);
	else if (t->options->csv)
		survey_csv(&j->list, t->out);
	else
		err = survey_page(&j->list, t->out, t->out_is_terminal ? t->width : PIPE_WIDTH);
	if (err != 0)
		return tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	return j->skipped == 0 && without_answer(&j->list) == 0 ? TOOL_OK : TOOL_NOTHING;
}

enum tool_exit run_survey(struct tool *t)
{
	struct job j = {.tool = t, .results.fd = -1};
	enum tool_exit code = check_options(t);
	if (code == TOOL_OK)
		code = read_servers(&j);
	if (code == TOOL_OK)
		code = read_settings(&j);
	if (code == TOOL_OK)
		code = read_list(&j);
	if (code == TOOL_OK)
		code = open_results(&j);
	if (code == TOOL_OK)
		code = ask(&j);
	if (code == TOOL_OK || (code == TOOL_NOTHING && j.list.answered != 0)) {
		enum tool_exit printed = print(&j);
		code = printed != TOOL_OK ? printed : code;
	}
	conf_unref(j.conf);
	survey_list_free(&j.list);
	return code;
}
