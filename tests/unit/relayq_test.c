/* tests/unit/relayq_test.c: relayq: its command line, texts and tables, and each command against a daemon's control
 * socket over a made-up queue on a thread of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/id.h"
#include "queue/control/control.h"
#include "queue/tool/act.h"
#include "queue/tool/client.h"
#include "queue/tool/config.h"
#include "queue/tool/list.h"
#include "queue/tool/options.h"
#include "queue/tool/path.h"
#include "queue/tool/families.h"
#include "queue/tool/pin.h"
#include "queue/tool/reasons.h"
#include "queue/tool/show.h"
#include "queue/tool/status.h"
#include "queue/tool/suspend.h"
#include "queue/tool/table.h"
#include "queue/tool/text.h"
#include "queue/tool/trace.h"
#include "tests/unit/inspect_fake.h"

enum { WORDS = 16 };

/* Splits at blanks into argv with a program's name. */
static int words_of(char *line, char *argv[WORDS])
{
	int argc = 0;
	argv[argc++] = (char *)(uintptr_t) "relayq";
	char *rest = NULL;
	for (char *w = strtok_r(line, " ", &rest); w != NULL && argc < WORDS; w = strtok_r(NULL, " ", &rest))
		argv[argc++] = w;
	return argc;
}

static void test_command_lines(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *command; /* NULL: refused */
		const char *says;    /* part of the message */
		int args;
	} rows[] = {
		{"list", "list", NULL, 0},
		{"-c /a/b --json list --older 4h --larger=10K", "list", NULL, 0},
		{"list --state held --limit 5 --json", "list", NULL, 0},
		{"show 01A 02B", "show", NULL, 2},
		{"remove -", "remove", NULL, 1},
		{"hold --reason odd 01A", "hold", NULL, 1},
		{"trace example.com --connect", "trace", NULL, 1},
		{"show -- --x", "show", NULL, 1},
		{"--help", "help", NULL, 0},
		{"list --help", "help", NULL, 1},
		{"list -h --older nonsense", "help", NULL, 1},
		{"help list", "help", NULL, 1},
		{"verify /var/spool/relay64 --read-only", "verify", NULL, 1},
		{"--sender a.example doctor --sender=b.example --probe mx.c.example:2525", "doctor", NULL, 0},
		{"doctor --config /a/b --timeout 3s --json", "doctor", NULL, 0},
		{"survey - --rate 20 --in-flight 5 --resolver 127.0.0.1 --results /a --resume --csv", "survey", NULL,
			1},
		{"survey", NULL, "usage: relayq survey", 0},
		{"survey a b", NULL, "usage: relayq survey", 0},
		{"survey a --probe x", NULL, "does not go with survey", 0},
		{"survey a --rate fast", NULL, "a number", 0},
		{"list --probe x", NULL, "does not go with list", 0},
		{"doctor --rcpt x", NULL, "does not go with doctor", 0},
		{"doctor x", NULL, "usage: relayq doctor", 0},
		{"doctor --timeout 3", NULL, "a time such as", 0},
		{"diagnose", NULL, "relayq help", 0},
		{"", NULL, "which command", 0},
		{"lsit", NULL, "did you mean list?", 0},
		{"staus", NULL, "did you mean status?", 0},
		{"delete 01A", NULL, "did you mean remove?", 0},
		{"xyzzy", NULL, "relayq help", 0},
		{"averyveryveryverylongcommandthatisnone", NULL, "relayq help", 0},
		{"list --oldest 4h", NULL, "no option", 0},
		{"list --older", NULL, "needs a value", 0},
		{"list --older 4", NULL, "a time such as", 0},
		{"list --older 4x", NULL, "a time such as", 0},
		{"list --older -4h", NULL, "a time such as", 0},
		{"list --older 99999999999999999999h", NULL, "a time such as", 0},
		{"list --older 9999999999999999w", NULL, "a time such as", 0},
		{"list --larger 4h", NULL, "a size such as", 0},
		{"list --json=1", NULL, "takes no value", 0},
		{"list --sender=", NULL, "must not be empty", 0},
		{"show 01A --older 4h", NULL, "does not go with show", 0},
		{"hold --because odd --site x", "hold", NULL, 0},
		{"hold --site mx.example.com --reason odd", "hold", NULL, 0},
		{"release --all --dry-run", "release", NULL, 0},
		{"bounce 01A --because x", "bounce", NULL, 1},
		{"redirect --to - 01A", "redirect", NULL, 1},
		{"redirect --undo --state held", "redirect", NULL, 0},
		{"redirect --to [h]:25 -", "redirect", NULL, 1},
		{"suspend mx.example.com --for 2h --reason moving", "suspend", NULL, 1},
		{"tail --id 06C --event delivered,failed --site x", "tail", NULL, 0},
		{"reasons --older 4h --limit 3", "reasons", NULL, 0},
		{"config retry.first", "config", NULL, 1},
		{"retry", NULL, "--all for every one", 0},
		{"remove --dry-run", NULL, "which messages?", 0},
		{"hold --all 01A", NULL, "one of the three", 0},
		{"hold --site x 01A", NULL, "one of the three", 0},
		{"hold --site x --reason y 01A", NULL, "one of the three", 0},
		{"hold --because y --reason x 01A", NULL, "one of the three", 0},
		{"hold --all --older 1h", NULL, "one of the three", 0},
		{"redirect 01A", NULL, "needs --to RELAY", 0},
		{"redirect --to x --undo 01A", NULL, "needs --to RELAY", 0},
		{"hold --to x 01A", NULL, "does not go with hold", 0},
		{"list --all", NULL, "does not go with list", 0},
		{"list --sendr x", NULL, "did you mean --sender?", 0},
		{"hold --dryrun 01A", NULL, "did you mean --dry-run?", 0},
		{"list --limt=5", NULL, "did you mean --limit?", 0},
		{"suspend", NULL, "usage: relayq suspend SITE", 0},
		{"bonce 01A", NULL, "did you mean bounce?", 0},
		{"follow", NULL, "did you mean tail?", 0},
		{"show", NULL, "usage: relayq show ID", 0},
		{"cat 1 2", NULL, "usage: relayq cat ID", 0},
		{"list 1", NULL, "usage: relayq list", 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char line[128], *argv[WORDS], why[256] = "";
		snprintf(line, sizeof line, "%s", rows[i].line);
		int argc = words_of(line, argv);
		struct options o = {0};
		int err = options_parse(&o, argc, argv, why);
		if ((err == 0) != (rows[i].command != NULL))
			fail_msg("%s: %d %s", rows[i].line, err, why);
		if (err == 0) {
			assert_string_equal(o.command->name, rows[i].command);
			assert_int_equal(o.arg_count, rows[i].args);
		} else {
			if (strstr(why, rows[i].says) == NULL)
				fail_msg("%s: %s", rows[i].line, why);
			assert_null(strchr(why, '\n'));
		}
	}
}

