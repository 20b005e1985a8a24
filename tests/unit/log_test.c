/* tests/unit/log_test.c: how lines look, whatever values do; and the log thread: nobody waits, nothing is torn, what is
 * dropped is told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/buf.h"
#include "conf/counter.h"
#include "conf/id.h"
#include "conf/log.h"

enum { WALL = 1000 }; /* 1970-01-01T00:00:01.000Z */

#define TEXT_HEAD "1970-01-01T00:00:01.000Z info e"
#define JSON_HEAD "{\"time\":\"1970-01-01T00:00:01.000Z\",\"level\":\"info\",\"event\":\"e\""

static size_t format(char *out, size_t size, enum log_format f, const struct log_field *fields)
{
	return log_format_line(out, size, f, WALL, LOG_LEVEL_INFO, "e", fields);
}

/* The line must be one JSON object with the value of `v`. */
static void check_json(const char *line, size_t n, const char *value)
{
	json_error_t why;
	json_t *object = json_loadb(line, n, JSON_REJECT_DUPLICATES, &why);
	if (object == NULL)
		fail_msg("%s: %.*s", why.text, (int)n, line);
	const char *v = json_string_value(json_object_get(object, "v"));
	if (value != NULL && (v == NULL || strcmp(v, value) != 0))
		fail_msg("%s instead of %s", v ? v : "nothing", value);
	json_decref(object);
}

static void hostile_values(void **state)
{
	static const struct {
		const char *value, *text;
		const char *json; /* as a JSON reader sees it; NULL: the value itself */
	} rows[] = {
		{"plain", "plain", NULL},
		{"a,b;c:d/e@f[g]<h>", "a,b;c:d/e@f[g]<h>", NULL},
		{"", "\"\"", NULL},
		{"two words", "\"two words\"", NULL},
		{"a=b", "\"a=b\"", NULL},
		{"say \"hi\"", "\"say \\\"hi\\\"\"", NULL},
		{"back\\slash", "\"back\\\\slash\"", NULL},
		{"line\nfrom=<x>", "\"line\\nfrom=<x>\"", NULL},
		{"cr\r\ttab", "\"cr\\r\\ttab\"", NULL},
		{"\x1b[31mred", "\"\\x1b[31mred\"", NULL},
		{"\x01\x7f", "\"\\x01\\x7f\"", NULL},
		{"h\xc3\xa9llo \xe2\x82\xac", "\"h\xc3\xa9llo \xe2\x82\xac\"", NULL},
		{"\xc3\xa9", "\xc3\xa9", NULL},
		/* C1 controls, line separators, controls of direction, the byte order mark */
		{"\xc2\x9b"
		 "31m",
			"\"\\x9b31m\"", NULL},
		{"\xe2\x80\xa8", "\"\\u2028\"", NULL},
		{"\xe2\x80\xae", "\"\\u202e\"", NULL},
		{"\xef\xbb\xbf", "\"\\ufeff\"", NULL},
		/* what is no UTF-8 */
		{"\xff", "\"\\xff\"", "\\xff"},
		{"a\xc3", "\"a\\xc3\"", "a\\xc3"},
		{"\xc0\xaf\xed\xa0\x80", "\"\\xc0\\xaf\\xed\\xa0\\x80\"", "\\xc0\\xaf\\xed\\xa0\\x80"},
		{"\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\"", "\\xf4\\x90\\x80\\x80"},
	};
	char line[2000], want[2000];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct log_field fields[] = {LF_STR("v", rows[i].value), LF_NUM("n", 1), {.name = NULL}};
		size_t n = format(line, sizeof line, LOG_FORMAT_TEXT, fields);
		snprintf(want, sizeof want, TEXT_HEAD " v=%s n=1\n", rows[i].text);
		if (n != strlen(want) || memcmp(line, want, n) != 0)
			fail_msg("%.*s instead of %s", (int)n, line, want);
		n = format(line, sizeof line, LOG_FORMAT_JSON, fields);
		check_json(line, n, rows[i].json ? rows[i].json : rows[i].value);
		assert_ptr_equal(memchr(line, '\n', n), line + n - 1);
	}
	/* bytes with a length, NUL among them */
	const struct log_field nul[] = {LF_BYTES("v", "a\0b", 3), {.name = NULL}};
	size_t n = format(line, sizeof line, LOG_FORMAT_TEXT, nul);
	line[n] = '\0';
	assert_string_equal(line, TEXT_HEAD " v=\"a\\x00b\"\n");
	n = format(line, sizeof line, LOG_FORMAT_JSON, nul);
	line[n] = '\0';
	assert_string_equal(line, JSON_HEAD ",\"v\":\"a\\u0000b\"}\n");
}

