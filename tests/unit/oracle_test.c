/* tests/unit/oracle_test.c: oracles on a real loop, over a scripted DNS server on loopback. The test turns the loop
 * itself. What takes real time is bounded from below only where the bound is the point, and widely from above. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "queue/oracle/oracle.h"
#include "tests/unit/dns_script.h"

enum { PATIENCE_MS = 10000, TICK_MS = 5, TEXT_MAX = 1 << 20, CONF_MAX = 4000 };

static struct script_row rows[] = {
	{"both.example", DNS_MX, SAY_ANSWER, "60 MX 10 mx.both.example", .ttl = 60},
	{"mx.both.example", DNS_A, SAY_ANSWER, "60 A 192.0.2.1", .ttl = 60},
	{"mx.both.example", DNS_AAAA, SAY_ANSWER, "60 AAAA 2001:db8::1", .ttl = 60},
	{"six.example", DNS_MX, SAY_ANSWER, "60 MX 10 mx.six.example", .ttl = 60},
	{"mx.six.example", DNS_A, SAY_NODATA, "", .ttl = 60},
	{"mx.six.example", DNS_AAAA, SAY_ANSWER, "60 AAAA 2001:db8::1", .ttl = 60},
	{"four.example", DNS_MX, SAY_NODATA, "", .ttl = 60}, /* implicit MX */
	{"four.example", DNS_A, SAY_ANSWER, "60 A 192.0.2.1", .ttl = 60},
	{"four.example", DNS_AAAA, SAY_NODATA, "", .ttl = 60},
	{"null.example", DNS_MX, SAY_ANSWER, "60 MX 0 ", .ttl = 60},
	{"no.example", DNS_MX, SAY_NXDOMAIN, "", .ttl = 60},
	{"failed.example", DNS_MX, SAY_SERVFAIL, "", .ttl = 0},
	{"silent.example", DNS_MX, SAY_NOTHING, "", .ttl = 0},
	{"half.example", DNS_MX, SAY_ANSWER, "60 MX 10 mx.half.example", .ttl = 60},
	{"mx.half.example", DNS_A, SAY_NOTHING, "", .ttl = 0},
	{"mx.half.example", DNS_AAAA, SAY_ANSWER, "60 AAAA 2001:db8::1", .ttl = 60},
	{"slow.example", DNS_MX, SAY_NXDOMAIN, "", .ttl = 60, .delay_ms = 150},
	{"burst.example", DNS_MX, SAY_ANSWER, "60 MX 10 mx.burst.example", .ttl = 60, .delay_ms = 100},
	{"mx.burst.example", DNS_A, SAY_NODATA, "", .ttl = 60},
	{"mx.burst.example", DNS_AAAA, SAY_ANSWER, "60 AAAA 2001:db8::1", .ttl = 60},
};

static struct world {
	uv_loop_t loop;
	uv_timer_t tick; /* no turn of the loop waits for longer */
	struct script dns;
	struct conf *conf;
	struct resolver *resolver;
	struct oracle *oracle;
	uint16_t port, second;
	char path[64];
	unsigned closed;
} w;

/* ---- the world ---- */

static uint16_t free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

