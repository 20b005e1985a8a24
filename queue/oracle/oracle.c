/* queue/oracle/oracle.c: plumbing. */
#include "queue/oracle/oracle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/log.h"
#include "queue/control/socket.h"
#include "queue/oracle/asker.h"

enum { BACKLOG = 128, AGAIN_MS = 1000 };

/* One block's socket. */
struct door {
	struct asker_door common; /* first: see door_of() */
	LIST_ENTRY(door) link;
	struct oracle *oracle;
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} listener;
	char *path; /* NULL: an address */
	ino_t inode;
	bool deaf; /* a connection waits that there was no memory for: libuv watches for others only after uv_accept()
		    */
};

struct oracle {
	struct asker_home home; /* first: see on_released() */
	LIST_HEAD(, door) doors;
	uv_timer_t again; /* deaf doors try once more */
	void (*closed)(void *arg);
	void *arg;
};

static void on_connection(uv_stream_t *listener, int status);

static void on_released(struct asker_home *home)
{
	struct oracle *o = (struct oracle *)home;
	if (home->handles != 0 || o->closed == NULL)
		return;
	void (*closed)(void *arg) = o->closed;
	void *arg = o->arg;
	conf_unref(home->conf);
	free(o);
	closed(arg);
}

/* ---- connections ---- */

static void on_again(uv_timer_t *timer)
{
	struct oracle *o = timer->data;
	struct door *d;
	LIST_FOREACH (d, &o->doors, link)
		if (d->deaf)
			on_connection(&d->listener.stream, 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct door *d = listener->data;
	struct oracle *o = d->oracle;
	if (status < 0)
		return;
	struct asker *a = asker_new(&o->home, &d->common);
	d->deaf = a == NULL;
	if (d->deaf)
		uv_timer_start(&o->again, on_again, AGAIN_MS, 0);
	else if (uv_accept(listener, asker_stream(a)) != 0)
		asker_close(a);
	else
		asker_begin(a);
}

/* ---- doors ---- */

static void on_door_closed(uv_handle_t *handle)
{
	struct door *d = handle->data;
	struct oracle *o = d->oracle;
	free(d->path);
	free(d);
	o->home.handles--;
	on_released(&o->home);
}

static void close_door(struct door *d)
{
	while (!LIST_EMPTY(&d->common.askers))
		asker_close(LIST_FIRST(&d->common.askers));
	if (d->path != NULL && d->inode != 0)
		control_socket_remove(d->path, d->inode);
	LIST_REMOVE(d, link);
	uv_close((uv_handle_t *)&d->listener.stream, on_door_closed);
}

static int listen_at_address(struct door *d, const struct conf_oracle *block, struct buf *errors)
{
	struct sockaddr_storage sa;
	char text[ENDPOINT_TEXT];
	endpoint_to_sockaddr(&block->at, &sa);
	int err = uv_tcp_bind(
		&d->listener.tcp, (struct sockaddr *)&sa, block->at.ip.family == FAMILY_IPV6 ? UV_TCP_IPV6ONLY : 0);
	if (err == 0)
		err = uv_listen(&d->listener.stream, BACKLOG, on_connection);
	if (err != 0)
		buf_printf(errors, "oracle %s: %s\n", endpoint_format(&block->at, text), uv_strerror(err));
	return err;
}

static int listen_at_path(struct door *d, const struct conf_oracle *block, struct buf *errors)
{
	int fd;
	int err = control_socket_make(&fd, &d->inode, block->path, CONTROL_SOCKET_ALL, errors);
	if (err != 0)
		return err;
	err = uv_pipe_open(&d->listener.pipe, fd);
	if (err != 0)
		close(fd);
	else
		err = uv_listen(&d->listener.stream, BACKLOG, on_connection);
	if (err != 0)
		buf_printf(errors, "oracle %s: %s\n", block->path, uv_strerror(err));
	return err;
}

static int open_door(struct oracle *o, const struct conf_oracle *block, struct buf *errors)
{
	struct door *d = calloc(1, sizeof *d);
	if (d == NULL || (block->path != NULL && (d->path = strdup(block->path)) == NULL)) {
		free(d);
		buf_append_str(errors, "oracle: not enough memory\n");
		return -ENOMEM;
	}
	if (block->path != NULL)
		uv_pipe_init(o->home.loop, &d->listener.pipe, 0);
	else
		uv_tcp_init(o->home.loop, &d->listener.tcp);
	d->oracle = o;
	d->listener.stream.data = d;
	d->common.block = block;
	LIST_INIT(&d->common.askers);
	LIST_INSERT_HEAD(&o->doors, d, link);
	o->home.handles++;
	int err = block->path != NULL ? listen_at_path(d, block, errors) : listen_at_address(d, block, errors);
	if (err != 0)
		close_door(d);
	return err;
}

static bool same_place(const struct conf_oracle *a, const struct conf_oracle *b)
{
	if (a->path != NULL || b->path != NULL)
		return a->path != NULL && b->path != NULL && strcmp(a->path, b->path) == 0;
	return endpoint_equal(&a->at, &b->at);
}

static const struct conf_oracle *find_block(const struct conf *c, const struct conf_oracle *like)
{
	for (size_t i = 0; i < c->oracle_count; i++)
		if (same_place(&c->oracles[i], like))
			return &c->oracles[i];
	return NULL;
}

static bool is_open(const struct oracle *o, const struct conf_oracle *block)
{
	const struct door *d;
	LIST_FOREACH (d, &o->doors, link)
		if (d->common.block == block)
			return true;
	return false;
}

int oracle_configure(struct oracle *o, struct conf *conf, struct buf *errors)
{
	int first = 0;
	struct door *d, *next;
	for (d = LIST_FIRST(&o->doors); d != NULL; d = next) {
		next = LIST_NEXT(d, link);
		const struct conf_oracle *block = find_block(conf, d->common.block);
		if (block == NULL)
			close_door(d);
		else
			d->common.block = block;
	}
	struct conf *old = o->home.conf;
	o->home.conf = conf_ref(conf);
	conf_unref(old);
	for (size_t i = 0; i < conf->oracle_count; i++) {
		int err = is_open(o, &conf->oracles[i]) ? 0 : open_door(o, &conf->oracles[i], errors);
		first = first ? first : err;
	}
	return first;
}

/* ---- the whole ---- */

static void forget(void *arg)
{
	(void)arg;
}

int oracle_open(struct oracle **out, uv_loop_t *loop, struct resolver *r, struct conf *conf, struct buf *errors)
{
	struct oracle *o = calloc(1, sizeof *o);
	if (o == NULL) {
		buf_append_str(errors, "oracle: not enough memory\n");
		return -ENOMEM;
	}
	o->home = (struct asker_home){.loop = loop, .resolver = r, .handles = 1, .released = on_released};
	LIST_INIT(&o->doors);
	uv_timer_init(loop, &o->again);
	o->again.data = o;
	int err = oracle_configure(o, conf, errors);
	if (err == 0)
		*out = o;
	else
		oracle_close(o, forget, NULL);
	return err;
}

static void on_again_closed(uv_handle_t *handle)
{
	struct oracle *o = handle->data;
	o->home.handles--;
	on_released(&o->home);
}

void oracle_close(struct oracle *o, void (*closed)(void *arg), void *arg)
{
	o->closed = closed;
	o->arg = arg;
	while (!LIST_EMPTY(&o->doors))
		close_door(LIST_FIRST(&o->doors));
	uv_close((uv_handle_t *)&o->again, on_again_closed);
}
