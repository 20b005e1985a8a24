/* tests/unit/session_test.c: sessions and the store: what is said and kept of a message, back pressure, faults, clients
 * that vanish. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/counter.h"
#include "smtpd/session.h"
#include "tests/unit/session_fake.h"

static void test_a_message(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	int fd = dial_to_data(&w);
	tell_text(&w, fd, "Subject: x\r\n\r\n..hello\r\n.\r\n");
	expect(&w, fd, QUEUED);
	assert_int_equal(w.store.stored, 1);
	const struct envelope *e = w.store.envelope;
	assert_string_equal(e->sender, "a@b.example");
	assert_int_equal(e->rcpt_count, 1);
	assert_string_equal(e->rcpts[0].address, "c@d.example");
	assert_string_equal(e->helo, "c.example");
	assert_string_equal(e->client, "127.0.0.1");
	assert_int_equal(e->size, w.store.content.len);
	static const char begin[] = "Received: from c.example ([127.0.0.1])\r\n\tby r.example with ESMTP id ";
	static const char end[] = "\r\nSubject: x\r\n\r\n.hello\r\n";
	assert_memory_equal(w.store.content.data, begin, sizeof begin - 1);
	assert_string_equal((char *)w.store.content.data + w.store.content.len - (sizeof end - 1), end);
	tell_text(&w, fd, "QUIT\r\n");
	expect(&w, fd, "221 ");
	expect(&w, fd, NULL);
	close(fd);
	until(&w, nobody_left);
	teardown(&w);
}

/* Both families at one port, each with its own address in the trace field. */
static void test_ipv6(void **state)
{
	(void)state;
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0)
		skip();
	close(fd);
	struct world w;
	struct buf errors;
	char more[128];
	buf_init(&errors, 4096);
	setup(&w, "");
	snprintf(more, sizeof more, "listen 0.0.0.0:%u { }\nlisten [::]:%u { }", w.port, w.port);
	struct conf *next = make_conf(w.port, more);
	if (smtpd_reload(w.smtpd, next, &errors) != 0)
		fail_msg("%s", errors.data);
	conf_unref(next);
	turn(&w);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin6_port = htons(w.port);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	tell_text(&w, fd, EHLO M R "DATA\r\n");
	expect(&w, fd, GO);
	tell_text(&w, fd, ".\r\n");
	expect(&w, fd, QUEUED);
	assert_non_null(strstr((char *)w.store.content.data, "from c.example ([IPv6:::1])\r\n"));
	assert_string_equal(w.store.envelope->client, "::1");
	close(fd);
	buf_fini(&errors);
	teardown(&w);
}

/* What comes behind the final dot in the same packet waits for the disk, then counts. */
static void test_commands_behind_the_dot(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	w.store.hold_commit = true;
	int fd = dial_to_data(&w);
	tell_text(&w, fd, "one\r\n.\r\n" M R "DATA\r\n");
	until(&w, commit_waits);
	w.store.hold_commit = false;
	release_commit(&w.store);
	expect(&w, fd, GO);
	tell_text(&w, fd, "two\r\n.\r\nQUIT\r\n");
	expect(&w, fd, "221 ");
	assert_int_equal(w.store.stored, 2);
	close(fd);
	teardown(&w);
}

/* A large message through a store that pushes back at every piece: bit by bit the same. */
static void test_back_pressure(void **state)
{
	(void)state;
	enum { LINES = 40000, LINE = 80 };
	struct world w;
	setup(&w, "");
	w.store.push_back = true;
	char *text = malloc(LINES * LINE);
	for (int i = 0; i < LINES; i++) {
		for (int k = 0; k < LINE - 2; k++)
			text[i * LINE + k] = (char)('a' + (i * 7 + k * 3) % 26);
		memcpy(text + i * LINE + LINE - 2, "\r\n", 2);
	}
	int fd = dial_to_data(&w);
	tell(&w, fd, text, LINES * LINE);
	tell_text(&w, fd, ".\r\n");
	expect(&w, fd, QUEUED);
	assert_true(w.store.content.len > LINES * LINE);
	assert_memory_equal(w.store.content.data + w.store.content.len - LINES * LINE, text, LINES * LINE);
	free(text);
	close(fd);
	teardown(&w);
}

