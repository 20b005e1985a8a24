/* tests/unit/control_test.c: the control socket on a real loop over a made-up queue. The test turns the loop itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "conf/id.h"
#include "conf/log.h"
#include "conf/tap.h"
#include "queue/control/control.h"
#include "queue/control/answer.h"
#include "queue/control/json.h"
#include "queue/control/socket.h"
#include "tests/unit/inspect_fake.h"

enum { TURNS = 200000 };

static struct ioloop loop;
static struct queue queue;
static struct control *control;
static char folder[] = "/tmp/control_test.XXXXXX";
static char path[64];
static bool closed;

static void turn(void)
{
	uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void on_closed(void *arg)
{
	(void)arg;
	closed = true;
}

static int start(void **state)
{
	(void)state;
	assert_int_equal(ioloop_init(&loop, "test", 0), 0);
	fake_init(&queue, &loop, path);
	struct buf errors;
	buf_init(&errors, 4096);
	assert_int_equal(control_open(&control, &loop, &queue, &errors), 0);
	buf_fini(&errors);
	return 0;
}

/* Whatever a test left open is closed without a leak (LSan sees to the rest). */
static int stop(void **state)
{
	(void)state;
	closed = false;
	control_close(control, on_closed, NULL);
	for (int i = 0; i < 100; i++)
		turn();
	assert_true(closed);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(queue.contents_open + queue.traces_open + queue.histories_open, 0);
	ioloop_finish(&loop);
	for (int i = 0; i < 10; i++)
		turn();
	assert_int_equal(ioloop_join(&loop), 0);
	fake_fini(&queue);
	return 0;
}

/* ---- a client ---- */

struct peer {
	int fd;
	struct buf in;
};

static void peer_open(struct peer *p)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(connect(p->fd, (struct sockaddr *)&sa, sizeof sa), 0);
	buf_init(&p->in, 64 << 20);
}

static void peer_close(struct peer *p)
{
	close(p->fd);
	buf_fini(&p->in);
}

static void say(struct peer *p, const char *text)
{
	size_t n = strlen(text);
	for (int i = 0; n != 0 && i < TURNS; i++) {
		ssize_t k = send(p->fd, text, n, MSG_NOSIGNAL);
		if (k > 0) {
			text += k;
			n -= (size_t)k;
		}
		turn();
	}
}

