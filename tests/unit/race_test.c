/* tests/unit/race_test.c: which address is tried when. One row: how each candidate behaves, and what must happen at
 * which millisecond.
 *
 * A trace is a list of TIME+N (candidate N started), TIME-N:FAULT (closed, or it failed), TIME!N (greeted first),
 * TIME?N (greeted too late), TIME=N (ready), TIME. (exhausted). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/deliver/race.h"

#define NEVER UINT64_MAX

enum { V4 = FAMILY_IPV4, V6 = FAMILY_IPV6, MOST = 8 };

/* Times: `connect` from the start, the others from the step before. A fault comes at the end of the step named. */
struct player {
	uint8_t family; /* 0: no more players */
	const char *host;
	uint16_t preference;
	uint64_t connect;
	enum fault connect_fault;
	uint64_t begun; /* "220-" after the handshake; 0: not of several lines */
	uint64_t greeting;
	enum fault greeting_fault;
	uint64_t ehlo;
	enum fault ehlo_fault;
	bool doubtful, first;
	uint32_t usual_connect, usual_greeting, usual_ehlo;
	uint64_t joins;
};

struct row {
	const char *name;
	struct player players[MOST];
	const char *trace;
	unsigned width;
	bool patient, slow;
};

/* What was done to a run and is still to happen to it. */
struct under_way {
	bool open;
	size_t candidate;
	unsigned step; /* 0 connecting, 1 waiting for the greeting, 2 for EHLO */
	bool begun;
	uint64_t since;
};

struct scene {
	const struct row *row;
	struct race *race;
	struct under_way runs[RACE_ATTEMPTS_MAX];
	size_t count;
	char trace[2000];
	size_t length;
	bool over;
};

static void note(struct scene *s, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	s->length += (size_t)vsnprintf(s->trace + s->length, sizeof s->trace - s->length, format, args);
	va_end(args);
	assert_true(s->length < sizeof s->trace);
}

static struct candidate candidate(const struct player *p, size_t i)
{
	struct candidate c = {
		.preference = p->preference,
		.doubtful = p->doubtful,
		.first = p->first,
		.usual_connect_ms = p->usual_connect,
		.usual_greeting_ms = p->usual_greeting,
		.usual_ehlo_ms = p->usual_ehlo,
	};
	c.to.ip.family = p->family;
	c.to.ip.bytes[3] = (uint8_t)(i + 1);
	c.to.port = 25;
	snprintf(c.host, sizeof c.host, "%s", p->host ? p->host : "mx");
	return c;
}

/* When does the next thing happen to this run? */
static uint64_t next_event(const struct scene *s, const struct under_way *u)
{
	const struct player *p = &s->row->players[u->candidate];
	uint64_t after = u->step == 0 ? p->connect : u->step == 1 ? p->greeting : p->ehlo;
	if (u->step == 1 && p->begun != 0 && !u->begun)
		after = p->begun;
	return after == NEVER ? NEVER : u->since + after;
}

static void happen(struct scene *s, size_t attempt, uint64_t now)
{
	struct under_way *u = &s->runs[attempt];
	const struct player *p = &s->row->players[u->candidate];
	if (u->step == 1 && p->begun != 0 && !u->begun) {
		u->begun = true;
		race_greeting_begun(s->race, attempt);
		return;
	}
	enum fault fault = u->step == 0 ? p->connect_fault : u->step == 1 ? p->greeting_fault : p->ehlo_fault;
	if (fault != FAULT_NONE) {
		note(s, " %llu-%zu:%s", (unsigned long long)now, u->candidate, fault_word(fault));
		race_failed(s->race, attempt, fault);
		u->open = false;
		return;
	}
	if (u->step == 0) {
		race_connected(s->race, attempt, now);
	} else if (u->step == 1) {
		bool won = race_greeted(s->race, attempt, now);
		note(s, " %llu%c%zu", (unsigned long long)now, won ? '!' : '?', u->candidate);
		u->open = won;
	} else {
		note(s, " %llu=%zu", (unsigned long long)now, u->candidate);
		s->over = true;
	}
	u->since = now;
	u->step++;
}

