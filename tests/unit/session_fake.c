/* tests/unit/session_fake.c: see session_fake.h. */
#include "tests/unit/session_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"

struct body_writer {
	struct letter letter;
	struct store *store;
	struct mailbox *home;
	struct body *body;
	void (*drained)(void *arg);
	void *arg;
	void (*done)(void *arg, int err, struct body *body);
	void *done_arg;
	bool pushed_back, aborted;
};

enum store_room store_room(const struct store *s, uint64_t size)
{
	(void)size;
	return s->room;
}

struct body_writer *body_writer_new(
	struct store *s, uint64_t id, struct mailbox *home, void (*drained)(void *arg), void *arg)
{
	assert_int_not_equal(id, 0);
	struct body_writer *w = calloc(1, sizeof *w);
	*w = (struct body_writer){.store = s, .home = home, .body = body_new(), .drained = drained, .arg = arg};
	s->writers++;
	return w;
}

static void writer_free(struct body_writer *w)
{
	w->store->writers--;
	free(w);
}

static void open_drained(struct letter *letter)
{
	struct body_writer *w = LETTER_OF(letter, struct body_writer, letter);
	w->pushed_back = false;
	if (w->aborted)
		writer_free(w);
	else
		w->drained(w->arg);
}

void release_drained(struct store *s)
{
	struct body_writer *w = s->drained;
	s->drained = NULL;
	if (w != NULL)
		mailbox_post(w->home, &w->letter, open_drained);
}

int body_writer_append(struct body_writer *w, const void *p, size_t n)
{
	assert_false(w->pushed_back);
	if (w->store->append_err != 0)
		return w->store->append_err;
	assert_int_equal(body_append(w->body, p, n), 0);
	if (!w->store->push_back)
		return 0;
	w->pushed_back = true;
	w->store->drained = w;
	if (!w->store->hold_drained)
		release_drained(w->store);
	return 1;
}

static void open_finish(struct letter *letter)
{
	struct body_writer *w = LETTER_OF(letter, struct body_writer, letter);
	int err = w->store->finish_err;
	struct body *body = w->body;
	if (err != 0)
		body_unref(body);
	w->done(w->done_arg, err, err ? NULL : body);
	writer_free(w);
}

void release_finish(struct store *s)
{
	struct body_writer *w = s->finish;
	s->finish = NULL;
	if (w != NULL)
		mailbox_post(w->home, &w->letter, open_finish);
}

void body_writer_finish(struct body_writer *w, void (*done)(void *arg, int err, struct body *body), void *arg)
{
	assert_false(w->pushed_back);
	w->done = done;
	w->done_arg = arg;
	w->store->finish = w;
	if (!w->store->hold_finish)
		release_finish(w->store);
}

void body_writer_abort(struct body_writer *w)
{
	if (w == NULL)
		return;
	body_unref(w->body);
	w->aborted = true;
	if (w->store->drained == w) {
		w->store->drained = NULL;
		w->pushed_back = false;
	}
	if (!w->pushed_back) /* else its letter is under way */
		writer_free(w);
}

void store_discard_body(struct store *s, struct body *body)
{
	s->discarded++;
	body_unref(body);
}

/* The queue thread's part. */
static void on_stored(struct letter *first)
{
	struct submission *sub = LETTER_OF(first, struct submission, commit.first);
	struct store *s = sub->queue;
	envelope_free(s->envelope);
	s->envelope = NULL;
	assert_int_equal(envelope_decode(&s->envelope, sub->meta.data, sub->meta.len), 0);
	buf_reset(&s->content);
	for (struct body_chunk *c = sub->body->first; c != NULL; c = c->next)
		assert_int_equal(buf_append(&s->content, c->data, c->len), 0);
	s->stored++;
	submission_unref(sub);
}

void release_commit(struct store *s)
{
	struct commit *c = s->commit;
	s->commit = NULL;
	if (c == NULL)
		return;
	c->status = s->commit_err;
	if (c->status == 0)
		mailbox_post(c->first_to, &c->first, c->first_done);
	mailbox_post(c->second_to, &c->second, c->second_done);
}

void store_commit(struct store *s, struct commit *c)
{
	s->commit = c;
	if (!s->hold_commit)
		release_commit(s);
}

/* ---- the world of one test ---- */

