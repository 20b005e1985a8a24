/* queue/reach/watcher.c: plumbing. */
#include "queue/reach/watcher.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/counter.h"
#include "conf/log.h"

enum { PIECE = 65536, TRIES = 3, AT_MOST = 10 /* times the delay */, AGAIN_MS = 60000, DRAINED_MAX = 256 };

struct watcher {
	uv_poll_t poll;
	uv_timer_t timer;
	int fd; /* where changes are told; -1 */
	struct reach *reach;
	uint64_t delay_ms;
	uint64_t first; /* when the first change that was not looked at came; 0: there is none */
	struct picture picture;
	bool told; /* that it cannot be asked */
	void (*changed)(void *arg);
	void *arg;
	unsigned open;
	void (*closed)(void *arg);
	void *closed_arg;
	uint8_t piece[PIECE];
};

/* ---- looking ---- */

/* One table. 0; -EAGAIN: it changed meanwhile; or a negative code. */
static int dump(struct watcher *w, int fd, enum netlink_dump what)
{
	uint8_t request[NETLINK_REQUEST];
	size_t n = netlink_ask(request, what, (uint32_t)what + 1);
	struct netlink_item item;
	if (send(fd, request, n, 0) < 0)
		return -errno;
	while (!w->picture.overflow) {
		ssize_t got = recv(fd, w->piece, sizeof w->piece, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EBADMSG;
		struct netlink_reader r = {.at = w->piece, .left = (size_t)got};
		int more;
		while ((more = netlink_next(&r, &item)) == 1) {
			if (item.torn)
				return -EAGAIN;
			if (item.kind == NETLINK_IS_ERROR || (item.kind == NETLINK_IS_DONE && item.error != 0))
				return item.error != 0 ? item.error : -EIO;
			if (item.kind == NETLINK_IS_DONE)
				return 0;
			int err = picture_add(&w->picture, &item);
			if (err != 0)
				return err;
		}
		if (more < 0)
			return more;
	}
	return 0;
}

/* Each dump has a socket of its own: what an earlier one left unread is gone with it. */
static int dump_alone(struct watcher *w, enum netlink_dump what)
{
	const struct timeval patience = {.tv_sec = 1};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	int err = dump(w, fd, what);
	close(fd);
	return err;
}

static int look_once(struct watcher *w)
{
	int err = 0;
	picture_free(&w->picture);
	for (unsigned what = 0; err == 0 && what < DUMP_COUNT && !w->picture.overflow; what++)
		err = dump_alone(w, (enum netlink_dump)what);
	return err;
}

/* Whether something is different now. */
static bool look(struct watcher *w)
{
	int err = -EAGAIN;
	for (unsigned i = 0; i < TRIES && err == -EAGAIN; i++)
		err = look_once(w);
	w->first = 0;
	if (err == 0) {
		w->told = false;
		return reach_take(w->reach, &w->picture);
	}
	COUNT(families_unknown);
	if (!w->told)
		LOG_WARN("families-unknown", LF_STR("error", strerror(-err)),
			LF_STR("what",
				"addresses and routes of this host are not known: both families count as there"));
	w->told = true;
	return reach_forget(w->reach);
}

/* ---- changes ---- */

static void on_timer(uv_timer_t *timer)
{
	struct watcher *w = timer->data;
	bool changed = look(w);
	if (w->told)
		uv_timer_start(&w->timer, on_timer, AGAIN_MS, 0);
	if (changed)
		w->changed(w->arg);
}

static void expect_look(struct watcher *w)
{
	uint64_t now = uv_now(w->timer.loop);
	if (w->first == 0)
		w->first = now ? now : 1;
	uint64_t latest = w->first + AT_MOST * w->delay_ms, at = now + w->delay_ms;
	at = at < latest ? at : latest;
	uv_timer_start(&w->timer, on_timer, at > now ? at - now : 0, 0);
}

/* Does the datagram tell of a change that matters? */
static bool matters(const uint8_t *bytes, size_t n)
{
	struct netlink_reader r = {.at = bytes, .left = n};
	struct netlink_item item;
	int more;
	while ((more = netlink_next(&r, &item)) == 1)
		if (item.kind == NETLINK_IS_ADDRESS || item.kind == NETLINK_IS_ROUTE || item.kind == NETLINK_IS_LINK ||
			item.kind == NETLINK_IS_ERROR)
			return true;
	return more < 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watcher *w = poll->data;
	bool look_again = status < 0;
	(void)events;
	for (unsigned i = 0; i < DRAINED_MAX; i++) {
		ssize_t n = recv(w->fd, w->piece, sizeof w->piece, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		/* ENOBUFS: some were lost, whatever they said */
		look_again |= n <= 0 || matters(w->piece, (size_t)n);
	}
	if (look_again)
		expect_look(w);
}

/* ---- opening and closing ---- */

static int subscribe(void)
{
	const struct sockaddr_nl all = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	int err = bind(fd, (const struct sockaddr *)&all, sizeof all) == 0 ? 0 : -errno;
	for (unsigned i = 0; err == 0 && i < NETLINK_GROUPS; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &netlink_groups[i], sizeof netlink_groups[i]) !=
			0)
			err = -errno;
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

void watcher_configure(struct watcher *w, const struct conf *conf)
{
	bool other = w->picture.most != conf->limits.host_routes;
	w->delay_ms = conf->families_delay;
	w->picture.most = conf->limits.host_routes;
	if (other)
		expect_look(w);
}

int watcher_open(struct watcher **out, uv_loop_t *uv, struct reach *r, const struct conf *conf, void (*changed)(void *),
	void *arg)
{
	struct watcher *w = calloc(1, sizeof *w);
	if (w == NULL)
		return -ENOMEM;
	w->reach = r;
	w->changed = changed;
	w->arg = arg;
	w->delay_ms = conf->families_delay;
	w->picture.most = conf->limits.host_routes;
	uv_timer_init(uv, &w->timer);
	w->timer.data = w;
	w->open = 1;
	/* first the changes, so that none is between the two */
	w->fd = subscribe();
	if (w->fd < 0 || uv_poll_init(uv, &w->poll, w->fd) != 0) {
		LOG_WARN("families-unwatched", LF_STR("error", w->fd < 0 ? strerror(-w->fd) : "no poll"),
			LF_STR("what", "changes of addresses and routes are seen at a restart only"));
		if (w->fd >= 0)
			close(w->fd);
		w->fd = -1;
	} else {
		w->poll.data = w;
		w->open++;
		uv_poll_start(&w->poll, UV_READABLE, on_readable);
	}
	look(w);
	if (w->told)
		uv_timer_start(&w->timer, on_timer, AGAIN_MS, 0);
	*out = w;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct watcher *w = handle->data;
	if (--w->open > 0)
		return;
	if (w->fd >= 0)
		close(w->fd);
	picture_free(&w->picture);
	void (*closed)(void *arg) = w->closed;
	void *arg = w->closed_arg;
	free(w);
	closed(arg);
}

void watcher_close(struct watcher *w, void (*closed)(void *), void *arg)
{
	w->closed = closed;
	w->closed_arg = arg;
	if (w->fd >= 0)
		uv_close((uv_handle_t *)&w->poll, on_closed);
	uv_close((uv_handle_t *)&w->timer, on_closed);
}
