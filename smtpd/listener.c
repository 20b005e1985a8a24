/* smtpd/listener.c: plumbing.
 *
 * The opening thread owns `struct smtpd` and binds all sockets; a loop owns its `struct smtpd_loop` from the moment it
 * runs. Between them go jobs: letters with the new configuration and sockets, or with the order to stop. */
#include "smtpd/listener.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <unistd.h>

#include "conf/counter.h"
#include "conf/log.h"
#include "smtpd/arrival.h"
#include "smtpd/census.h"
#include "smtpd/session.h"
#include "smtpd/socket.h"

enum {
	ACCEPT_AT_ONCE = 64, /* clients taken before other sockets get their turn */
	PAUSE_MS = 1000,     /* after a fault of accept(), such as no descriptors left */
	STOPS = 2,	     /* orders to stop that make a difference */
};

struct smtpd_loop;

struct listener {
	uv_poll_t poll;
	LIST_ENTRY(listener) entry;
	struct smtpd_loop *loop;
	struct endpoint at;
	const struct conf_listen *listen; /* in the loop's configuration */
	int fd;
};

struct opened {
	struct endpoint at;
	int fd; /* -1: taken over by a listener */
};

/* New configuration for one loop, with its sockets of the new listeners. */
struct reload {
	struct letter letter;
	struct smtpd_loop *loop;
	struct conf *conf;
	size_t count;
	struct opened sockets[];
};

struct stop {
	struct letter letter;
	struct smtpd_loop *loop;
	uint64_t drain_ms;
};

struct smtpd_loop {
	struct session_home home; /* first: see on_ended() */
	struct arrivals arrivals;
	struct smtpd *smtpd;
	struct conf *conf;
	LIST_HEAD(, listener) listeners;
	uv_timer_t pause; /* accepting goes on when it fires */
	uv_timer_t drain; /* when it fires all sessions end */
	struct stop stops[STOPS];
	unsigned sessions;
	unsigned handles; /* timers and listeners not yet closed */
	bool stopping, ended;
};

struct smtpd {
	struct census *census;
	struct endpoint *open; /* listened at now */
	size_t open_count;
	unsigned stops;
	atomic_uint loops_left;
	void (*done)(void *arg);
	void *done_arg;
	unsigned loop_count;
	struct smtpd_loop loops[];
};

/* ---- clients ---- */

static void on_welcome(
	struct arrivals *a, struct conf *conf, const struct conf_listen *listen, int fd, const struct guest *guest)
{
	struct smtpd_loop *l = (struct smtpd_loop *)((char *)a - offsetof(struct smtpd_loop, arrivals));
	if (session_start(&l->home, conf, listen, fd, guest) != 0) {
		census_leave(l->smtpd->census, guest->place);
		turn_away(conf, fd, SMTP_REFUSED_NO_MEMORY);
		return;
	}
	l->sessions++;
	COUNT(sessions_accepted);
	COUNT(sessions_open);
}

static void finish_if_empty(struct smtpd_loop *l);

static void on_ended(struct session_home *home, uint32_t place)
{
	struct smtpd_loop *l = (struct smtpd_loop *)(void *)home;
	census_leave(l->smtpd->census, place);
	COUNT_DOWN(sessions_open);
	l->sessions--;
	finish_if_empty(l);
}

static void on_emptied(struct arrivals *a)
{
	finish_if_empty((struct smtpd_loop *)((char *)a - offsetof(struct smtpd_loop, arrivals)));
}