/* Asks the race until it wants to wait; returns until when. */
static uint64_t obey(struct scene *s, uint64_t now)
{
	for (unsigned turns = 0; turns < 200; turns++) {
		struct race_step step = race_next(s->race, now);
		switch (step.action) {
		case RACE_WAIT:
			assert_true(step.until_ms > now);
			return step.until_ms;
		case RACE_START:
			note(s, " %llu+%zu", (unsigned long long)now, step.candidate);
			assert_int_equal(step.attempt, s->count);
			s->runs[s->count++] =
				(struct under_way){.open = true, .candidate = step.candidate, .since = now};
			break;
		case RACE_GIVE_UP:
			note(s, " %llu-%zu:%s", (unsigned long long)now, step.candidate, fault_word(step.fault));
			assert_true(s->runs[step.attempt].open);
			assert_int_equal(s->runs[step.attempt].candidate, step.candidate);
			s->runs[step.attempt].open = false;
			break;
		case RACE_EXHAUSTED:
			note(s, " %llu.", (unsigned long long)now);
			s->over = true;
			return NEVER;
		}
	}
	fail_msg("%s: no end of steps", s->row->name);
	return NEVER;
}

static void run(struct scene *s)
{
	bool joined[MOST] = {false};
	uint64_t now = 0;
	while (!s->over) {
		for (size_t i = 0; i < MOST && s->row->players[i].family != 0; i++) {
			if (joined[i] || s->row->players[i].joins > now)
				continue;
			struct candidate c = candidate(&s->row->players[i], i);
			assert_int_equal(race_add(s->race, &c), 0);
			joined[i] = true;
		}
		uint64_t next = obey(s, now);
		if (s->over)
			break;
		for (size_t i = 0; i < MOST && s->row->players[i].family != 0; i++)
			if (!joined[i] && s->row->players[i].joins < next)
				next = s->row->players[i].joins;
		size_t who = SIZE_MAX;
		for (size_t i = 0; i < s->count; i++) {
			uint64_t at = s->runs[i].open ? next_event(s, &s->runs[i]) : NEVER;
			if (at < next || (at == next && who == SIZE_MAX && at != NEVER)) {
				next = at;
				who = i;
			}
		}
		if (next == NEVER)
			fail_msg("%s: waits for ever", s->row->name);
		now = next;
		if (who != SIZE_MAX)
			happen(s, who, now);
	}
}

