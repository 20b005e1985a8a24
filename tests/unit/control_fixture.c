/* tests/unit/control_fixture.c: see control_fixture.h. */
#include "tests/unit/control_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct ioloop loop;
struct queue queue;
struct control *control;
char path[64];
char folder[] = "/tmp/control_test.XXXXXX";
static bool closed;

int control_begin(void)
{
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	if (mkdtemp(folder) == NULL)
		return -errno;
	snprintf(path, sizeof path, "%s/control.sock", folder);
	return 0;
}

void control_end(void)
{
	rmdir(folder);
}

void turn(void)
{
	uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void on_closed(void *arg)
{
	(void)arg;
	closed = true;
}

int start(void **state)
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

int stop(void **state)
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

void peer_open(struct peer *p)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(connect(p->fd, (struct sockaddr *)&sa, sizeof sa), 0);
	buf_init(&p->in, 64 << 20);
}

void peer_close(struct peer *p)
{
	close(p->fd);
	buf_fini(&p->in);
}

void say(struct peer *p, const char *text)
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

bool take(struct peer *p)
{
	char bytes[65536];
	ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
	if (n > 0)
		assert_int_equal(buf_append(&p->in, bytes, (size_t)n), 0);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

json_t *hear(struct peer *p)
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

const char *text_at(const json_t *line, const char *name)
{
	const char *s = json_string_value(json_object_get(line, name));
	return s != NULL ? s : "(none)";
}

json_int_t number_at(const json_t *line, const char *name)
{
	return json_integer_value(json_object_get(line, name));
}

unsigned answer(struct peer *p, const char *type, json_t **end)
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