/* In `text` PORT, SECOND and PATH stand for those of the world. */
static struct conf *make_conf(const char *text)
{
	struct buf whole, errors;
	char dns[ENDPOINT_TEXT];
	struct conf *c = NULL;
	buf_init(&whole, CONF_MAX);
	buf_init(&errors, CONF_MAX);
	buf_printf(&whole, "hostname = relay.example\ndns { servers = %s timeout = 10s tries = 1 }\n",
		endpoint_format(&w.dns.at, dns));
	for (const char *at = text; *at != '\0';) {
		if (strncmp(at, "PORT", 4) == 0)
			buf_printf(&whole, "%u", w.port), at += 4;
		else if (strncmp(at, "SECOND", 6) == 0)
			buf_printf(&whole, "%u", w.second), at += 6;
		else if (strncmp(at, "PATH", 4) == 0)
			buf_append_str(&whole, w.path), at += 4;
		else
			buf_append(&whole, at++, 1);
	}
	if (conf_parse(&c, "t", (char *)whole.data, whole.len, &errors) != 0)
		fail_msg("%s", (char *)errors.data);
	buf_fini(&whole);
	buf_fini(&errors);
	return c;
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static void begin(const char *text)
{
	struct buf errors;
	memset(&w, 0, sizeof w);
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		counter_values[i] = 0;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		rows[i].asked_udp = rows[i].asked_tcp = 0;
	assert_int_equal(uv_loop_init(&w.loop), 0);
	uv_timer_init(&w.loop, &w.tick);
	uv_timer_start(&w.tick, on_tick, TICK_MS, TICK_MS);
	script_start(&w.dns, &w.loop, "127.0.0.1", rows, sizeof rows / sizeof rows[0]);
	w.port = free_port();
	w.second = free_port();
	snprintf(w.path, sizeof w.path, "/tmp/oracle-test-%d.sock", (int)getpid());
	w.conf = make_conf(text);
	buf_init(&errors, CONF_MAX);
	assert_int_equal(resolver_open(&w.resolver, &w.loop, w.conf, &errors), 0);
	if (oracle_open(&w.oracle, &w.loop, w.resolver, w.conf, &errors) != 0)
		fail_msg("%s", (char *)errors.data);
	buf_fini(&errors);
}

static void on_closed(void *arg)
{
	(void)arg;
	w.closed++;
}

static void end(void)
{
	if (w.oracle != NULL)
		oracle_close(w.oracle, on_closed, NULL);
	else
		w.closed++;
	for (int i = 0; i < 100 && w.closed == 0; i++)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_int_equal(w.closed, 1);
	assert_int_equal(counter_get(COUNTER_oracle_open), 0);
	resolver_close(w.resolver, on_closed, NULL);
	script_stop(&w.dns);
	uv_close((uv_handle_t *)&w.tick, NULL);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.closed, 2);
	assert_int_equal(uv_loop_close(&w.loop), 0);
	conf_unref(w.conf);
}

static int configure(const char *text, const char *error)
{
	struct buf errors;
	struct conf *c = make_conf(text);
	buf_init(&errors, CONF_MAX);
	int err = oracle_configure(w.oracle, c, &errors);
	assert_string_equal(errors.data != NULL ? (char *)errors.data : "", error);
	buf_fini(&errors);
	conf_unref(w.conf);
	w.conf = c;
	return err;
}

/* ---- who asks ---- */

static int connect_to(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, sa, len) != 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int connect_at(const char *address, uint16_t port)
{
	struct endpoint e = {.port = port};
	struct sockaddr_storage sa;
	assert_int_equal(ip_parse(&e.ip, address), 0);
	socklen_t len = endpoint_to_sockaddr(&e, &sa);
	return connect_to((struct sockaddr *)&sa, len);
}

static int connect_path(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", w.path);
	return connect_to((struct sockaddr *)&sa, sizeof sa);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the loop until exactly `wanted` has come. */
static void hear(int fd, const char *wanted)
{
	static char got[TEXT_MAX];
	size_t n = 0, len = strlen(wanted);
	uint64_t until = clock_mono_ms() + PATIENCE_MS;
	while (n < len) {
		ssize_t more = recv(fd, got + n, len - n, 0);
		if (more > 0)
			n += (size_t)more;
		else if (more == 0 || errno != EAGAIN || clock_mono_ms() > until)
			fail_msg("%zd, heard \"%.*s\", expected \"%s\"", more, (int)n, got, wanted);
		else
			uv_run(&w.loop, UV_RUN_ONCE);
	}
	got[n] = '\0';
	assert_string_equal(got, wanted);
}

/* … until the connection is closed, without a word. */
static void hear_end(int fd)
{
	char got[100];
	ssize_t n;
	uint64_t until = clock_mono_ms() + PATIENCE_MS;
	while ((n = recv(fd, got, sizeof got, 0)) < 0 && errno == EAGAIN) {
		assert_true(clock_mono_ms() < until);
		uv_run(&w.loop, UV_RUN_ONCE);
	}
	if (n > 0)
		fail_msg("heard \"%.*s\"", (int)n, got);
	close(fd);
}

/* A question in socketmap. */
static const char *socketmap(const char *map, const char *key)
{
	static char out[400];
	snprintf(out, sizeof out, "%zu:%s %s,", strlen(map) + 1 + strlen(key), map, key);
	return out;
}

static unsigned asked(const char *name, enum dns_type type)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(rows[i].name, name) == 0 && rows[i].type == type)
			return rows[i].asked_udp + rows[i].asked_tcp;
	fail_msg("%s is in no row", name);
	return 0;
}

