/* queue/path/binding.c: plumbing. */
#include "queue/path/binding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/counter.h"

enum { BINDINGS_MAX = 4096, AGAIN_MS = 5000, TELL_MS = 60000 };

int binding_try(const struct ip *ip)
{
	struct sockaddr_storage sa;
	struct endpoint at = {.ip = *ip};
	socklen_t size = endpoint_to_sockaddr(&at, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int err = bind(fd, (const struct sockaddr *)&sa, size) == 0 ? 0 : -errno;
	close(fd);
	return err;
}

/* NULL without memory or room. */
static struct binding *find(struct queue *q, const struct ip *ip)
{
	for (unsigned i = 0; i < q->binding_count; i++)
		if (ip_equal(&q->bindings[i].ip, ip))
			return &q->bindings[i];
	struct binding *grown =
		q->binding_count < BINDINGS_MAX ? reallocarray(q->bindings, q->binding_count + 1, sizeof *grown) : NULL;
	if (grown == NULL)
		return NULL;
	q->bindings = grown;
	struct binding *b = &q->bindings[q->binding_count++];
	*b = (struct binding){.ip = *ip};
	return b;
}

bool binding_usable(struct queue *q, const struct ip *ip)
{
	uint64_t now = core_now(q);
	struct binding *b = find(q, ip);
	if (b == NULL)
		return true;
	if (b->asked == 0 || now >= b->asked + AGAIN_MS) {
		int err = q->can_bind(ip);
		/* want of descriptors says nothing of the address */
		if (err == 0 || err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT || err == -EINVAL)
			b->error = err;
		b->asked = now;
	}
	if (b->error != 0 && (b->told == 0 || now >= b->told + TELL_MS)) {
		char text[IP_TEXT];
		b->told = now;
		COUNT(sources_unusable);
		LOG_ERR("source-address-unusable", LF_STR("source", ip_format(ip, text)),
			LF_STR("error", strerror(-b->error)),
			LF_STR("what", "mail leaves from another address until this host has it again"));
	}
	return b->error == 0;
}

void binding_free(struct queue *q)
{
	free(q->bindings);
	q->bindings = NULL;
	q->binding_count = 0;
}
