/* queue/tool/client.c: plumbing. */
#include "queue/tool/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/buf.h"
#include "queue/control/protocol.h"
#include "queue/tool/text.h"

enum { ANSWER_LINE_MAX = 32 << 20, READ_SIZE = 65536, PLACES = 2 };

struct connection {
	int fd;
	struct buf in;
	size_t at; /* how much of `in` was given out */
};

enum tool_exit tool_fail(struct tool *t, enum tool_exit code, const char *format, ...)
{
	va_list args;
	fputs("relayq: ", t->err);
	va_start(args, format);
	vfprintf(t->err, format, args);
	va_end(args);
	fputc('\n', t->err);
	return code;
}

const char *line_text(const json_t *line, const char *name)
{
	const char *s = json_string_value(json_object_get(line, name));
	return s != NULL ? s : "";
}

const char *line_way(const json_t *line, char out[WAY_TEXT])
{
	const char *real = line_text(line, "real"), *via = line_text(line, "via");
	snprintf(out, WAY_TEXT, "%s %s%s%s%s%s", line_text(line, "family"), real, *via ? " through " : "", via,
		*via ? " " : "", line_text(line, "address"));
	return out;
}

uint64_t line_number(const json_t *line, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(line, name));
	return n > 0 ? (uint64_t)n : 0;
}

bool line_true(const json_t *line, const char *name)
{
	return json_is_true(json_object_get(line, name));
}

/* ---- finding the daemon ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int n = snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	if (n < 0 || (size_t)n >= sizeof sa.sun_path)
		return -ENAMETOOLONG;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
		return fd;
	int err = -errno;
	close(fd);
	return err;
}

static enum tool_exit find_daemon(struct tool *t, int *fd)
{
	const char *places[PLACES] = {"/run/relay64/control.sock", "./var/control.sock"};
	const char *named = t->options->socket != NULL ? t->options->socket : t->environment;
	unsigned count = PLACES;
	if (named != NULL) {
		places[0] = named;
		count = 1;
	}
	int errs[PLACES];
	bool denied = false;
	for (unsigned i = 0; i < count; i++) {
		errs[i] = connect_to(places[i]);
		if (errs[i] >= 0) {
			*fd = errs[i];
			return TOOL_OK;
		}
		denied = denied || errs[i] == -EACCES;
	}
	char tried[512];
	size_t at = 0;
	for (unsigned i = 0; i < count && at < sizeof tried; i++)
		at += (size_t)snprintf(
			tried + at, sizeof tried - at, "%s%s (%s)", i ? ", " : "", places[i], strerror(-errs[i]));
	return tool_fail(t, TOOL_UNAVAILABLE, "no daemon answers at %s: %s", tried,
		denied		? "ask as root, as the daemon's user or as a member of its group"
		: named == NULL ? "start relay64, or name its control socket with -c"
				: "start relay64, or give the right path");
}

/* ---- asking ---- */

