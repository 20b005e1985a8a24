/* tests/unit/dialer_test.c: dials, connections and transactions on a real loop, against scripted servers on loopback.
 *
 * The test's own thread plays the queue thread. Times are shortened through the configuration; what is asserted is who
 * wins and how things end, not how long they take. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/clock.h"
#include "queue/deliver/dialer.h"
#include "queue/mail/envelope.h"
#include "tests/unit/smtp_script.h"

enum { V4 = FAMILY_IPV4, V6 = FAMILY_IPV6 };

static struct conf conf = {
	.race =
		{
			.attempt_delay = 50,
			.greeting_delay = 400,
			.patience = 1200,
			.patience_mail = 300,
			.stall = 300,
			.width = 3,
			.connect_time = 1000,
		},
	.limits = {.connection_messages = 3, .connection_idle = 200, .reply_lines = 20, .reply_bytes = 4096},
};

/* ---- the content reader of queue/spool/store.h, from memory ---- */

struct content_reader {
	const char *text;
	size_t left, piece;
	int end; /* what stands at its end: 2, or an error */
	struct mailbox *home;
	void (*ready)(void *arg);
	void *arg;
	struct letter letter;
	bool waiting, closed;
};

static struct content_reader stored;

static void on_stored(struct letter *letter)
{
	struct content_reader *r = LETTER_OF(letter, struct content_reader, letter);
	r->waiting = false;
	if (!r->closed)
		r->ready(r->arg);
}

struct content_reader *content_reader_open(
	struct store *s, struct place content, struct mailbox *home, void (*ready)(void *arg), void *arg)
{
	(void)s;
	assert_int_equal(content.segment, 7);
	stored.home = home;
	stored.ready = ready;
	stored.arg = arg;
	stored.closed = false;
	stored.waiting = true;
	mailbox_post(home, &stored.letter, on_stored);
	return &stored;
}

int content_reader_piece(struct content_reader *r, const uint8_t **p, size_t *n)
{
	if (r->waiting)
		return 0;
	if (r->left == 0)
		return r->end;
	*p = (const uint8_t *)r->text;
	*n = r->left < r->piece ? r->left : r->piece;
	return 1;
}

void content_reader_next(struct content_reader *r)
{
	size_t n = r->left < r->piece ? r->left : r->piece;
	r->text += n;
	r->left -= n;
	r->waiting = true;
	mailbox_post(r->home, &r->letter, on_stored);
}

void content_reader_close(struct content_reader *r)
{
	r->closed = true;
}

/* ---- the stage ---- */

struct stage {
	struct ioloop loop;
	struct mailbox mailbox;
	sem_t posted;
	struct smtp_script *v4, *v6;
	struct lane lane;
	bool dialled;
	unsigned closed, done;
	char order[100]; /* what came home: t for a transaction, c for closed */
};

static struct stage *now_playing;

static void wake(void *arg)
{
	sem_post(arg);
}

static int set_up(void **state)
{
	struct stage *s = calloc(1, sizeof *s);
	atomic_init(&conf.refs, 1);
	sem_init(&s->posted, 0, 0);
	mailbox_init(&s->mailbox, wake, &s->posted);
	assert_int_equal(ioloop_init(&s->loop, "test", 3), 0);
	assert_int_equal(ioloop_start(&s->loop), 0);
	snprintf(s->lane.site, sizeof s->lane.site, "example");
	snprintf(s->lane.helo_ipv4, sizeof s->lane.helo_ipv4, "four.example");
	snprintf(s->lane.helo_ipv6, sizeof s->lane.helo_ipv6, "six.example");
	now_playing = s;
	*state = s;
	return 0;
}

/* Letters that make the loop do something. */
static uint64_t drain_until;
static struct letter drain_letter, finish_letter;
static struct ioloop *drain_loop;

static void drain(struct letter *letter)
{
	(void)letter;
	dialer_drain(drain_loop, drain_until);
}

static void finish(struct letter *letter)
{
	(void)letter;
	ioloop_finish(drain_loop);
}

