/* tests/unit/dialer_fake.c: see dialer_fake.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/dialer_fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/clock.h"

struct conf conf = {
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

struct content_reader stored;

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
	if (!stored.held)
		mailbox_post(home, &stored.letter, on_stored);
	return &stored;
}

void stored_release(void)
{
	mailbox_post(stored.home, &stored.letter, on_stored);
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

static struct stage *now_playing;

static void wake(void *arg)
{
	sem_post(arg);
}

int set_up(void **state)
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

void start_drain(struct stage *s, uint64_t ms)
{
	drain_loop = &s->loop;
	drain_until = clock_mono_ms() + ms;
	mailbox_post(&s->loop.mailbox, &drain_letter, drain);
}

int tear_down(void **state)
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
void wait_bool(struct stage *s, const bool *flag)
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

void wait_for(struct stage *s, unsigned done, unsigned closed)
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

void on_done(struct transaction *t)
{
	(void)t;
	now_playing->done++;
	note('t');
}

struct dial *new_dial(struct stage *s)
{
	struct dial *d = dial_new(&s->loop, &s->mailbox, &conf, NULL, &s->lane);
	assert_non_null(d);
	d->done = on_dialled;
	d->arg = s;
	s->dialled = false;
	return d;
}

void add(struct dial *d, const struct smtp_script *script)
{
	struct candidate c = {.to = smtp_script_at(script), .preference = 10, .host = "mx.example"};
	assert_int_equal(dial_add(d, &c), 0);
	assert_int_equal(dial_add(d, &c), 0);
}

struct connection *run_dial(struct stage *s, struct dial *d)
{
	dial_start(d);
	wait_bool(s, &s->dialled);
	return d->connection;
}

struct smtp_script *server(uint8_t family, const char *script)
{
	const char *const scripts[] = {script, NULL};
	return smtp_script_start(family, scripts);
}

/* A connection to one IPv4 server that is ready for MAIL. */
struct connection *connected(struct stage *s, const char *script)
{
	s->v4 = server(V4, script);
	struct dial *d = new_dial(s);
	add(d, s->v4);
	struct connection *c = run_dial(s, d);
	assert_non_null(c);
	dial_free(d);
	return c;
}

void assert_by_script(const struct stage *s)
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
