/* tests/unit/smtp_script.c: plumbing. */
#include "tests/unit/smtp_script.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/buf.h"

enum { CONNECTIONS_MAX = 32, CONTENT_MAX = 64 << 20 };

struct session {
	struct smtp_script *s;
	const char *script;
	int fd;
	char in[65536];
	size_t at, end;
	pthread_t thread;
};

struct smtp_script {
	int fd;
	int plugs[4]; /* connections that fill the queue of a deaf port */
	int stop[2];  /* a pipe whose reading end tells everybody to stop */
	struct endpoint at;
	const char *scripts[SMTP_SCRIPTS_MAX];
	unsigned script_count;
	pthread_t thread;
	bool serving;
	struct session *sessions[CONNECTIONS_MAX];
	unsigned connections;
	pthread_mutex_t lock;
	char trouble[300];
	struct buf content;
};

static void complain(struct smtp_script *s, const char *what, const char *about)
{
	pthread_mutex_lock(&s->lock);
	if (s->trouble[0] == 0)
		snprintf(s->trouble, sizeof s->trouble, "%s: %.100s", what, about);
	pthread_mutex_unlock(&s->lock);
}

/* Waits until fd can be read; false: the server is being stopped, or 10 s passed. */
static bool wait_for(struct smtp_script *s, int fd, int ms)
{
	struct pollfd fds[2] = {{.fd = s->stop[0], .events = POLLIN}, {.fd = fd, .events = POLLIN}};
	return poll(fds, fd < 0 ? 1 : 2, ms) > 0 && fds[0].revents == 0;
}

static int next_byte(struct session *c)
{
	if (c->at == c->end) {
		if (!wait_for(c->s, c->fd, 10000))
			return -1;
		ssize_t n = read(c->fd, c->in, sizeof c->in);
		if (n <= 0)
			return -1;
		c->at = 0;
		c->end = (size_t)n;
	}
	return (uint8_t)c->in[c->at++];
}

static bool read_line(struct session *c, char *out, size_t size)
{
	size_t n = 0;
	for (;;) {
		int b = next_byte(c);
		if (b < 0)
			return false;
		if (n < size - 1)
			out[n++] = (char)b;
		out[n] = 0;
		if (b == '\n')
			return true;
	}
}

static bool read_content(struct session *c)
{
	char line[4096];
	bool begins = true;
	while (read_line(c, line, sizeof line)) {
		if (begins && strcmp(line, ".\r\n") == 0)
			return true;
		begins = strchr(line, '\n') != NULL;
		pthread_mutex_lock(&c->s->lock);
		buf_append_str(&c->s->content, line);
		pthread_mutex_unlock(&c->s->lock);
	}
	return false;
}

/* False: the script ends here. */
static bool play_step(struct session *c, const char *step)
{
	char line[4096];
	switch (step[0]) {
	case 'S':
		snprintf(line, sizeof line, "%s\r\n", step + 2);
		return send(c->fd, line, strlen(line), MSG_NOSIGNAL) > 0;
	case 'C':
		if (!read_line(c, line, sizeof line)) {
			complain(c->s, "closed before", step + 2);
			return false;
		}
		if (strncmp(line, step + 2, strlen(step + 2)) != 0) {
			complain(c->s, step, line);
			return false;
		}
		return true;
	case 'D':
		return read_content(c);
	case 'W':
		wait_for(c->s, -1, atoi(step + 2));
		return true;
	case 'E':
		while (read_line(c, line, sizeof line) && strcmp(line, "QUIT\r\n") != 0)
			;
		send(c->fd, "221 bye\r\n", 9, MSG_NOSIGNAL);
		return false;
	case 'H':
		wait_for(c->s, -1, 10000);
		return false;
	case 'R':
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
		return false;
	default:
		complain(c->s, "no such step", step);
		return false;
	}
}

static void *serve(void *arg)
{
	struct session *c = arg;
	char step[300];
	for (const char *at = c->script; *at != 0;) {
		size_t n = strcspn(at, "\n");
		snprintf(step, sizeof step, "%.*s", (int)n, at);
		if (!play_step(c, step))
			break;
		at += n + (at[n] != 0);
	}
	close(c->fd);
	return NULL;
}

