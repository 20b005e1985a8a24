/* tests/unit/control_test.c: requests on the control socket and their answers, over a made-up queue. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/id.h"
#include "conf/log.h"
#include "conf/tap.h"
#include "queue/control/answer.h"
#include "queue/control/json.h"
#include "tests/unit/control_fixture.h"
#include "tests/unit/inspect_fake.h"

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

static void on_wake(void *arg)
{
	(void)arg;
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
	struct answer *a = answer_new(&queue, &loop.mailbox, &r, "me", &out, on_wake, NULL);
	/* whatever the clock says: IDs may be of a time that is still to come */
	unsigned there = queue.messages;
	queue.messages = 2;
	queue.behind = 1;
	assert_int_equal(answer_step(a, 1), ANSWER_LATER);
	queue.messages = there;
	assert_int_equal(answer_step(a, 2), ANSWER_DONE);
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

int main(void)
{
	if (control_begin() != 0)
		return 1;
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
		cmocka_unit_test_setup_teardown(test_letters_come_first, start, stop),
		cmocka_unit_test_setup_teardown(test_many_recipients, start, stop),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	control_end();
	return failed;
}
