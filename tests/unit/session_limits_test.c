/* tests/unit/session_limits_test.c: what bounds a client: sessions, errors, sizes, times, and the counters that say so.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "tests/unit/session_fake.h"

static void test_session_limits(void **state)
{
	(void)state;
	static const struct {
		const char *conf, *reply;
	} rows[] = {
		{"limits { sessions = 2 }", "421 4.3.2 r.example: Too many connections\r\n"},
		{"limits { sessions_per_client = 2 }",
			"421 4.7.0 r.example: Too many connections from your address\r\n"},
		{"clients = 192.0.2.0/24\nlimits { sessions_per_other = 2 }",
			"421 4.7.0 r.example: Too many connections from your address\r\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		setup(&w, rows[i].conf);
		int a = dial(w.port), b = dial(w.port);
		expect(&w, a, "220 ");
		expect(&w, b, "220 ");
		int c = dial(w.port);
		expect(&w, c, rows[i].reply);
		expect(&w, c, NULL);
		close(c);
		close(a);
		uint64_t start = clock_mono_ms();
		while (smtpd_sessions(w.smtpd) > 1 && clock_mono_ms() - start < PATIENCE_MS)
			turn(&w);
		c = dial(w.port);
		expect(&w, c, "220 ");
		close(b);
		close(c);
		teardown(&w);
	}
}

/* Each limit that a client can reach has a reply and a counter of its own. */
static void test_counters(void **state)
{
	(void)state;
	static const struct {
		const char *conf, *said, *reply;
		enum counter counter;
	} rows[] = {
		{"limits { size = 64K }", "EHLO c\r\nMAIL FROM:<a@b> SIZE=65537\r\n", "552 5.3.4 ",
			COUNTER_refused_size},
		{"limits { recipients = 2 }", EHLO M R "RCPT TO:<e@d.example>\r\n" R "RCPT TO:<f@d.example>\r\n",
			"452 4.5.3 ", COUNTER_refused_recipients},
		{"limits { hops = 10 }",
			EHLO M R "DATA\r\nReceived: 1\r\nReceived: 2\r\nReceived: 3\r\nReceived: 4\r\nReceived: 5\r\n"
				 "Received: 6\r\nReceived: 7\r\nReceived: 8\r\nReceived: 9\r\nReceived: 10\r\n"
				 "Received: 11\r\n\r\n.\r\n",
			"554 5.4.6 ", COUNTER_refused_hops},
		/* RFC 2852 §4, RFC 4865 §4: below the least, over the most */
		{"client 127.0.0.1 { deliver_by = yes }", EHLO "MAIL FROM:<a@b> BY=59;R\r\n", "501 5.5.4 ",
			COUNTER_refused_range},
		{"client 127.0.0.1 { future_release = yes }\nlimits { future_release = 1m }",
			EHLO "MAIL FROM:<a@b> HOLDFOR=61\r\n", "501 5.5.4 ", COUNTER_refused_range},
		{"limits { errors = 2 }", "X\r\nX\r\n", "421 4.7.0 ", COUNTER_sessions_errors},
		{"limits { messages = 1 }", EHLO M, "452 4.3.1 ", COUNTER_refused_queue},
		{"", EHLO M R "DATA\r\nx\n.\n\r\n.\r\n", "550 5.5.2 The message", COUNTER_refused_bare},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		setup(&w, rows[i].conf);
		uint64_t before = counter_get(rows[i].counter), queued = counter_get(COUNTER_messages_queued);
		if (rows[i].counter == COUNTER_refused_queue)
			COUNT_SET(messages_queued, 1);
		int fd = dial(w.port);
		tell_text(&w, fd, rows[i].said);
		expect(&w, fd, rows[i].reply);
		assert_int_equal(counter_get(rows[i].counter), before + 1);
		COUNT_SET(messages_queued, queued);
		close(fd);
		teardown(&w);
	}
	struct world w;
	setup(&w, "");
	static char line[4096];
	memset(line, 'x', sizeof line - 3);
	memcpy(line + sizeof line - 3, "\r\n", 3);
	uint64_t before = counter_get(COUNTER_refused_line);
	int fd = dial(w.port);
	tell_text(&w, fd, line);
	expect(&w, fd, "500 5.5.2 Line too long");
	assert_int_equal(counter_get(COUNTER_refused_line), before + 1);
	close(fd);
	teardown(&w);
}