/* Reads what there is; false at the end of the stream. */
static bool take(struct peer *p)
{
	char bytes[65536];
	ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
	if (n > 0)
		assert_int_equal(buf_append(&p->in, bytes, (size_t)n), 0);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* The next line as JSON; NULL if the other side closed first. */
static json_t *hear(struct peer *p)
{
	for (int i = 0; i < TURNS; i++) {
		const uint8_t *nl = p->in.len ? memchr(p->in.data, '\n', p->in.len) : NULL;
		if (nl != NULL) {
			json_error_t error;
			json_t *line = json_loadb((char *)p->in.data, (size_t)(nl - p->in.data), 0, &error);
			assert_non_null(line);
			for (const uint8_t *at = p->in.data; at < nl; at++)
				assert_true(*at >= 0x20 && *at < 0x7f);
			buf_consume(&p->in, (size_t)(nl - p->in.data) + 1);
			return line;
		}
		turn();
		if (!take(p) && (p->in.len == 0 || memchr(p->in.data, '\n', p->in.len) == NULL))
			return NULL;
	}
	fail_msg("no line came");
	return NULL;
}

static const char *text_at(const json_t *line, const char *name)
{
	const char *s = json_string_value(json_object_get(line, name));
	return s != NULL ? s : "(none)";
}

static json_int_t number_at(const json_t *line, const char *name)
{
	return json_integer_value(json_object_get(line, name));
}

/* Reads one answer whole: how many lines of `type` came; the last line goes to `*end`. */
static unsigned answer(struct peer *p, const char *type, json_t **end)
{
	unsigned n = 0;
	for (;;) {
		json_t *line = hear(p);
		assert_non_null(line);
		const char *t = text_at(line, "type");
		if (strcmp(t, "end") == 0 || strcmp(t, "error") == 0) {
			*end = line;
			return n;
		}
		n += strcmp(t, type) == 0;
		json_decref(line);
	}
}

/* ---- tests ---- */

static void test_requests_and_their_ends(void **state)
{
	(void)state;
	static const struct {
		const char *request, *type, *end;
		unsigned lines;
	} rows[] = {
		{"{\"v\":1,\"command\":\"version\"}", "version", "end", 1},
		{"{\"v\":1,\"command\":\"status\"}", "status", "end", 1},
		{"{\"v\":1,\"command\":\"list\"}", "message", "end", 3},
		{"{\"v\":1,\"command\":\"list\",\"limit\":2}", "message", "end", 2},
		{"{\"v\":1,\"command\":\"list\",\"sender\":\"<>\"}", "message", "end", 1},
		{"{\"v\":1,\"command\":\"list\",\"state\":\"held\"}", "message", "end", 0},
		{"{\"v\":1,\"command\":\"summary\"}", "site", "end", 2},
		{"{\"v\":1,\"command\":\"summary\",\"limit\":1}", "site", "end", 1},
		{"{\"v\":1,\"command\":\"show\",\"id\":\"0000200000000\"}", "attempt", "end", 1},
		{"{\"v\":1,\"command\":\"show\",\"id\":\"0000200000000\"}", "rcpt", "end", 2},
		{"{\"v\":1,\"command\":\"show\",\"id\":\"00002\"}", "message", "end", 1},
		{"{\"v\":1,\"command\":\"show\",\"id\":\"0\"}", "message", "ambiguous", 0},
		{"{\"v\":1,\"command\":\"show\",\"id\":\"7\"}", "message", "not-found", 0},
		{"{\"v\":1,\"command\":\"show\",\"id\":\"%%\"}", "message", "argument", 0},
		{"{\"v\":1,\"command\":\"cat\",\"id\":\"00001\"}", "content", "end", 1},
		{"{\"v\":1,\"command\":\"cat\",\"id\":\"7\"}", "content", "not-found", 0},
		{"{\"v\":1,\"command\":\"trace\",\"domain\":\"Example.COM.\"}", "route", "end", 1},
		{"{\"v\":1,\"command\":\"trace\",\"domain\":\"example.com\"}", "path", "end", 0},
		{"{\"v\":1,\"command\":\"trace\",\"domain\":\"example.com\",\"connect\":true}", "path", "end", 1},
		{"{\"v\":1,\"command\":\"trace\",\"domain\":\"a b\"}", "route", "argument", 0},
		{"{\"v\":1,\"command\":\"retry\",\"ids\":[\"00001\",\"7\",\"0\",\"!\"]}", "done", "end", 4},
		{"{\"v\":1,\"command\":\"retry\",\"all\":true}", "done", "end", 3},
		{"{\"v\":1,\"command\":\"retry\",\"sender\":\"<>\",\"dry_run\":true}", "done", "end", 1},
		{"{\"v\":1,\"command\":\"reasons\"}", "reason", "end", 1},
		{"{\"v\":1,\"command\":\"reasons\",\"limit\":1}", "others", "end", 0},
		{"{\"v\":1,\"command\":\"config\",\"key\":\"retry.first\"}", "setting", "end", 1},
		{"{\"v\":1,\"command\":\"config\",\"key\":\"retry\"}", "setting", "end", 5},
		{"{\"v\":1,\"command\":\"config\",\"key\":\"a.example\"}", "setting", "end", 2},
		{"{\"v\":1,\"command\":\"config\",\"key\":\"retry.frist\"}", "setting", "not-found", 0},
		{"{\"v\":1,\"command\":\"resume\",\"site\":\"x\"}", "", "not-found", 0},
		{"{\"v\":1,\"command\":\"suspend\",\"site\":\"*.example\",\"for_ms\":5}", "", "end", 0},
		{"{\"v\":1,\"command\":\"summary\"}", "suspension", "end", 1},
		{"{\"v\":1,\"command\":\"resume\",\"site\":\"*.example\"}", "", "end", 0},
		{"{\"v\":1,\"command\":\"summary\"}", "suspension", "end", 0},
		/* refused */
		{"", "", "syntax", 0},
		{"x", "", "syntax", 0},
		{"[1]", "", "syntax", 0},
		{"{\"v\":1,\"command\":\"list\"} x", "", "syntax", 0},
		{"{\"v\":1,\"v\":1,\"command\":\"list\"}", "", "syntax", 0},
		{"{\"v\":1,\"command\":\"list\",\"site\":\"\\u0000\"}", "", "syntax", 0},
		{"{\"v\":1,\"command\":\"list\",\"site\":\"\xff\"}", "", "syntax", 0},
		{"{\"command\":\"list\"}", "", "version", 0},
		{"{\"v\":2,\"command\":\"list\"}", "", "version", 0},
		{"{\"v\":1}", "", "command", 0},
		{"{\"v\":1,\"command\":\"destroy\"}", "", "command", 0},
		{"{\"v\":1,\"command\":7}", "", "command", 0},
		{"{\"v\":1,\"command\":\"list\",\"id\":\"1\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"list\",\"limit\":-1}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"list\",\"limit\":\"1\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"list\",\"state\":\"nowhere\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"list\",\"after\":\"1\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"list\",\"sender\":\"\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"show\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"show\",\"id\":[]}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"retry\",\"ids\":[]}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"retry\",\"ids\":[1]}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"retry\",\"ids\":[\"1\"],\"reason\":\"x\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"retry\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"remove\",\"dry_run\":true}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"remove\",\"all\":false}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"remove\",\"all\":true,\"sender\":\"a\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"redirect\",\"all\":true}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"redirect\",\"all\":true,\"to\":\"a b\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"redirect\",\"all\":true,\"to\":7}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"hold\",\"all\":true,\"to\":\"h\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"suspend\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"suspend\",\"site\":\"x\",\"for_ms\":-1}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"tail\",\"id\":\"u\"}", "", "argument", 0},
		{"{\"v\":1,\"command\":\"trace\",\"domain\":\"a\",\"connect\":1}", "", "argument", 0},
	};
	struct peer p;
	peer_open(&p); /* one connection: what was refused does not hurt what comes next */
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		say(&p, rows[i].request);
		say(&p, "\n");
		json_t *end;
		unsigned lines = answer(&p, rows[i].type, &end);
		const char *how = strcmp(text_at(end, "type"), "end") == 0 ? "end" : text_at(end, "code");
		if (strcmp(how, rows[i].end) != 0 || lines != rows[i].lines)
			fail_msg("%s: %u lines, %s: %s", rows[i].request, lines, how, text_at(end, "text"));
		assert_int_equal(number_at(end, "v"), CONTROL_VERSION);
		json_decref(end);
	}
	peer_close(&p);
}

