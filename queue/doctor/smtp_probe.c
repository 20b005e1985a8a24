/* queue/doctor/smtp_probe.c: plumbing. */
#include "queue/doctor/smtp_probe.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/clock.h"

int smtp_probe_read(const char *bytes, size_t n, char out[FACT_TEXT])
{
	for (;;) {
		const char *end = memchr(bytes, '\n', n);
		if (end == NULL)
			return 0;
		size_t length = (size_t)(end - bytes);
		bool code = length >= 3 && isdigit((unsigned char)bytes[0]) && isdigit((unsigned char)bytes[1]) &&
			    isdigit((unsigned char)bytes[2]);
		size_t text = length > 0 && bytes[length - 1] == '\r' ? length - 1 : length;
		snprintf(out, FACT_TEXT, "%.*s", (int)text, bytes);
		if (!code || (text > 3 && bytes[3] != ' ' && bytes[3] != '-'))
			return -EPROTO;
		if (text == 3 || bytes[3] == ' ')
			return 1;
		n -= length + 1;
		bytes = end + 1;
	}
}

static void finish(struct smtp_probe *p, enum path_stage stage, int err)
{
	if (p->over)
		return;
	p->over = true;
	p->path->stage = stage;
	p->path->err = err;
	smtp_probe_close(p);
	p->done(p->arg);
}

void smtp_probe_close(struct smtp_probe *p)
{
	p->over = true;
	if (p->open && !uv_is_closing((uv_handle_t *)&p->tcp))
		uv_close((uv_handle_t *)&p->tcp, NULL);
}

static void on_written(uv_write_t *w, int status)
{
	if (status < 0 && status != UV_ECANCELED)
		finish(w->data, PATH_GREETED, 0);
}

static void take_greeting(struct smtp_probe *p)
{
	static char quit[] = "QUIT\r\n";
	uv_buf_t b = uv_buf_init(quit, sizeof quit - 1);
	int whole = smtp_probe_read(p->in, p->in_len, p->path->text);
	if (whole < 0 || (whole == 0 && p->in_len == sizeof p->in)) {
		finish(p, PATH_NO_GREETING, whole < 0 ? 0 : -EMSGSIZE);
		return;
	}
	if (whole == 0)
		return;
	p->path->greeting_ms = clock_mono_ms() - p->started;
	p->path->stage = PATH_GREETED;
	p->leaving = true;
	p->in_len = 0;
	p->write.data = p;
	if (uv_write(&p->write, (uv_stream_t *)&p->tcp, &b, 1, on_written) != 0)
		finish(p, PATH_GREETED, 0);
}

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct smtp_probe *p = h->data;
	(void)suggested;
	*out = uv_buf_init(p->in + p->in_len, (unsigned)(sizeof p->in - p->in_len));
}

static void on_bytes(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct smtp_probe *p = s->data;
	(void)buf;
	if (p->leaving) { /* 221, or the end: either is good */
		p->path->quit_ms = clock_mono_ms() - p->started;
		finish(p, PATH_GREETED, 0);
		return;
	}
	if (n < 0) {
		finish(p, PATH_NO_GREETING, n == UV_EOF ? 0 : (int)n);
		return;
	}
	p->in_len += (size_t)n;
	take_greeting(p);
}

static void on_connected(uv_connect_t *c, int status)
{
	struct smtp_probe *p = c->data;
	if (status == UV_ECANCELED)
		return;
	p->path->connect_ms = clock_mono_ms() - p->started;
	if (status == 0 && p->path->proxied) {
		finish(p, PATH_GREETED, 0);
		return;
	}
	if (status == 0) {
		p->path->stage = PATH_NO_GREETING; /* as long as nothing else is known */
		status = uv_read_start((uv_stream_t *)&p->tcp, on_room, on_bytes);
	}
	if (status < 0)
		finish(p, PATH_NO_CONNECTION, status);
}

int smtp_probe_start(struct smtp_probe *p, uv_loop_t *loop, struct fact_path *path, const struct ip *source,
	void (*done)(void *arg), void *arg)
{
	struct sockaddr_storage to, from;
	struct endpoint own = {.ip = *source};
	*p = (struct smtp_probe){.path = path, .done = done, .arg = arg, .started = clock_mono_ms()};
	endpoint_to_sockaddr(&path->at, &to);
	path->stage = PATH_NO_CONNECTION; /* as long as nothing else is known */
	int err = uv_tcp_init(loop, &p->tcp);
	p->open = err == 0;
	p->tcp.data = p->connect.data = p;
	if (err == 0 && source->family != FAMILY_NONE) {
		endpoint_to_sockaddr(&own, &from);
		err = uv_tcp_bind(&p->tcp, (struct sockaddr *)&from, 0);
		if (err != 0)
			path->stage = PATH_NO_SOURCE;
	}
	if (err == 0)
		err = uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&to, on_connected);
	if (err != 0) {
		path->err = err;
		smtp_probe_close(p);
	}
	return err;
}