static void start_drain(struct stage *s, uint64_t ms)
{
	drain_loop = &s->loop;
	drain_until = clock_mono_ms() + ms;
	mailbox_post(&s->loop.mailbox, &drain_letter, drain);
}

static int tear_down(void **state)
{
	struct stage *s = *state;
	start_drain(s, 0);
	mailbox_post(&s->loop.mailbox, &finish_letter, finish);
	assert_int_equal(ioloop_join(&s->loop), 0);
	assert_int_equal(atomic_load(&conf.refs), 1);
	if (s->v4 != NULL)
		smtp_script_free(s->v4);
	if (s->v6 != NULL)
		smtp_script_free(s->v6);
	sem_destroy(&s->posted);
	free(s);
	return 0;
}

/* Opens letters until the flag or count is there. */
static void wait_bool(struct stage *s, const bool *flag)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	for (;;) {
		while (mailbox_drain(&s->mailbox, 100))
			;
		if (*flag)
			return;
		if (sem_timedwait(&s->posted, &until) != 0 && errno == ETIMEDOUT)
			fail_msg("nothing came");
	}
}

static bool reached;
static unsigned wanted_done, wanted_closed;

static void note(char what)
{
	struct stage *s = now_playing;
	s->order[strlen(s->order)] = what;
	reached = s->done >= wanted_done && s->closed >= wanted_closed;
}

static void wait_for(struct stage *s, unsigned done, unsigned closed)
{
	wanted_done = done;
	wanted_closed = closed;
	reached = s->done >= done && s->closed >= closed;
	wait_bool(s, &reached);
}

static void on_closed(struct connection *c)
{
	now_playing->closed++;
	note('c');
	connection_release(c);
}

static void on_dialled(struct dial *d)
{
	struct stage *s = d->arg;
	s->dialled = true;
	if (d->connection != NULL)
		connection_on_closed(d->connection, on_closed);
}

static void on_done(struct transaction *t)
{
	(void)t;
	now_playing->done++;
	note('t');
}

static struct dial *new_dial(struct stage *s)
{
	struct dial *d = dial_new(&s->loop, &s->mailbox, &conf, NULL, &s->lane);
	assert_non_null(d);
	d->done = on_dialled;
	d->arg = s;
	s->dialled = false;
	return d;
}

static void add(struct dial *d, const struct smtp_script *script)
{
	struct candidate c = {.to = smtp_script_at(script), .preference = 10, .host = "mx.example"};
	assert_int_equal(dial_add(d, &c), 0);
	assert_int_equal(dial_add(d, &c), 0);
}

static struct connection *run_dial(struct stage *s, struct dial *d)
{
	dial_start(d);
	wait_bool(s, &s->dialled);
	return d->connection;
}

static struct smtp_script *server(uint8_t family, const char *script)
{
	const char *const scripts[] = {script, NULL};
	return smtp_script_start(family, scripts);
}

/* A connection to one IPv4 server that is ready for MAIL. */
static struct connection *connected(struct stage *s, const char *script)
{
	s->v4 = server(V4, script);
	struct dial *d = new_dial(s);
	add(d, s->v4);
	struct connection *c = run_dial(s, d);
	assert_non_null(c);
	dial_free(d);
	return c;
}

static void assert_by_script(const struct stage *s)
{
	if (s->v4 != NULL) {
		smtp_script_stop(s->v4);
		assert_string_equal(smtp_script_trouble(s->v4), "");
	}
	if (s->v6 != NULL) {
		smtp_script_stop(s->v6);
		assert_string_equal(smtp_script_trouble(s->v6), "");
	}
}

/* ---- who wins ---- */

#define HELLO "S 220 mx\nC EHLO\nS 250-mx\nS 250-SIZE 100000000\nS 250 PIPELINING\n"

static const char good[] = HELLO "E";
static const char deaf[] = "deaf", refusing[] = "refusing";