static void test_actions(void **state)
{
	(void)state;
	struct peer p;
	peer_open(&p);
	say(&p, "{\"v\":1,\"command\":\"hold\",\"ids\":[\"00001\",\"00001\",\"00009\"],\"because\":\"looks odd\"}\n");
	static const struct {
		bool ok;
		const char *code;
	} expected[] = {{true, "(none)"}, {false, "already"}, {false, "not-found"}};
	for (int i = 0; i < 3; i++) {
		json_t *line = hear(&p);
		assert_string_equal(text_at(line, "type"), "done");
		assert_int_equal(json_is_true(json_object_get(line, "ok")), expected[i].ok);
		assert_string_equal(text_at(line, "code"), expected[i].code);
		assert_string_equal(text_at(line, "id"), i < 2 ? "0000100000000" : "00009");
		json_decref(line);
	}
	json_t *end = hear(&p);
	assert_int_equal(number_at(end, "count"), 1);
	json_decref(end);
	assert_string_equal(queue.reason, "looks odd");
	char who[64];
	snprintf(who, sizeof who, "uid=%u pid=%d", getuid(), getpid());
	assert_string_equal(queue.who, who);

	/* pipelined */
	say(&p, "{\"v\":1,\"command\":\"remove\",\"ids\":[\"00002\"]}\n{\"v\":1,\"command\":\"list\"}\n");
	assert_int_equal(answer(&p, "done", &end), 1);
	json_decref(end);
	assert_int_equal(answer(&p, "message", &end), 2);
	json_decref(end);
	peer_close(&p);
}