static void kinds(void **state)
{
	struct ip ip;
	struct endpoint endpoint;
	uint64_t id;
	char line[2000];
	(void)state;
	assert_int_equal(ip_parse(&ip, "2001:db8::1"), 0);
	assert_int_equal(endpoint_parse(&endpoint, "192.0.2.1:25"), 0);
	assert_int_equal(id_parse(&id, "0123456789ABC"), 0);
	const struct log_field fields[] = {
		LF_STR("none", NULL),
		LF_NUM("num", -5),
		LF_ID("id", id),
		LF_MS("took", 1234),
		LF_MS("little", 7),
		LF_IP("ip", &ip),
		LF_IP("noip", NULL),
		LF_ENDPOINT("at", &endpoint),
		LF_ADDRESS("to", "a@b"),
		LF_ADDRESS("odd", "a b@c"),
		LF_ADDRESS("from", ""),
		LF_FAMILY("family", FAMILY_IPV6),
		LF_FAMILY("other", FAMILY_IPV4),
		LF_BYTES("bytes", "xyz", 2),
		LF_BYTES("empty", NULL, 0),
		{.name = NULL},
	};
	size_t n = format(line, sizeof line, LOG_FORMAT_TEXT, fields);
	line[n] = '\0';
	assert_string_equal(line,
		TEXT_HEAD " num=-5 id=0123456789ABC took=1.234 little=0.007 ip=2001:db8::1 at=192.0.2.1:25 to=<a@b> "
			  "odd=\"<a b@c>\" from=<> family=ipv6 other=ipv4 bytes=xy empty=\"\"\n");
	n = format(line, sizeof line, LOG_FORMAT_JSON, fields);
	line[n] = '\0';
	assert_string_equal(line,
		JSON_HEAD ",\"num\":-5,\"id\":\"0123456789ABC\",\"took\":1234,\"little\":7,\"ip\":\"2001:db8::1\","
			  "\"at\":\"192.0.2.1:25\",\"to\":\"a@b\",\"odd\":\"a b@c\",\"from\":\"\",\"family\":\"ipv6\","
			  "\"other\":\"ipv4\",\"bytes\":\"xy\",\"empty\":\"\"}\n");
}

static void long_values_are_cut(void **state)
{
	char value[1100], line[2000], want[2000];
	(void)state;
	memset(value, 'x', sizeof value);
	value[1024] = '\0';
	const struct log_field fields[] = {LF_STR("v", value), {.name = NULL}};
	size_t n = format(line, sizeof line, LOG_FORMAT_TEXT, fields);
	assert_int_equal(n, strlen(TEXT_HEAD " v=\n") + 1024);
	value[1024] = 'x';
	value[1099] = '\0';
	n = format(line, sizeof line, LOG_FORMAT_TEXT, fields);
	snprintf(want, sizeof want, TEXT_HEAD " v=%.1024s…\n", value);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(line, want, n);
	/* not within a character */
	memcpy(value + 1022, "\xe2\x82\xac", 3);
	n = format(line, sizeof line, LOG_FORMAT_TEXT, fields);
	snprintf(want, sizeof want, TEXT_HEAD " v=%.1022s…\n", value);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(line, want, n);
}