/* The last bytes of a chunk meet a store that pushes back: the reply must not wait for bytes that are not to come. */
static void test_chunks_under_back_pressure(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	w.store.push_back = true;
	int fd = dial(w.port);
	tell_text(&w, fd, EHLO M R);
	expect(&w, fd, "250 2.1.5");
	tell_text(&w, fd, "BDAT 5\r\none\r\n");
	expect(&w, fd, "250 2.0.0 5 octets");
	tell_text(&w, fd, "BDAT 3\r\ntwo");
	expect(&w, fd, "250 2.0.0 3 octets");
	tell_text(&w, fd, "BDAT 2 LAST\r\n\r\n");
	expect(&w, fd, QUEUED);
	close(fd);
	teardown(&w);
}

/* While the store takes nothing the client is not read: the kernel's buffers fill, ours do not. */
static void test_no_reading_under_back_pressure(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	w.store.push_back = w.store.hold_drained = true;
	int fd = dial(w.port);
	tell_text(&w, fd, EHLO M R "DATA\r\n");
	until(&w, content_waits);
	static char lots[65536];
	memset(lots, 'x', sizeof lots);
	size_t taken = 0;
	for (int idle = 0; idle < 20;) {
		ssize_t n = send(fd, lots, sizeof lots, MSG_DONTWAIT | MSG_NOSIGNAL);
		idle = n > 0 ? 0 : idle + 1;
		taken += n > 0 ? (size_t)n : 0;
		assert_true(taken < 64 << 20);
		turn(&w);
	}
	assert_true(body_memory_used() - w.bodies < 1 << 20);
	close(fd);
	w.store.hold_drained = w.store.push_back = false;
	release_drained(&w.store);
	until(&w, nobody_left);
	teardown(&w);
}