static void test_actions_on_all(void **state)
{
	(void)state;
	struct peer p;
	json_t *end;
	queue.messages = 2000;
	peer_open(&p);
	say(&p, "{\"v\":1,\"command\":\"redirect\",\"all\":true,\"to\":\"MX.example:2525\",\"dry_run\":true}\n");
	assert_int_equal(answer(&p, "done", &end), 2000);
	assert_int_equal(number_at(end, "count"), 2000);
	assert_true(json_is_true(json_object_get(end, "dry_run")));
	json_decref(end);
	assert_int_equal(queue.acts, 0);
	/* the disk is behind: it goes on by itself, a little later */
	queue.behind = 7;
	queue.lists = 0;
	say(&p, "{\"v\":1,\"command\":\"redirect\",\"sender\":\"alice@example.org\",\"to\":\"MX.example:2525\"}\n");
	assert_int_equal(answer(&p, "done", &end), 1999);
	json_decref(end);
	assert_int_equal(queue.acts, 1999);
	assert_int_equal(queue.behind, 0);
	assert_string_equal(queue.to, "mx.example:2525");
	assert_in_range(queue.lists, 1999 / ANSWER_ACTS, 2000 / ANSWER_ACTS + 2);
	/* refused ones are counted */
	say(&p, "{\"v\":1,\"command\":\"release\",\"all\":true}\n");
	assert_int_equal(answer(&p, "done", &end), 2000);
	assert_int_equal(number_at(end, "count"), 0);
	assert_int_equal(number_at(end, "refused"), 2000);
	json_decref(end);
	peer_close(&p);
}

/* What came after the request is not meant: an action on all ends though mail keeps coming. */
static void test_later_mail_is_not_meant(void **state)
{
	(void)state;
	struct control_request r;
	enum control_error what;
	char why[256];
	static const char line[] = "{\"v\":1,\"command\":\"hold\",\"all\":true}";
	struct buf out;
	buf_init(&out, 65536);
	assert_int_equal(control_request_parse(&r, line, sizeof line - 1, &what, why), 0);
	struct answer *a = answer_new(&queue, &loop.mailbox, &r, "me", &out, on_closed, NULL);
	assert_int_equal(answer_step(a, id_time_ms(FAKE_ID(2))), ANSWER_DONE);
	assert_int_equal(queue.acts, 2);
	answer_free(a);
	buf_fini(&out);
}

static unsigned tailed(struct peer *p, const char *begin)
{
	unsigned n = 0;
	json_t *line;
	while (line = hear(p), strcmp(text_at(json_object_get(line, "fields"), "event"), "last") != 0) {
		if (strcmp(text_at(line, "type"), "event") == 0) {
			assert_non_null(strstr(text_at(line, "line"), begin));
			n++;
		}
		json_decref(line);
	}
	json_decref(line);
	return n;
}

static void wait_for_tap(void)
{
	for (int i = 0; !tap_any() && i < TURNS; i++)
		turn();
	assert_true(tap_any());
}

static void log_some(void)
{
	LOG_INFO("delivered", LF_ID("id", FAKE_ID(1)), LF_ADDRESS("from", "alice@example.org"),
		LF_ADDRESS("to", "bob@example.com"), LF_STR("site", "mx.example.com"));
	LOG_INFO("failed", LF_ID("id", FAKE_ID(2)), LF_ADDRESS("from", ""), LF_ADDRESS("to", "c@example.net"),
		LF_STR("site", "mx.example.net"));
	LOG_INFO("bounce", LF_ID("id", FAKE_ID(3)), LF_ID("original", FAKE_ID(2)), LF_ADDRESS("to", "x@y.example"));
	LOG_WARN("site-rests", LF_STR("site", "mx.example.com"));
	LOG_DEBUG("connected", LF_STR("site", "mx.example.com"));
	LOG_INFO("last", LF_ID("id", FAKE_ID(2)), LF_ADDRESS("from", ""), LF_ADDRESS("to", "bob@example.com"),
		LF_STR("site", "mx.example.com"));
}

static void test_tail(void **state)
{
	(void)state;
	static const struct {
		const char *members;
		unsigned lines; /* before the last */
	} rows[] = {
		{"", 4},
		{",\"event\":\"failed,delivered,last\"", 2},
		{",\"event\":\"last,fail\"", 0},
		{",\"id\":\"00002\"", 2},
		{",\"site\":\"MX.example.com\"", 2},
		{",\"sender\":\"<>\"", 1},
		{",\"rcpt\":\"@example.COM\"", 1},
		{",\"rcpt\":\"bob@example.com\",\"sender\":\"<>\"", 0},
	};
	log_set(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR); /* whatever the log itself has */
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct peer p;
		char request[128];
		peer_open(&p);
		snprintf(request, sizeof request, "{\"v\":1,\"command\":\"tail\"%s}\n", rows[i].members);
		say(&p, request);
		wait_for_tap();
		log_some();
		unsigned n = tailed(&p, "");
		if (n != rows[i].lines)
			fail_msg("%s: %u lines", request, n);
		peer_close(&p);
		for (int k = 0; tap_any() && k < TURNS; k++)
			turn();
		assert_false(tap_any());
	}
	log_set(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
}