static void test_option_values(void **state)
{
	(void)state;
	char line[] = "list --older 4h -c sock --younger=2d --larger 10K --limit 7 --sender <> --after 01A",
	     *argv[WORDS], why[256];
	int argc = words_of(line, argv);
	struct options o = {0};
	assert_int_equal(options_parse(&o, argc, argv, why), 0);
	assert_int_equal(o.older_ms, 4 * 3600000);
	assert_int_equal(o.younger_ms, 2 * 86400000);
	assert_int_equal(o.larger, 10240);
	assert_int_equal(o.limit, 7);
	assert_string_equal(o.socket, "sock");
	assert_string_equal(o.sender, "<>");
	assert_string_equal(o.after, "01A");
}

/* What may be given again and again keeps its order; to other commands the last one counts. */
static void test_repeated_options(void **state)
{
	(void)state;
	char line[] = "--sender a.example doctor --sender b.example --probe x --probe=y:26", *argv[WORDS], why[256];
	struct options o = {0};
	assert_int_equal(options_parse(&o, words_of(line, argv), argv, why), 0);
	assert_int_equal(o.senders.count, 2);
	assert_string_equal(o.senders.items[0], "a.example");
	assert_string_equal(o.senders.items[1], "b.example");
	assert_int_equal(o.probes.count, 2);
	assert_string_equal(o.probes.items[1], "y:26");
	char *many[2 + OPTION_VALUES_MAX + 1] = {line, line};
	for (int extra = 0; extra < 2; extra++) {
		int argc = 2 + OPTION_VALUES_MAX + extra;
		many[1] = (char *)(uintptr_t) "doctor";
		for (int i = 2; i < argc; i++)
			many[i] = (char *)(uintptr_t) "--probe=x";
		assert_int_equal(options_parse(&o, argc, many, why), extra ? -EINVAL : 0);
	}
	assert_non_null(strstr(why, "16 times"));
}

