/* tests/unit/session_test.c: listeners and sessions on a real loop and loopback, with a store of its own that does what
 * the rows ask for: takes its time, pushes back, fails. The loop is run by the test's thread, beside its clients. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/clock.h"
#include "conf/counter.h"
#include "smtpd/listener.h"
#include "conf/conf.h"
#include "queue/submission.h"
#include "smtpd/session.h"

#define EHLO "EHLO c.example\r\n"
#define M "MAIL FROM:<a@b.example>\r\n"
#define R "RCPT TO:<c@d.example>\r\n"
#define GO "354 "
#define QUEUED "250 2.0.0 Ok: queued as "

enum { PATIENCE_MS = 20000, QUEUED_CLIENTS = 100 };

/* ---- the store ---- */

struct store {
	enum store_room room;
	bool push_back; /* every append is answered by 1, and released later */
	bool hold_drained, hold_finish, hold_commit;
	int append_err, finish_err, commit_err;
	unsigned writers; /* alive */
	unsigned stored, discarded;
	struct body_writer *drained, *finish;
	struct commit *commit;
	struct buf content; /* of the last message stored */
	struct envelope *envelope;
};

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

static void release_drained(struct store *s)
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

static void release_finish(struct store *s)
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

static void release_commit(struct store *s)
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

struct world {
	struct store store;
	struct submission_desk desk;
	struct ioloop loop;
	struct conf *conf;
	struct smtpd *smtpd;
	uint16_t port;
	_Atomic uint64_t ceiling;
	bool done;
	size_t bodies; /* body_memory_used() before */
};