/* ---- accepting ---- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void watch(struct smtpd_loop *l, bool on)
{
	struct listener *one;
	LIST_FOREACH (one, &l->listeners, entry) {
		if (on)
			uv_poll_start(&one->poll, UV_READABLE, on_acceptable);
		else
			uv_poll_stop(&one->poll);
	}
}

static void on_pause_over(uv_timer_t *timer)
{
	watch(timer->data, true);
}

static void pause_accepting(struct smtpd_loop *l, const struct listener *one, int err)
{
	LOG_ERR("accept-failed", LF_ENDPOINT("listener", &one->at), LF_STR("error", strerror(err)),
		LF_MS("pause", PAUSE_MS));
	COUNT(accept_failures);
	watch(l, false);
	uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
}

/* One client: its socket and address; -1 with errno. */
static int accept_one(int listening, struct endpoint *client)
{
	for (;;) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof sa;
		int fd = accept4(listening, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0 && endpoint_from_sockaddr(client, (struct sockaddr *)&sa) != 0)
			close(fd);
		else if (fd >= 0 || (errno != EINTR && errno != ECONNABORTED && errno != EPROTO))
			return fd;
	}
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct listener *one = poll->data;
	(void)events;
	if (status < 0) {
		pause_accepting(one->loop, one, -status);
		return;
	}
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		struct endpoint client;
		int fd = accept_one(one->fd, &client);
		if (fd >= 0)
			arrival_start(&one->loop->arrivals, one->loop->conf, one->listen, fd, &client);
		else if (errno != EAGAIN)
			pause_accepting(one->loop, one, errno);
		if (fd < 0)
			return;
	}
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *one = handle->data;
	struct smtpd_loop *l = one->loop;
	free(one);
	l->handles--;
	finish_if_empty(l);
}

/* What waits in its queue is told so, rather than reset. */
static void close_listener(struct listener *one)
{
	struct endpoint client;
	for (int fd; (fd = accept_one(one->fd, &client)) >= 0;)
		turn_away(one->loop->conf, fd, SMTP_REFUSED_SHUTDOWN);
	LIST_REMOVE(one, entry);
	uv_close((uv_handle_t *)&one->poll, on_listener_closed);
	close(one->fd);
}

/* Takes over the socket. */
static int add_listener(struct smtpd_loop *l, struct opened *socket)
{
	struct listener *one = calloc(1, sizeof *one);
	if (one == NULL)
		return -ENOMEM;
	int err = uv_poll_init(&l->home.loop->uv, &one->poll, socket->fd);
	if (err != 0) {
		free(one);
		return err;
	}
	one->loop = l;
	one->at = socket->at;
	one->listen = rights_listen(l->conf, &one->at);
	one->fd = socket->fd;
	one->poll.data = one;
	socket->fd = -1;
	l->handles++;
	LIST_INSERT_HEAD(&l->listeners, one, entry);
	if (!uv_is_active((uv_handle_t *)&l->pause))
		uv_poll_start(&one->poll, UV_READABLE, on_acceptable);
	return 0;
}

/* ---- stopping ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	struct smtpd_loop *l = handle->data;
	l->handles--;
	finish_if_empty(l);
}

static void finish_if_empty(struct smtpd_loop *l)
{
	if (!l->stopping || l->ended || l->sessions > 0 || l->arrivals.count > 0 || !LIST_EMPTY(&l->listeners))
		return;
	if (!uv_is_closing((uv_handle_t *)&l->drain)) {
		uv_close((uv_handle_t *)&l->pause, on_timer_closed);
		uv_close((uv_handle_t *)&l->drain, on_timer_closed);
	}
	if (l->handles > 0)
		return;
	l->ended = true;
	struct smtpd *d = l->smtpd;
	if (atomic_fetch_sub(&d->loops_left, 1) == 1 && d->done != NULL)
		d->done(d->done_arg);
}

static void on_drain_over(uv_timer_t *timer)
{
	struct smtpd_loop *l = timer->data;
	if (l->sessions > 0)
		LOG_WARN("sessions-ended", LF_NUM("sessions", l->sessions), LF_STR("reason", "limits { drain }"));
	session_home_abort(&l->home);
}

static void on_stop(struct letter *letter)
{
	const struct stop *order = LETTER_OF(letter, struct stop, letter);
	struct smtpd_loop *l = order->loop;
	bool first = !l->stopping;
	l->stopping = true;
	if (l->ended || uv_is_closing((uv_handle_t *)&l->drain))
		return;
	if (first || order->drain_ms < uv_timer_get_due_in(&l->drain))
		uv_timer_start(&l->drain, on_drain_over, order->drain_ms, 0);
	if (!first)
		return;
	uv_timer_stop(&l->pause);
	while (!LIST_EMPTY(&l->listeners))
		close_listener(LIST_FIRST(&l->listeners));
	arrivals_stop(&l->arrivals);
	session_home_stop(&l->home);
	finish_if_empty(l);
}

void smtpd_stop(struct smtpd *d, uint64_t drain_ms, void (*done)(void *arg), void *arg)
{
	if (d->stops == STOPS)
		return;
	unsigned which = d->stops++;
	if (which == 0) {
		d->done = done;
		d->done_arg = arg;
	}
	for (unsigned i = 0; i < d->loop_count; i++) {
		struct stop *order = &d->loops[i].stops[which];
		order->loop = &d->loops[i];
		order->drain_ms = drain_ms;
		mailbox_post(&d->loops[i].home.loop->mailbox, &order->letter, on_stop);
	}
}

/* ---- opening and reloading ---- */

