/* tests/unit/connection_test.c: transactions over a connection, and how they end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "queue/mail/envelope.h"
#include "tests/unit/dialer_fake.h"

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

static struct connection *dialled(struct stage *s, const struct smtp_script *script)
{
	struct dial *d = new_dial(s);
	add(d, script);
	struct connection *c = run_dial(s, d);
	assert_non_null(c);
	dial_free(d);
	return c;
}

/* While it is found out whether content can be converted a connection is not idle, however long that takes; when it
 * cannot be, the idle time begins. */
static void test_idle_time_begins_behind_a_survey(void **state)
{
	static const char header[] = "Subject: \xc3\xbc\r\n\r\nx\r\n";
	struct stage *s = *state;
	struct parcel refused, next;
	s->v6 = server(V6, HELLO TAKE "S 250 ok\nC QUIT\nS 221 bye\n");
	s->v4 = server(V4, HELLO "C QUIT\nS 221 bye\n");
	struct connection *c = dialled(s, s->v6);
	fill(&refused, header);
	empty(&refused);
	refused.t.body = NULL;
	refused.t.content = (struct place){.segment = 7};
	refused.t.flags = ENVELOPE_8BIT | ENVELOPE_HEADER_8BIT;
	stored =
		(struct content_reader){.text = header, .left = strlen(header), .piece = 60000, .end = 2, .held = true};
	connection_send(c, &refused.t, true);
	dialled(s, s->v4);
	wait_for(s, 0, 1); /* it began its idle time later, and quits when that is over */
	assert_int_equal(s->done, 0);
	stored_release();
	wait_for(s, 1, 1);
	assert_int_equal(refused.t.end, TRANSACTION_ANSWERED);
	assert_string_equal(refused.rcpts[0].reply.enhanced, "5.6.3");
	assert_true(refused.t.reusable);
	dialled(s, s->v4); /* what was due at once is done before */
	assert_int_equal(s->closed, 1);
	fill(&next, "hi\r\n");
	connection_send(c, &next.t, true);
	wait_for(s, 2, 3);
	assert_int_equal(next.t.end, TRANSACTION_ANSWERED);
	assert_int_equal(next.rcpts[0].reply.code, 250);
	assert_by_script(s);
	empty(&next);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages_until_the_limit),
		TEST(test_idle_connection_quits),
		TEST(test_peer_closes_idle_connection),
		TEST(test_ends),
		TEST(test_large_content),
		TEST(test_stored_content),
		TEST(test_damaged_content),
		TEST(test_idle_time_begins_behind_a_survey),
		TEST(test_content_not_taken),
		TEST(test_refused_in_the_midst),
		TEST(test_drain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