static const struct race_row {
	const char *name;
	const char *v6, *v4;
	const char *paths; /* family:fault of each */
	bool connected;
	unsigned v4_connections;
} race_rows[] = {
	{"all well", good, good, "6:ok", true, 0},
	{"greeting after a pause that is no reason to hurry", "W 100\nS 220-mx\nW 500\nS 220 mx\nC EHLO\nS 250 mx\nE",
		good, "6:ok", true, 0},
	{"refused", refusing, good, "6:refused 4:ok", true, 1},
	{"no answer to SYN", deaf, good, "6:superseded 4:ok", true, 1},
	{"silent after connect", "E", good, "6:superseded 4:ok", true, 1},
	{"220- and then silent", "S 220-mx\nE", good, "6:silent-greeting 4:ok", true, 1},
	{"silent at EHLO", "S 220 mx\nC EHLO\nE", good, "6:silent-ehlo 4:ok", true, 1},
	{"half an answer to EHLO", "S 220 mx\nC EHLO\nS 250-mx\nE", good, "6:silent-ehlo 4:ok", true, 1},
	{"421 at the greeting", "S 421 busy", good, "6:load 4:ok", true, 1},
	{"554 at the greeting", "S 554 no", good, "6:greeting-5yz 4:ok", true, 1},
	{"450 at the greeting", "S 450 no", good, "6:greeting-4yz 4:ok", true, 1},
	{"451 at EHLO", "S 220 mx\nC EHLO\nS 451 no\nE", good, "6:ehlo-4yz 4:ok", true, 1},
	{"421 at EHLO", "S 220 mx\nC EHLO\nS 421 no\nE", good, "6:load 4:ok", true, 1},
	{"EHLO and HELO refused", "S 220 mx\nC EHLO\nS 500 no\nC HELO\nS 500 no\nE", good, "6:ehlo-5yz 4:ok", true, 1},
	{"HELO after EHLO", "S 220 mx\nC EHLO six.example\nS 502 no\nC HELO six.example\nS 250 mx\nE", good, "6:ok",
		true, 0},
	{"closed before the greeting", "W 1", good, "6:closed 4:ok", true, 1},
	{"reset before the greeting", "W 20\nR", good, "6:reset 4:ok", true, 1},
	{"reset at EHLO", "S 220 mx\nC EHLO\nR", good, "6:reset 4:ok", true, 1},
	{"not SMTP", "S SSH-2.0-x\nE", good, "6:garbage 4:ok", true, 1},
	{"HELO of the family", refusing, "S 220 mx\nC EHLO four.example\nS 250 mx\nE", "6:refused 4:ok", true, 1},
	{"none", refusing, "S 421 busy", "6:refused 4:load", false, 1},
	{"no answer at all", deaf, deaf, "6:connect-timeout 4:connect-timeout", false, 0},
};

static struct smtp_script *cast(uint8_t family, const char *script)
{
	static const char *const none[] = {NULL};
	if (script == deaf)
		return smtp_script_deaf(family);
	return script == refusing ? smtp_script_start(family, none) : server(family, script);
}

static void test_races(void **state)
{
	struct stage *s = *state;
	unsigned closed = 0;
	for (size_t i = 0; i < sizeof race_rows / sizeof race_rows[0]; i++) {
		const struct race_row *row = &race_rows[i];
		char paths[200] = "";
		s->v6 = cast(V6, row->v6);
		s->v4 = cast(V4, row->v4);
		struct dial *d = new_dial(s);
		add(d, s->v4);
		add(d, s->v6);
		struct connection *c = run_dial(s, d);
		for (unsigned k = 0; k < d->path_count; k++)
			snprintf(paths + strlen(paths), sizeof paths - strlen(paths), "%s%u:%s", k ? " " : "",
				(unsigned)d->paths[k].to.ip.family, fault_word(d->paths[k].fault));
		if (strcmp(paths, row->paths) != 0 || (c != NULL) != row->connected)
			fail_msg("%s: %s", row->name, paths);
		assert_int_equal(d->used, c != NULL ? (int)d->path_count - 1 : -1);
		assert_false(d->slow);
		if (c != NULL) {
			const struct path_try *used = &d->paths[d->used];
			assert_true(used->connect_ms <= used->greeting_ms && used->greeting_ms <= used->total_ms);
			assert_int_equal(used->reply.code, 220);
			assert_true(endpoint_equal(&used->to, &connection_info(c)->to));
			assert_string_equal(connection_info(c)->host, "mx.example");
			assert_int_equal(connection_info(c)->loop, 3);
			connection_quit(c);
			connection_quit(c);
			wait_for(s, 0, ++closed);
		}
		dial_free(d);
		assert_by_script(s);
		if (smtp_script_connections(s->v4) != row->v4_connections)
			fail_msg("%s: %u connections over IPv4", row->name, smtp_script_connections(s->v4));
		smtp_script_free(s->v4);
		smtp_script_free(s->v6);
		s->v4 = s->v6 = NULL;
	}
}