/* ---- what is answered ---- */

#define RELAY "24:OK relay:[relay.example],"
#define NOT_FOUND "9:NOTFOUND ,"

static void test_socketmap(void **state)
{
	(void)state;
	static const struct {
		const char *map, *key, *reply;
	} questions[] = {
		{"transport", "a@both.example", NOT_FOUND}, {"transport", "a+b@six.example", RELAY},
		{"transport", "six.example", RELAY}, {"transport", "SIX.Example.", RELAY},
		{"transport", ".six.example", NOT_FOUND}, {"transport", "*", NOT_FOUND}, {"transport", "", NOT_FOUND},
		{"transport", "a@four.example", NOT_FOUND}, {"transport", "a@null.example", NOT_FOUND},
		{"transport", "a@no.example", NOT_FOUND}, {"transport", "a@[192.0.2.1]", NOT_FOUND},
		{"transport", "a@[IPv6:2001:db8::1]", RELAY}, {"transport-ipv6", "a@both.example", NOT_FOUND},
		{"transport-ipv6", "a@six.example", NOT_FOUND}, {"transport-ipv6", "a@four.example", RELAY},
		{"transport-ipv6", "a@[192.0.2.1]", RELAY}, {"transport-ipv4", "a@six.example", RELAY},
		{"transport-ipv4", "a@four.example", NOT_FOUND},
		{"other", "a@four.example",
			"70:PERM no such map; expected transport, transport-ipv4 or transport-ipv6,"},
		{"transport", "a@six.example", RELAY}, /* goes on */
	};
	begin("oracle 127.0.0.1:PORT { }");
	int fd = connect_at("127.0.0.1", w.port);
	for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
		say(fd, socketmap(questions[i].map, questions[i].key));
		hear(fd, questions[i].reply);
	}
	/* a mail costs one question, and what is known none */
	assert_int_equal(asked("six.example", DNS_MX), 1);
	assert_int_equal(asked("mx.six.example", DNS_A), 1);
	assert_int_equal(w.dns.strangers, 0);
	assert_int_equal(counter_get(COUNTER_oracle_questions), 19);
	assert_int_equal(counter_get(COUNTER_oracle_relayed), 8);
	assert_int_equal(counter_get(COUNTER_oracle_deferred), 0);
	close(fd);
	end();
}

static void test_tcp_table(void **state)
{
	(void)state;
	begin("oracle 127.0.0.1:PORT { answer = \"smtp:[relay 64]:25\" }");
	int fd = connect_at("127.0.0.1", w.port);
	say(fd, "get a@both.example\n");
	hear(fd, "500 both.example can be reached over IPv4\n");
	say(fd, "get a%2Bb@six.example\n");
	hear(fd, "200 smtp:[relay%2064]:25\n");
	say(fd, "get a@no.example\n");
	hear(fd, "500 no such domain: no.example\n");
	say(fd, "get *\n");
	hear(fd, "500 no domain that mail can go to\n");
	say(fd, "get a@failed.example\n");
	hear(fd, "400 MX lookup of failed.example: SERVFAIL from ");
	close(fd);
	assert_int_equal(counter_get(COUNTER_oracle_deferred), 1);
	end();
}

