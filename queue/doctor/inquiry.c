/* queue/doctor/inquiry.c: plumbing. */
#include "queue/doctor/inquiry.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "queue/control/protocol.h"

enum { LINE_MAX_BYTES = 1 << 20, SETTINGS_MAX = 8 << 20, READ_SIZE = 65536 };

static const char *const commands[] = {"version", "config"};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void finish(struct inquiry *q, int err)
{
	if (q->over)
		return;
	q->out->err = err;
	inquiry_close(q);
	q->done(q->arg);
}

void inquiry_close(struct inquiry *q)
{
	q->over = true;
	if (q->open && !uv_is_closing((uv_handle_t *)&q->pipe))
		uv_close((uv_handle_t *)&q->pipe, NULL);
}

void inquiry_fini(struct inquiry *q)
{
	buf_fini(&q->in);
	buf_fini(&q->settings);
}

/* ---- what the lines say ---- */

static const char *text_of(const json_t *line, const char *name)
{
	const char *s = json_string_value(json_object_get(line, name));
	return s != NULL ? s : "";
}

static int close_block(struct inquiry *q)
{
	int err = q->block[0] != '\0' ? buf_append_str(&q->settings, "}\n") : 0;
	q->block[0] = q->title[0] = '\0';
	return err;
}

/* Routes may be very many, and of them the checks want pools alone; of refusals they want nothing. */
static int take_setting(struct inquiry *q, const json_t *line)
{
	const char *block = text_of(line, "block"), *title = text_of(line, "title"), *key = text_of(line, "key");
	const json_t *value = json_object_get(line, "value");
	int err = 0;
	if ((strcmp(block, "route") == 0 && strcmp(key, "pool") != 0) || strcmp(block, "refusal") == 0)
		return 0;
	if (strlen(block) >= sizeof q->block || strlen(title) >= sizeof q->title)
		return -E2BIG;
	if (strcmp(q->block, block) != 0 || strcmp(q->title, title) != 0) {
		err = close_block(q);
		if (err == 0 && *block != '\0')
			err = buf_printf(&q->settings, "%s %s {\n", block, title);
		snprintf(q->block, sizeof q->block, "%s", block);
		snprintf(q->title, sizeof q->title, "%s", title);
	}
	if (err == 0 && *key != '\0' && json_is_string(value))
		err = buf_printf(&q->settings, "%s = %s\n", key, json_string_value(value));
	return err;
}

static int take_object(struct inquiry *q, const json_t *line)
{
	const char *type = text_of(line, "type");
	if (strcmp(type, "error") == 0) {
		snprintf(q->out->problem, sizeof q->out->problem, "%s", text_of(line, "text"));
		return -EPROTO;
	}
	if (strcmp(type, "version") == 0) {
		snprintf(q->out->version, sizeof q->out->version, "%s", text_of(line, "version"));
		q->out->answered = q->out->version[0] != '\0';
	} else if (strcmp(type, "setting") == 0) {
		return take_setting(q, line) == 0 ? 1 : -EPROTO;
	} else if (strcmp(type, "end") == 0) {
		bool settings = strcmp(commands[q->step], "config") == 0;
		q->settings_whole = settings && close_block(q) == 0;
		return 0;
	}
	return 1;
}

int inquiry_take(struct inquiry *q, const char *line, size_t n)
{
	json_t *object = json_loadb(line, n, 0, NULL);
	int more = json_is_object(object) ? take_object(q, object) : -EPROTO;
	json_decref(object);
	return more;
}

/* ---- the conversation ---- */

static void on_written(uv_write_t *w, int status)
{
	if (status < 0 && status != UV_ECANCELED && status != UV_EPIPE) /* turned away: the answer says why */
		finish(w->data, status);
}

static void ask(struct inquiry *q)
{
	int n = snprintf(
		q->request, sizeof q->request, "{\"v\":%d,\"command\":\"%s\"}\n", CONTROL_VERSION, commands[q->step]);
	uv_buf_t b = uv_buf_init(q->request, (unsigned)n);
	q->write.data = q;
	int err = uv_write(&q->write, (uv_stream_t *)&q->pipe, &b, 1, on_written);
	if (err != 0)
		finish(q, err);
}

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct inquiry *q = h->data;
	uint8_t *room = buf_room(&q->in, READ_SIZE);
	(void)suggested;
	*out = uv_buf_init((char *)room, room != NULL ? READ_SIZE : 0); /* 0: read as UV_ENOBUFS */
}

static void on_bytes(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct inquiry *q = s->data;
	(void)buf;
	if (n < 0) {
		finish(q, n == UV_EOF ? -ECONNRESET : (int)n);
		return;
	}
	buf_grow(&q->in, (size_t)n);
	size_t at = 0;
	const uint8_t *nl;
	while (!q->over && q->in.len > at && (nl = memchr(q->in.data + at, '\n', q->in.len - at)) != NULL) {
		int more = inquiry_take(q, (const char *)q->in.data + at, (size_t)(nl - q->in.data) - at);
		at = (size_t)(nl - q->in.data) + 1;
		if (more < 0 || (more == 0 && q->step + 1 == COMMANDS)) {
			finish(q, 0);
		} else if (more == 0) {
			q->step++;
			ask(q);
		}
	}
	buf_consume(&q->in, at);
}

static void know_peer(struct inquiry *q)
{
	struct ucred who;
	socklen_t n = sizeof who;
	int fd;
	if (uv_fileno((uv_handle_t *)&q->pipe, &fd) == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0) {
		q->out->pid = who.pid;
		q->out->uid = who.uid;
	}
}

static void on_connected(uv_connect_t *c, int status)
{
	struct inquiry *q = c->data;
	if (status == UV_ECANCELED)
		return;
	if (status == 0) {
		know_peer(q);
		status = uv_read_start((uv_stream_t *)&q->pipe, on_room, on_bytes);
	}
	if (status < 0)
		finish(q, status);
	else
		ask(q);
}

int inquiry_start(struct inquiry *q, uv_loop_t *loop, struct fact_daemon *out, void (*done)(void *arg), void *arg)
{
	*q = (struct inquiry){.out = out, .done = done, .arg = arg};
	buf_init(&q->in, LINE_MAX_BYTES);
	buf_init(&q->settings, SETTINGS_MAX);
	int err = strlen(out->socket) < sizeof((struct sockaddr_un *)NULL)->sun_path ? 0 : -ENAMETOOLONG;
	if (err == 0)
		err = uv_pipe_init(loop, &q->pipe, 0);
	q->open = err == 0;
	q->pipe.data = q->connect.data = q;
	if (err == 0)
		uv_pipe_connect(&q->connect, &q->pipe, out->socket, on_connected);
	else
		out->err = err;
	return err;
}
