/* conf/ioloop.c: plumbing. */
#include "conf/ioloop.h"

#include <stdio.h>
#include <pthread.h>
#include <signal.h>

/* Letters opened before sockets get their turn. */
enum { SLICE = 256 };

static void wake_loop(void *arg)
{
	struct ioloop *loop = arg;
	uv_async_send(&loop->wake);
}

static void open_letters(struct ioloop *loop);

static void on_more(uv_idle_t *handle)
{
	open_letters(handle->data);
}

/* What does not fit into a slice goes on after one turn of the sockets: an idle handle keeps poll from blocking. */
static void open_letters(struct ioloop *loop)
{
	bool left = mailbox_drain(&loop->mailbox, SLICE);
	if (uv_is_closing((uv_handle_t *)&loop->more))
		return;
	if (left)
		uv_idle_start(&loop->more, on_more);
	else
		uv_idle_stop(&loop->more);
}

static void on_wake(uv_async_t *handle)
{
	open_letters(handle->data);
}

int ioloop_init(struct ioloop *loop, const char *name, unsigned number)
{
	int err = uv_loop_init(&loop->uv);
	if (err != 0)
		return err;
	loop->number = number;
	snprintf(loop->name, sizeof loop->name, "%s", name);
	loop->smtpd = loop->deliver = NULL;
	loop->running = false;
	mailbox_init(&loop->mailbox, wake_loop, loop);
	err = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (err != 0) {
		uv_loop_close(&loop->uv);
		return err;
	}
	loop->wake.data = loop;
	uv_idle_init(&loop->uv, &loop->more);
	loop->more.data = loop;
	return 0;
}

static void run(void *arg)
{
	struct ioloop *loop = arg;
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_setname_np(pthread_self(), loop->name);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

int ioloop_start(struct ioloop *loop)
{
	int err = uv_thread_create(&loop->thread, run, loop);
	loop->running = err == 0;
	return err;
}

void ioloop_finish(struct ioloop *loop)
{
	while (mailbox_drain(&loop->mailbox, SLICE))
		;
	mailbox_close(&loop->mailbox);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->more, NULL);
}

int ioloop_join(struct ioloop *loop)
{
	if (loop->running)
		uv_thread_join(&loop->thread);
	loop->running = false;
	return uv_loop_close(&loop->uv);
}

void ioloop_catch_up(struct ioloop *loop)
{
	while (mailbox_drain(&loop->mailbox, SLICE))
		;
}