static unsigned heard;

static void on_progress(struct dial *d, const struct path_try *p)
{
	assert_int_equal(p->to.ip.family, heard == 0 ? V6 : V4);
	assert_false(((struct stage *)d->arg)->dialled);
	heard++;
}

static void test_probe(void **state)
{
	struct stage *s = *state;
	s->v6 = cast(V6, refusing);
	s->v4 = server(V4, HELLO "C QUIT\nS 221 bye\n");
	struct dial *d = new_dial(s);
	d->probe = true;
	d->progress = on_progress;
	heard = 0;
	add(d, s->v4);
	add(d, s->v6);
	assert_null(run_dial(s, d));
	assert_int_equal(d->used, 1);
	assert_int_equal(heard, 2);
	dial_free(d);
	start_drain(s, 1000); /* waits for QUIT's answer, so that the script is over */
	mailbox_drain(&s->mailbox, 10);
	struct dial *late = new_dial(s);
	add(late, s->v4);
	assert_null(run_dial(s, late)); /* nothing new while draining */
	assert_int_equal(late->path_count, 0);
	dial_free(late);
}

static void test_loser_that_greeted_hears_quit(void **state)
{
	struct stage *s = *state;
	/* IPv6 begins its greeting after IPv4 has been started, and is too slow with the rest */
	s->v6 = server(V6, "W 550\nS 220-mx\nC QUIT");
	s->v4 = server(V4, "W 350\n" HELLO "C QUIT\nS 221 bye\n");
	struct dial *d = new_dial(s);
	add(d, s->v4);
	add(d, s->v6);
	struct connection *c = run_dial(s, d);
	assert_non_null(c);
	assert_int_equal(connection_info(c)->to.ip.family, V4);
	assert_int_equal(d->paths[0].fault, FAULT_SUPERSEDED);
	dial_free(d);
	connection_quit(c);
	wait_for(s, 0, 1);
	assert_by_script(s);
}

static void test_late_candidate(void **state)
{
	struct stage *s = *state;
	s->v4 = server(V4, "E");
	s->v6 = server(V6, good);
	struct dial *d = new_dial(s);
	add(d, s->v4);
	dial_start(d);
	add(d, s->v6);
	wait_bool(s, &s->dialled);
	assert_non_null(d->connection);
	assert_int_equal(connection_info(d->connection)->to.ip.family, V6);
	dial_free(d);
	wait_for(s, 0, 1); /* idle */
}

static void test_cancel_and_free(void **state)
{
	struct stage *s = *state;
	s->v4 = server(V4, "E");
	dial_free(NULL);
	struct dial *unused = new_dial(s);
	add(unused, s->v4);
	dial_cancel(unused);
	dial_free(unused);
	struct dial *empty = new_dial(s);
	assert_null(run_dial(s, empty));
	dial_free(empty);
	struct dial *d = new_dial(s);
	add(d, s->v4);
	dial_start(d);
	dial_cancel(d);
	dial_cancel(d);
	wait_bool(s, &s->dialled);
	assert_null(d->connection);
	dial_cancel(d);
	dial_free(d);
}

/* ---- transactions ---- */

struct parcel {
	struct transaction t;
	struct transaction_rcpt rcpts[2];
};