static struct sockaddr_in at_port(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static uint16_t free_port(void)
{
	struct sockaddr_in sa = at_port(0);
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static struct conf *make_conf(uint16_t port, const char *more)
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

static void setup(struct world *w, const char *more)
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

static void on_done(void *arg)
{
	((struct world *)arg)->done = true;
}

static bool is_done(struct world *w)
{
	return w->done;
}

static bool nobody_left(struct world *w)
{
	return smtpd_sessions(w->smtpd) == 0;
}

static bool content_waits(struct world *w)
{
	return w->store.drained != NULL;
}

static bool finish_waits(struct world *w)
{
	return w->store.finish != NULL;
}

static bool commit_waits(struct world *w)
{
	return w->store.commit != NULL;
}

static bool writer_exists(struct world *w)
{
	return w->store.writers > 0;
}

/* Lets the loop wait for events at most a little while. */
static void turn(struct world *w)
{
	uv_run(&w->loop.uv, UV_RUN_NOWAIT);
	struct pollfd p = {.fd = uv_backend_fd(&w->loop.uv), .events = POLLIN};
	poll(&p, 1, 1);
	uv_run(&w->loop.uv, UV_RUN_NOWAIT);
}

static void until(struct world *w, bool (*holds)(struct world *w))
{
	uint64_t start = clock_mono_ms();
	while (!holds(w)) {
		assert_true(clock_mono_ms() - start < PATIENCE_MS);
		turn(w);
	}
}

static void teardown(struct world *w)
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

static int dial(uint16_t port)
{
	struct sockaddr_in sa = at_port(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

/* Runs the loop until what came from the server since the last call ends the way `text` asks: contains it. NULL: until
 * it closes. */
static void expect(struct world *w, int fd, const char *text)
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

/* Sends all, running the loop meanwhile. */
static void tell(struct world *w, int fd, const void *p, size_t len)
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

static void tell_text(struct world *w, int fd, const char *text)
{
	tell(w, fd, text, strlen(text));
}

static int dial_to_data(struct world *w)
{
	int fd = dial(w->port);
	tell_text(w, fd, EHLO M R "DATA\r\n");
	expect(w, fd, GO);
	return fd;
}

/* ---- tests ---- */

static void test_a_message(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	int fd = dial_to_data(&w);
	tell_text(&w, fd, "Subject: x\r\n\r\n..hello\r\n.\r\n");
	expect(&w, fd, QUEUED);
	assert_int_equal(w.store.stored, 1);
	const struct envelope *e = w.store.envelope;
	assert_string_equal(e->sender, "a@b.example");
	assert_int_equal(e->rcpt_count, 1);
	assert_string_equal(e->rcpts[0].address, "c@d.example");
	assert_string_equal(e->helo, "c.example");
	assert_string_equal(e->client, "127.0.0.1");
	assert_int_equal(e->size, w.store.content.len);
	static const char begin[] = "Received: from c.example ([127.0.0.1])\r\n\tby r.example with ESMTP id ";
	static const char end[] = "\r\nSubject: x\r\n\r\n.hello\r\n";
	assert_memory_equal(w.store.content.data, begin, sizeof begin - 1);
	assert_string_equal((char *)w.store.content.data + w.store.content.len - (sizeof end - 1), end);
	tell_text(&w, fd, "QUIT\r\n");
	expect(&w, fd, "221 ");
	expect(&w, fd, NULL);
	close(fd);
	until(&w, nobody_left);
	teardown(&w);
}

/* Both families at one port, each with its own address in the trace field. */
static void test_ipv6(void **state)
{
	(void)state;
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0)
		skip();
	close(fd);
	struct world w;
	struct buf errors;
	char more[128];
	buf_init(&errors, 4096);
	setup(&w, "");
	snprintf(more, sizeof more, "listen 0.0.0.0:%u { }\nlisten [::]:%u { }", w.port, w.port);
	struct conf *next = make_conf(w.port, more);
	if (smtpd_reload(w.smtpd, next, &errors) != 0)
		fail_msg("%s", errors.data);
	conf_unref(next);
	turn(&w);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin6_port = htons(w.port);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	tell_text(&w, fd, EHLO M R "DATA\r\n");
	expect(&w, fd, GO);
	tell_text(&w, fd, ".\r\n");
	expect(&w, fd, QUEUED);
	assert_non_null(strstr((char *)w.store.content.data, "from c.example ([IPv6:::1])\r\n"));
	assert_string_equal(w.store.envelope->client, "::1");
	close(fd);
	buf_fini(&errors);
	teardown(&w);
}

/* What comes behind the final dot in the same packet waits for the disk, then counts. */
static void test_commands_behind_the_dot(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	w.store.hold_commit = true;
	int fd = dial_to_data(&w);
	tell_text(&w, fd, "one\r\n.\r\n" M R "DATA\r\n");
	until(&w, commit_waits);
	w.store.hold_commit = false;
	release_commit(&w.store);
	expect(&w, fd, GO);
	tell_text(&w, fd, "two\r\n.\r\nQUIT\r\n");
	expect(&w, fd, "221 ");
	assert_int_equal(w.store.stored, 2);
	close(fd);
	teardown(&w);
}

/* A large message through a store that pushes back at every piece: bit by bit the same. */
static void test_back_pressure(void **state)
{
	(void)state;
	enum { LINES = 40000, LINE = 80 };
	struct world w;
	setup(&w, "");
	w.store.push_back = true;
	char *text = malloc(LINES * LINE);
	for (int i = 0; i < LINES; i++) {
		for (int k = 0; k < LINE - 2; k++)
			text[i * LINE + k] = (char)('a' + (i * 7 + k * 3) % 26);
		memcpy(text + i * LINE + LINE - 2, "\r\n", 2);
	}
	int fd = dial_to_data(&w);
	tell(&w, fd, text, LINES * LINE);
	tell_text(&w, fd, ".\r\n");
	expect(&w, fd, QUEUED);
	assert_true(w.store.content.len > LINES * LINE);
	assert_memory_equal(w.store.content.data + w.store.content.len - LINES * LINE, text, LINES * LINE);
	free(text);
	close(fd);
	teardown(&w);
}

/* The last bytes of a chunk meet a store that pushes back: the reply must not wait for bytes that are not to come. */
static void test_chunks_under_back_pressure(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	w.store.push_back = true;
	int fd = dial(w.port);
	tell_text(&w, fd, EHLO M R);
	expect(&w, fd, "250 2.1.5");
	tell_text(&w, fd, "BDAT 5\r\none\r\n");
	expect(&w, fd, "250 2.0.0 5 octets");
	tell_text(&w, fd, "BDAT 3\r\ntwo");
	expect(&w, fd, "250 2.0.0 3 octets");
	tell_text(&w, fd, "BDAT 2 LAST\r\n\r\n");
	expect(&w, fd, QUEUED);
	close(fd);
	teardown(&w);
}

/* While the store takes nothing the client is not read: the kernel's buffers fill, ours do not. */
static void test_no_reading_under_back_pressure(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	w.store.push_back = w.store.hold_drained = true;
	int fd = dial(w.port);
	tell_text(&w, fd, EHLO M R "DATA\r\n");
	until(&w, content_waits);
	static char lots[65536];
	memset(lots, 'x', sizeof lots);
	size_t taken = 0;
	for (int idle = 0; idle < 20;) {
		ssize_t n = send(fd, lots, sizeof lots, MSG_DONTWAIT | MSG_NOSIGNAL);
		idle = n > 0 ? 0 : idle + 1;
		taken += n > 0 ? (size_t)n : 0;
		assert_true(taken < 64 << 20);
		turn(&w);
	}
	assert_true(body_memory_used() - w.bodies < 1 << 20);
	close(fd);
	w.store.hold_drained = w.store.push_back = false;
	release_drained(&w.store);
	until(&w, nobody_left);
	teardown(&w);
}

/* A client that vanishes leaves nothing, wherever it was; a message that is being committed is kept. */
static void test_vanishing(void **state)
{
	(void)state;
	static const struct {
		const char *say;
		const char *then; /* after 354 */
		bool (*at)(struct world *w);
		bool push_back, hold_finish, hold_commit;
		unsigned stored;
	} rows[] = {
		{"", NULL, NULL, false, false, false, 0},
		{"EHL", NULL, NULL, false, false, false, 0},
		{EHLO, NULL, NULL, false, false, false, 0},
		{EHLO M, NULL, NULL, false, false, false, 0},
		{EHLO M R "RCPT TO:<x", NULL, NULL, false, false, false, 0},
		{EHLO M R "DATA\r\n", NULL, writer_exists, false, false, false, 0},
		{EHLO M R "DATA\r\n", "x\r\n", writer_exists, false, false, false, 0},
		{EHLO M R "DATA\r\n", "x\n", NULL, false, false, false, 0},
		{EHLO M R "DATA\r\n", NULL, content_waits, true, false, false, 0},
		{EHLO M R "DATA\r\n", "x\r\n.\r\n", finish_waits, false, true, false, 1},
		{EHLO M R "DATA\r\n", "x\r\n.\r\nNOOP\r\nRS", commit_waits, false, false, true, 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct linger reset = {1, 0};
		struct world w;
		for (int hard = 0; hard < 2; hard++) {
			setup(&w, "");
			w.store.push_back = w.store.hold_drained = rows[i].push_back;
			w.store.hold_finish = rows[i].hold_finish;
			w.store.hold_commit = rows[i].hold_commit;
			int fd = dial(w.port);
			tell_text(&w, fd, rows[i].say);
			if (rows[i].then != NULL) {
				expect(&w, fd, GO);
				tell_text(&w, fd, rows[i].then);
			}
			if (rows[i].at != NULL)
				until(&w, rows[i].at);
			if (hard)
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
			close(fd);
			for (int k = 0; k < 5; k++)
				turn(&w);
			w.store.push_back = w.store.hold_finish = w.store.hold_commit = false;
			release_drained(&w.store);
			release_finish(&w.store);
			release_commit(&w.store);
			until(&w, nobody_left);
			assert_int_equal(w.store.stored, rows[i].stored);
			teardown(&w);
		}
	}
}

static void test_storage_faults(void **state)
{
	(void)state;
	static const struct {
		int append_err, finish_err, commit_err;
		enum store_room room;
		const char *reply;
		unsigned discarded;
	} rows[] = {
		{-ENOSPC, 0, 0, STORE_OK, "452 4.3.1 ", 0},
		{-EIO, 0, 0, STORE_OK, "451 4.3.0 ", 0},
		{0, -EIO, 0, STORE_OK, "451 4.3.0 ", 0},
		{0, -ENOSPC, 0, STORE_OK, "452 4.3.1 ", 0},
		{0, 0, -EIO, STORE_OK, "451 4.3.0 ", 1},
		{0, 0, -ENOSPC, STORE_OK, "452 4.3.1 ", 1},
		{0, 0, 0, STORE_FULL, "452 4.3.1 ", 0},
		{0, 0, 0, STORE_BROKEN, "451 4.3.0 ", 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		setup(&w, "");
		w.store.append_err = rows[i].append_err;
		w.store.finish_err = rows[i].finish_err;
		w.store.commit_err = rows[i].commit_err;
		w.store.room = rows[i].room;
		int fd = dial(w.port);
		tell_text(&w, fd, EHLO M);
		if (rows[i].room == STORE_OK) {
			tell_text(&w, fd, R "DATA\r\n");
			expect(&w, fd, GO);
			tell_text(&w, fd, "x\r\n.\r\n");
		}
		expect(&w, fd, rows[i].reply);
		assert_int_equal(w.store.stored, 0);
		assert_int_equal(w.store.discarded, rows[i].discarded);
		w.store.append_err = w.store.finish_err = w.store.commit_err = 0;
		w.store.room = STORE_OK;
		tell_text(&w, fd, M R "DATA\r\n");
		expect(&w, fd, GO);
		tell_text(&w, fd, "x\r\n.\r\n");
		expect(&w, fd, QUEUED);
		close(fd);
		teardown(&w);
	}
	/* no IDs may be given: also a fault of the storage */
	struct world w;
	setup(&w, "");
	w.ceiling = 1;
	int fd = dial(w.port);
	tell_text(&w, fd, EHLO M R "DATA\r\n");
	expect(&w, fd, "451 4.3.0 ");
	close(fd);
	teardown(&w);
}

static void test_session_limits(void **state)
{
	(void)state;
	static const struct {
		const char *conf, *reply;
	} rows[] = {
		{"limits { sessions = 2 }", "421 4.3.2 r.example: Too many connections\r\n"},
		{"limits { sessions_per_client = 2 }",
			"421 4.7.0 r.example: Too many connections from your address\r\n"},
		{"clients = 192.0.2.0/24\nlimits { sessions_per_other = 2 }",
			"421 4.7.0 r.example: Too many connections from your address\r\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		setup(&w, rows[i].conf);
		int a = dial(w.port), b = dial(w.port);
		expect(&w, a, "220 ");
		expect(&w, b, "220 ");
		int c = dial(w.port);
		expect(&w, c, rows[i].reply);
		expect(&w, c, NULL);
		close(c);
		close(a);
		uint64_t start = clock_mono_ms();
		while (smtpd_sessions(w.smtpd) > 1 && clock_mono_ms() - start < PATIENCE_MS)
			turn(&w);
		c = dial(w.port);
		expect(&w, c, "220 ");
		close(b);
		close(c);
		teardown(&w);
	}
}

/* Each limit that a client can reach has a reply and a counter of its own. */
static void test_counters(void **state)
{
	(void)state;
	static const struct {
		const char *conf, *said, *reply;
		enum counter counter;
	} rows[] = {
		{"limits { size = 64K }", "EHLO c\r\nMAIL FROM:<a@b> SIZE=65537\r\n", "552 5.3.4 ",
			COUNTER_refused_size},
		{"limits { recipients = 2 }", EHLO M R "RCPT TO:<e@d.example>\r\n" R "RCPT TO:<f@d.example>\r\n",
			"452 4.5.3 ", COUNTER_refused_recipients},
		{"limits { hops = 10 }",
			EHLO M R "DATA\r\nReceived: 1\r\nReceived: 2\r\nReceived: 3\r\nReceived: 4\r\nReceived: 5\r\n"
				 "Received: 6\r\nReceived: 7\r\nReceived: 8\r\nReceived: 9\r\nReceived: 10\r\n"
				 "Received: 11\r\n\r\n.\r\n",
			"554 5.4.6 ", COUNTER_refused_hops},
		{"limits { errors = 2 }", "X\r\nX\r\n", "421 4.7.0 ", COUNTER_sessions_errors},
		{"limits { messages = 1 }", EHLO M, "452 4.3.1 ", COUNTER_refused_queue},
		{"", EHLO M R "DATA\r\nx\n.\n\r\n.\r\n", "550 5.5.2 The message", COUNTER_refused_bare},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		setup(&w, rows[i].conf);
		uint64_t before = counter_get(rows[i].counter), queued = counter_get(COUNTER_messages_queued);
		if (rows[i].counter == COUNTER_refused_queue)
			COUNT_SET(messages_queued, 1);
		int fd = dial(w.port);
		tell_text(&w, fd, rows[i].said);
		expect(&w, fd, rows[i].reply);
		assert_int_equal(counter_get(rows[i].counter), before + 1);
		COUNT_SET(messages_queued, queued);
		close(fd);
		teardown(&w);
	}
	struct world w;
	setup(&w, "");
	static char line[4096];
	memset(line, 'x', sizeof line - 3);
	memcpy(line + sizeof line - 3, "\r\n", 3);
	uint64_t before = counter_get(COUNTER_refused_line);
	int fd = dial(w.port);
	tell_text(&w, fd, line);
	expect(&w, fd, "500 5.5.2 Line too long");
	assert_int_equal(counter_get(COUNTER_refused_line), before + 1);
	close(fd);
	teardown(&w);
}

/* The last reply reaches a client that was still talking: no reset takes it away. */
static void test_last_words(void **state)
{
	(void)state;
	static char noise[300000];
	for (size_t i = 0; i < sizeof noise; i += 3)
		memcpy(noise + i, "X\r\n", 3);
	struct world w;
	setup(&w, "");
	int fd = dial(w.port);
	tell(&w, fd, noise, sizeof noise);
	expect(&w, fd, "421 4.7.0 ");
	char last[16];
	assert_int_equal(recv(fd, last, sizeof last, MSG_DONTWAIT), 0); /* an end, no reset */
	close(fd);
	until(&w, nobody_left);
	teardown(&w);
}

static void test_relaying(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "clients = 192.0.2.0/24");
	uint64_t denied = counter_get(COUNTER_relay_denied);
	int fd = dial(w.port);
	tell_text(&w, fd, EHLO M R "DATA\r\n");
	expect(&w, fd, "554 5.5.1 ");
	assert_int_equal(counter_get(COUNTER_relay_denied), denied + 1);
	assert_int_equal(w.store.writers, 0);
	close(fd);
	teardown(&w);
}

static void test_time_limits(void **state)
{
	(void)state;
	static const struct {
		uint64_t command_time, data_time;
		bool data;
		enum counter counter;
	} rows[] = {
		{30, 60000, false, COUNTER_timeouts_command},
		{30, 60000, true, COUNTER_timeouts_command},
		{60000, 30, true, COUNTER_timeouts_data},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		setup(&w, "");
		w.conf->limits.command_time = rows[i].data ? 60000 : rows[i].command_time;
		w.conf->limits.data_time = rows[i].data_time;
		uint64_t before = counter_get(rows[i].counter);
		int fd = rows[i].data ? dial_to_data(&w) : dial(w.port);
		if (rows[i].data && rows[i].command_time < 1000) {
			w.conf->limits.command_time = rows[i].command_time;
			tell_text(&w, fd, "x");
		}
		expect(&w, fd, "421 4.4.2 ");
		expect(&w, fd, NULL);
		assert_int_equal(counter_get(rows[i].counter), before + 1);
		close(fd);
		until(&w, nobody_left);
		teardown(&w);
	}
}

/* A chunk that is refused has the time of content: as long as it comes the client is not silent, but not for ever. */
static void test_time_of_refused_chunks(void **state)
{
	(void)state;
	static const char *const before[] = {EHLO, EHLO M, EHLO M R "BDAT 1\r\n\n"};
	for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
		struct world w;
		setup(&w, "");
		w.conf->limits.command_time = 400;
		w.conf->limits.data_time = 1200;
		uint64_t timeouts = counter_get(COUNTER_timeouts_data), start;
		int fd = dial(w.port);
		tell_text(&w, fd, before[i]);
		tell_text(&w, fd, "BDAT 100000000\r\n");
		char got[4096] = "";
		size_t len = 0;
		for (start = clock_mono_ms(); strstr(got, "421 4.4.2 ") == NULL;) {
			send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
			turn(&w);
			ssize_t n = recv(fd, got + len, sizeof got - 1 - len, MSG_DONTWAIT);
			len += n > 0 ? (size_t)n : 0;
			got[len] = '\0';
			assert_true(clock_mono_ms() - start < PATIENCE_MS);
		}
		assert_true(clock_mono_ms() - start >= 1100);
		assert_int_equal(counter_get(COUNTER_timeouts_data), timeouts + 1);
		close(fd);
		until(&w, nobody_left);
		teardown(&w);
	}
}

/* Who asks and never reads the answers is read no more, and in the end closed. */
static void deaf_client(bool timed)
{
	struct world w;
	uint64_t before = counter_get(COUNTER_timeouts_command);
	setup(&w, "limits { junk = 100000 }");
	w.conf->limits.command_time = timed ? 300 : 60000;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 2048;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	struct sockaddr_in sa = at_port(w.port);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	static char asks[60000];
	for (size_t i = 0; i < sizeof asks; i += 6)
		memcpy(asks + i, "HELP\r\n", 6);
	for (int idle = 0; idle < 20;) {
		idle = send(fd, asks, sizeof asks, MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ? 0 : idle + 1;
		turn(&w);
	}
	if (timed) {
		until(&w, nobody_left);
		assert_int_equal(counter_get(COUNTER_timeouts_command), before + 1);
	} else {
		assert_int_equal(smtpd_sessions(w.smtpd), 1);
	}
	teardown(&w); /* else it ends here, replies pending or not */
	close(fd);
}

static void test_a_client_that_does_not_read(void **state)
{
	(void)state;
	deaf_client(true);
	deaf_client(false);
}

static void test_stop(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	int idle = dial(w.port), fresh = dial(w.port), busy = dial_to_data(&w), late = dial_to_data(&w);
	expect(&w, fresh, "220 ");
	tell_text(&w, idle, EHLO M);
	expect(&w, idle, "250 2.1.0 ");
	int queued[QUEUED_CLIENTS]; /* more than are accepted in one turn */
	for (int i = 0; i < QUEUED_CLIENTS; i++)
		queued[i] = dial(w.port);
	smtpd_stop(w.smtpd, 3600000, on_done, &w);
	for (int i = 0; i < QUEUED_CLIENTS; i++) {
		expect(&w, queued[i], "421 4.3.2 ");
		close(queued[i]);
	}
	expect(&w, idle, "421 4.3.2 ");
	expect(&w, idle, NULL);
	expect(&w, fresh, "421 4.3.2 ");
	tell_text(&w, busy, "x\r\n.\r\n");
	expect(&w, busy, "421 4.3.2 ");
	assert_int_equal(w.store.stored, 1);
	assert_false(w.done);
	smtpd_stop(w.smtpd, 0, NULL, NULL); /* the second TERM */
	expect(&w, late, NULL);
	until(&w, is_done);
	assert_int_equal(w.store.stored, 1);
	int fds[] = {idle, fresh, busy, late};
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
	teardown(&w);
}

/* The drain time is over while a message is at the disk: it waits for that and nothing else. */
static void test_stop_with_a_commit_under_way(void **state)
{
	(void)state;
	for (int finishing = 0; finishing < 2; finishing++) {
		struct world w;
		setup(&w, "");
		w.store.hold_commit = !finishing;
		w.store.hold_finish = finishing;
		int fd = dial_to_data(&w);
		tell_text(&w, fd, "x\r\n.\r\n");
		until(&w, finishing ? finish_waits : commit_waits);
		smtpd_stop(w.smtpd, 0, on_done, &w);
		expect(&w, fd, NULL);
		assert_false(w.done);
		release_commit(&w.store);
		release_finish(&w.store);
		until(&w, is_done);
		assert_int_equal(w.store.stored, !finishing);
		assert_int_equal(w.store.discarded, finishing);
		close(fd);
		teardown(&w);
	}
}

static void test_reload(void **state)
{
	(void)state;
	struct world w;
	struct buf errors;
	buf_init(&errors, 4096);
	setup(&w, "");
	int old = dial(w.port);
	expect(&w, old, "220 r.example ");
	/* one more, and another size */
	uint16_t second = free_port();
	char more[128];
	snprintf(more, sizeof more, "listen 127.0.0.1:%u { }\nlimits { size = 7777 }", second);
	struct conf *next = make_conf(w.port, more);
	assert_int_equal(smtpd_reload(w.smtpd, next, &errors), 0);
	conf_unref(next);
	turn(&w);
	int a = dial(w.port), b = dial(second);
	tell_text(&w, a, EHLO);
	expect(&w, a, "250-SIZE 7777\r\n");
	tell_text(&w, b, EHLO);
	expect(&w, b, "250-SIZE 7777\r\n");
	tell_text(&w, old, EHLO);
	expect(&w, old, "250-SIZE 52428800\r\n");
	/* the first one goes; what waits in its queue is told, or was greeted just before */
	next = make_conf(second, "");
	int waiting = dial(w.port);
	assert_int_equal(smtpd_reload(w.smtpd, next, &errors), 0);
	conf_unref(next);
	expect(&w, waiting, " r.example");
	struct sockaddr_in sa = at_port(w.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	/* somebody else's port: said, and all else done */
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa = at_port(0);
	socklen_t len = sizeof sa;
	assert_int_equal(bind(other, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_int_equal(getsockname(other, (struct sockaddr *)&sa, &len), 0);
	snprintf(more, sizeof more, "listen 127.0.0.1:%u { }", ntohs(sa.sin_port));
	next = make_conf(second, more);
	assert_int_equal(smtpd_reload(w.smtpd, next, &errors), -EADDRINUSE);
	conf_unref(next);
	assert_non_null(strstr((char *)errors.data, "is another mail server running?"));
	tell_text(&w, b, "NOOP\r\n");
	expect(&w, b, "250 2.0.0 ");
	int fds[] = {old, a, b, waiting, other};
	for (size_t i = 0; i < 5; i++)
		close(fds[i]);
	buf_fini(&errors);
	teardown(&w);
}

static void test_open_errors(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	/* the same port again, by another daemon: SO_REUSEPORT alone would share it in silence */
	struct ioloop loop;
	assert_int_equal(ioloop_init(&loop, "io-1", 1), 0);
	struct smtpd_setup s = {.loops = &loop, .loop_count = 1, .conf = w.conf, .desk = &w.desk};
	struct smtpd *d = NULL;
	struct buf errors;
	buf_init(&errors, 4096);
	assert_int_equal(smtpd_open(&d, &s, &errors), -EADDRINUSE);
	assert_null(d);
	char begin[64];
	snprintf(begin, sizeof begin, "listen 127.0.0.1:%u: ", w.port);
	assert_memory_equal(errors.data, begin, strlen(begin));
	/* an address that is not ours: an error, unless asked to leave it out */
	struct conf *c = make_conf(free_port(), "listen 192.0.2.77:2525 { }");
	s.conf = c;
	buf_reset(&errors);
	assert_int_equal(smtpd_open(&d, &s, &errors), -EADDRNOTAVAIL);
	assert_non_null(strstr((char *)errors.data, "no interface of this host has it"));
	s.skip_missing = true;
	assert_int_equal(smtpd_open(&d, &s, &errors), 0);
	smtpd_free(d);
	conf_unref(c);
	buf_fini(&errors);
	ioloop_finish(&loop);
	uv_run(&loop.uv, UV_RUN_DEFAULT);
	assert_int_equal(ioloop_join(&loop), 0);
	teardown(&w);
}

/* No descriptors left: clients wait instead of being lost, and the daemon does not spin. */
static void test_no_descriptors(void **state)
{
	(void)state;
	struct world w;
	setup(&w, "");
	int first = dial(w.port);
	expect(&w, first, "220 ");
	int fd = dial(w.port);
	struct rlimit old, tight;
	getrlimit(RLIMIT_NOFILE, &old);
	tight = old;
	tight.rlim_cur = 3; /* all further ones are over it */
	uint64_t before = counter_get(COUNTER_accept_failures);
	setrlimit(RLIMIT_NOFILE, &tight);
	for (int i = 0; i < 20; i++)
		turn(&w);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(counter_get(COUNTER_accept_failures), before + 1);
	assert_int_equal(smtpd_sessions(w.smtpd), 1);
	expect(&w, fd, "220 ");
	close(first);
	close(fd);
	teardown(&w);
}

/* An idle session costs its struct and its HELO name. */
static void test_memory(void **state)
{
	(void)state;
	enum { MANY = 400 };
	assert_true(session_size() <= 1024);
	struct world w;
	setup(&w, "");
	static int fds[MANY];
	fds[0] = dial(w.port);
	tell_text(&w, fds[0], EHLO);
	expect(&w, fds[0], "250 ENHANCED");
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	size_t before = mallinfo2().uordblks;
#endif
	for (int i = 1; i < MANY; i++) {
		fds[i] = dial(w.port);
		tell_text(&w, fds[i], EHLO M "RSET\r\n");
		expect(&w, fds[i], "250 2.0.0 ");
	}
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	size_t each = (mallinfo2().uordblks - before) / (MANY - 1);
	print_message("%zu bytes an idle session (struct %zu)\n", each, session_size());
	assert_true(each <= 2048);
#endif
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	until(&w, nobody_left);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_commands_behind_the_dot),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_chunks_under_back_pressure),
		cmocka_unit_test(test_no_reading_under_back_pressure),
		cmocka_unit_test(test_vanishing),
		cmocka_unit_test(test_storage_faults),
		cmocka_unit_test(test_session_limits),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_relaying),
		cmocka_unit_test(test_time_limits),
		cmocka_unit_test(test_time_of_refused_chunks),
		cmocka_unit_test(test_a_client_that_does_not_read),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_stop_with_a_commit_under_way),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