/* Who does not read loses lines, and is told how many; nobody waits. */
static void test_tail_too_slow(void **state)
{
	(void)state;
	enum { MANY = 20000 };
	struct peer p;
	unsigned came = 0;
	json_int_t lost = 0;
	log_set(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	peer_open(&p);
	say(&p, "{\"v\":1,\"command\":\"tail\"}\n");
	wait_for_tap();
	for (unsigned i = 0; i < MANY; i++) {
		LOG_INFO("delivered", LF_ID("id", FAKE_ID(1)), LF_NUM("n", i));
		if (i % 100 == 0)
			turn();
	}
	while (came + lost < MANY) {
		json_t *line = hear(&p);
		assert_non_null(line);
		if (strcmp(text_at(line, "type"), "lost") == 0)
			lost += number_at(line, "lines");
		else
			came++;
		json_decref(line);
	}
	assert_int_equal(came + lost, MANY);
	assert_true(lost > 0 && came > 100);
	peer_close(&p);
	log_set(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
}

/* Half of limits { control } may look on, so that questions have room. */
static void test_tails_are_bounded(void **state)
{
	(void)state;
	struct peer p[5];
	for (int i = 0; i < 5; i++) {
		peer_open(&p[i]);
		say(&p[i], "{\"v\":1,\"command\":\"tail\",\"event\":\"none\"}\n");
	}
	json_t *end;
	answer(&p[4], "", &end);
	assert_string_equal(text_at(end, "code"), "busy");
	json_decref(end);
	for (int i = 0; i < 5; i++)
		peer_close(&p[i]);
}

static void test_cat_gives_the_bytes(void **state)
{
	(void)state;
	queue.size = 3 * 65536 + 12345;
	struct peer p;
	peer_open(&p);
	say(&p, "{\"v\":1,\"command\":\"cat\",\"id\":\"00001\"}\n");
	uint64_t at = 0;
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	json_t *line;
	while (line = hear(&p), strcmp(text_at(line, "type"), "content") == 0) {
		const char *s = text_at(line, "base64");
		uint32_t bits = 0;
		unsigned held = 0;
		for (; *s != '\0' && *s != '='; s++) {
			bits = bits << 6 | (uint32_t)(strchr(digits, *s) - digits);
			held += 6;
			if (held >= 8) {
				held -= 8;
				assert_int_equal((char)(bits >> held), fake_byte(at));
				at++;
			}
		}
		json_decref(line);
	}
	assert_string_equal(text_at(line, "type"), "end");
	json_decref(line);
	assert_int_equal(at, queue.size);
	queue.content_err = -EBADMSG;
	say(&p, "{\"v\":1,\"command\":\"cat\",\"id\":\"00001\"}\n");
	answer(&p, "content", &line);
	assert_string_equal(text_at(line, "code"), "failed");
	json_decref(line);
	peer_close(&p);
}

static void test_damaged_history_is_said(void **state)
{
	(void)state;
	queue.history_status = -EIO;
	struct peer p;
	peer_open(&p);
	say(&p, "{\"v\":1,\"command\":\"show\",\"id\":\"00001\"}\n");
	json_t *end;
	assert_int_equal(answer(&p, "attempt", &end), 1); /* what could be read is shown */
	assert_string_equal(text_at(end, "code"), "failed");
	json_decref(end);
	peer_close(&p);
}

static void test_words_of_peers_come_as_ascii(void **state)
{
	(void)state;
	queue.peer_words = "\x1b[2J\r\n\xff caf\xc3\xa9 \x7f";
	struct peer p;
	peer_open(&p);
	say(&p, "{\"v\":1,\"command\":\"show\",\"id\":\"00001\"}\n"); /* hear() checks each byte */
	json_t *end;
	assert_int_equal(answer(&p, "attempt", &end), 1);
	json_decref(end);
	say(&p, "{\"v\":1,\"command\":\"list\"}\n");
	assert_int_equal(answer(&p, "message", &end), 3);
	json_decref(end);
	peer_close(&p);
}

/* Paging by `after` gives every message once. */
static void test_pages(void **state)
{
	(void)state;
	queue.messages = 2500;
	struct peer p;
	peer_open(&p);
	unsigned seen = 0;
	char after[32] = "0000000000000";
	for (;;) {
		char request[128];
		snprintf(request, sizeof request, "{\"v\":1,\"command\":\"list\",\"limit\":70,\"after\":\"%s\"}\n",
			after);
		say(&p, request);
		json_t *end;
		unsigned n = answer(&p, "message", &end);
		assert_true(n <= 70);
		assert_int_equal(n, number_at(end, "count"));
		seen += n;
		bool more = json_object_get(end, "next") != NULL;
		snprintf(after, sizeof after, "%s", text_at(end, "next"));
		json_decref(end);
		if (!more)
			break;
		assert_int_equal(n, 70);
	}
	assert_int_equal(seen, 2500);
	peer_close(&p);
}

/* A client that asks for much and does not read holds back its own answer, and nobody else's. */
static void test_slow_reader(void **state)
{
	(void)state;
	queue.messages = 30000;
	struct peer slow, quick;
	peer_open(&slow);
	peer_open(&quick);
	say(&slow, "{\"v\":1,\"command\":\"list\"}\n");
	for (int i = 0; i < 2000; i++)
		turn();
	unsigned lists = queue.lists;
	for (int i = 0; i < 200; i++)
		turn();
	assert_int_equal(queue.lists, lists); /* it waits: no turn is burnt */
	assert_true(lists < 200);
	json_t *end;
	say(&quick, "{\"v\":1,\"command\":\"list\",\"limit\":100}\n");
	assert_int_equal(answer(&quick, "message", &end), 100);
	json_decref(end);
	assert_int_equal(answer(&slow, "message", &end), 30000);
	json_decref(end);
	peer_close(&slow);
	peer_close(&quick);
}

static void on_news(struct letter *letter)
{
	(void)letter;
	queue.messages = 1;
}

static void sleep_on(void *arg)
{
	(void)arg;
}

/* What was posted before the request came is true before it is answered, whichever the loop would have seen to first:
 * `relayq show ID` works as soon as a client has its 250. */
static void test_letters_come_first(void **state)
{
	(void)state;
	void (*wake)(void *arg) = loop.mailbox.wake;
	struct letter news;
	struct peer p;
	json_t *end;
	peer_open(&p);
	queue.messages = 0;
	loop.mailbox.wake = sleep_on;
	mailbox_post(&loop.mailbox, &news, on_news);
	say(&p, "{\"v\":1,\"command\":\"list\"}\n");
	assert_int_equal(answer(&p, "message", &end), 1);
	loop.mailbox.wake = wake;
	json_decref(end);
	peer_close(&p);
}

static bool hung_up(const struct peer *p)
{
	struct pollfd fd = {.fd = p->fd};
	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLHUP) != 0;
}

/* Who says nothing, half a request, or does not read its answer, has command_time; an answer under way takes its time.
 */
static void test_silent_clients(void **state)
{
	(void)state;
	queue.conf->limits.command_time = 80;
	queue.messages = 30000;
	struct peer mute, half, deaf, patient;
	peer_open(&mute);
	peer_open(&half);
	say(&half, "{\"v\":1,");
	peer_open(&deaf);
	say(&deaf, "{\"v\":1,\"command\":\"list\"}\n");
	queue.hold_back = true;
	peer_open(&patient);
	say(&patient, "{\"v\":1,\"command\":\"cat\",\"id\":\"00002\"}\n");
	uint64_t start = clock_mono_ms();
	while (!(hung_up(&mute) && hung_up(&half) && hung_up(&deaf)) && clock_mono_ms() - start < 20000)
		turn();
	assert_true(hung_up(&mute) && hung_up(&half) && hung_up(&deaf));
	assert_false(hung_up(&patient));
	peer_close(&mute);
	peer_close(&half);
	peer_close(&deaf);
	peer_close(&patient);
}

/* A message with very many recipients is shown in slices. */
static void test_many_recipients(void **state)
{
	(void)state;
	queue.rcpts = 10000;
	struct peer p;
	peer_open(&p);
	json_t *end;
	say(&p, "{\"v\":1,\"command\":\"show\",\"id\":\"00001\"}\n");
	assert_int_equal(answer(&p, "rcpt", &end), 10000);
	json_decref(end);
	say(&p, "{\"v\":1,\"command\":\"list\",\"limit\":1}\n");
	json_t *line = hear(&p);
	assert_int_equal(number_at(line, "rcpt_count"), 10000);
	assert_int_equal(json_array_size(json_object_get(line, "rcpts")), CONTROL_RCPTS_LISTED);
	json_decref(line);
	assert_int_equal(answer(&p, "message", &end), 0);
	json_decref(end);
	peer_close(&p);
}

static void test_vanishing_clients(void **state)
{
	(void)state;
	static const char *const requests[] = {
		"{\"v\":1,\"command\":\"trace\",\"domain\":\"example.com\",\"connect\":true}\n",
		"{\"v\":1,\"command\":\"cat\",\"id\":\"00001\"}\n",
		"{\"v\":1,\"command\":\"show\",\"id\":\"00001\"}\n",
		"{\"v\":1,\"command\":\"list\"}\n",
		"{\"v\":1,\"comm",
	};
	queue.messages = 20000;
	queue.size = 10 << 20;
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		for (int turns = 0; turns < 12; turns++) {
			for (int held_back = 0; held_back < 2; held_back++) {
				queue.hold_back = held_back;
				struct peer p;
				peer_open(&p);
				say(&p, requests[i]);
				for (int t = 0; t < turns; t++)
					turn();
				peer_close(&p);
				for (int t = 0; t < 20; t++)
					turn();
				assert_int_equal(queue.contents_open, 0);
				assert_int_equal(queue.traces_open, 0);
				assert_int_equal(queue.histories_open, 0);
			}
		}
	}
	assert_true(queue.traces_cancelled > 0);
}