static void fill(struct parcel *p, const char *content)
{
	memset(p, 0, sizeof *p);
	p->rcpts[0].address = "b@y.example";
	p->rcpts[1].address = "c@y.example";
	p->t.sender = "a@x.example";
	p->t.rcpts = p->rcpts;
	p->t.rcpt_count = 1;
	p->t.size = strlen(content);
	p->t.body = body_new();
	p->t.done = on_done;
	assert_int_equal(body_append(p->t.body, content, strlen(content)), 0);
}

static void empty(struct parcel *p)
{
	body_unref(p->t.body);
}

#define TAKE "C MAIL FROM:<a@x.example>\nC RCPT TO:<b@y.example>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nD\n"

static void test_messages_until_the_limit(void **state)
{
	struct stage *s = *state;
	struct parcel p[3];
	struct connection *c =
		connected(s, HELLO TAKE "S 250 one\n" TAKE "S 550 two\n" TAKE "S 250 three\nC QUIT\nS 221 bye\n");
	assert_true(connection_info(c)->peer.pipelining && connection_info(c)->peer.has_size);
	assert_int_equal(connection_info(c)->peer.size, 100000000);
	fill(&p[0], "one\r\n");
	fill(&p[1], ".two\r\n");
	fill(&p[2], "three\r\n");
	/* two at once, the third when the first is back */
	connection_send(c, &p[0].t, false);
	connection_send(c, &p[1].t, false);
	wait_for(s, 1, 0);
	connection_send(c, &p[2].t, true);
	wait_for(s, 3, 1);
	assert_string_equal(s->order, "tttc");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(p[i].t.end, TRANSACTION_ANSWERED);
		assert_true(p[i].rcpts[0].answered);
		assert_int_equal(p[i].rcpts[0].reply.code, i == 1 ? 550 : 250);
		empty(&p[i]);
	}
	assert_true(p[0].t.reusable);
	assert_false(p[2].t.reusable);
	assert_by_script(s);
	size_t n;
	assert_string_equal(smtp_script_content(s->v4, &n), "one\r\n..two\r\nthree\r\n");
}

static void test_idle_connection_quits(void **state)
{
	struct stage *s = *state;
	struct parcel p;
	struct connection *c = connected(s, HELLO TAKE "S 250 ok\nC QUIT\nS 221 bye\n");
	fill(&p, "hi\r\n");
	connection_send(c, &p.t, true);
	wait_for(s, 1, 1);
	assert_true(p.t.reusable);
	assert_by_script(s);
	empty(&p);
}

static void test_peer_closes_idle_connection(void **state)
{
	struct stage *s = *state;
	struct parcel p;
	struct connection *c = connected(s, HELLO "W 100");
	int arg;
	connection_set_arg(c, &arg);
	assert_ptr_equal(connection_arg(c), &arg);
	/* not told yet that it is gone, we send over it: `closed` comes behind that */
	smtp_script_stop(s->v4);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	fill(&p, "hi\r\n");
	connection_send(c, &p.t, false);
	wait_for(s, 1, 1);
	assert_string_equal(s->order, "tc");
	assert_int_equal(p.t.end, TRANSACTION_UNSTARTED);
	assert_false(p.t.reusable);
	empty(&p);
}