/* A client that vanishes leaves nothing, wherever it was; a message that is being committed is kept. */
static void test_vanishing(void **state)
{
	(void)state;
	static const struct {
		const char *say;
		const char *then; /* after 354 */
		bool (*at)(struct world *w);
		bool push_back, hold_finish, hold_commit;
		unsigned stored;
	} rows[] = {
		{"", NULL, NULL, false, false, false, 0},
		{"EHL", NULL, NULL, false, false, false, 0},
		{EHLO, NULL, NULL, false, false, false, 0},
		{EHLO M, NULL, NULL, false, false, false, 0},
		{EHLO M R "RCPT TO:<x", NULL, NULL, false, false, false, 0},
		{EHLO M R "DATA\r\n", NULL, writer_exists, false, false, false, 0},
		{EHLO M R "DATA\r\n", "x\r\n", writer_exists, false, false, false, 0},
		{EHLO M R "DATA\r\n", "x\n", NULL, false, false, false, 0},
		{EHLO M R "DATA\r\n", NULL, content_waits, true, false, false, 0},
		{EHLO M R "DATA\r\n", "x\r\n.\r\n", finish_waits, false, true, false, 1},
		{EHLO M R "DATA\r\n", "x\r\n.\r\nNOOP\r\nRS", commit_waits, false, false, true, 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct linger reset = {1, 0};
		struct world w;
		for (int hard = 0; hard < 2; hard++) {
			setup(&w, "");
			w.store.push_back = w.store.hold_drained = rows[i].push_back;
			w.store.hold_finish = rows[i].hold_finish;
			w.store.hold_commit = rows[i].hold_commit;
			int fd = dial(w.port);
			tell_text(&w, fd, rows[i].say);
			if (rows[i].then != NULL) {
				expect(&w, fd, GO);
				tell_text(&w, fd, rows[i].then);
			}
			if (rows[i].at != NULL)
				until(&w, rows[i].at);
			if (hard)
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
			close(fd);
			for (int k = 0; k < 5; k++)
				turn(&w);
			w.store.push_back = w.store.hold_finish = w.store.hold_commit = false;
			release_drained(&w.store);
			release_finish(&w.store);
			release_commit(&w.store);
			until(&w, nobody_left);
			assert_int_equal(w.store.stored, rows[i].stored);
			teardown(&w);
		}
	}
}

static void test_storage_faults(void **state)
{
	(void)state;
	static const struct {
		int append_err, finish_err, commit_err;
		enum store_room room;
		const char *reply;
		unsigned discarded;
	} rows[] = {
		{-ENOSPC, 0, 0, STORE_OK, "452 4.3.1 ", 0},
		{-EIO, 0, 0, STORE_OK, "451 4.3.0 ", 0},
		{0, -EIO, 0, STORE_OK, "451 4.3.0 ", 0},
		{0, -ENOSPC, 0, STORE_OK, "452 4.3.1 ", 0},
		{0, 0, -EIO, STORE_OK, "451 4.3.0 ", 1},
		{0, 0, -ENOSPC, STORE_OK, "452 4.3.1 ", 1},
		{0, 0, 0, STORE_FULL, "452 4.3.1 ", 0},
		{0, 0, 0, STORE_BROKEN, "451 4.3.0 ", 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		setup(&w, "");
		w.store.append_err = rows[i].append_err;
		w.store.finish_err = rows[i].finish_err;
		w.store.commit_err = rows[i].commit_err;
		w.store.room = rows[i].room;
		int fd = dial(w.port);
		tell_text(&w, fd, EHLO M);
		if (rows[i].room == STORE_OK) {
			tell_text(&w, fd, R "DATA\r\n");
			expect(&w, fd, GO);
			tell_text(&w, fd, "x\r\n.\r\n");
		}
		expect(&w, fd, rows[i].reply);
		assert_int_equal(w.store.stored, 0);
		assert_int_equal(w.store.discarded, rows[i].discarded);
		w.store.append_err = w.store.finish_err = w.store.commit_err = 0;
		w.store.room = STORE_OK;
		tell_text(&w, fd, M R "DATA\r\n");
		expect(&w, fd, GO);
		tell_text(&w, fd, "x\r\n.\r\n");
		expect(&w, fd, QUEUED);
		close(fd);
		teardown(&w);
	}
	/* no IDs may be given: also a fault of the storage */
	struct world w;
	setup(&w, "");
	w.ceiling = 1;
	int fd = dial(w.port);
	tell_text(&w, fd, EHLO M R "DATA\r\n");
	expect(&w, fd, "451 4.3.0 ");
	close(fd);
	teardown(&w);
}

static void test_relaying(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "clients = 192.0.2.0/24");
	uint64_t denied = counter_get(COUNTER_relay_denied);
	int fd = dial(w.port);
	tell_text(&w, fd, EHLO M R "DATA\r\n");
	expect(&w, fd, "554 5.5.1 ");
	assert_int_equal(counter_get(COUNTER_relay_denied), denied + 1);
	assert_int_equal(w.store.writers, 0);
	close(fd);
	teardown(&w);
}

/* An idle session costs its struct and its HELO name. */
static void test_memory(void **state)
{
	(void)state;
	enum { MANY = 400 };
	assert_true(session_size() <= 1024);
	struct world w;
	setup(&w, "");
	static int fds[MANY];
	fds[0] = dial(w.port);
	tell_text(&w, fds[0], EHLO);
	expect(&w, fds[0], "250 ENHANCED");
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	size_t before = mallinfo2().uordblks;
#endif
	for (int i = 1; i < MANY; i++) {
		fds[i] = dial(w.port);
		tell_text(&w, fds[i], EHLO M "RSET\r\n");
		expect(&w, fds[i], "250 2.0.0 ");
	}
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	size_t each = (mallinfo2().uordblks - before) / (MANY - 1);
	print_message("%zu bytes an idle session (struct %zu)\n", each, session_size());
	assert_true(each <= 2048);
#endif
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	until(&w, nobody_left);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_commands_behind_the_dot),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_chunks_under_back_pressure),
		cmocka_unit_test(test_no_reading_under_back_pressure),
		cmocka_unit_test(test_vanishing),
		cmocka_unit_test(test_storage_faults),
		cmocka_unit_test(test_relaying),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