static int send_all(int fd, const char *text, size_t n)
{
	while (n != 0) {
		ssize_t k = send(fd, text, n, MSG_NOSIGNAL);
		if (k < 0 && errno != EINTR)
			return -errno;
		if (k > 0) {
			text += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

static int send_request(int fd, json_t *request)
{
	char *text = NULL;
	if (request != NULL && json_object_set_new(request, "v", json_integer(CONTROL_VERSION)) == 0)
		text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(request);
	if (text == NULL)
		return -ENOMEM;
	size_t n = strlen(text);
	text[n] = '\n';
	int err = n + 1 > CONTROL_LINE_MAX ? -E2BIG : send_all(fd, text, n + 1);
	free(text);
	return err == -EPIPE ? 0 : err; /* turned away: the answer says why */
}

/* The next line, without its end, lent until the next call. 0; -ENODATA at the end of the stream; else negative. */
static int next_line(struct connection *c, const char **line, size_t *n)
{
	size_t looked = c->at;
	for (;;) {
		const uint8_t *nl = c->in.len > looked ? memchr(c->in.data + looked, '\n', c->in.len - looked) : NULL;
		if (nl != NULL) {
			*line = (const char *)c->in.data + c->at;
			*n = (size_t)(nl - c->in.data) - c->at;
			c->at += *n + 1;
			return 0;
		}
		buf_consume(&c->in, c->at);
		c->at = 0;
		looked = c->in.len;
		uint8_t *room = buf_room(&c->in, READ_SIZE);
		if (room == NULL)
			return -EMSGSIZE;
		ssize_t k = recv(c->fd, room, READ_SIZE, 0);
		if (k > 0)
			buf_grow(&c->in, (size_t)k);
		else if (k == 0 || errno == ECONNRESET)
			return -ENODATA;
		else if (errno != EINTR)
			return -errno;
	}
}

static enum tool_exit exit_of(const char *code)
{
	static const struct {
		enum control_error e;
		enum tool_exit exit;
	} rows[] = {
		{CONTROL_ERROR_ARGUMENT, TOOL_USAGE},
		{CONTROL_ERROR_NOT_FOUND, TOOL_NOTHING},
		{CONTROL_ERROR_AMBIGUOUS, TOOL_NOTHING},
		{CONTROL_ERROR_ALREADY, TOOL_NOTHING},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(control_error_word(rows[i].e), code) == 0)
			return rows[i].exit;
	return TOOL_UNAVAILABLE;
}

/* What the line is: an error (true, with the exit code), the end, or one of the answer. */
static bool is_last(struct tool *t, const json_t *line, enum tool_exit *code)
{
	*code = TOOL_OK;
	if (strcmp(line_text(line, "type"), "error") == 0) {
		const char *word = line_text(line, "code");
		*code = tool_fail(t, exit_of(word), "%s", line_text(line, "text"));
		return true;
	}
	return strcmp(line_text(line, "type"), "end") == 0;
}

static enum tool_exit hear(
	struct tool *t, struct connection *c, bool (*each)(void *arg, const json_t *line), void *arg, json_t **end)
{
	for (;;) {
		const char *text = NULL; /* gcc cannot see that -errno is not 0 */
		size_t n = 0;
		int err = next_line(c, &text, &n);
		if (err == -ENODATA)
			return tool_fail(
				t, TOOL_UNAVAILABLE, "the daemon closed the connection before its answer was whole");
		if (err != 0)
			return tool_fail(t, TOOL_UNAVAILABLE, "reading from the daemon: %s", strerror(-err));
		json_error_t where;
		json_t *line = json_loadb(text, n, 0, &where);
		if (line == NULL || text_clean_json(line) != 0) {
			json_decref(line);
			return tool_fail(
				t, TOOL_UNAVAILABLE, "what answers there does not speak relay64's control protocol");
		}
		enum tool_exit code;
		bool last = is_last(t, line, &code);
		if (t->options->json)
			fprintf(t->out, "%.*s\n", (int)n, text);
		bool go_on = last || t->options->json || each == NULL || each(arg, line);
		if (last && code == TOOL_OK && end != NULL)
			*end = json_incref(line);
		json_decref(line);
		if (last || !go_on)
			return code;
	}
}

enum tool_exit client_ask(
	struct tool *t, json_t *request, bool (*each)(void *arg, const json_t *line), void *arg, json_t **end)
{
	struct connection c;
	if (end != NULL)
		*end = NULL;
	enum tool_exit code = find_daemon(t, &c.fd);
	if (code != TOOL_OK) {
		json_decref(request);
		return code;
	}
	buf_init(&c.in, ANSWER_LINE_MAX);
	c.at = 0;
	int err = send_request(c.fd, request);
	if (err == -E2BIG)
		code = tool_fail(t, TOOL_USAGE, "too much for one request; give shorter texts");
	else if (err != 0)
		code = tool_fail(t, TOOL_UNAVAILABLE, "writing to the daemon: %s", strerror(-err));
	else
		code = hear(t, &c, each, arg, end);
	buf_fini(&c.in);
	close(c.fd);
	return code;
}