/* Each command has a page, and no line of it is too wide for a terminal of 100 columns. */
static void test_help_pages(void **state)
{
	(void)state;
	for (int i = -1; i < COMMAND_COUNT; i++) {
		char *text;
		size_t n;
		FILE *f = open_memstream(&text, &n);
		command_help(f, i < 0 ? NULL : &commands[i]);
		fclose(f);
		assert_non_null(strstr(text, i < 0 ? "COMMAND" : commands[i].name));
		for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1)
			if (strcspn(at, "\n") > 100)
				fail_msg("%.120s", at);
		free(text);
	}
}

static void test_texts(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"plain", "plain"}, {"\x1b[2J\r\n\t", "\\x1b[2J\\x0d\\x0a\\x09"}, {"\x7f\xff\xc3", "\\x7f\\xff\\xc3"},
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"\xe2\x80\xae"
		 "evil",
			"\\u202eevil"},	 /* right-to-left override */
		{"\xc2\x9b", "\\u009b"}, /* CSI in one character */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf b;
		buf_init(&b, 1000);
		assert_int_equal(text_clean(&b, rows[i].in, strlen(rows[i].in)), 0);
		assert_string_equal((char *)b.data, rows[i].out);
		buf_fini(&b);
	}
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {{0, "0"}, {1023, "1023"}, {1024, "1.0K"}, {10239, "9.9K"}, {10240, "10K"}, {1048575, "1023K"},
		{1048576, "1.0M"}, {52428800, "50M"}, {UINT64_C(5) << 30, "5.0G"}, {UINT64_C(7) << 40, "7.0T"}};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		char out[TEXT_SIZE];
		assert_string_equal(text_size(sizes[i].bytes, out), sizes[i].text);
	}
	static const struct {
		const char *in, *out;
		int err;
	} encoded[] = {{"", "", 0}, {"Zg==", "f", 0}, {"Zm8=", "fo", 0}, {"Zm9v", "foo", 0}, {"Zm9vYg==", "foob", 0},
		{"Zm9*", "", -EINVAL}}; /* RFC 4648 §10 */
	for (size_t i = 0; i < sizeof encoded / sizeof encoded[0]; i++) {
		struct buf b;
		buf_init(&b, 100);
		assert_int_equal(text_base64(&b, encoded[i].in, strlen(encoded[i].in)), encoded[i].err);
		assert_int_equal(b.len, strlen(encoded[i].out));
		assert_memory_equal(b.len ? (char *)b.data : "", encoded[i].out, b.len);
		buf_fini(&b);
	}
}

/* All strings of an answer are clean, however deep; names of members are ours. */
static void test_json_is_cleaned(void **state)
{
	(void)state;
	json_t *v = json_loads("{\"a\":\"\\u001b\",\"b\":[{\"c\":\"x\\n\"},1,null],\"d\":\"\"}", 0, NULL);
	assert_int_equal(text_clean_json(v), 0);
	char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, "{\"a\":\"\\\\x1b\",\"b\":[{\"c\":\"x\\\\x0a\"},1,null],\"d\":\"\"}");
	free(text);
	json_decref(v);
}

static void test_tables(void **state)
{
	(void)state;
	static const struct column columns[] = {
		{"ID", false, 0}, {"N", true, 0}, {"NAME", false, 6}, {"WHY", false, 6}};
	struct table *t = table_new(columns, 4);
	const char *const rows[][4] = {
		{"a", "1", "short", "because"},
		{"bcd", "1000", "a name that is long",
			"r\xc3\xa9"
			"ason that is far longer than any line could be"},
	};
	for (int i = 0; i < 2; i++)
		assert_int_equal(table_row(t, rows[i]), 0);
	static const struct {
		unsigned width;
		const char *text;
	} widths[] = {
		{200, "ID      N  NAME                 WHY\n"
		      "a       1  short                because\n"
		      "bcd  1000  a name that is long  r\xc3\xa9"
		      "ason that is far longer than any line could be\n"},
		{40, "ID      N  NAME           WHY\n"
		     "a       1  short          because\n"
		     "bcd  1000  a name th...  r\xc3\xa9"
		     "ason tha...\n"},
		{10, NULL},
	};
	for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
		char *text;
		size_t n;
		FILE *f = open_memstream(&text, &n);
		assert_int_equal(table_print(t, f, widths[i].width), 0);
		fclose(f);
		for (char *line = text, *next; *line != '\0'; line = next) {
			next = line + strcspn(line, "\n") + 1;
			next[-1] = '\0';
			assert_true(text_columns(line) <= widths[i].width);
			next[-1] = '\n';
		}
		if (i == 0)
			assert_string_equal(text, widths[i].text);
		if (i == 1) { /* nothing that tells messages apart is cut */
			assert_non_null(strstr(text, "bcd  1000  a name"));
			assert_non_null(strstr(text, "..."));
		}
		free(text);
	}
	table_free(t);
}

