/* tests/unit/listener_test.c: listeners: opening, another configuration, the end, and no descriptors left. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/counter.h"
#include "tests/unit/session_fake.h"

enum { QUEUED_CLIENTS = 100 };

static void test_open_errors(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	/* the same port again, by another daemon: SO_REUSEPORT alone would share it in silence */
	struct ioloop loop;
	assert_int_equal(ioloop_init(&loop, "io-1", 1), 0);
	struct smtpd_setup s = {.loops = &loop, .loop_count = 1, .conf = w.conf, .desk = &w.desk};
	struct smtpd *d = NULL;
	struct buf errors;
	buf_init(&errors, 4096);
	assert_int_equal(smtpd_open(&d, &s, &errors), -EADDRINUSE);
	assert_null(d);
	char begin[64];
	snprintf(begin, sizeof begin, "listen 127.0.0.1:%u: ", w.port);
	assert_memory_equal(errors.data, begin, strlen(begin));
	/* an address that is not ours: an error, unless asked to leave it out */
	struct conf *c = make_conf(free_port(), "listen 192.0.2.77:2525 { }");
	s.conf = c;
	buf_reset(&errors);
	assert_int_equal(smtpd_open(&d, &s, &errors), -EADDRNOTAVAIL);
	assert_non_null(strstr((char *)errors.data, "no interface of this host has it"));
	s.skip_missing = true;
	assert_int_equal(smtpd_open(&d, &s, &errors), 0);
	smtpd_free(d);
	conf_unref(c);
	buf_fini(&errors);
	ioloop_finish(&loop);
	uv_run(&loop.uv, UV_RUN_DEFAULT);
	assert_int_equal(ioloop_join(&loop), 0);
	teardown(&w);
}

static void test_reload(void **state)
{
	(void)state;
	struct world w;
	struct buf errors;
	buf_init(&errors, 4096);
	setup(&w, "");
	int old = dial(w.port);
	expect(&w, old, "220 r.example ");
	/* one more, and another size */
	uint16_t second = free_port();
	char more[128];
	snprintf(more, sizeof more, "listen 127.0.0.1:%u { }\nlimits { size = 7777 }", second);
	struct conf *next = make_conf(w.port, more);
	assert_int_equal(smtpd_reload(w.smtpd, next, &errors), 0);
	conf_unref(next);
	turn(&w);
	int a = dial(w.port), b = dial(second);
	tell_text(&w, a, EHLO);
	expect(&w, a, "250-SIZE 7777\r\n");
	tell_text(&w, b, EHLO);
	expect(&w, b, "250-SIZE 7777\r\n");
	tell_text(&w, old, EHLO);
	expect(&w, old, "250-SIZE 52428800\r\n");
	/* the first one goes; what waits in its queue is told, or was greeted just before */
	next = make_conf(second, "");
	int waiting = dial(w.port);
	assert_int_equal(smtpd_reload(w.smtpd, next, &errors), 0);
	conf_unref(next);
	expect(&w, waiting, " r.example");
	struct sockaddr_in sa = at_port(w.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	/* somebody else's port: said, and all else done */
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa = at_port(0);
	socklen_t len = sizeof sa;
	assert_int_equal(bind(other, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_int_equal(getsockname(other, (struct sockaddr *)&sa, &len), 0);
	snprintf(more, sizeof more, "listen 127.0.0.1:%u { }", ntohs(sa.sin_port));
	next = make_conf(second, more);
	assert_int_equal(smtpd_reload(w.smtpd, next, &errors), -EADDRINUSE);
	conf_unref(next);
	assert_non_null(strstr((char *)errors.data, "is another mail server running?"));
	tell_text(&w, b, "NOOP\r\n");
	expect(&w, b, "250 2.0.0 ");
	int fds[] = {old, a, b, waiting, other};
	for (size_t i = 0; i < 5; i++)
		close(fds[i]);
	buf_fini(&errors);
	teardown(&w);
}

static void test_stop(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	int idle = dial(w.port), fresh = dial(w.port), busy = dial_to_data(&w), late = dial_to_data(&w);
	expect(&w, fresh, "220 ");
	tell_text(&w, idle, EHLO M);
	expect(&w, idle, "250 2.1.0 ");
	int queued[QUEUED_CLIENTS]; /* more than are accepted in one turn */
	for (int i = 0; i < QUEUED_CLIENTS; i++)
		queued[i] = dial(w.port);
	smtpd_stop(w.smtpd, 3600000, on_done, &w);
	for (int i = 0; i < QUEUED_CLIENTS; i++) {
		expect(&w, queued[i], "421 4.3.2 ");
		close(queued[i]);
	}
	expect(&w, idle, "421 4.3.2 ");
	expect(&w, idle, NULL);
	expect(&w, fresh, "421 4.3.2 ");
	tell_text(&w, busy, "x\r\n.\r\n");
	expect(&w, busy, "421 4.3.2 ");
	assert_int_equal(w.store.stored, 1);
	assert_false(w.done);
	smtpd_stop(w.smtpd, 0, NULL, NULL); /* the second TERM */
	expect(&w, late, NULL);
	until(&w, is_done);
	assert_int_equal(w.store.stored, 1);
	int fds[] = {idle, fresh, busy, late};
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
	teardown(&w);
}

/* The drain time is over while a message is at the disk: it waits for that and nothing else. */
static void test_stop_with_a_commit_under_way(void **state)
{
	(void)state;
	for (int finishing = 0; finishing < 2; finishing++) {
		struct world w;
		setup(&w, "");
		w.store.hold_commit = !finishing;
		w.store.hold_finish = finishing;
		int fd = dial_to_data(&w);
		tell_text(&w, fd, "x\r\n.\r\n");
		until(&w, finishing ? finish_waits : commit_waits);
		smtpd_stop(w.smtpd, 0, on_done, &w);
		expect(&w, fd, NULL);
		assert_false(w.done);
		release_commit(&w.store);
		release_finish(&w.store);
		until(&w, is_done);
		assert_int_equal(w.store.stored, !finishing);
		assert_int_equal(w.store.discarded, finishing);
		close(fd);
		teardown(&w);
	}
}

/* No descriptors left: clients wait instead of being lost, and the daemon does not spin. */
static void test_no_descriptors(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	int first = dial(w.port);
	expect(&w, first, "220 ");
	int fd = dial(w.port);
	struct rlimit old, tight;
	getrlimit(RLIMIT_NOFILE, &old);
	tight = old;
	tight.rlim_cur = 3; /* all further ones are over it */
	uint64_t before = counter_get(COUNTER_accept_failures);
	setrlimit(RLIMIT_NOFILE, &tight);
	for (int i = 0; i < 20; i++)
		turn(&w);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(counter_get(COUNTER_accept_failures), before + 1);
	assert_int_equal(smtpd_sessions(w.smtpd), 1);
	expect(&w, fd, "220 ");
	close(first);
	close(fd);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_stop_with_a_commit_under_way),
		cmocka_unit_test(test_no_descriptors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