static void test_oversized_request(void **state)
{
	(void)state;
	struct peer p;
	peer_open(&p);
	char *line = malloc(CONTROL_LINE_MAX + 2);
	memset(line, ' ', CONTROL_LINE_MAX + 1); /* one more than there may be, no end of line */
	line[CONTROL_LINE_MAX + 1] = '\0';
	say(&p, line);
	json_t *end;
	answer(&p, "", &end);
	assert_string_equal(text_at(end, "code"), "too-long");
	json_decref(end);
	assert_null(hear(&p)); /* closed */
	peer_close(&p);

	static const char request[] = "{\"v\":1,\"command\":\"version\"}"; /* the longest that fits */
	memcpy(line, request, sizeof request - 1);
	line[CONTROL_LINE_MAX - 1] = '\n';
	line[CONTROL_LINE_MAX] = '\0';
	peer_open(&p);
	say(&p, line);
	assert_int_equal(answer(&p, "version", &end), 1);
	json_decref(end);
	peer_close(&p);
	free(line);
}

/* A flood of empty requests is answered one a turn and never held in memory without end. */
static void test_flood(void **state)
{
	(void)state;
	struct peer p;
	peer_open(&p);
	char *lines = malloc(60001);
	memset(lines, '\n', 60000);
	lines[60000] = '\0';
	size_t sent = 0;
	for (int i = 0; i < 20000; i++) {
		ssize_t k = send(p.fd, lines + sent, 60000 - sent, MSG_NOSIGNAL);
		if (k > 0)
			sent += (size_t)k;
		turn();
	}
	json_t *line;
	for (int i = 0; i < 2000; i++) {
		line = hear(&p);
		assert_string_equal(text_at(line, "code"), "syntax");
		json_decref(line);
	}
	free(lines);
	peer_close(&p);
}

