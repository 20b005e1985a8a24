/* queue/control/control.c: plumbing. */
#include "queue/control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "conf/log.h"
#include "queue/control/answer.h"
#include "queue/control/json.h"
#include "queue/control/socket.h"

enum { SWEEP_MS = 5000, SWEEP_LEAST_MS = 10, SWEEPS = 4, WHO = 64, BACKLOG = 64, LATER_MS = 5 };

struct client {
	TAILQ_ENTRY(client) link;
	TAILQ_ENTRY(client) turn;
	struct control *control;
	uv_pipe_t pipe;
	uv_write_t write;
	struct buf in;	    /* what of requests has come */
	struct buf out;	    /* lines not yet given to the socket */
	struct buf sending; /* lines that the socket has */
	struct answer *answer;
	uint64_t active_ms; /* when something was last read or written */
	bool queued, reading, writing, closing;
	bool later;	/* wants a turn when `later` of the control runs out */
	bool finishing; /* closed as soon as everything is written */
	char who[WHO];
};
TAILQ_HEAD(clients, client);

struct control {
	struct ioloop *loop;
	struct queue *queue;
	char *path;
	ino_t inode;
	uv_pipe_t listener;
	uv_timer_t sweep, later;
	uv_idle_t turns;
	struct clients clients; /* all */
	struct clients ready;	/* those that want a turn */
	unsigned count;
	unsigned handles; /* not yet closed */
	bool deaf; /* a connection waits that there was no memory for: libuv watches for others only after uv_accept()
		    */
	void (*closed)(void *arg);
	void *arg;
	char chunk[CONTROL_LINE_MAX]; /* what was read, until it is copied at once */
};

static void on_turns(uv_idle_t *idle);

/* ---- one client ---- */

static void released(struct control *k)
{
	if (--k->handles != 0)
		return;
	void (*closed)(void *arg) = k->closed;
	void *arg = k->arg;
	free(k->path);
	free(k);
	closed(arg);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct client *c = handle->data;
	struct control *k = c->control;
	buf_fini(&c->in);
	buf_fini(&c->out);
	buf_fini(&c->sending);
	free(c);
	released(k);
}

static void client_close(struct client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	struct control *k = c->control;
	answer_free(c->answer);
	c->answer = NULL;
	if (c->queued)
		TAILQ_REMOVE(&k->ready, c, turn);
	c->queued = false;
	TAILQ_REMOVE(&k->clients, c, link);
	if (--k->count == 0 && !k->deaf)
		uv_timer_stop(&k->sweep);
	uv_close((uv_handle_t *)&c->pipe, on_client_closed);
}

static void want_turn(void *arg)
{
	struct client *c = arg;
	struct control *k = c->control;
	if (c->queued || c->closing)
		return;
	c->queued = true;
	TAILQ_INSERT_TAIL(&k->ready, c, turn);
	uv_idle_start(&k->turns, on_turns);
}

static void on_written(uv_write_t *write, int status)
{
	struct client *c = write->data;
	c->writing = false;
	buf_fini(&c->sending);
	if (status < 0) {
		client_close(c);
		return;
	}
	c->active_ms = uv_now(&c->control->loop->uv);
	want_turn(c);
}

static void flush(struct client *c)
{
	if (c->closing || c->writing)
		return;
	if (c->out.len == 0) {
		if (c->finishing)
			client_close(c);
		return;
	}
	struct buf empty = c->sending;
	c->sending = c->out;
	c->out = empty;
	uv_buf_t bytes = uv_buf_init((char *)c->sending.data, (unsigned)c->sending.len);
	c->writing = true;
	if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &bytes, 1, on_written) != 0) {
		c->writing = false;
		client_close(c);
	}
}

