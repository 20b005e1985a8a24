/* smtpd/arrival.c: plumbing.
 *
 * What belongs to a header is known only when it has been looked at: the bytes are peeked at, and what proxy_read()
 * took is then taken from the socket. */
#include "smtpd/arrival.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/counter.h"
#include "conf/log.h"
#include "smtpd/proxy.h"

struct arrival {
	uv_poll_t poll;
	uv_timer_t timer;
	LIST_ENTRY(arrival) entry;
	struct arrivals *home;
	struct conf *conf;
	const struct conf_listen *listen;
	int fd; /* -1: given away */
	uint8_t handles;
	bool judged; /* else its header is awaited, and `guest` is the balancer */
	struct guest guest;
	struct proxy proxy;
};

void turn_away(const struct conf *conf, int fd, enum smtp_refusal why)
{
	char text[512], unread[4096];
	const char *words = smtp_refusal_text(why);
	/* as the machine says it: code, enhanced code, our name, words */
	int codes = (int)(strcspn(words, " ") + 1 + strcspn(words + strcspn(words, " ") + 1, " "));
	int n = snprintf(text, sizeof text, "%.*s %s:%s\r\n", codes, words, conf->hostname, words + codes);
	if (n > 0 && (size_t)n < sizeof text) {
		/* With unread bytes a close would be a reset, which can take our words from the client again. They fit
		 * the empty send buffer; if not, the client sees the close. */
		(void)recv(fd, unread, sizeof unread, MSG_DONTWAIT);
		(void)send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	close(fd);
}

/* ---- the end of waiting ---- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct arrival *one = handle->data;
	struct arrivals *home = one->home;
	if (--one->handles > 0)
		return;
	conf_unref(one->conf);
	free(one);
	if (--home->count == 0)
		home->emptied(home);
}

/* Waits no longer: the socket is the caller's, and so is the place in the census. */
static int leave_waiting(struct arrival *one)
{
	int fd = one->fd;
	one->fd = -1;
	LIST_REMOVE(one, entry);
	uv_close((uv_handle_t *)&one->poll, on_handle_closed);
	uv_close((uv_handle_t *)&one->timer, on_handle_closed);
	return fd;
}

static void send_away(struct arrival *one, enum smtp_refusal why)
{
	census_leave(one->home->census, one->guest.place);
	turn_away(one->conf, leave_waiting(one), why);
}

static void close_silently(struct arrival *one)
{
	census_leave(one->home->census, one->guest.place);
	close(leave_waiting(one));
}

static void refuse_early(const struct arrivals *a, const struct conf *conf, int fd, const struct guest *guest)
{
	COUNT(early_talkers);
	LOG_INFO("early-talker", LF_ENDPOINT("client", &guest->client),
		LF_STR("reply", smtp_refusal_text(SMTP_REFUSED_EARLY)));
	census_leave(a->census, guest->place);
	turn_away(conf, fd, SMTP_REFUSED_EARLY);
}

/* ---- waiting ---- */

static void on_readable(uv_poll_t *poll, int status, int events);
static void on_time(uv_timer_t *timer);

/* Takes over socket and guest. False: no memory, nothing was taken. */
static bool wait_for(struct arrivals *a, struct conf *conf, const struct conf_listen *listen, int fd,
	const struct guest *guest, bool judged, uint64_t ms)
{
	struct arrival *one = calloc(1, sizeof *one);
	if (one == NULL)
		return false;
	if (uv_poll_init(a->uv, &one->poll, fd) != 0) {
		free(one);
		return false;
	}
	uv_timer_init(a->uv, &one->timer);
	one->poll.data = one->timer.data = one;
	one->handles = 2;
	one->home = a;
	one->conf = conf_ref(conf);
	one->listen = listen;
	one->fd = fd;
	one->judged = judged;
	one->guest = *guest;
	proxy_init(&one->proxy);
	a->count++;
	LIST_INSERT_HEAD(&a->waiting, one, entry);
	uv_timer_start(&one->timer, on_time, ms, 0);
	uv_poll_start(&one->poll, UV_READABLE, on_readable);
	return true;
}

/* What lies there unread: 1 bytes, 0 nothing yet, -1 the client has closed. */
static int unread(int fd)
{
	uint8_t byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n > 0 ? 1 : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* The client is judged: it is greeted, now or after limits { greet_wait }. */
static void go_on(
	struct arrivals *a, struct conf *conf, const struct conf_listen *listen, int fd, const struct guest *guest)
{
	bool wary = !guest->rights.early;
	int there = wary ? unread(fd) : 0;
	if (there > 0) {
		refuse_early(a, conf, fd, guest);
		return;
	}
	if (there < 0) {
		census_leave(a->census, guest->place);
		close(fd);
		return;
	}
	if (wary && conf->limits.greet_wait > 0 && !guest->rights.relay &&
		wait_for(a, conf, listen, fd, guest, true, conf->limits.greet_wait))
		return;
	a->welcome(a, conf, listen, fd, guest);
}

static void judge(struct arrivals *a, struct conf *conf, const struct conf_listen *listen, int fd,
	const struct endpoint *client, const struct endpoint *peer, enum proxy_result who)
{
	struct guest guest;
	enum census_result result = admission_enter(&guest, a->census, conf, listen, client, who == PROXY_CLIENT);
	if (result != CENSUS_OK) {
		turn_away(conf, fd, admission_refusal(result));
		return;
	}
	guest.via = *peer;
	if (who == PROXY_LOCAL) /* balancers' checks often say HELO at once */
		guest.rights.early = true;
	go_on(a, conf, listen, fd, &guest);
}

/* ---- the header ---- */

static void refuse_proxy(const struct endpoint *peer, const struct conf_listen *listen, const char *why)
{
	LOG_INFO("proxy-refused", LF_ENDPOINT("client", peer), LF_ENDPOINT("listener", &listen->at),
		LF_STR("reason", why));
}

static void wrong_header(struct arrival *one, const char *why)
{
	COUNT(proxy_wrong);
	refuse_proxy(&one->guest.client, one->listen, why);
	close_silently(one);
}

static void read_header(struct arrival *one)
{
	uint8_t bytes[512];
	size_t used;
	ssize_t n = recv(one->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 && one->proxy.head_len == 0) { /* a check that is content with a connection */
		close_silently(one);
		return;
	}
	if (n <= 0) {
		wrong_header(one, "the header has no end");
		return;
	}
	enum proxy_result result = proxy_read(&one->proxy, bytes, (size_t)n, &used);
	if (result == PROXY_WRONG || recv(one->fd, bytes, used, MSG_DONTWAIT) != (ssize_t)used) {
		wrong_header(one, "not a valid PROXY header");
		return;
	}
	if (result == PROXY_MORE)
		return;
	struct arrivals *a = one->home;
	struct endpoint who = result == PROXY_CLIENT ? one->proxy.client : one->guest.client;
	census_leave(a->census, one->guest.place);
	int fd = leave_waiting(one); /* it lives on until its handles are closed */
	judge(a, one->conf, one->listen, fd, &who, &one->guest.client, result);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct arrival *one = poll->data;
	(void)events;
	if (!one->judged && status >= 0) {
		read_header(one);
		return;
	}
	int there = status < 0 ? -1 : unread(one->fd);
	if (there < 0) {
		close_silently(one);
	} else if (there > 0) {
		struct guest guest = one->guest;
		refuse_early(one->home, one->conf, leave_waiting(one), &guest);
	}
}

static void on_time(uv_timer_t *timer)
{
	struct arrival *one = timer->data;
	if (one->judged) {
		int fd = leave_waiting(one);
		one->home->welcome(one->home, one->conf, one->listen, fd, &one->guest);
		return;
	}
	COUNT(proxy_timeouts);
	refuse_proxy(&one->guest.client, one->listen, "limits { proxy_time }");
	close_silently(one);
}

/* ---- from outside ---- */

static bool is_balancer(const struct conf_prefixes *balancers, const struct ip *ip)
{
	for (size_t i = 0; i < balancers->count; i++)
		if (prefix_contains(&balancers->items[i], ip))
			return true;
	return false;
}

static void await_header(
	struct arrivals *a, struct conf *conf, const struct conf_listen *listen, int fd, const struct endpoint *peer)
{
	struct guest balancer = {.client = *peer};
	if (!is_balancer(&listen->proxy, &peer->ip)) {
		COUNT(proxy_foreign);
		refuse_proxy(peer, listen, "not one of `proxy`");
		close(fd);
		return;
	}
	if (census_enter(a->census, &peer->ip, 128, conf->limits.sessions, conf->limits.sessions, &balancer.place) !=
		CENSUS_OK) {
		COUNT(sessions_refused_all);
		LOG_INFO("connection-refused", LF_ENDPOINT("client", peer), LF_STR("reason", "limits { sessions }"));
		turn_away(conf, fd, SMTP_REFUSED_SESSIONS);
		return;
	}
	if (wait_for(a, conf, listen, fd, &balancer, false, conf->limits.proxy_time))
		return;
	census_leave(a->census, balancer.place);
	turn_away(conf, fd, SMTP_REFUSED_NO_MEMORY);
}

void arrival_start(
	struct arrivals *a, struct conf *conf, const struct conf_listen *listen, int fd, const struct endpoint *peer)
{
	if (listen != NULL && listen->proxy.count > 0)
		await_header(a, conf, listen, fd, peer);
	else
		judge(a, conf, listen, fd, peer, peer, PROXY_CLIENT);
}

void arrivals_stop(struct arrivals *a)
{
	while (!LIST_EMPTY(&a->waiting))
		send_away(LIST_FIRST(&a->waiting), SMTP_REFUSED_SHUTDOWN);
}