/* ---- each command ---- */

static char folder[] = "/tmp/relayq_test.XXXXXX";
static char path[64];
static struct ioloop loop;
static struct queue queue;
static struct control *control;

static int start(void **state)
{
	(void)state;
	struct buf errors;
	buf_init(&errors, 4096);
	assert_int_equal(ioloop_init(&loop, "test", 0), 0);
	fake_init(&queue, &loop, path);
	assert_int_equal(control_open(&control, &loop, &queue, &errors), 0);
	assert_int_equal(ioloop_start(&loop), 0);
	buf_fini(&errors);
	return 0;
}

static void on_closed(void *arg)
{
	ioloop_finish(arg);
}

static void open_stop(struct letter *letter)
{
	(void)letter;
	control_close(control, on_closed, &loop);
}

static int stop(void **state)
{
	(void)state;
	static struct letter letter;
	mailbox_post(&loop.mailbox, &letter, open_stop);
	int err = ioloop_join(&loop);
	fake_fini(&queue);
	return err;
}

struct run {
	enum tool_exit code;
	char *out, *err;
};

/* A command line against the daemon of the test. `input` is standard input; `terminal`: 80 by 12 on both sides. */
static struct run run(const char *text, const char *input, bool terminal, enum tool_exit (*command)(struct tool *t))
{
	struct run r;
	char line[256], *argv[WORDS], why[256];
	snprintf(line, sizeof line, "%s", text);
	int argc = words_of(line, argv);
	struct options o = {0};
	if (options_parse(&o, argc, argv, why) != 0)
		fail_msg("%s: %s", text, why);
	size_t n, m;
	struct tool t = {.options = &o,
		.in = input != NULL && input[0] ? fmemopen((void *)(uintptr_t)input, strlen(input), "r")
						: fopen("/dev/null", "r"),
		.out = open_memstream(&r.out, &n),
		.err = open_memstream(&r.err, &m),
		.out_is_terminal = terminal,
		.in_is_terminal = terminal,
		.width = 80,
		.height = 12,
		.environment = path};
	r.code = command(&t);
	fclose(t.in);
	fclose(t.out);
	fclose(t.err);
	for (const char *at = r.out; *at != '\0'; at++) /* whatever peers said */
		assert_true(*at == '\n' || *at == '\t' || (unsigned char)*at >= 0x20);
	return r;
}

static void done(struct run *r)
{
	free(r->out);
	free(r->err);
}