static const struct end_row {
	const char *name, *script;
	bool last_path;
	enum transaction_end end;
	unsigned code;
	enum fault fault;
} end_rows[] = {
	{"lost after the dot", HELLO TAKE, true, TRANSACTION_UNKNOWN, 0, FAULT_CLOSED},
	{"reset after the dot", HELLO TAKE "R", true, TRANSACTION_UNKNOWN, 0, FAULT_RESET},
	{"421 after the dot", HELLO TAKE "S 421 bye\nE", true, TRANSACTION_ANSWERED, 421, FAULT_LOAD},
	{"garbage after the dot", HELLO TAKE "S OK\nE", true, TRANSACTION_UNKNOWN, 0, FAULT_GARBAGE},
	{"silent at MAIL", HELLO "C MAIL\nE", false, TRANSACTION_LOST, 0, FAULT_SILENT_LATER},
	{"dribbling at MAIL",
		HELLO
		"C MAIL\nS 250-a\nW 90\nS 250-a\nW 90\nS 250-a\nW 90\nS 250-a\nW 90\nS 250-a\nW 90\nS 250-a\nW 90\n"
		"S 250 a\nE",
		false, TRANSACTION_LOST, 0, FAULT_SILENT_LATER},
	{"slow at MAIL, but it is the last path", HELLO "C MAIL\nW 700\nS 451 no\nS 503 no\nS 503 no\nE", true,
		TRANSACTION_ANSWERED, 451, FAULT_NONE},
	{"silent at DATA", HELLO "C MAIL\nS 250 ok\nS 250 ok\nE", false, TRANSACTION_LOST, 0, FAULT_SILENT_LATER},
	{"closed at DATA", HELLO "C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok", true, TRANSACTION_LOST, 0, FAULT_CLOSED},
	{"421 at RCPT", HELLO "C MAIL\nS 250 ok\nS 421 no\nE", true, TRANSACTION_LOST, 0, FAULT_LOAD},
	{"refused", HELLO "C MAIL\nS 250 ok\nS 550 no\nS 503 no\nE", true, TRANSACTION_ANSWERED, 550, FAULT_NONE},
};

static void test_ends(void **state)
{
	struct stage *s = *state;
	for (size_t i = 0; i < sizeof end_rows / sizeof end_rows[0]; i++) {
		const struct end_row *row = &end_rows[i];
		struct parcel p;
		struct connection *c = connected(s, row->script);
		s->done = s->closed = 0;
		s->order[0] = s->order[1] = 0;
		fill(&p, "hi\r\n");
		connection_send(c, &p.t, row->last_path);
		wait_for(s, 1, 0);
		if (p.t.end != row->end || p.t.fault != row->fault ||
			(p.rcpts[0].answered ? p.rcpts[0].reply.code : 0) != row->code)
			fail_msg("%s: end %d, fault %s, reply %u", row->name, p.t.end, fault_word(p.t.fault),
				p.rcpts[0].answered ? p.rcpts[0].reply.code : 0);
		assert_int_equal(p.t.reusable, row->fault == FAULT_NONE);
		wait_for(s, 1, 1);
		empty(&p);
		smtp_script_free(s->v4);
		s->v4 = NULL;
	}
}