static void test_limit_of_connections(void **state)
{
	(void)state;
	struct peer p[9];
	uint64_t before = counter_get(COUNTER_control_refused);
	for (int i = 0; i < 9; i++) {
		peer_open(&p[i]);
		turn();
		turn();
	}
	json_t *end;
	answer(&p[8], "", &end);
	assert_string_equal(text_at(end, "code"), "busy");
	json_decref(end);
	assert_null(hear(&p[8]));
	assert_int_equal(counter_get(COUNTER_control_refused), before + 1);
	peer_close(&p[0]);
	turn();
	turn();
	peer_close(&p[8]);
	peer_open(&p[8]); /* a place is free again */
	say(&p[8], "{\"v\":1,\"command\":\"version\"}\n");
	assert_int_equal(answer(&p[8], "version", &end), 1);
	json_decref(end);
	for (int i = 1; i < 9; i++)
		peer_close(&p[i]);
}

static void test_the_socket_file(void **state)
{
	(void)state;
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	struct buf errors;
	buf_init(&errors, 4096);
	struct control *other;
	assert_int_equal(control_open(&other, &loop, &queue, &errors), -EADDRINUSE);
	assert_non_null(strstr((char *)errors.data, path));
	assert_int_equal(errors.data[errors.len - 1], '\n');

	char elsewhere[80];
	snprintf(elsewhere, sizeof elsewhere, "%s/new/sock", folder);
	char *kept = queue.conf->control;
	queue.conf->control = elsewhere; /* the folder is made */
	int fd, again;
	ino_t inode, second;
	assert_int_equal(control_socket_make(&fd, &inode, elsewhere, CONTROL_SOCKET_OWN, &errors), 0);
	close(fd); /* now it is stale, as after kill -9 */
	assert_int_equal(control_socket_make(&again, &second, elsewhere, CONTROL_SOCKET_OWN, &errors), 0);
	control_socket_remove(elsewhere, second + 1);
	assert_int_equal(access(elsewhere, F_OK), 0); /* not ours */
	control_socket_remove(elsewhere, second);
	assert_int_equal(access(elsewhere, F_OK), -1);
	close(again);

	FILE *f = fopen(elsewhere, "w"); /* never destroys what is no socket */
	fclose(f);
	assert_int_equal(control_socket_make(&fd, &inode, elsewhere, CONTROL_SOCKET_OWN, &errors), -EEXIST);
	assert_int_equal(access(elsewhere, F_OK), 0);
	unlink(elsewhere);
	*strrchr(elsewhere, '/') = '\0';
	rmdir(elsewhere);

	char *longer = malloc(300);
	memset(longer, 'x', 299);
	longer[299] = '\0';
	assert_int_equal(control_socket_make(&fd, &inode, longer, CONTROL_SOCKET_OWN, &errors), -ENAMETOOLONG);
	free(longer);
	queue.conf->control = kept;
	buf_fini(&errors);
}