static unsigned lines_in(const char *text)
{
	unsigned n = 0;
	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

#define HAS(text, what)                                                                                                \
	do {                                                                                                           \
		if (strstr((text), (what)) == NULL)                                                                    \
			fail_msg("no \"%s\" in:\n%s", (what), (text));                                                 \
	} while (0)

static void test_list(void **state)
{
	(void)state;
	queue.peer_words = "\x1b[31mgo away\r\n";
	struct run r = run("list", NULL, false, run_list);
	assert_int_equal(r.code, TOOL_OK);
	assert_int_equal(lines_in(r.out), 3);
	HAS(r.out, "0000100000000\talice@example.org\tbob@example.com\tdeferred\t");
	HAS(r.out, "0000200000000\t<>\tbob@example.com,carol@example.net\tdeferred\t");
	HAS(r.out, "\tmx.example.com\t\\x1b[31mgo away\\x0d\\x0a\n");
	done(&r);

	r = run("list --json", NULL, false, run_list);
	assert_int_equal(lines_in(r.out), 4);
	assert_memory_equal(r.out, "{\"type\":\"message\",", 18);
	done(&r);

	r = run("list --state held", NULL, false, run_list);
	assert_int_equal(r.code, TOOL_NOTHING);
	assert_string_equal(r.out, "");
	done(&r);

	r = run("list --state nowhere", NULL, false, run_list);
	assert_int_equal(r.code, TOOL_USAGE);
	assert_int_equal(lines_in(r.err), 1);
	HAS(r.err, "one of active, ready");
	done(&r);

	queue.messages = 0;
	r = run("list", NULL, false, run_list);
	assert_int_equal(r.code, TOOL_OK);
	HAS(r.err, "the queue is empty");
	done(&r);
}

static void test_list_pages(void **state)
{
	(void)state;
	queue.messages = 2345;
	struct run r = run("list", NULL, false, run_list); /* several pages, none asked about */
	assert_int_equal(lines_in(r.out), 2345);
	done(&r);
	r = run("list --limit 1500", NULL, false, run_list);
	assert_int_equal(lines_in(r.out), 1500);
	done(&r);
	r = run("list", "\n\nq\n\n", true, run_list);
	assert_int_equal(lines_in(r.out), 3 * 11); /* titles and ten messages each; the questions end no line */
	HAS(r.out, "next page");
	for (char *line = r.out, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if (memcmp(line, "-- Enter", 8) == 0)
			line = strstr(line, " -- ") + 4; /* the terminal's own echo ended that line */
		assert_true(end - line <= 80);
	}
	done(&r);
	r = run("list --limit 12", "\n", true, run_list);
	assert_int_equal(lines_in(r.out), 2 + 12);
	done(&r);
}

static void test_show(void **state)
{
	(void)state;
	queue.peer_words = "\x1b]0;x\x07 try later";
	struct run r = run("show 00002", NULL, true, run_show);
	assert_int_equal(r.code, TOOL_OK);
	HAS(r.out, "0000200000000");
	HAS(r.out, "<>");
	HAS(r.out, "<carol@example.net> deferred");
	HAS(r.out, "ipv6 [2001:db8::25]:25 mx.example.com");
	HAS(r.out, "connection refused");
	HAS(r.out, "ipv4 192.0.2.25:25 mx.example.com");
	HAS(r.out, "connected after 12ms, greeted after 30ms");
	HAS(r.out, "<bob@example.com> deferred: 451 4.7.1 \\x1b]0;x\\x07 try later");
	done(&r);
	r = run("show 00002 00009 0", NULL, true, run_show);
	assert_int_equal(r.code, TOOL_NOTHING);
	assert_int_equal(lines_in(r.err), 2);
	HAS(r.err, "00009");
	HAS(r.err, "more than one message");
	done(&r);
}

static void test_cat(void **state)
{
	(void)state;
	queue.size = 200000;
	struct run r = run("cat 00001", NULL, false, run_cat);
	assert_int_equal(r.code, TOOL_OK);
	assert_int_equal(strlen(r.out), 200000);
	for (uint64_t i = 0; i < queue.size; i++)
		assert_int_equal(r.out[i], fake_byte(i));
	done(&r);
	r = run("cat 00001", NULL, true, run_cat); /* nothing to escape in it: the same */
	assert_int_equal(strlen(r.out), 200000);
	done(&r);
	queue.two_bytes = true; /* cut inside a character at the end of every piece */
	queue.size = 100001;
	r = run("cat 00001", NULL, true, run_cat);
	assert_null(strchr(r.out, '\\'));
	assert_int_equal(strlen(r.out), 100001);
	done(&r);
	queue.size = 100000; /* and at the end of all */
	r = run("cat 00001", NULL, true, run_cat);
	assert_string_equal(r.out + strlen(r.out) - 6, "\xc3\xa9\\xc3");
	done(&r);
	queue.content_err = -EBADMSG;
	r = run("cat 00001", NULL, false, run_cat);
	assert_int_equal(r.code, TOOL_UNAVAILABLE);
	done(&r);
}

static void test_actions(void **state)
{
	(void)state;
	struct run r = run("hold --reason odd 00001 00003", NULL, false, run_act);
	assert_int_equal(r.code, TOOL_OK);
	assert_string_equal(r.out, "0000100000000 held\n0000300000000 held\n");
	done(&r);
	r = run("list --state held", NULL, false, run_list);
	assert_int_equal(lines_in(r.out), 2);
	HAS(r.out, "\todd\n");
	char *listed = strdup(r.out);
	done(&r);
	r = run("release -", listed, false, run_act); /* what list prints may be piped back */
	free(listed);
	assert_int_equal(r.code, TOOL_OK);
	assert_string_equal(r.out, "0000100000000 released\n0000300000000 released\n");
	done(&r);
	r = run("remove 00001 00009 !!", NULL, false, run_act);
	assert_int_equal(r.code, TOOL_NOTHING);
	assert_string_equal(r.out, "0000100000000 removed\n");
	assert_int_equal(lines_in(r.err), 2);
	done(&r);
	r = run("remove --json 00009", NULL, false, run_act);
	assert_int_equal(r.code, TOOL_NOTHING);
	HAS(r.out, "\"code\":\"not-found\"");
	done(&r);
	queue.messages = 1800; /* more than one request can hold */
	char *ids = malloc(1800 * 16), id[ID_TEXT];
	size_t at = 0;
	for (unsigned i = 2; i <= 1800; i++)
		at += (size_t)snprintf(ids + at, 16, "%s\n", id_format(FAKE_ID(i), id));
	ids[at] = '\0';
	r = run("retry -", ids, false, run_act);
	assert_int_equal(r.code, TOOL_OK);
	assert_int_equal(lines_in(r.out), 1799);
	free(ids);
	done(&r);
}

static void test_actions_on_conditions(void **state)
{
	(void)state;
	struct run r = run("hold --sender alice@example.org --because odd --dry-run", NULL, false, run_act);
	assert_int_equal(r.code, TOOL_OK);
	assert_string_equal(r.out, "0000100000000 would be held\n0000300000000 would be held\n");
	assert_string_equal(r.err, "relayq: 2 would be held, 0 refused; nothing was changed\n");
	assert_int_equal(queue.acts, 0);
	done(&r);
	r = run("hold --sender alice@example.org --because odd", NULL, false, run_act);
	assert_string_equal(r.out, "0000100000000 held\n0000300000000 held\n");
	assert_string_equal(r.err, "relayq: 2 held, 0 refused\n");
	assert_string_equal(queue.reason, "odd");
	done(&r);
	r = run("hold --all", NULL, false, run_act);
	assert_int_equal(r.code, TOOL_NOTHING);
	assert_string_equal(r.out, "0000200000000 held\n");
	HAS(r.err, "1 held, 2 refused");
	done(&r);
	r = run("release --sender nobody@example.org", NULL, false, run_act);
	assert_int_equal(r.code, TOOL_NOTHING);
	HAS(r.err, "no message meets these conditions");
	done(&r);
	r = run("release --all --json", NULL, false, run_act);
	HAS(r.out, "\"count\":3,\"refused\":0,\"dry_run\":false}");
	done(&r);
	r = run("redirect 00001 --to mx.example.net:2525", NULL, false, run_act);
	assert_string_equal(r.out, "0000100000000 redirected\n");
	done(&r);
	r = run("list", NULL, false, run_list);
	HAS(r.out, "connection refused\tmx.example.net:2525\n");
	done(&r);
	r = run("list", NULL, true, run_list);
	HAS(r.out, "(to mx.exa");
	done(&r);
	r = run("show 00001", NULL, true, run_show);
	HAS(r.out, "Redirected to mx.example.net:2525\n");
	done(&r);
	r = run("redirect 00001 --to -", NULL, false, run_act);
	assert_string_equal(queue.to, "");
	done(&r);
	r = run("redirect 00001 --to [[x", NULL, false, run_act);
	assert_int_equal(r.code, TOOL_USAGE);
	HAS(r.err, "\"to\" must be HOST, [HOST] or an address");
	done(&r);
	r = run("bounce 00001 --because gone", NULL, false, run_act);
	assert_string_equal(r.out, "0000100000000 returned to its sender\n");
	assert_string_equal(queue.reason, "gone");
	done(&r);
}

static void test_suspend_and_resume(void **state)
{
	(void)state;
	struct run r = run("suspend *.example.com --for 2h --reason moving", NULL, false, run_suspend);
	assert_int_equal(r.code, TOOL_OK);
	assert_string_equal(r.out, "*.example.com suspended\n");
	assert_int_equal(queue.suspended.until_ms - queue.suspended.since_ms, 2 * 3600000);
	done(&r);
	r = run("summary", NULL, true, run_summary);
	HAS(r.out, "Suspended by operators:\n  *.example.com since ");
	HAS(r.out, ": moving\n");
	done(&r);
	r = run("resume *.example.com", NULL, false, run_resume);
	assert_string_equal(r.out, "*.example.com resumed\n");
	done(&r);
	r = run("resume *.example.com", NULL, false, run_resume);
	assert_int_equal(r.code, TOOL_NOTHING);
	HAS(r.err, "no suspension has this name");
	done(&r);
}

static void test_families(void **state)
{
	(void)state;
	struct run r = run("families", NULL, true, run_families);
	assert_int_equal(r.code, TOOL_OK);
	HAS(r.out, "LAST HOUR");
	HAS(r.out, "recipients delivered");
	HAS(r.out, " 70 ");
	HAS(r.out, "mx.dead.example");
	HAS(r.out, "and 10 more: --limit");
	done(&r);
	r = run("families --json --limit 2", NULL, false, run_families);
	HAS(r.out, "\"failovers\":{\"policy\":");
	HAS(r.out, "{\"type\":\"more_broken\",\"count\":58}");
	done(&r);
}

static void test_pins(void **state)
{
	(void)state;
	struct run r = run("pin", NULL, true, run_pin);
	assert_int_equal(r.code, TOOL_OK);
	assert_string_equal(r.err, "relayq: no site is pinned\n");
	done(&r);
	r = run("pin mx.example.com ipv6 --for 2h", NULL, false, run_pin);
	assert_int_equal(r.code, TOOL_OK);
	assert_string_equal(r.out, "mx.example.com pinned to ipv6\n");
	assert_int_equal(queue.pinned.family, FAMILY_IPV6);
	done(&r);
	r = run("pin", NULL, false, run_pin);
	HAS(r.out, "mx.example.com\tipv6\t20");
	done(&r);
	r = run("--json pin", NULL, false, run_pin);
	HAS(r.out, "{\"type\":\"pin\",\"site\":\"mx.example.com\",\"family\":\"ipv6\",\"by\":");
	done(&r);
	r = run("pin mx.example.com ipv5", NULL, false, run_pin);
	assert_int_equal(r.code, TOOL_USAGE);
	HAS(r.err, "must be ipv4 or ipv6");
	done(&r);
	r = run("pin mx.example.com", NULL, false, run_pin);
	assert_int_equal(r.code, TOOL_USAGE);
	done(&r);
	r = run("unpin mx.example.com", NULL, false, run_unpin);
	assert_string_equal(r.out, "mx.example.com unpinned\n");
	done(&r);
	r = run("unpin mx.example.com", NULL, false, run_unpin);
	assert_int_equal(r.code, TOOL_NOTHING);
	HAS(r.err, "this site is not pinned");
	done(&r);
}

static void test_path(void **state)
{
	(void)state;
	struct run r = run("path MX.example.com", NULL, true, run_path);
	assert_int_equal(r.code, TOOL_OK);
	HAS(r.out, "  ipv6: broken since ");
	HAS(r.out, "Z, next probe in 2m\n");
	HAS(r.out, "  ipv4: good\n");
	HAS(r.out, "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:25 mx.example.com:\n      broken since ");
	for (const char *line = r.out; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 80);
	done(&r);
	r = run("path mx.example.com", NULL, false, run_path);
	HAS(r.out, "family\tipv4\tgood\t12\t30\t3\t0\t0\t\t\tgood\n");
	HAS(r.out, "family\tipv6\tbroken\t0\t0\t0\t2\t0\tconnect-timeout\t20");
	done(&r);
	r = run("--json path mx.example.com", NULL, false, run_path);
	HAS(r.out, "\"family\":\"ipv6\",\"path\":\"ipv6\",\"state\":\"broken\"");
	HAS(r.out, "\"last_fault\":\"connect-timeout\"");
	done(&r);
	r = run("path nowhere.example", NULL, false, run_path);
	assert_int_equal(r.code, TOOL_NOTHING);
	HAS(r.err, "no such domain");
	done(&r);
}

static void test_reasons_and_config(void **state)
{
	(void)state;
	queue.peer_words = "450 4.2.0 <bob@example.com> try in 300 seconds";
	struct run r = run("reasons", NULL, false, run_reasons);
	assert_int_equal(r.code, TOOL_OK);
	assert_string_equal(r.out, "4\t3\tmx.example.com\t0000100000000\t450 4.2.0 <address> try in # seconds\n");
	done(&r);
	r = run("reasons", NULL, true, run_reasons);
	assert_int_equal(lines_in(r.out), 2);
	HAS(r.out, "RCPTS");
	done(&r);
	r = run("config retry.first", NULL, false, run_config);
	HAS(r.out, "retry.first = 7m   ");
	HAS(r.out, "# test.conf:4\n    wait before the second attempt\n");
	done(&r);
	r = run("config", NULL, false, run_config);
	HAS(r.out, "\nroute a.example: relay = 192.0.2.9:2525");
	HAS(r.out, "\nroute a.example: prefer = ipv4");
	HAS(r.out, "\nuser is not set");
	HAS(r.out, "# default\n");
	done(&r);
	r = run("config retry.frist", NULL, false, run_config);
	assert_int_equal(r.code, TOOL_NOTHING);
	HAS(r.err, "did you mean \"first\"");
	done(&r);
}

static void test_summary_status_version_trace(void **state)
{
	(void)state;
	struct run r = run("summary", NULL, true, run_summary);
	assert_int_equal(r.code, TOOL_OK);
	assert_int_equal(lines_in(r.out), 4);
	HAS(r.out, "mx.example.com");
	HAS(r.out, "(all)");
	HAS(r.out, "rests, probe");
	done(&r);
	r = run("status", NULL, true, run_status);
	assert_int_equal(r.code, TOOL_OK);
	HAS(r.out, "3 messages, 42 recipients");
	HAS(r.out, "(queue_slice_longest_us)");
	done(&r);
	r = run("version", NULL, true, run_version);
	HAS(r.out, "relayq " RELAY64_VERSION "\nrelay64 " RELAY64_VERSION "\n");
	done(&r);
	r = run("trace example.com --connect", NULL, true, run_trace);
	assert_int_equal(r.code, TOOL_OK);
	HAS(r.out, "MX 10 mx.example.com\n");
	HAS(r.out, "1. ipv6 [2001:db8::25]:25 mx.example.com (preference 10)\n");
	HAS(r.out, "ready for mail");
	HAS(r.out, "would be tried now");
	done(&r);
	queue.trace_err = -ENOENT;
	r = run("trace nowhere.example", NULL, true, run_trace);
	assert_int_equal(r.code, TOOL_UNAVAILABLE);
	HAS(r.err, "no such domain");
	done(&r);
}

static void test_no_daemon(void **state)
{
	(void)state;
	struct run r = run("-c /nonexistent/sock list", NULL, false, run_list);
	assert_int_equal(r.code, TOOL_UNAVAILABLE);
	assert_int_equal(lines_in(r.err), 1);
	HAS(r.err, "/nonexistent/sock");
	done(&r);
}

/* Something else that listens there: no crash, one line. */
static void test_not_a_daemon(void **state)
{
	(void)state;
	static const char *const answers[] = {"", "220 mail.example.org ESMTP\r\n", "{}\n{}\n", "{\"type\":\"end\"",
		"[[[[[[[\n", "\x00\x01\n",
		"{\"type\":\"message\",\"rcpts\":7,\"id\":[]}\n{\"type\":\"attempt\",\"paths\":{}}\n{\"type\":\"end\","
		"\"next\":1}\n"};
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		char other[96], line[128];
		snprintf(other, sizeof other, "%s/other.sock", folder);
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		snprintf(sa.sun_path, sizeof sa.sun_path, "%s", other);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
		assert_int_equal(listen(fd, 4), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			int c = accept(fd, NULL, NULL);
			char request[4096];
			ssize_t got = recv(c, request, sizeof request, 0);
			ssize_t put = send(c, answers[i], strlen(answers[i]), MSG_NOSIGNAL);
			_exit(got < 0 || put < 0);
		}
		close(fd);
		snprintf(line, sizeof line, "-c %s %s", other, i % 2 ? "show 1" : "list");
		struct run r = run(line, NULL, false, i % 2 ? run_show : run_list);
		if (i != 6)
			assert_int_equal(r.code, TOOL_UNAVAILABLE);
		done(&r);
		kill(child, SIGKILL);
		unlink(other);
	}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL || mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/control.sock", folder);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_option_values),
		cmocka_unit_test(test_repeated_options),
		cmocka_unit_test(test_help_pages),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_json_is_cleaned),
		cmocka_unit_test(test_tables),
		cmocka_unit_test_setup_teardown(test_list, start, stop),
		cmocka_unit_test_setup_teardown(test_list_pages, start, stop),
		cmocka_unit_test_setup_teardown(test_show, start, stop),
		cmocka_unit_test_setup_teardown(test_cat, start, stop),
		cmocka_unit_test_setup_teardown(test_actions, start, stop),
		cmocka_unit_test_setup_teardown(test_actions_on_conditions, start, stop),
		cmocka_unit_test_setup_teardown(test_suspend_and_resume, start, stop),
		cmocka_unit_test_setup_teardown(test_pins, start, stop),
		cmocka_unit_test_setup_teardown(test_path, start, stop),
		cmocka_unit_test_setup_teardown(test_families, start, stop),
		cmocka_unit_test_setup_teardown(test_reasons_and_config, start, stop),
		cmocka_unit_test_setup_teardown(test_summary_status_version_trace, start, stop),
		cmocka_unit_test(test_no_daemon),
		cmocka_unit_test(test_not_a_daemon),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
