/* queue/deliver/outlet.c: plumbing. */
#include "queue/deliver/outlet.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { WRITE_MOST = 131072 }; /* bytes that one write holds */

struct outlet_write {
	uv_write_t req;
	struct outlet *outlet;
	bool content; /* it points into the content of the transaction */
	unsigned count;
	uv_buf_t bufs[CLIENT_SLICES + 1];
	uint8_t text[];
};

void outlet_init(
	struct outlet *o, uv_tcp_t *tcp, struct client *client, void (*written)(void *arg, bool taken), void *arg)
{
	*o = (struct outlet){.tcp = tcp, .client = client, .written = written, .arg = arg};
}

bool outlet_is_free(const struct outlet *o)
{
	return o->writing == NULL;
}

bool outlet_holds_content(const struct outlet *o)
{
	return o->writing != NULL && o->writing->content;
}

uint64_t outlet_unsent(const struct outlet *o)
{
	return uv_stream_get_write_queue_size((const uv_stream_t *)o->tcp);
}

uint64_t outlet_acknowledged(const struct outlet *o, bool *under_way)
{
	int queued = 0, fd = -1;
	if (uv_fileno((const uv_handle_t *)o->tcp, &fd) != 0 || ioctl(fd, SIOCOUTQ, &queued) != 0 || queued < 0)
		queued = 0;
	uint64_t left = outlet_unsent(o) + (uint64_t)queued;
	*under_way = left > 0;
	return o->client->sent > left ? o->client->sent - left : 0;
}

static void on_written(uv_write_t *req, int status)
{
	struct outlet_write *w = (struct outlet_write *)(void *)req;
	struct outlet *o = w->outlet;
	free(w);
	o->writing = NULL;
	o->written(o->arg, status == 0);
}

/* Leaves the rest of the slices, from byte `done` on, to libuv. */
static int write_later(struct outlet *o, const struct wire_slice *slices, unsigned n, size_t done)
{
	size_t text = 0;
	for (unsigned i = 0; i < n; i++)
		text += slices[i].text ? slices[i].n : 0;
	struct outlet_write *w = malloc(sizeof *w + text);
	if (w == NULL)
		return UV_ENOMEM;
	w->outlet = o;
	w->content = false;
	w->count = 0;
	uint8_t *copy = w->text;
	for (unsigned i = 0; i < n; i++) {
		size_t skip = done < slices[i].n ? done : slices[i].n;
		size_t left = slices[i].n - skip;
		done -= skip;
		if (left == 0)
			continue;
		char *p = (char *)(uintptr_t)slices[i].p + skip;
		if (slices[i].text) {
			memcpy(copy, p, left);
			p = (char *)copy;
			copy += left;
		} else {
			w->content = true;
		}
		w->bufs[w->count++] = uv_buf_init(p, (unsigned)left);
	}
	o->writing = w;
	int err = uv_write(&w->req, (uv_stream_t *)o->tcp, w->bufs, w->count, on_written);
	if (err != 0) {
		o->writing = NULL;
		free(w);
	}
	return err;
}

int outlet_send(struct outlet *o, size_t *budget)
{
	struct wire_slice slices[CLIENT_SLICES + 1];
	uv_buf_t bufs[CLIENT_SLICES + 1];
	unsigned n = client_output(o->client, slices), use = 0;
	size_t all = 0;
	while (use < n && all < WRITE_MOST) {
		if (slices[use].n > WRITE_MOST - all)
			slices[use].n = WRITE_MOST - all;
		bufs[use] = uv_buf_init((char *)(uintptr_t)slices[use].p, (unsigned)slices[use].n);
		all += slices[use++].n;
	}
	if (all == 0)
		return 0;
	int took = 0;
	if (*budget >= all) {
		took = uv_try_write((uv_stream_t *)o->tcp, bufs, use);
		*budget -= all;
	}
	if (took < 0 && took != UV_EAGAIN)
		return 0; /* the reading side tells why, after what the peer said last */
	size_t done = took > 0 ? (size_t)took : 0;
	int err = done < all ? write_later(o, slices, use, done) : 0;
	client_sent(o->client, err == 0 ? all : done);
	return err == 0 ? 1 : err;
}