struct sockaddr_in at_port(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

uint16_t free_port(void)
{
	struct sockaddr_in sa = at_port(0);
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

struct conf *make_conf(uint16_t port, const char *more)
{
	char text[1024];
	struct buf errors;
	struct conf *c = NULL;
	buf_init(&errors, 4096);
	int n = snprintf(text, sizeof text,
		"hostname = r.example\nearly_talkers = allow\nlisten 127.0.0.1:%u { }\n%s\n", port, more);
	if (conf_parse(&c, "test", text, (size_t)n, &errors) != 0)
		fail_msg("%s", errors.data);
	buf_fini(&errors);
	return c;
}

void setup(struct world *w, const char *more)
{
	*w = (struct world){.port = free_port(), .ceiling = UINT64_MAX, .bodies = body_memory_used()};
	buf_init(&w->store.content, 64 << 20);
	assert_int_equal(ioloop_init(&w->loop, "io-0", 0), 0);
	w->conf = make_conf(w->port, more);
	w->desk = (struct submission_desk){&w->store, &w->loop.mailbox, on_stored, &w->store};
	struct smtpd_setup s = {.loops = &w->loop,
		.loop_count = 1,
		.conf = w->conf,
		.desk = &w->desk,
		.id_floor_ms = 0,
		.id_ceiling_ms = &w->ceiling};
	struct buf errors;
	buf_init(&errors, 4096);
	if (smtpd_open(&w->smtpd, &s, &errors) != 0)
		fail_msg("%s", errors.data);
	buf_fini(&errors);
}

void on_done(void *arg)
{
	((struct world *)arg)->done = true;
}

bool is_done(struct world *w)
{
	return w->done;
}

bool nobody_left(struct world *w)
{
	return smtpd_sessions(w->smtpd) == 0;
}

bool content_waits(struct world *w)
{
	return w->store.drained != NULL;
}

bool finish_waits(struct world *w)
{
	return w->store.finish != NULL;
}

bool commit_waits(struct world *w)
{
	return w->store.commit != NULL;
}

bool writer_exists(struct world *w)
{
	return w->store.writers > 0;
}

void turn(struct world *w)
{
	uv_run(&w->loop.uv, UV_RUN_NOWAIT);
	struct pollfd p = {.fd = uv_backend_fd(&w->loop.uv), .events = POLLIN};
	poll(&p, 1, 1);
	uv_run(&w->loop.uv, UV_RUN_NOWAIT);
}

void until(struct world *w, bool (*holds)(struct world *w))
{
	uint64_t start = clock_mono_ms();
	while (!holds(w)) {
		assert_true(clock_mono_ms() - start < PATIENCE_MS);
		turn(w);
	}
}

void teardown(struct world *w)
{
	if (!w->done) {
		smtpd_stop(w->smtpd, 0, on_done, w);
		until(w, is_done);
	}
	smtpd_free(w->smtpd);
	ioloop_finish(&w->loop);
	uv_run(&w->loop.uv, UV_RUN_DEFAULT);
	assert_int_equal(ioloop_join(&w->loop), 0);
	assert_int_equal(w->store.writers, 0);
	assert_int_equal(body_memory_used(), w->bodies);
	assert_int_equal(counter_get(COUNTER_sessions_open), 0);
	envelope_free(w->store.envelope);
	buf_fini(&w->store.content);
	conf_unref(w->conf);
}

int dial(uint16_t port)
{
	struct sockaddr_in sa = at_port(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

void expect(struct world *w, int fd, const char *text)
{
	static char got[1 << 16];
	size_t len = 0;
	uint64_t start = clock_mono_ms();
	got[0] = 0;
	for (;;) {
		ssize_t n = recv(fd, got + len, sizeof got - 1 - len, MSG_DONTWAIT);
		if (n > 0)
			len += (size_t)n;
		got[len] = 0;
		if (text != NULL && strstr(got, text) != NULL)
			return;
		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			if (text == NULL)
				return;
			fail_msg("closed; got <<%s>>, not <<%s>>", got, text);
		}
		if (clock_mono_ms() - start > PATIENCE_MS)
			fail_msg("got <<%s>>, not <<%s>>", got, text ? text : "the end");
		turn(w);
	}
}

void tell(struct world *w, int fd, const void *p, size_t len)
{
	uint64_t start = clock_mono_ms();
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const char *)p + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			at += (size_t)n;
		else
			assert_int_equal(errno, EAGAIN);
		assert_true(clock_mono_ms() - start < PATIENCE_MS);
		turn(w);
	}
}

void tell_text(struct world *w, int fd, const char *text)
{
	tell(w, fd, text, strlen(text));
}

int dial_to_data(struct world *w)
{
	int fd = dial(w->port);
	tell_text(w, fd, EHLO M R "DATA\r\n");
	expect(w, fd, GO);
	return fd;
}