/* Is `at` open already? `*port`: is anything of ours open at its port? */
static bool is_open(const struct smtpd *d, const struct endpoint *at, bool *port)
{
	*port = false;
	for (size_t i = 0; i < d->open_count; i++) {
		if (endpoint_equal(&d->open[i], at))
			return true;
		*port |= d->open[i].port == at->port;
	}
	return false;
}

static void reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->count; i++)
		if (r->sockets[i].fd >= 0)
			close(r->sockets[i].fd);
	conf_unref(r->conf);
	free(r);
}

/* Opens one socket a loop, all or none. */
static int open_everywhere(struct smtpd *d, struct reload **jobs, const struct endpoint *at, bool alone)
{
	int err = 0;
	unsigned n = 0;
	for (; err == 0 && n < d->loop_count; n++) {
		int fd = socket_listen(at, alone && n == 0);
		if (fd < 0)
			err = fd;
		else
			/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): make_jobs() made one a loop */
			jobs[n]->sockets[jobs[n]->count++] = (struct opened){*at, fd};
	}
	if (err == 0)
		return 0;
	for (unsigned i = 0; i + 1 < n; i++)
		close(jobs[i]->sockets[--jobs[i]->count].fd);
	return err;
}

static bool address_is_missing(int err)
{
	return err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT;
}

/* Binds what is new in `c` into the jobs; takes over `open`, with room for all of them, for what is open then. The
 * first error that counts, or 0. */
static int open_new(struct smtpd *d, struct reload **jobs, const struct conf *c, struct endpoint *open,
	bool skip_missing, struct buf *errors)
{
	size_t count = 0;
	int first = 0, missing = 0;
	for (size_t i = 0; i < c->listen_count; i++) {
		const struct endpoint *at = &c->listen[i].at;
		bool port, again = false;
		int err = 0;
		for (size_t k = 0; k < count; k++)
			again |= open[k].port == at->port;
		if (!is_open(d, at, &port))
			err = open_everywhere(d, jobs, at, !port && !again);
		if (err == 0) {
			open[count++] = *at;
			continue;
		}
		socket_explain(at, err, errors);
		if (skip_missing && address_is_missing(err))
			missing = err;
		else
			first = first ? first : err;
	}
	free(d->open);
	d->open = open;
	d->open_count = count;
	return first == 0 && count == 0 ? missing : first;
}

static void apply(struct reload *r)
{
	struct smtpd_loop *l = r->loop;
	if (l->stopping)
		return;
	struct conf *old = l->conf;
	l->conf = conf_ref(r->conf);
	conf_unref(old);
	struct listener *one, *next;
	for (one = LIST_FIRST(&l->listeners); one != NULL; one = next) {
		next = LIST_NEXT(one, entry);
		one->listen = rights_listen(l->conf, &one->at);
		if (one->listen == NULL)
			close_listener(one);
	}
	for (size_t i = 0; i < r->count; i++) {
		int err = add_listener(l, &r->sockets[i]);
		if (err != 0)
			LOG_ERR("listen-failed", LF_ENDPOINT("listener", &r->sockets[i].at),
				LF_STR("error", uv_strerror(err)));
	}
}

static void on_reload(struct letter *letter)
{
	struct reload *r = LETTER_OF(letter, struct reload, letter);
	apply(r);
	reload_free(r);
}

static void free_jobs(struct reload **jobs, unsigned count)
{
	for (unsigned i = 0; jobs != NULL && i < count; i++)
		reload_free(jobs[i]);
	free(jobs);
}