/* The family: over which it is asked, or as the block says; a map says more. */
static void test_families(void **state)
{
	(void)state;
	begin("oracle [::1]:PORT { }\noracle 127.0.0.1:PORT { family = ipv6 }\noracle PATH { family = ipv4 }");
	const int fds[] = {connect_at("::1", w.port), connect_at("127.0.0.1", w.port), connect_path()};
	static const char *const four[] = {RELAY, RELAY, NOT_FOUND}, *const six[] = {NOT_FOUND, NOT_FOUND, RELAY};
	for (size_t i = 0; i < 3; i++) {
		say(fds[i], socketmap("transport", "a@four.example"));
		hear(fds[i], four[i]);
		say(fds[i], socketmap("transport", "a@six.example"));
		hear(fds[i], six[i]);
		say(fds[i], socketmap("transport-ipv6", "a@four.example"));
		hear(fds[i], RELAY);
		say(fds[i], socketmap("transport-ipv4", "a@four.example"));
		hear(fds[i], NOT_FOUND);
		close(fds[i]);
	}
	struct stat st;
	assert_int_equal(stat(w.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	end();
	assert_int_not_equal(stat(w.path, &st), 0);
}

static void test_routes(void **state)
{
	(void)state;
	begin("oracle 127.0.0.1:PORT { }\nroute * { relay = [smart.example] }\nroute both.example { relay = "
	      "[h.example] }\n"
	      "route .inside.example { relay = [h.example] }\nroute no.example { reject = \"closed\" }\n");
	int fd = connect_at("127.0.0.1", w.port);
	say(fd, socketmap("transport", "a@both.example")); /* reached by itself */
	hear(fd, NOT_FOUND);
	say(fd, socketmap("transport", "a@null.example")); /* "*" names nothing */
	hear(fd, NOT_FOUND);
	say(fd, socketmap("transport", "a@no.example")); /* to be refused here */
	hear(fd, RELAY);
	say(fd, socketmap("transport", "a@b.inside.example")); /* whatever the DNS knows; here it refuses */
	hear(fd, RELAY);
	close(fd);
	end();
}

/* ---- time ---- */

static void test_time(void **state)
{
	(void)state;
	begin("oracle 127.0.0.1:PORT { }\nlimits { oracle_time = 300ms }");
	int fd = connect_at("127.0.0.1", w.port);
	uint64_t began = clock_mono_ms();
	say(fd, socketmap("transport", "a@silent.example"));
	hear(fd, "60:TIMEOUT the DNS did not answer within limits { oracle_time },");
	assert_in_range(clock_mono_ms() - began, 290, 5000);
	/* the other family is known: that way is sure */
	say(fd, socketmap("transport", "a@half.example"));
	hear(fd, RELAY);
	say(fd, socketmap("transport-ipv6", "a@half.example"));
	hear(fd, NOT_FOUND);
	assert_int_equal(counter_get(COUNTER_oracle_timeouts), 2);
	assert_int_equal(counter_get(COUNTER_oracle_deferred), 1);
	close(fd);
	end();
}

static void test_idle(void **state)
{
	(void)state;
	begin("oracle 127.0.0.1:PORT { }\nlimits { command_time = 1s }");
	uint64_t began = clock_mono_ms();
	int fd = connect_at("127.0.0.1", w.port), other = connect_at("127.0.0.1", w.port);
	say(other, "get a");
	hear_end(fd);
	assert_in_range(clock_mono_ms() - began, 990, 8000);
	hear_end(other);
	assert_int_equal(counter_get(COUNTER_oracle_idle), 2);
	end();
}

/* A peer that asks and never reads: what it is told stays in the socket, no more than that, and it is disconnected. */
static void test_peer_that_does_not_read(void **state)
{
	(void)state;
	begin("oracle PATH { family = ipv4 }\nlimits { command_time = 1s }");
	int fd = connect_path();
	uint64_t until = clock_mono_ms() + PATIENCE_MS;
	while (counter_get(COUNTER_oracle_idle) == 0) {
		assert_true(clock_mono_ms() < until);
		send(fd, "get *\nget *\nget *\nget *\n", 24, MSG_NOSIGNAL);
		uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(counter_get(COUNTER_oracle_open), 0);
	close(fd);
	end();
}

/* ---- many ---- */

static void test_burst_is_one_question(void **state)
{
	(void)state;
	enum { MANY = 60 };
	int fds[MANY];
	begin("oracle 127.0.0.1:PORT { }");
	for (int i = 0; i < MANY; i++) {
		fds[i] = connect_at("127.0.0.1", w.port);
		say(fds[i], socketmap("transport", i % 2 ? "a@burst.example" : "b@BURST.example"));
	}
	for (int i = 0; i < MANY; i++) {
		hear(fds[i], RELAY);
		close(fds[i]);
	}
	assert_int_equal(asked("burst.example", DNS_MX), 1);
	assert_int_equal(asked("mx.burst.example", DNS_A), 1);
	assert_int_equal(asked("mx.burst.example", DNS_AAAA), 1);
	end();
}

/* What is sent ahead is answered in its order; the end of what is sent is not the end of the connection. */
static void test_sent_ahead(void **state)
{
	(void)state;
	begin("oracle 127.0.0.1:PORT { }");
	int fd = connect_at("127.0.0.1", w.port);
	say(fd, "get slow.example\nget six.example\nget *\nget four.example\n");
	shutdown(fd, SHUT_WR);
	hear(fd, "500 no such domain: slow.example\n200 relay:[relay.example]\n500 no domain that mail can go to\n"
		 "500 four.example can be reached over IPv4\n");
	hear_end(fd);

	static char many[TEXT_MAX], replies[TEXT_MAX];
	enum { COUNT = 3000 };
	size_t n = 0, m = 0;
	for (int i = 0; i < COUNT; i++) {
		n += (size_t)snprintf(many + n, sizeof many - n, "%s", socketmap("transport", "a@six.example"));
		m += (size_t)snprintf(replies + m, sizeof replies - m, RELAY);
	}
	fd = connect_at("127.0.0.1", w.port);
	size_t sent = 0;
	for (uint64_t until = clock_mono_ms() + PATIENCE_MS; sent < n;) {
		ssize_t more = send(fd, many + sent, n - sent, MSG_NOSIGNAL);
		sent += more > 0 ? (size_t)more : 0;
		assert_true(clock_mono_ms() < until);
		uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	hear(fd, replies);
	close(fd);
	end();
}

/* ---- limits ---- */

static void test_strangers_and_limit(void **state)
{
	(void)state;
	begin("oracle 127.0.0.1:PORT { }\noracle 127.0.0.1:SECOND { clients = 192.0.2.1 }\nlimits { oracle = 2 }");
	hear_end(connect_at("127.0.0.1", w.second));
	assert_int_equal(counter_get(COUNTER_oracle_refused_stranger), 1);
	int one = connect_at("127.0.0.1", w.port), two = connect_at("127.0.0.1", w.port);
	say(one, "get *\n");
	hear(one, "500 no domain that mail can go to\n");
	say(two, "get *\n");
	hear(two, "500 no domain that mail can go to\n");
	hear_end(connect_at("127.0.0.1", w.port));
	assert_int_equal(counter_get(COUNTER_oracle_refused_all), 1);
	assert_int_equal(counter_get(COUNTER_oracle_open), 2);
	close(one);
	for (uint64_t until = clock_mono_ms() + PATIENCE_MS; counter_get(COUNTER_oracle_open) == 2;) {
		assert_true(clock_mono_ms() < until);
		uv_run(&w.loop, UV_RUN_ONCE);
	}
	one = connect_at("127.0.0.1", w.port);
	say(one, "get *\n");
	hear(one, "500 no domain that mail can go to\n");
	close(one);
	close(two);
	end();
}

static void test_wrong_questions(void **state)
{
	(void)state;
	char line[1200];
	begin("oracle 127.0.0.1:PORT { }\nlimits { line = 1000 }");
	int fd = connect_at("127.0.0.1", w.port);
	memset(line, 'a', sizeof line);
	memcpy(line, "get ", 4);
	strcpy(line + sizeof line - 20, "\nget six.example\n");
	say(fd, line);
	hear(fd, "500 longer than limits { line }\n200 relay:[relay.example]\n");
	assert_int_equal(counter_get(COUNTER_oracle_oversized), 1);
	say(fd, "put six.example x\nget six.example\n");
	hear(fd, "400 expected: get KEY\n");
	hear_end(fd);
	fd = connect_at("127.0.0.1", w.port);
	say(fd, "3:x y;");
	hear(fd, "38:PERM expected ',' behind the netstring,");
	hear_end(fd);
	assert_int_equal(counter_get(COUNTER_oracle_malformed), 2);
	end();
}

/* ---- coming and going ---- */

static void test_reload(void **state)
{
	(void)state;
	begin("oracle 127.0.0.1:PORT { }\noracle 127.0.0.1:SECOND { }");
	int stays = connect_at("127.0.0.1", w.port), goes = connect_at("127.0.0.1", w.second);
	say(stays, "get four.example\n");
	hear(stays, "500 four.example can be reached over IPv4\n");
	say(goes, "get slow.example\n"); /* under way */
	for (int i = 0; i < 3; i++)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_int_equal(
		configure("oracle 127.0.0.1:PORT { family = ipv6 }\noracle PATH { family = ipv6 answer = x:y }", ""),
		0);
	hear_end(goes);
	assert_int_equal(connect_at("127.0.0.1", w.second), -1);
	say(stays, "get four.example\n");
	hear(stays, "200 relay:[relay.example]\n");
	int fd = connect_path();
	say(fd, "get four.example\n");
	hear(fd, "200 x:y\n");
	close(fd);

	/* one of the new ones cannot be: the others are */
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int on = 1, taken = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(taken, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	sa.sin_port = htons(w.second);
	assert_int_equal(bind(taken, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(taken, 1), 0);
	char error[200];
	snprintf(error, sizeof error, "oracle 127.0.0.1:%u: address already in use\n", w.second);
	assert_int_equal(configure("oracle 127.0.0.1:PORT, 127.0.0.1:SECOND, [::1]:SECOND { }", error), UV_EADDRINUSE);
	close(taken);
	say(stays, "get four.example\n");
	hear(stays, "500 four.example can be reached over IPv4\n");
	fd = connect_at("::1", w.second);
	say(fd, "get four.example\n");
	hear(fd, "200 relay:[relay.example]\n");
	close(fd);

	assert_int_equal(configure("", ""), 0);
	hear_end(stays);
	assert_int_equal(connect_at("127.0.0.1", w.port), -1);
	end();
}

/* Nothing is left open where one cannot be opened at the start. */
static void test_start_that_fails(void **state)
{
	(void)state;
	begin("");
	struct buf errors;
	struct conf *c = make_conf("oracle 127.0.0.1:PORT { }\noracle /nowhere/at/all { family = ipv4 }");
	struct oracle *o = NULL;
	buf_init(&errors, CONF_MAX);
	assert_int_equal(oracle_open(&o, &w.loop, w.resolver, c, &errors), -ENOENT);
	assert_null(o);
	assert_string_equal(
		(char *)errors.data, "oracle /nowhere/at/all: make its folder first, or set another path\n");
	buf_fini(&errors);
	conf_unref(c);
	uv_run(&w.loop, UV_RUN_ONCE);
	assert_int_equal(connect_at("127.0.0.1", w.port), -1);
	end();
}

/* The end comes while questions are looked up, answered and half read. */
static void test_end_at_work(void **state)
{
	(void)state;
	begin("oracle 127.0.0.1:PORT { }\noracle PATH { family = ipv4 }");
	int silent = connect_at("127.0.0.1", w.port), part = connect_path(), fresh = connect_at("127.0.0.1", w.port);
	say(silent, "get silent.example\n");
	say(part, "get si");
	for (int i = 0; i < 5; i++)
		uv_run(&w.loop, UV_RUN_ONCE);
	say(fresh, "get *\n");
	end();
	close(silent);
	close(part);
	close(fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socketmap),
		cmocka_unit_test(test_tcp_table),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_peer_that_does_not_read),
		cmocka_unit_test(test_burst_is_one_question),
		cmocka_unit_test(test_sent_ahead),
		cmocka_unit_test(test_strangers_and_limit),
		cmocka_unit_test(test_wrong_questions),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_start_that_fails),
		cmocka_unit_test(test_end_at_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
