/* dns/server.c: plumbing. */
#include "dns/server.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/time.h>

enum { EDNS_BYTES = 1232 }; /* fits every path's MTU, https://www.dnsflagday.net/2020/ */

struct socket_watch {
	LIST_ENTRY(socket_watch) all;
	uv_poll_t poll;
	struct dns_server *server;
	ares_socket_t fd;
};

struct dns_server {
	uv_loop_t *loop;
	ares_channel channel;
	uv_timer_t timer;
	size_t handles; /* not yet closed; the timer is made by the first question */
	bool closing;
	LIST_HEAD(, socket_watch) watches;
	char text[ENDPOINT_TEXT];
	void (*closed)(void *arg);
	void *arg;
};

static void finish(struct dns_server *s)
{
	if (!s->closing || s->handles != 0)
		return;
	void (*closed)(void *arg) = s->closed;
	void *arg = s->arg;
	free(s);
	closed(arg);
}

static void on_timer(uv_timer_t *t);

/* After everything that c-ares did: an idle server must not keep the loop alive. */
static void arm(struct dns_server *s)
{
	struct timeval left;
	if (ares_timeout(s->channel, NULL, &left) == NULL) {
		uv_timer_stop(&s->timer);
		return;
	}
	uint64_t ms = (uint64_t)left.tv_sec * 1000 + ((uint64_t)left.tv_usec + 999) / 1000;
	uv_timer_start(&s->timer, on_timer, ms, 0);
}

static void process(struct dns_server *s, ares_socket_t readable, ares_socket_t writable)
{
	ares_process_fd(s->channel, readable, writable);
	arm(s);
}

static void on_timer(uv_timer_t *t)
{
	process(t->data, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct socket_watch *w = p->data;
	/* an error is found by reading */
	if (status != 0)
		events = UV_READABLE;
	process(w->server, events & UV_READABLE ? w->fd : ARES_SOCKET_BAD,
		events & UV_WRITABLE ? w->fd : ARES_SOCKET_BAD);
}

static void watch_closed(uv_handle_t *h)
{
	struct socket_watch *w = h->data;
	struct dns_server *s = w->server;
	free(w);
	s->handles--;
	finish(s);
}

static struct socket_watch *watch_new(struct dns_server *s, ares_socket_t fd)
{
	struct socket_watch *w = calloc(1, sizeof *w);
	if (w == NULL || uv_poll_init(s->loop, &w->poll, fd) != 0) {
		free(w);
		return NULL;
	}
	w->poll.data = w;
	w->server = s;
	w->fd = fd;
	LIST_INSERT_HEAD(&s->watches, w, all);
	s->handles++;
	return w;
}

/* c-ares opened, used or is about to close `fd`. Without memory for the watch the question runs into its time-out. */
static void on_socket(void *data, ares_socket_t fd, int readable, int writable)
{
	struct dns_server *s = data;
	struct socket_watch *w;
	LIST_FOREACH (w, &s->watches, all)
		if (w->fd == fd)
			break;
	if (readable || writable) {
		if (w == NULL)
			w = watch_new(s, fd);
		if (w != NULL)
			uv_poll_start(&w->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_poll);
	} else if (w != NULL) {
		LIST_REMOVE(w, all);
		uv_close((uv_handle_t *)&w->poll, watch_closed);
	}
}

static int open_channel(struct dns_server *s, const struct endpoint *at, uint64_t timeout_ms)
{
	/* nothing of /etc/resolv.conf or the environment has a say here */
	char nowhere[] = "/dev/null", lookups[] = "b";
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP,
		.timeout = timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX,
		.tries = 1,
		.lookups = lookups,
		.resolvconf_path = nowhere,
		.ednspsz = EDNS_BYTES,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = s,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF |
		   ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB;
	if (ares_init_options(&s->channel, &options, mask) != ARES_SUCCESS)
		return -ENOMEM;

	struct ares_addr_port_node node = {.udp_port = at->port, .tcp_port = at->port};
	if (at->ip.family == FAMILY_IPV4) {
		node.family = AF_INET;
		memcpy(&node.addr.addr4, at->ip.bytes, 4);
	} else {
		node.family = AF_INET6;
		memcpy(&node.addr.addr6, at->ip.bytes, 16);
	}
	if (ares_set_servers_ports(s->channel, &node) != ARES_SUCCESS) {
		ares_destroy(s->channel);
		return -ENOMEM;
	}
	return 0;
}

int dns_server_new(struct dns_server **out, uv_loop_t *loop, const struct endpoint *at, uint64_t timeout_ms,
	void (*closed)(void *arg), void *arg)
{
	struct dns_server *s = calloc(1, sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	s->loop = loop;
	s->closed = closed;
	s->arg = arg;
	LIST_INIT(&s->watches);
	endpoint_format(at, s->text);
	int err = open_channel(s, at, timeout_ms);
	if (err != 0) {
		free(s);
		return err;
	}
	*out = s;
	return 0;
}

static void timer_closed(uv_handle_t *h)
{
	struct dns_server *s = h->data;
	s->handles--;
	finish(s);
}

void dns_server_close(struct dns_server *s)
{
	ares_destroy(s->channel);
	s->closing = true;
	if (s->timer.data != NULL)
		uv_close((uv_handle_t *)&s->timer, timer_closed);
	else
		finish(s);
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *packet, int len)
{
	(void)timeouts;
	struct dns_exchange *x = arg;
	if (status == ARES_EDESTRUCTION)
		x->reply(x->arg, DNS_REPLY_CLOSED, NULL, 0, "closed");
	else if (packet != NULL && len > 0)
		x->reply(x->arg, DNS_REPLY_PACKET, packet, (size_t)len, NULL);
	else
		x->reply(x->arg, DNS_REPLY_NONE, NULL, 0, status == ARES_ETIMEOUT ? "time-out" : "no connection");
}

void dns_server_ask(struct dns_server *s, const char *name, enum dns_type type, bool edns, struct dns_exchange *x)
{
	enum { FLAGS = 3, FLAG_AD = 0x20 };
	unsigned short id;
	unsigned char *query;
	int len;
	if (s->timer.data == NULL) {
		uv_timer_init(s->loop, &s->timer);
		s->timer.data = s;
		s->handles++;
	}
	/* the id is half of what keeps forged answers out */
	if (getrandom(&id, sizeof id, 0) != sizeof id || ares_create_query(name, ns_c_in, (int)type, id, 1, &query,
								 &len, edns ? EDNS_BYTES : 0) != ARES_SUCCESS) {
		x->reply(x->arg, DNS_REPLY_NONE, NULL, 0, "out of memory");
		return;
	}
	query[FLAGS] |= FLAG_AD; /* RFC 6840 §5.7: asks for AD in the answer, without the signatures that DO brings */
	ares_send(s->channel, query, len, on_answer, x);
	ares_free_string(query);
	arm(s);
}

const char *dns_server_text(const struct dns_server *s)
{
	return s->text;
}