/* Lines of which many begin with a dot. */
static char *large_content(size_t size)
{
	char *text = malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		text[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : i % 192 == 0 ? '.' : (char)('a' + i % 26);
	text[size] = 0;
	return text;
}

static void assert_content(const struct smtp_script *script, const char *content, size_t size)
{
	size_t n, at = 0;
	const char *wire = smtp_script_content(script, &n);
	for (size_t i = 0; i < size; at++, i++) {
		bool begins = i == 0 || content[i - 1] == '\n';
		if (begins && content[i] == '.')
			assert_int_equal(wire[at++], '.');
		if (at >= n || wire[at] != content[i])
			fail_msg("differs at byte %zu", i);
	}
	assert_int_equal(at, n);
}

static void test_large_content(void **state)
{
	struct stage *s = *state;
	enum { SIZE = 64 * 80000 };
	struct parcel p;
	char *content = large_content(SIZE);
	struct connection *c = connected(s, HELLO TAKE "S 250 ok\nE");
	fill(&p, content);
	connection_send(c, &p.t, false);
	wait_for(s, 1, 1);
	assert_int_equal(p.t.end, TRANSACTION_ANSWERED);
	assert_int_equal(p.rcpts[0].reply.code, 250);
	assert_by_script(s);
	assert_content(s->v4, content, SIZE);
	empty(&p);
	free(content);
}

static void send_stored(struct stage *s, struct parcel *p, const char *content, int end)
{
	struct connection *c = connected(s, HELLO TAKE "S 250 ok\nE");
	fill(p, content);
	empty(p);
	p->t.body = NULL;
	p->t.content = (struct place){.segment = 7};
	stored = (struct content_reader){.text = content, .left = strlen(content), .piece = 60000, .end = end};
	connection_send(c, &p->t, false);
	wait_for(s, 1, 1);
	assert_true(stored.closed);
}

static void test_stored_content(void **state)
{
	struct stage *s = *state;
	enum { SIZE = 64 * 20000 };
	struct parcel p;
	char *content = large_content(SIZE);
	send_stored(s, &p, content, 2);
	assert_int_equal(p.t.end, TRANSACTION_ANSWERED);
	assert_by_script(s);
	assert_content(s->v4, content, SIZE);
	free(content);
}

static void test_damaged_content(void **state)
{
	struct stage *s = *state;
	struct parcel p;
	char *content = large_content(6400);
	send_stored(s, &p, content, -EBADMSG);
	assert_int_equal(p.t.end, TRANSACTION_LOCAL);
	assert_int_equal(p.t.error, -EBADMSG);
	assert_false(p.rcpts[0].answered);
	assert_false(p.t.reusable);
	free(content);
}

#define ENVELOPE_ONLY "C MAIL\nC RCPT\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\n"

static void test_content_not_taken(void **state)
{
	struct stage *s = *state;
	struct parcel p;
	char *content = large_content(64 * 150000);
	struct connection *c = connected(s, HELLO ENVELOPE_ONLY "H");
	fill(&p, content);
	connection_send(c, &p.t, false);
	wait_for(s, 1, 1);
	assert_int_equal(p.t.end, TRANSACTION_LOST);
	assert_int_equal(p.t.fault, FAULT_STALLED);
	empty(&p);
	free(content);
}

static void test_refused_in_the_midst(void **state)
{
	struct stage *s = *state;
	struct parcel p;
	char *content = large_content(64 * 150000);
	struct connection *c = connected(s, HELLO ENVELOPE_ONLY "W 50\nS 552 too large\nH");
	fill(&p, content);
	connection_send(c, &p.t, false);
	wait_for(s, 1, 1);
	assert_int_equal(p.t.end, TRANSACTION_ANSWERED);
	assert_int_equal(p.rcpts[0].reply.code, 552);
	assert_false(p.t.reusable);
	empty(&p);
	free(content);
}

static void test_drain(void **state)
{
	struct stage *s = *state;
	struct parcel p, q;
	struct connection *c = connected(s, HELLO TAKE "E");
	fill(&p, "hi\r\n");
	fill(&q, "hi\r\n");
	connection_send(c, &p.t, false);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	start_drain(s, 100);
	connection_send(c, &q.t, false);
	wait_for(s, 2, 1);
	assert_string_equal(s->order, "ttc");
	assert_int_equal(p.t.end, TRANSACTION_UNKNOWN);
	assert_int_equal(p.t.fault, FAULT_NONE);
	assert_int_equal(q.t.end, TRANSACTION_UNSTARTED);
	empty(&p);
	empty(&q);
}

static void test_drain_idle(void **state)
{
	struct stage *s = *state;
	connected(s, HELLO "C QUIT\nS 221 bye\n");
	start_drain(s, 5000);
	wait_for(s, 0, 1);
	assert_by_script(s);
}

/* A source address that this host has not got is said, not fatal. */
static void test_source_address(void **state)
{
	struct stage *s = *state;
	assert_int_equal(ip_parse(&s->lane.source_ipv4, "192.0.2.77"), 0);
	connection_quit(connected(s, good));
	wait_for(s, 0, 1);
	smtp_script_free(s->v4);
	assert_int_equal(ip_parse(&s->lane.source_ipv4, "127.0.0.9"), 0);
	connection_quit(connected(s, good));
	wait_for(s, 0, 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_races),
		TEST(test_probe),
		TEST(test_loser_that_greeted_hears_quit),
		TEST(test_late_candidate),
		TEST(test_cancel_and_free),
		TEST(test_messages_until_the_limit),
		TEST(test_idle_connection_quits),
		TEST(test_peer_closes_idle_connection),
		TEST(test_ends),
		TEST(test_large_content),
		TEST(test_stored_content),
		TEST(test_damaged_content),
		TEST(test_content_not_taken),
		TEST(test_refused_in_the_midst),
		TEST(test_drain),
		TEST(test_drain_idle),
		TEST(test_source_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
