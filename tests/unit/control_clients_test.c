/* tests/unit/control_clients_test.c: clients of the control socket that are slow, silent, many, vanish or ask too much,
 * and who may ask at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "queue/control/json.h"
#include "queue/control/socket.h"
#include "tests/unit/control_fixture.h"
#include "tests/unit/inspect_fake.h"

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
	if (control_begin() != 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_slow_reader, start, stop),
		cmocka_unit_test_setup_teardown(test_silent_clients, start, stop),
		cmocka_unit_test_setup_teardown(test_vanishing_clients, start, stop),
		cmocka_unit_test_setup_teardown(test_oversized_request, start, stop),
		cmocka_unit_test_setup_teardown(test_flood, start, stop),
		cmocka_unit_test_setup_teardown(test_limit_of_connections, start, stop),
		cmocka_unit_test_setup_teardown(test_the_socket_file, start, stop),
		cmocka_unit_test(test_who_may_ask),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	control_end();
	return failed;
}