/* Whatever the room is, the line is whole: it ends where it says, JSON stays JSON, and a field is there or is not. */
static void any_room(void **state)
{
	static const struct log_field fields[] = {
		LF_STR("v", "a b\n"), LF_NUM("number", 12345), LF_STR("w", "\xff\xff\xff"), {.name = NULL}};
	char line[400];
	size_t whole[2], cut = 0;
	(void)state;
	for (int f = 0; f < 2; f++)
		whole[f] = format(line, sizeof line, (enum log_format)f, fields);
	for (size_t room = 1; room < 200; room++)
		for (int f = 0; f < 2; f++) {
			memset(line, '~', sizeof line);
			size_t n = format(line, room, (enum log_format)f, fields);
			assert_true(n >= 1 && n <= room);
			assert_ptr_equal(memchr(line, '\n', n), line + n - 1);
			assert_int_equal(line[room], '~');
			if (n == 1)
				continue;
			if (f == LOG_FORMAT_JSON)
				check_json(line, n, NULL);
			if (n != whole[f]) {
				line[n] = '\0';
				assert_non_null(strstr(line, f ? ",\"cut\":true}\n" : " cut\n"));
				cut++;
			}
		}
	assert_true(cut > 20);
}

/* A pipe, perhaps full, so that nothing can be written until it is read; `flags` are its writing end's. */
struct pipe {
	int fd[2];
	size_t filled;
	pthread_t reader;
	struct buf got;
};

static void open_pipe(struct pipe *p, int flags, bool fill)
{
	char junk[4096] = {0};
	assert_int_equal(pipe2(p->fd, O_CLOEXEC), 0);
	p->filled = 0;
	buf_init(&p->got, 1 << 24);
	assert_true(fcntl(p->fd[1], F_SETPIPE_SZ, 4096) > 0);
	if (!fill)
		return;
	assert_int_equal(fcntl(p->fd[1], F_SETFL, O_NONBLOCK), 0);
	for (ssize_t n; (n = write(p->fd[1], junk, sizeof junk)) > 0;)
		p->filled += (size_t)n;
	assert_int_equal(fcntl(p->fd[1], F_SETFL, flags), 0);
}

static void *read_all(void *arg)
{
	struct pipe *p = arg;
	uint8_t piece[1000];
	for (ssize_t n; (n = read(p->fd[0], piece, sizeof piece)) > 0;) {
		size_t skip = (size_t)n < p->filled ? (size_t)n : p->filled;
		p->filled -= skip;
		buf_append(&p->got, piece + skip, (size_t)n - skip);
	}
	return NULL;
}

static void start_reader(struct pipe *p)
{
	assert_int_equal(pthread_create(&p->reader, NULL, read_all, p), 0);
}

/* Stops the log, then gives what the reader got. */
static const char *stop(struct pipe *p)
{
	log_stop();
	close(p->fd[1]);
	pthread_join(p->reader, NULL);
	close(p->fd[0]);
	return p->got.data ? (const char *)p->got.data : "";
}

/* Reads the next line's event and the number behind `name`=; 0 at the end. A line that is torn fails. */
static bool next_line(const char **at, char event[32], const char *name, unsigned long *number)
{
	char level[16], key[32];
	int used = 0;
	if (**at == '\0')
		return false;
	size_t n = strcspn(*at, "\n");
	if ((*at)[n] != '\n' || (*at)[24] != ' ' || (*at)[23] != 'Z' ||
		sscanf(*at + 25, "%15s %31s%n", level, event, &used) != 2)
		fail_msg("torn: %.100s", *at);
	snprintf(key, sizeof key, " %s=", name);
	const char *value = strstr(*at, key);
	*number = value != NULL && value < *at + n ? strtoul(value + strlen(key), NULL, 10) : 0;
	*at += n + 1;
	return true;
}