static const struct row rows[] = {
	{"all well: one connection, over IPv6", {{V6, .connect = 20, .greeting = 30, .ehlo = 10}, {V4, .connect = 5}},
		.trace = "0+0 50!0 60=0"},
	{"the order of the answers does not matter: IPv6 first",
		{{V4, .connect = 5}, {V6, .connect = 20, .greeting = 30, .ehlo = 10}}, .trace = "0+1 50!1 60=1"},
	{"SYNs dropped: the other family after the attempt delay",
		{{V6, .connect = NEVER}, {V4, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 250+1 300!1 300-0:superseded 310=1"},
	{"refused: the other family at once",
		{{V6, .connect = 1, .connect_fault = FAULT_REFUSED}, {V4, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 1-0:refused 1+1 51!1 61=1"},
	{"refused beside one that is silent: the next one at once",
		{{V6, .connect = NEVER}, {V4, .connect = 10, .connect_fault = FAULT_REFUSED},
			{V6, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 250+1 260-1:refused 260+2 310!2 310-0:superseded 320=2"},
	{"no route: the other family at once",
		{{V6, .connect = 0, .connect_fault = FAULT_UNREACHABLE},
			{V4, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 0-0:unreachable 0+1 50!1 60=1"},
	{"silent after connect: the other one after greeting_delay",
		{{V6, .connect = 20, .greeting = NEVER}, {V4, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 5020+1 5070!1 5070-0:superseded 5080=1"},
	{"a slow greeting sees one connection",
		{{V6, .connect = 20, .greeting = 4900, .ehlo = 10}, {V4, .connect = 20, .greeting = 30}},
		.trace = "0+0 4920!0 4930=0"},
	{"a usual pause is waited for twice over",
		{{V6, .connect = 20, .greeting = NEVER, .usual_greeting = 4500},
			{V4, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 9020-0:silent-greeting 9020+1 9070!1 9080=1"},
	{"220- counts as greeting: nobody else is tried before patience is over",
		{{V6, .connect = 20, .begun = 100, .greeting = 6000, .ehlo = 10}, {V4, .connect = 20}},
		.trace = "0+0 6020!0 6030=0"},
	{"220- and then silence: patience",
		{{V6, .connect = 20, .begun = 100, .greeting = NEVER}, {V4, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 8020-0:silent-greeting 8020+1 8070!1 8080=1"},
	{"silent at EHLO: patience, then the other",
		{{V6, .connect = 20, .greeting = 30, .ehlo = NEVER}, {V4, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 50!0 8050-0:silent-ehlo 8050+1 8100!1 8110=1"},
	{"the winner fails at EHLO: who was superseded runs again",
		{{V6, .connect = 300, .greeting = 30, .ehlo = 10, .ehlo_fault = FAULT_CLOSED},
			{V4, .connect = 200, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 250+1 330!0 330-1:superseded 340-0:closed 340+1 570!1 580=1"},
	{"421 at the greeting: the next one at once",
		{{V6, .connect = 20, .greeting = 30, .greeting_fault = FAULT_LOAD},
			{V4, .connect = 20, .greeting = 30, .ehlo = 10}},
		.trace = "0+0 50-0:load 50+1 100!1 110=1"},
	{"a worse preference only when the better one failed altogether, however fast it is",
		{{V6, "a", 10, .connect = NEVER}, {V4, "a", 10, .connect = NEVER},
			{V6, "b", 20, .connect = 1, .greeting = 1, .ehlo = 1}},
		.trace = "0+0 250+1 8000-0:connect-timeout 8250-1:connect-timeout 8250+2 8252!2 8253=2"},
	{"no patience longer than the RFC's time: connect_time",
		{{V6, "a", 10, .connect = NEVER, .usual_connect = 20000},
			{V4, "b", 20, .connect = 1, .greeting = 1, .ehlo = 1}},
		.trace = "0+0 30000-0:connect-timeout 30000+1 30002!1 30003=1"},
	{"the last path of all has the RFC's times",
		{{V6, .connect = 1, .connect_fault = FAULT_REFUSED},
			{V4, .connect = 29999, .greeting = 299999, .ehlo = 299999}},
		.trace = "0+0 1-0:refused 1+1 329999!1 629998=1"},
	{"the last path's times end", {{V4, .connect = NEVER}}, .trace = "0+0 30000-0:connect-timeout 30000."},
	{"the last path's greeting", {{V4, .connect = 0, .greeting = NEVER}},
		.trace = "0+0 300000-0:silent-greeting 300000."},
	{"families in turn, hosts' first addresses first; width 3; the oldest SYN gives way after 2 s",
		{{V6, .connect = NEVER}, {V6, .connect = NEVER}, {V4, .connect = NEVER}, {V4, .connect = NEVER},
			{V6, .connect = 10, .greeting = 10, .ehlo = 10}},
		.trace = "0+0 250+2 500+1 2000-0:connect-timeout 2000+3 2250-2:connect-timeout 2250+4 "
			 "2270!4 2270-1:superseded 2270-3:superseded 2280=4"},
	{"who gave way is tried again at the end",
		{{V6, .connect = 2500, .greeting = 10, .ehlo = 10}, {V4, .connect = 1, .connect_fault = FAULT_REFUSED}},
		.trace = "0+0 2000-0:connect-timeout 2000+1 2001-1:refused 2001+0 4511!0 4521=0", .width = 1},
	{"a connected one keeps its place",
		{{V6, .connect = 10, .greeting = 7000, .ehlo = 10}, {V4, .connect = 10, .greeting = 10}},
		.trace = "0+0 7010!0 7020=0", .width = 1},
	{"a refusal beside a connected one does not end its head start",
		{{V6, .connect = 260, .greeting = 3000, .ehlo = 10},
			{V4, .connect = 20, .connect_fault = FAULT_REFUSED}, {V6, .connect = 1}},
		.trace = "0+0 250+1 270-1:refused 3260!0 3270=0"},
	{"doubtful ones come behind, first ones before all others",
		{{V6, .doubtful = true, .connect = 1, .greeting = 1, .ehlo = 1},
			{V4, .connect = 1, .connect_fault = FAULT_REFUSED},
			{V4, .first = true, .connect = 1, .connect_fault = FAULT_RESET},
			{V6, .connect = 1, .connect_fault = FAULT_REFUSED}},
		.trace = "0+2 1-2:reset 1+3 2-3:refused 2+1 3-1:refused 3+0 5!0 6=0"},
	{"a doubtful path is no help against a distant one",
		{{V4, .connect = 400, .greeting = 30, .ehlo = 10}, {V6, .doubtful = true, .connect = NEVER}},
		.trace = "0+0 430!0 440=0"},
	{"a doubtful path when the ordinary one would give way",
		{{V4, .connect = NEVER}, {V6, .doubtful = true, .connect = 1, .greeting = 1, .ehlo = 1}},
		.trace = "0+0 2000+1 2002!1 2002-0:superseded 2003=1"},
	{"doubtful ones among themselves wait no longer than others",
		{{V6, .doubtful = true, .connect = NEVER},
			{V4, .doubtful = true, .connect = 1, .greeting = 1, .ehlo = 1}},
		.trace = "0+0 250+1 252!1 252-0:superseded 253=1"},
	{"a late answer joins", {{V4, .connect = NEVER}, {V6, .connect = 1, .greeting = 1, .ehlo = 1, .joins = 100}},
		.trace = "0+0 250+1 252!1 252-0:superseded 253=1"},
	{"a late answer of a better preference goes before the others",
		{{V4, "b", 20, .connect = 500, .connect_fault = FAULT_REFUSED}, {V4, "c", 30, .connect = 1},
			{V6, "a", 10, .connect = 1, .greeting = 1, .ehlo = 1, .joins = 300}},
		.trace = "0+0 300+2 302!2 302-0:superseded 303=2"},
	{"a late answer shortens the patience with the last path",
		{{V4, .connect = 1, .greeting = NEVER}, {V6, .connect = 1, .greeting = 1, .ehlo = 1, .joins = 20000}},
		.trace = "0+0 20000-0:silent-greeting 20000+1 20002!1 20003=1"},
	{"patient: one path at a time, each with the RFC's times",
		{{V6, .connect = 20, .greeting = NEVER}, {V4, .connect = 1, .greeting = 1, .ehlo = 1}},
		.trace = "0+0 300020-0:silent-greeting 300020+1 300022!1 300023=1", .patient = true},
	{"patient: no attempt delay, no giving way",
		{{V6, .connect = NEVER}, {V4, .connect = 1, .greeting = 1, .ehlo = 1}},
		.trace = "0+0 30000-0:connect-timeout 30000+1 30002!1 30003=1", .patient = true},
	{"given up at the same step: slow",
		{{V6, .connect = 1, .greeting = 1, .ehlo = NEVER}, {V4, .connect = 1, .greeting = 1, .ehlo = NEVER}},
		.trace = "0+0 2!0 8002-0:silent-ehlo 8002+1 8004!1 308004-1:silent-ehlo 308004.", .slow = true},
	{"given up at different steps: broken",
		{{V6, .connect = 1, .greeting = 1, .ehlo = NEVER}, {V4, .connect = 1, .connect_fault = FAULT_REFUSED}},
		.trace = "0+0 2!0 8002-0:silent-ehlo 8002+1 8003-1:refused 8003."},
	{"all refused",
		{{V6, .connect = 1, .connect_fault = FAULT_REFUSED},
			{V4, .connect = 1, .connect_fault = FAULT_REFUSED}},
		.trace = "0+0 1-0:refused 1+1 2-1:refused 2."},
	{"nobody at all", {{0}}, .trace = "0."},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct scene s = {.row = &rows[i]};
		struct race_rules rules = {
			.attempt_delay = 250,
			.greeting_delay = 5000,
			.patience = 8000,
			.connect_time = 30000,
			.width = rows[i].width ? rows[i].width : 3,
			.patient = rows[i].patient,
			.seed = 1,
		};
		s.race = race_new(&rules);
		assert_non_null(s.race);
		run(&s);
		if (strcmp(s.trace + 1, rows[i].trace) != 0)
			fail_msg("%s\n  is    %s\n  should%s%s", rows[i].name, s.trace, " ", rows[i].trace);
		if (race_was_slow(s.race) != rows[i].slow)
			fail_msg("%s: slow is %d", rows[i].name, !rows[i].slow);
		race_free(s.race);
	}
}

/* Hosts of equal preference share: each comes first for some seeds, and no address twice. */
static void test_shuffle(void **state)
{
	(void)state;
	static const char *const hosts[] = {"mx1.example", "mx2.example", "mx3.example", "mx4.example"};
	unsigned first[4] = {0};
	for (uint64_t seed = 0; seed < 4000; seed++) {
		struct race_rules rules = {.width = 1, .connect_time = 1, .seed = seed};
		struct race *r = race_new(&rules);
		for (size_t i = 0; i < 4; i++) {
			struct player p = {.family = V4, .host = hosts[i]};
			struct candidate c = candidate(&p, i);
			assert_int_equal(race_add(r, &c), 0);
		}
		bool seen[4] = {false};
		for (size_t i = 0; i < 4; i++) {
			struct race_step step = race_next(r, i);
			assert_int_equal(step.action, RACE_START);
			first[step.candidate] += i == 0;
			assert_false(seen[step.candidate]);
			seen[step.candidate] = true;
			race_failed(r, step.attempt, FAULT_REFUSED);
		}
		assert_int_equal(race_next(r, 9).action, RACE_EXHAUSTED);
		race_free(r);
	}
	/* 1000 expected; five standard deviations of a fair die are 137 */
	for (size_t i = 0; i < 4; i++)
		assert_in_range(first[i], 863, 1137);
}

static void test_bounds(void **state)
{
	(void)state;
	struct race_rules rules = {.width = 2, .connect_time = 10, .patience = 10};
	struct race *r = race_new(&rules);
	for (size_t i = 0; i < CANDIDATES_MAX; i++) {
		struct player p = {.family = V6};
		struct candidate c = candidate(&p, i);
		assert_int_equal(race_add(r, &c), 0);
		assert_int_equal(race_add(r, &c), 0);
		assert_int_equal(race_candidate(r, i)->to.ip.bytes[3], i + 1);
	}
	struct player p = {.family = V4};
	struct candidate c = candidate(&p, 1);
	assert_int_equal(race_add(r, &c), -E2BIG);

	/* every EHLO fails: the race ends although superseded ones come back each time */
	size_t starts = 0;
	uint64_t now = 0;
	for (;;) {
		struct race_step step = race_next(r, now);
		if (step.action == RACE_EXHAUSTED)
			break;
		if (step.action == RACE_WAIT) {
			now = step.until_ms;
			assert_true(now < 100000);
		}
		if (step.action != RACE_START)
			continue;
		starts++;
		if (starts % 2 == 0) {
			race_connected(r, step.attempt, now);
			assert_true(race_greeted(r, step.attempt, now));
			step = race_next(r, now);
			race_failed(r, starts - 1, FAULT_EHLO_5YZ);
		}
	}
	assert_in_range(starts, CANDIDATES_MAX, RACE_ATTEMPTS_MAX);
	race_free(r);
	race_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
