/* tests/unit/dialer_test.c: dials: who wins, what the others hear, from where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/dialer_fake.h"

/* ---- who wins ---- */

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
	const struct CMUnitTest tests[] = {
		TEST(test_races),
		TEST(test_probe),
		TEST(test_loser_that_greeted_hears_quit),
		TEST(test_late_candidate),
		TEST(test_cancel_and_free),
		TEST(test_drain_idle),
		TEST(test_source_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