/* One job a loop, with room for all listeners of `c`. */
static struct reload **make_jobs(struct smtpd *d, struct conf *c)
{
	struct reload **jobs = calloc(d->loop_count, sizeof *jobs);
	for (unsigned i = 0; jobs != NULL && i < d->loop_count; i++) {
		jobs[i] = calloc(1, sizeof *jobs[i] + c->listen_count * sizeof jobs[i]->sockets[0]);
		if (jobs[i] == NULL) {
			free_jobs(jobs, i);
			return NULL;
		}
		jobs[i]->loop = &d->loops[i];
		jobs[i]->conf = conf_ref(c);
	}
	return jobs;
}

int smtpd_reload(struct smtpd *d, struct conf *conf, struct buf *errors)
{
	struct endpoint *open = calloc(conf->listen_count + 1, sizeof *open);
	struct reload **jobs = open != NULL ? make_jobs(d, conf) : NULL;
	if (jobs == NULL) {
		free(open);
		return -ENOMEM;
	}
	int err = open_new(d, jobs, conf, open, false, errors);
	for (unsigned i = 0; i < d->loop_count; i++)
		mailbox_post(&d->loops[i].home.loop->mailbox, &jobs[i]->letter, on_reload);
	free(jobs);
	return err;
}

static int init_loop(struct smtpd *d, unsigned i, const struct smtpd_setup *setup)
{
	struct smtpd_loop *l = &d->loops[i];
	int err = session_home_init(
		&l->home, &setup->loops[i], setup->desk, setup->id_floor_ms, setup->id_ceiling_ms, on_ended);
	if (err != 0)
		return err;
	l->smtpd = d;
	l->conf = conf_ref(setup->conf);
	l->arrivals = (struct arrivals){
		.uv = &setup->loops[i].uv, .census = d->census, .welcome = on_welcome, .emptied = on_emptied};
	l->home.census = d->census;
	LIST_INIT(&l->arrivals.waiting);
	LIST_INIT(&l->listeners);
	uv_timer_init(&setup->loops[i].uv, &l->pause);
	uv_timer_init(&setup->loops[i].uv, &l->drain);
	l->pause.data = l->drain.data = l;
	l->handles = 2;
	setup->loops[i].smtpd = l;
	return 0;
}

int smtpd_open(struct smtpd **out, const struct smtpd_setup *setup, struct buf *errors)
{
	struct smtpd *d = calloc(1, sizeof *d + setup->loop_count * sizeof d->loops[0]);
	struct reload **jobs;
	uint64_t seed;
	int err = -ENOMEM;
	if (d == NULL)
		return err;
	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
		err = -errno;
		goto failed;
	}
	d->census = census_new((size_t)setup->conf->limits.sessions, seed);
	if (d->census == NULL)
		goto failed;
	for (; d->loop_count < setup->loop_count; d->loop_count++) {
		err = init_loop(d, d->loop_count, setup);
		if (err != 0)
			goto failed;
	}
	atomic_init(&d->loops_left, d->loop_count);
	struct endpoint *open = calloc(setup->conf->listen_count + 1, sizeof *open);
	jobs = open != NULL ? make_jobs(d, setup->conf) : NULL;
	err = -ENOMEM;
	if (jobs != NULL)
		err = open_new(d, jobs, setup->conf, open, setup->skip_missing, errors);
	else
		free(open);
	for (unsigned i = 0; err == 0 && i < d->loop_count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): make_jobs() made one a loop */
		for (size_t k = 0; err == 0 && k < jobs[i]->count; k++)
			err = add_listener(&d->loops[i], &jobs[i]->sockets[k]);
	free_jobs(jobs, d->loop_count);
	if (err != 0)
		goto failed;
	*out = d;
	return 0;
failed:
	smtpd_free(d);
	return err;
}

void smtpd_free(struct smtpd *d)
{
	if (d == NULL)
		return;
	for (unsigned i = 0; i < d->loop_count; i++) {
		struct smtpd_loop *l = &d->loops[i];
		if (!l->ended) { /* it never ran: closing needs no more than its turn */
			struct stop now = {.loop = l};
			on_stop(&now.letter);
			while (!l->ended)
				uv_run(&l->home.loop->uv, UV_RUN_NOWAIT);
		}
		l->home.loop->smtpd = NULL;
		session_home_fini(&l->home);
		conf_unref(l->conf);
	}
	census_free(d->census);
	free(d->open);
	free(d);
}

uint64_t smtpd_sessions(const struct smtpd *d)
{
	return census_count(d->census);
}