static void *listen_on(void *arg)
{
	struct smtp_script *s = arg;
	for (;;) {
		struct pollfd fds[2] = {{.fd = s->stop[0], .events = POLLIN}, {.fd = s->fd, .events = POLLIN}};
		if (poll(fds, 2, -1) < 0 || fds[0].revents != 0)
			return NULL;
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 || s->connections == CONNECTIONS_MAX)
			return NULL;
		struct session *c = calloc(1, sizeof *c);
		unsigned which = s->connections < s->script_count ? s->connections : s->script_count - 1;
		*c = (struct session){.s = s, .script = s->scripts[which], .fd = fd};
		s->sessions[s->connections++] = c;
		pthread_create(&c->thread, NULL, serve, c);
	}
}

static struct smtp_script *make(uint8_t family)
{
	struct smtp_script *s = calloc(1, sizeof *s);
	struct sockaddr_storage sa;
	buf_init(&s->content, CONTENT_MAX);
	pthread_mutex_init(&s->lock, NULL);
	ip_parse(&s->at.ip, family == FAMILY_IPV4 ? "127.0.0.1" : "::1");
	socklen_t n = endpoint_to_sockaddr(&s->at, &sa);
	s->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memset(s->plugs, -1, sizeof s->plugs);
	if (pipe2(s->stop, O_CLOEXEC) != 0 || bind(s->fd, (struct sockaddr *)&sa, n) != 0 ||
		getsockname(s->fd, (struct sockaddr *)&sa, &n) != 0 ||
		endpoint_from_sockaddr(&s->at, (struct sockaddr *)&sa) != 0)
		abort();
	return s;
}

struct smtp_script *smtp_script_start(uint8_t family, const char *const *scripts)
{
	struct smtp_script *s = make(family);
	while (s->script_count < SMTP_SCRIPTS_MAX && scripts[s->script_count] != NULL) {
		s->scripts[s->script_count] = scripts[s->script_count];
		s->script_count++;
	}
	if (s->script_count > 0) {
		/* a small window, so that a server that does not read is noticed soon */
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
		s->serving = listen(s->fd, 16) == 0 && pthread_create(&s->thread, NULL, listen_on, s) == 0;
	}
	return s;
}

struct smtp_script *smtp_script_deaf(uint8_t family)
{
	struct smtp_script *s = make(family);
	struct sockaddr_storage sa;
	socklen_t n = endpoint_to_sockaddr(&s->at, &sa);
	listen(s->fd, 0);
	for (size_t i = 0; i < sizeof s->plugs / sizeof s->plugs[0]; i++) {
		s->plugs[i] = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(s->plugs[i], (struct sockaddr *)&sa, n) != 0 && errno != EINPROGRESS)
			abort();
	}
	return s;
}

struct endpoint smtp_script_at(const struct smtp_script *s)
{
	return s->at;
}

void smtp_script_stop(struct smtp_script *s)
{
	if (s->fd < 0)
		return;
	close(s->stop[1]);
	if (s->serving)
		pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < s->connections; i++)
		pthread_join(s->sessions[i]->thread, NULL);
	close(s->fd);
	close(s->stop[0]);
	s->fd = -1;
}

unsigned smtp_script_connections(const struct smtp_script *s)
{
	return s->connections;
}

const char *smtp_script_trouble(const struct smtp_script *s)
{
	return s->trouble;
}

const char *smtp_script_content(const struct smtp_script *s, size_t *n)
{
	*n = s->content.len;
	return s->content.data ? (const char *)s->content.data : "";
}

void smtp_script_free(struct smtp_script *s)
{
	smtp_script_stop(s);
	for (unsigned i = 0; i < s->connections; i++)
		free(s->sessions[i]);
	for (size_t i = 0; i < sizeof s->plugs / sizeof s->plugs[0]; i++)
		if (s->plugs[i] >= 0)
			close(s->plugs[i]);
	buf_fini(&s->content);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