/* The last reply reaches a client that was still talking: no reset takes it away. */
static void test_last_words(void **state)
{
	(void)state;
	static char noise[300000];
	for (size_t i = 0; i < sizeof noise; i += 3)
		memcpy(noise + i, "X\r\n", 3);
	struct world w;
	setup(&w, "");
	int fd = dial(w.port);
	tell(&w, fd, noise, sizeof noise);
	expect(&w, fd, "421 4.7.0 ");
	char last[16];
	assert_int_equal(recv(fd, last, sizeof last, MSG_DONTWAIT), 0); /* an end, no reset */
	close(fd);
	until(&w, nobody_left);
	teardown(&w);
}

static void test_time_limits(void **state)
{
	(void)state;
	static const struct {
		uint64_t command_time, data_time;
		bool data;
		enum counter counter;
	} rows[] = {
		{30, 60000, false, COUNTER_timeouts_command},
		{30, 60000, true, COUNTER_timeouts_command},
		{60000, 30, true, COUNTER_timeouts_data},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		setup(&w, "");
		w.conf->limits.command_time = rows[i].data ? 60000 : rows[i].command_time;
		w.conf->limits.data_time = rows[i].data_time;
		uint64_t before = counter_get(rows[i].counter);
		int fd = rows[i].data ? dial_to_data(&w) : dial(w.port);
		if (rows[i].data && rows[i].command_time < 1000) {
			w.conf->limits.command_time = rows[i].command_time;
			tell_text(&w, fd, "x");
		}
		expect(&w, fd, "421 4.4.2 ");
		expect(&w, fd, NULL);
		assert_int_equal(counter_get(rows[i].counter), before + 1);
		close(fd);
		until(&w, nobody_left);
		teardown(&w);
	}
}

/* A chunk that is refused has the time of content: as long as it comes the client is not silent, but not for ever. */
static void test_time_of_refused_chunks(void **state)
{
	(void)state;
	static const char *const before[] = {EHLO, EHLO M, EHLO M R "BDAT 1\r\n\n"};
	for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
		struct world w;
		setup(&w, "");
		w.conf->limits.command_time = 400;
		w.conf->limits.data_time = 1200;
		uint64_t timeouts = counter_get(COUNTER_timeouts_data), start;
		int fd = dial(w.port);
		tell_text(&w, fd, before[i]);
		tell_text(&w, fd, "BDAT 100000000\r\n");
		char got[4096] = "";
		size_t len = 0;
		for (start = clock_mono_ms(); strstr(got, "421 4.4.2 ") == NULL;) {
			send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
			turn(&w);
			ssize_t n = recv(fd, got + len, sizeof got - 1 - len, MSG_DONTWAIT);
			len += n > 0 ? (size_t)n : 0;
			got[len] = '\0';
			assert_true(clock_mono_ms() - start < PATIENCE_MS);
		}
		assert_true(clock_mono_ms() - start >= 1100);
		assert_int_equal(counter_get(COUNTER_timeouts_data), timeouts + 1);
		close(fd);
		until(&w, nobody_left);
		teardown(&w);
	}
}

/* Who asks and never reads the answers is read no more, and in the end closed. */
static void deaf_client(bool timed)
{
	struct world w;
	uint64_t before = counter_get(COUNTER_timeouts_command);
	setup(&w, "limits { junk = 100000 }");
	w.conf->limits.command_time = timed ? 300 : 60000;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 2048;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	struct sockaddr_in sa = at_port(w.port);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	static char asks[60000];
	for (size_t i = 0; i < sizeof asks; i += 6)
		memcpy(asks + i, "HELP\r\n", 6);
	for (int idle = 0; idle < 20;) {
		idle = send(fd, asks, sizeof asks, MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ? 0 : idle + 1;
		turn(&w);
	}
	if (timed) {
		until(&w, nobody_left);
		assert_int_equal(counter_get(COUNTER_timeouts_command), before + 1);
	} else {
		assert_int_equal(smtpd_sessions(w.smtpd), 1);
	}
	teardown(&w); /* else it ends here, replies pending or not */
	close(fd);
}

static void test_a_client_that_does_not_read(void **state)
{
	(void)state;
	deaf_client(true);
	deaf_client(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_limits),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_time_limits),
		cmocka_unit_test(test_time_of_refused_chunks),
		cmocka_unit_test(test_a_client_that_does_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