/* ---- reading requests ---- */

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	(void)suggested;
	struct client *c = handle->data;
	*out = uv_buf_init(c->control->chunk, (unsigned)(CONTROL_LINE_MAX - c->in.len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct client *c = stream->data;
	if (n == 0)
		return;
	if (n < 0 || buf_append(&c->in, bytes->base, (size_t)n) != 0) {
		client_close(c);
		return;
	}
	c->active_ms = uv_now(&c->control->loop->uv);
	if (c->in.len == CONTROL_LINE_MAX) {
		uv_read_stop(stream);
		c->reading = false;
	}
	want_turn(c);
}

static void read_on(struct client *c)
{
	if (c->reading || c->closing || c->finishing || c->in.len == CONTROL_LINE_MAX)
		return;
	c->reading = uv_read_start((uv_stream_t *)&c->pipe, give_room, on_read) == 0;
	if (!c->reading)
		client_close(c);
}

static void say_error(struct client *c, enum control_error e, const char *text)
{
	if (control_put_error(&c->out, e, text) != 0)
		c->finishing = true;
}

/* Takes one request line, if a whole one is there. True if the client wants a further turn. */
static bool begin(struct client *c)
{
	struct control *k = c->control;
	const uint8_t *nl = c->in.len != 0 ? memchr(c->in.data, '\n', c->in.len) : NULL;
	if (nl == NULL) {
		if (c->in.len < CONTROL_LINE_MAX)
			return false;
		say_error(c, CONTROL_ERROR_TOO_LONG, "a request is at most 16384 bytes long");
		c->finishing = true;
		return false;
	}
	/* what was said to others before, such as 250 to a client, is true before this is answered */
	ioloop_catch_up(k->loop);
	if (c->closing) /* one of the letters was the end */
		return false;
	struct control_request request;
	enum control_error what;
	char why[256];
	size_t n = (size_t)(nl - c->in.data);
	int err = control_request_parse(&request, (const char *)c->in.data, n, &what, why);
	buf_consume(&c->in, n + 1);
	if (err != 0) {
		say_error(c, what, why);
		return true;
	}
	c->answer = answer_new(k->queue, &k->loop->mailbox, &request, c->who, &c->out, want_turn, c);
	if (c->answer == NULL)
		c->finishing = true;
	return true;
}

static void on_later(uv_timer_t *timer)
{
	struct control *k = timer->data;
	struct client *c;
	TAILQ_FOREACH (c, &k->clients, link) {
		if (c->later)
			want_turn(c);
		c->later = false;
	}
}

/* One slice of work. True if there is more to do now. */
static bool work(struct client *c)
{
	if (c->finishing || c->out.len + c->sending.len >= CONTROL_HIGH_WATER)
		return false; /* on_written() asks for the next turn */
	if (c->answer == NULL)
		return begin(c);
	switch (answer_step(c->answer, clock_wall_ms())) {
	case ANSWER_MORE:
		return true;
	case ANSWER_WAIT:
		return false;
	case ANSWER_LATER:
		c->later = true;
		if (!uv_is_active((uv_handle_t *)&c->control->later))
			uv_timer_start(&c->control->later, on_later, LATER_MS, 0);
		return false;
	case ANSWER_BROKEN:
		c->finishing = true;
		/* fall through */
	case ANSWER_DONE:
		break;
	}
	answer_free(c->answer);
	c->answer = NULL;
	return true;
}

/* One client's slice, then the loop sees to everything else. */
static void on_turns(uv_idle_t *idle)
{
	struct control *k = idle->data;
	struct client *c = TAILQ_FIRST(&k->ready);
	if (c == NULL) {
		uv_idle_stop(idle);
		return;
	}
	TAILQ_REMOVE(&k->ready, c, turn);
	c->queued = false;
	uint64_t began = uv_hrtime();
	bool more = work(c);
	counter_raise(COUNTER_queue_slice_longest_us, (uv_hrtime() - began) / 1000);
	if (more)
		want_turn(c);
	flush(c);
	read_on(c);
}

/* ---- coming and going ---- */

static void on_connection(uv_stream_t *listener, int status);
static void on_sweep(uv_timer_t *timer);

/* A few times in each command_time. */
static void start_sweeping(struct control *k)
{
	uint64_t ms = queue_conf(k->queue)->limits.command_time / SWEEPS;
	ms = ms > SWEEP_MS ? SWEEP_MS : ms < SWEEP_LEAST_MS ? SWEEP_LEAST_MS : ms;
	uv_timer_start(&k->sweep, on_sweep, ms, ms);
}

static void on_sweep(uv_timer_t *timer)
{
	struct control *k = timer->data;
	uint64_t now = uv_now(&k->loop->uv), most = queue_conf(k->queue)->limits.command_time;
	struct client *c, *next;
	for (c = TAILQ_FIRST(&k->clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		/* an answer that is being made may take its time; a client that neither asks nor reads may not */
		if ((c->answer == NULL || c->writing) && now - c->active_ms > most)
			client_close(c);
	}
	if (k->deaf)
		on_connection((uv_stream_t *)&k->listener, 0);
}

/* Turned away: the line fits into an empty socket buffer, so nothing is waited for. */
static void refuse(struct client *c, enum control_error e, const char *text)
{
	LOG_WARN("control-refused", LF_STR("who", c->who), LF_STR("why", text));
	if (control_put_error(&c->out, e, text) == 0) {
		uv_buf_t line = uv_buf_init((char *)c->out.data, (unsigned)c->out.len);
		uv_try_write((uv_stream_t *)&c->pipe, &line, 1);
	}
	client_close(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct control *k = listener->data;
	struct client *c = status == 0 ? calloc(1, sizeof *c) : NULL;
	if (c != NULL && uv_pipe_init(&k->loop->uv, &c->pipe, 0) != 0) {
		free(c);
		c = NULL;
	}
	k->deaf = status == 0 && c == NULL;
	if (k->deaf)
		start_sweeping(k);
	if (c == NULL)
		return;
	c->control = k;
	c->pipe.data = c;
	c->write.data = c;
	buf_init(&c->in, CONTROL_LINE_MAX);
	buf_init(&c->out, CONTROL_OUT_MAX);
	buf_init(&c->sending, CONTROL_OUT_MAX);
	c->active_ms = uv_now(&k->loop->uv);
	k->handles++;
	TAILQ_INSERT_TAIL(&k->clients, c, link);
	if (k->count++ == 0)
		start_sweeping(k);
	uv_os_fd_t fd;
	if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0 || uv_fileno((uv_handle_t *)&c->pipe, &fd) != 0) {
		client_close(c);
	} else if (!control_socket_peer(fd, c->who, sizeof c->who)) {
		refuse(c, CONTROL_ERROR_DENIED, "only root, the daemon's user and its group may ask");
	} else if (k->count > queue_conf(k->queue)->limits.control) {
		COUNT(control_refused);
		refuse(c, CONTROL_ERROR_BUSY, "too many connections: limits { control }");
	} else {
		read_on(c);
	}
}

static int listen_on(struct control *k, int fd)
{
	int err = uv_pipe_init(&k->loop->uv, &k->listener, 0);
	if (err != 0) {
		close(fd);
		return err;
	}
	k->listener.data = k;
	uv_timer_init(&k->loop->uv, &k->sweep);
	k->sweep.data = k;
	uv_timer_init(&k->loop->uv, &k->later);
	k->later.data = k;
	uv_idle_init(&k->loop->uv, &k->turns);
	k->turns.data = k;
	k->handles = 4;
	err = uv_pipe_open(&k->listener, fd);
	if (err != 0)
		close(fd);
	else
		err = uv_listen((uv_stream_t *)&k->listener, BACKLOG, on_connection);
	return err;
}

static void forget(void *arg)
{
	(void)arg;
}

int control_open(struct control **out, struct ioloop *loop, struct queue *q, struct buf *errors)
{
	struct control *k = calloc(1, sizeof *k);
	char *path = strdup(queue_conf(q)->control);
	if (k == NULL || path == NULL) {
		free(k);
		free(path);
		return -ENOMEM;
	}
	k->loop = loop;
	k->queue = q;
	k->path = path;
	TAILQ_INIT(&k->clients);
	TAILQ_INIT(&k->ready);
	int fd;
	int err = control_socket_make(&fd, &k->inode, path, CONTROL_SOCKET_OWN, errors);
	if (err == 0) {
		err = listen_on(k, fd);
		if (err != 0)
			buf_printf(errors, "control socket %s: %s\n", path, uv_strerror(err));
	}
	if (err == 0) {
		*out = k;
		return 0;
	}
	if (k->handles != 0) {
		control_close(k, forget, NULL);
	} else {
		free(path);
		free(k);
	}
	return err;
}

static void on_handle_closed(uv_handle_t *handle)
{
	released(handle->data);
}

void control_close(struct control *k, void (*closed)(void *arg), void *arg)
{
	k->closed = closed;
	k->arg = arg;
	control_socket_remove(k->path, k->inode);
	while (!TAILQ_EMPTY(&k->clients))
		client_close(TAILQ_FIRST(&k->clients));
	uv_close((uv_handle_t *)&k->listener, on_handle_closed);
	uv_close((uv_handle_t *)&k->sweep, on_handle_closed);
	uv_close((uv_handle_t *)&k->later, on_handle_closed);
	uv_close((uv_handle_t *)&k->turns, on_handle_closed);
}
