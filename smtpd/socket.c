/* smtpd/socket.c: plumbing. */
#include "smtpd/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static int bound_socket(const struct endpoint *at, bool shared)
{
	struct sockaddr_storage sa;
	socklen_t len = endpoint_to_sockaddr(at, &sa);
	int on = 1, fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
		(shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
		(at->ip.family == FAMILY_IPV6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
		bind(fd, (struct sockaddr *)&sa, len) != 0 || listen(fd, BACKLOG) != 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int socket_listen(const struct endpoint *at, bool alone)
{
	if (alone) {
		int probe = bound_socket(at, false);
		if (probe < 0)
			return probe;
		close(probe);
	}
	return bound_socket(at, true);
}

static const struct {
	int err;
	const char *advice;
} advices[] = {
	{EADDRINUSE, ": is another mail server running?"},
	{EACCES, ": a port below 1024 needs root or CAP_NET_BIND_SERVICE"},
	{EADDRNOTAVAIL, ": no interface of this host has it"},
	{EAFNOSUPPORT, ": this host does not have this family"},
	{EMFILE, ": the limit of open files is too low"},
};

void socket_explain(const struct endpoint *at, int err, struct buf *errors)
{
	char text[ENDPOINT_TEXT];
	const char *advice = "";
	for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
		if (advices[i].err == -err)
			advice = advices[i].advice;
	/* A full `errors` says enough already. */
	(void)buf_printf(errors, "listen %s: %s%s\n", endpoint_format(at, text), strerror(-err), advice);
}
