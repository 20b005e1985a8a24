/* tests/bench/sessions.c: how many SMTP sessions a second a server takes: connect, greeting, EHLO, QUIT, end. Plumbing.
 *
 *     sessions ADDRESS PORT COUNT AT_ONCE
 *
 * Makes COUNT sessions in all, AT_ONCE (at most 1000) at a time, and prints "COUNT sessions, N refused, X/s". A session
 * that is not answered with 220, 250, 221 and the end counts as refused. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1000, SILENCE_MS = 10000 };

/* What a session waits for: the greeting, EHLO's reply, QUIT's, the end of the connection. */
enum { STEP_END = 3 };
struct session {
	int fd;
	unsigned step;
};

static struct sockaddr_storage to;
static socklen_t to_len;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static bool read_address(const char *address, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&to;
	uint16_t number = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = number;
		to_len = sizeof *v4;
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = number;
		to_len = sizeof *v6;
	}
	return to_len > 0;
}

static void start(struct session *s, int epoll)
{
	*s = (struct session){.fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
	if (s->fd < 0)
		die("socket");
	if (connect(s->fd, (struct sockaddr *)&to, to_len) != 0 && errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &event) != 0)
		die("epoll_ctl");
}

/* True: the session is over. A reply is taken for whole if it ends a line. */
static bool go_on(struct session *s, unsigned *refused)
{
	static const char *const codes[] = {"220", "250", "221"}, *const says[] = {
									  "EHLO bench.example\r\n", "QUIT\r\n", ""};
	char text[4096];
	ssize_t n = recv(s->fd, text, sizeof text, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == 0 && s->step == STEP_END)
		return true;
	if (n < 4 || s->step == STEP_END || memcmp(text, codes[s->step], 3) != 0) {
		++*refused;
		return true;
	}
	if (text[n - 1] != '\n')
		return false;
	const char *next = says[s->step++];
	if (*next != '\0' && send(s->fd, next, strlen(next), MSG_NOSIGNAL) < 0) {
		++*refused;
		return true;
	}
	return false;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static struct session sessions[MOST];
	struct epoll_event events[64];
	unsigned count = argc == 5 ? (unsigned)strtoul(argv[3], NULL, 10) : 0, started = 0, ended = 0, refused = 0;
	unsigned at_once = argc == 5 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
	if (count == 0 || at_once == 0 || at_once > MOST || !read_address(argv[1], argv[2])) {
		fprintf(stderr, "usage: sessions ADDRESS PORT COUNT AT_ONCE\n");
		return 64;
	}
	int epoll = epoll_create1(0);
	double began = now();
	for (; started < count && started < at_once; started++)
		start(&sessions[started], epoll);
	while (ended < count) {
		int n = epoll_wait(epoll, events, 64, SILENCE_MS);
		if (n == 0) {
			fprintf(stderr, "no answer for %d ms\n", SILENCE_MS);
			return 1;
		}
		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;
			if (!go_on(s, &refused))
				continue;
			close(s->fd);
			ended++;
			if (started < count) {
				start(s, epoll);
				started++;
			}
		}
	}
	printf("%u sessions, %u refused, %.0f/s\n", count, refused, count / (now() - began));
	return 0;
}