static void test_who_may_ask(void **state)
{
	(void)state;
	const gid_t groups[] = {5, 50};
	assert_true(control_may(0, 9, NULL, 0, 20, 50));
	assert_true(control_may(20, 9, NULL, 0, 20, 50));
	assert_true(control_may(21, 50, NULL, 0, 20, 50));
	assert_true(control_may(21, 9, groups, 2, 20, 50));
	assert_false(control_may(21, 9, groups, 1, 20, 50));
	assert_false(control_may(21, 9, NULL, 0, 20, 50));
	assert_false(control_may(21, 0, NULL, 0, 20, 50)); /* root's group is not root */
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/control.sock", folder);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests_and_their_ends, start, stop),
		cmocka_unit_test_setup_teardown(test_actions, start, stop),
		cmocka_unit_test_setup_teardown(test_actions_on_all, start, stop),
		cmocka_unit_test_setup_teardown(test_later_mail_is_not_meant, start, stop),
		cmocka_unit_test_setup_teardown(test_tail, start, stop),
		cmocka_unit_test_setup_teardown(test_tail_too_slow, start, stop),
		cmocka_unit_test_setup_teardown(test_tails_are_bounded, start, stop),
		cmocka_unit_test_setup_teardown(test_cat_gives_the_bytes, start, stop),
		cmocka_unit_test_setup_teardown(test_damaged_history_is_said, start, stop),
		cmocka_unit_test_setup_teardown(test_words_of_peers_come_as_ascii, start, stop),
		cmocka_unit_test_setup_teardown(test_pages, start, stop),
		cmocka_unit_test_setup_teardown(test_slow_reader, start, stop),
		cmocka_unit_test_setup_teardown(test_letters_come_first, start, stop),
		cmocka_unit_test_setup_teardown(test_silent_clients, start, stop),
		cmocka_unit_test_setup_teardown(test_many_recipients, start, stop),
		cmocka_unit_test_setup_teardown(test_vanishing_clients, start, stop),
		cmocka_unit_test_setup_teardown(test_oversized_request, start, stop),
		cmocka_unit_test_setup_teardown(test_flood, start, stop),
		cmocka_unit_test_setup_teardown(test_limit_of_connections, start, stop),
		cmocka_unit_test_setup_teardown(test_the_socket_file, start, stop),
		cmocka_unit_test(test_who_may_ask),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