static void dropped_lines_are_told(void **state)
{
	(void)state;
	for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
		struct pipe p;
		char event[32];
		unsigned long number, kept = 0, told = 0;
		uint64_t before = counter_get(COUNTER_log_dropped);
		open_pipe(&p, flags, true);
		assert_int_equal(log_start(p.fd[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 1000), 0);
		for (unsigned i = 0; i < 100; i++)
			LOG_INFO("tick", LF_NUM("n", i));
		uint64_t dropped = counter_get(COUNTER_log_dropped) - before;
		start_reader(&p);
		for (const char *at = stop(&p); next_line(&at, event, "n", &number);) {
			if (strcmp(event, "tick") != 0)
				break;
			assert_int_equal(told, 0);
			assert_int_equal(number, kept++);
		}
		if (strcmp(event, "log-dropped") != 0)
			fail_msg("flags %d, dropped %d, kept %lu\n%s", flags, (int)dropped, kept, p.got.data);
		const char *last = strstr((char *)p.got.data, " lines=");
		assert_non_null(last);
		told = strtoul(last + 7, NULL, 10);
		assert_true(kept > 5 && kept < 30);
		assert_int_equal(told, dropped);
		assert_int_equal(kept + told, 100);
		buf_fini(&p.got);
	}
}

/* A line too long for what is left goes; a later short one fits, behind the word that one is missing. */
static void told_before_the_next_line(void **state)
{
	struct pipe p;
	char event[32], large[900];
	unsigned long number;
	(void)state;
	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	open_pipe(&p, 0, true);
	assert_int_equal(log_start(p.fd[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 600), 0);
	LOG_INFO("one", LF_NUM("n", 1));
	LOG_INFO("two", LF_STR("large", large));
	LOG_INFO("three", LF_NUM("n", 3));
	start_reader(&p);
	const char *at = stop(&p);
	assert_true(next_line(&at, event, "n", &number));
	assert_string_equal(event, "one");
	assert_true(next_line(&at, event, "lines", &number));
	assert_string_equal(event, "log-dropped");
	assert_int_equal(number, 1);
	assert_true(next_line(&at, event, "n", &number));
	assert_string_equal(event, "three");
	assert_false(next_line(&at, event, "n", &number));
	buf_fini(&p.got);
}

static void the_end_does_not_hang(void **state)
{
	struct pipe p;
	uint64_t before = counter_get(COUNTER_log_dropped);
	(void)state;
	open_pipe(&p, 0, true);
	assert_int_equal(log_start(p.fd[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 10000), 0);
	for (unsigned i = 0; i < 10; i++)
		LOG_INFO("tick", LF_NUM("n", i));
	log_stop();
	assert_int_equal(counter_get(COUNTER_log_dropped) - before, 10);
	close(p.fd[0]);
	close(p.fd[1]);
}

static void nobody_listens(void **state)
{
	struct pipe p;
	uint64_t before = counter_get(COUNTER_log_dropped);
	(void)state;
	open_pipe(&p, 0, false);
	close(p.fd[0]); /* EPIPE, and a SIGPIPE that kills nobody */
	assert_int_equal(log_start(p.fd[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 10000), 0);
	for (unsigned i = 0; i < 10; i++)
		LOG_INFO("tick", LF_NUM("n", i));
	log_stop();
	assert_true(counter_get(COUNTER_log_dropped) - before >= 10);
	close(p.fd[1]);
}

enum { WRITERS = 4, LINES = 3000 };

static void *write_lines(void *arg)
{
	char pad[64];
	unsigned me = *(unsigned *)arg;
	memset(pad, 'a' + (int)me, sizeof pad);
	for (unsigned i = 1; i <= LINES; i++)
		LOG_INFO("tick", LF_NUM("n", me * 100000 + i), LF_BYTES("pad", pad, i % sizeof pad), LF_NUM("end", me));
	return NULL;
}

static void whole_lines_of_many(void **state)
{
	struct pipe p;
	pthread_t threads[WRITERS];
	unsigned numbers[WRITERS];
	unsigned long number, last[WRITERS] = {0}, seen = 0;
	uint64_t before = counter_get(COUNTER_log_dropped);
	char event[32];
	(void)state;
	open_pipe(&p, 0, false);
	assert_int_equal(log_start(p.fd[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 3001), 0); /* wraps everywhere */
	start_reader(&p);
	for (unsigned i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	uint64_t told = 0;
	for (const char *at = stop(&p), *line = at; next_line(&at, event, "n", &number); line = at) {
		if (strcmp(event, "log-dropped") == 0) {
			told += strtoul(strstr(line, " lines=") + 7, NULL, 10);
			continue;
		}
		unsigned long who = number / 100000;
		assert_true(who < WRITERS);
		assert_true(number % 100000 > last[who]);
		last[who] = number % 100000;
		char end[32];
		snprintf(end, sizeof end, " end=%lu\n", who);
		if (strncmp(at - strlen(end), end, strlen(end)) != 0)
			fail_msg("torn: %.100s", line);
		seen++;
	}
	assert_int_equal(told, counter_get(COUNTER_log_dropped) - before);
	assert_int_equal(seen + told, WRITERS * LINES);
	buf_fini(&p.got);
}

/* A file and a socket take everything; the level and the format change on the way. */
static void files_and_sockets(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		int fds[2];
		char name[] = "/tmp/log_test.XXXXXX", text[4000];
		if (kind == 0) {
			fds[0] = fds[1] = mkstemp(name);
			assert_true(fds[0] >= 0);
			unlink(name);
		} else {
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		}
		assert_int_equal(log_start(fds[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 100000), 0);
		assert_int_equal(log_start(fds[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 100000), -EALREADY);
		LOG_INFO("one", LF_NUM("n", 1));
		LOG_DEBUG("silent", LF_NUM("n", 2));
		log_set(LOG_FORMAT_JSON, LOG_LEVEL_DEBUG);
		LOG_DEBUG("three", LF_NUM("n", 3));
		log_set(LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
		LOG_WARN("silent", LF_NUM("n", 4));
		LOG_ERR("five", LF_NUM("n", 5));
		log_stop();
		if (kind == 0)
			assert_int_equal(lseek(fds[0], 0, SEEK_SET), 0);
		ssize_t n = read(fds[0], text, sizeof text - 1);
		assert_true(n > 0);
		text[n] = '\0';
		assert_non_null(strstr(text, "Z info one n=1\n{\"time\":\""));
		assert_non_null(strstr(text, "\",\"level\":\"debug\",\"event\":\"three\",\"n\":3}\n"));
		assert_non_null(strstr(text, "Z error five n=5\n"));
		assert_null(strstr(text, "silent"));
		close(fds[0]);
		if (fds[1] != fds[0])
			close(fds[1]);
	}
	log_set(LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
}

static void without_the_thread(void **state)
{
	int fds[2], saved = dup(2);
	char text[1000];
	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(log_start(-1, LOG_FORMAT_TEXT, LOG_LEVEL_INFO, 1000), -EBADF);
	log_stop(); /* harmless */
	fflush(stderr);
	dup2(fds[1], 2);
	LOG_INFO("early", LF_STR("v", "a\nb"));
	dup2(saved, 2);
	close(saved);
	close(fds[1]);
	ssize_t n = read(fds[0], text, sizeof text - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "Z info early v=\"a\\nb\"\n"));
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_values),
		cmocka_unit_test(kinds),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(any_room),
		cmocka_unit_test(dropped_lines_are_told),
		cmocka_unit_test(told_before_the_next_line),
		cmocka_unit_test(the_end_does_not_hang),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(whole_lines_of_many),
		cmocka_unit_test(files_and_sockets),
		cmocka_unit_test(without_the_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
