/* tests/unit/memory_test.c: what is remembered of addresses and of the families at sites. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/path/memory.h"

#define MINUTE UINT64_C(60000)
#define HOUR (60 * MINUTE)
#define BEGIN (1000 * HOUR)
#define SITE "mx.example"

enum { MOST = 100 };

static struct conf *conf;

static struct memory *begin(void)
{
	static const char text[] = "path {\n addresses = 100\n sites = 100\n}\n";
	struct buf errors;
	buf_init(&errors, 4096);
	assert_int_equal(conf_parse(&conf, "test", text, sizeof text - 1, &errors), 0);
	buf_fini(&errors);
	struct memory *m = memory_new(conf, 1);
	assert_non_null(m);
	return m;
}

static void end(struct memory *m)
{
	memory_free(m);
	conf_unref(conf);
}

static struct endpoint at(enum family family, unsigned i)
{
	struct endpoint e = {.port = 25};
	e.ip.family = (uint8_t)family;
	e.ip.bytes[0] = family == FAMILY_IPV6 ? 0x20 : 192;
	e.ip.bytes[family == FAMILY_IPV6 ? 14 : 2] = (uint8_t)(i >> 8);
	e.ip.bytes[family == FAMILY_IPV6 ? 15 : 3] = (uint8_t)i;
	return e;
}

static struct path_try path(enum family family, unsigned i, enum fault fault, uint32_t connect_ms, uint32_t total_ms)
{
	return (struct path_try){.to = at(family, i),
		.fault = fault,
		.connect_ms = connect_ms,
		.greeting_ms = UINT32_MAX,
		.total_ms = total_ms};
}

static void note(struct memory *m, const char *site, enum family family, unsigned i, enum fault fault, uint64_t now)
{
	struct path_try p = path(family, i, fault, fault == FAULT_NONE ? 10 : UINT32_MAX, 20);
	if (fault == FAULT_NONE)
		p.greeting_ms = 15;
	memory_note(m, site, &p, 1, now);
}

static bool doubtful(const struct memory *m, const char *site, enum family family, unsigned i, uint64_t now)
{
	struct candidate c = {.to = at(family, i), .doubtful = true, .usual_connect_ms = 99};
	memory_fill(m, site, &c, now);
	return c.doubtful;
}

static uint64_t probe_at(const struct memory *m, const char *site, enum family family, unsigned i, uint64_t now)
{
	const struct candidate c = {.to = at(family, i)};
	return memory_probe_at(m, site, &c, now);
}

static void test_unknown(void **state)
{
	struct memory *m = begin();
	struct candidate c = {.to = at(FAMILY_IPV6, 1), .doubtful = true, .usual_connect_ms = 99};
	char text[200];
	(void)state;
	memory_fill(m, SITE, &c, BEGIN);
	assert_false(c.doubtful);
	assert_int_equal(c.usual_connect_ms, 0);
	assert_int_equal(memory_open(m, &c.to), 0);
	assert_null(memory_site(m, SITE));
	assert_true(probe_at(m, SITE, FAMILY_IPV6, 1, BEGIN) == UINT64_MAX);
	assert_string_equal(memory_describe(m, &c.to, BEGIN, text, sizeof text), "no history");
	end(m);
	memory_free(NULL);
}

/* A family that fails while the other one works is doubtful at that site, with all its addresses there, until a
 * connection over it was greeted. Elsewhere only the address is. */
static void test_family_of_a_site(void **state)
{
	struct memory *m = begin();
	(void)state;
	const struct path_try paths[] = {
		path(FAMILY_IPV6, 1, FAULT_CONNECT_TIMEOUT, UINT32_MAX, 260), path(FAMILY_IPV4, 1, FAULT_NONE, 10, 30)};
	memory_note(m, SITE, paths, 2, BEGIN);
	assert_true(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN));
	assert_true(doubtful(m, SITE, FAMILY_IPV6, 2, BEGIN)); /* never tried */
	assert_false(doubtful(m, SITE, FAMILY_IPV4, 1, BEGIN));
	assert_false(doubtful(m, SITE, FAMILY_IPV4, 2, BEGIN));
	assert_true(doubtful(m, "other.example", FAMILY_IPV6, 1, BEGIN));
	assert_false(doubtful(m, "other.example", FAMILY_IPV6, 2, BEGIN));
	assert_true(doubtful(m, SITE, FAMILY_IPV6, 2, BEGIN + 100 * HOUR)); /* time alone ends no doubt */
	note(m, SITE, FAMILY_IPV6, 2, FAULT_NONE, BEGIN + HOUR);
	assert_false(doubtful(m, SITE, FAMILY_IPV6, 2, BEGIN + HOUR));
	assert_true(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN + HOUR)); /* of this one nothing was heard */
	end(m);
}

/* One address of a family fails, another one works: the family is not broken. */
static void test_one_address_of_many(void **state)
{
	struct memory *m = begin();
	(void)state;
	const struct path_try paths[] = {
		path(FAMILY_IPV6, 1, FAULT_REFUSED, UINT32_MAX, 2), path(FAMILY_IPV6, 2, FAULT_NONE, 10, 30)};
	memory_note(m, SITE, paths, 2, BEGIN);
	assert_true(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN));
	assert_false(doubtful(m, SITE, FAMILY_IPV6, 2, BEGIN));
	assert_false(doubtful(m, SITE, FAMILY_IPV6, 3, BEGIN));
	end(m);
}

/* Probes: after 2 minutes, then twice as long each time, up to 15; a success begins anew. So a dead family costs a site
 * six connection attempts in the first hour, and four in each later one. */
static void test_schedule_of_probes(void **state)
{
	static const uint64_t waits[] = {2, 4, 8, 15, 15, 15, 15, 15, 15, 15};
	struct memory *m = begin();
	uint64_t now = BEGIN;
	unsigned first_hour = 0, second_hour = 0;
	const struct candidate c = {.to = at(FAMILY_IPV6, 1)};
	(void)state;
	note(m, SITE, FAMILY_IPV6, 1, FAULT_CONNECT_TIMEOUT, now);
	for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		assert_int_equal(probe_at(m, SITE, FAMILY_IPV6, 1, now), now + waits[i] * MINUTE);
		assert_int_equal(probe_at(m, SITE, FAMILY_IPV6, 2, now), now + waits[i] * MINUTE);
		/* many that fail at once, and before their time, count as one */
		note(m, SITE, FAMILY_IPV6, 1, FAULT_CONNECT_TIMEOUT, now + MINUTE);
		assert_int_equal(probe_at(m, SITE, FAMILY_IPV6, 1, now), now + waits[i] * MINUTE);
		now += waits[i] * MINUTE;
		first_hour += now <= BEGIN + HOUR;
		second_hour += now > BEGIN + HOUR && now <= BEGIN + 2 * HOUR;
		memory_probe(m, SITE, &c, now);
		assert_true(probe_at(m, SITE, FAMILY_IPV6, 1, now) == UINT64_MAX); /* one at a time */
		note(m, SITE, FAMILY_IPV6, 1, FAULT_CONNECT_TIMEOUT, now + 1);
		now++;
	}
	assert_int_equal(first_hour, 6);
	assert_int_equal(second_hour, 4);
	note(m, SITE, FAMILY_IPV6, 1, FAULT_NONE, now);
	assert_true(probe_at(m, SITE, FAMILY_IPV6, 1, now) == UINT64_MAX);
	note(m, SITE, FAMILY_IPV6, 1, FAULT_CONNECT_TIMEOUT, now);
	assert_int_equal(probe_at(m, SITE, FAMILY_IPV6, 1, now), now + 2 * MINUTE);
	end(m);
}

/* A probe of which nothing is heard is over after a minute. */
static void test_probe_without_an_end(void **state)
{
	struct memory *m = begin();
	const struct candidate c = {.to = at(FAMILY_IPV6, 1)};
	(void)state;
	note(m, SITE, FAMILY_IPV6, 1, FAULT_RESET, BEGIN);
	memory_probe(m, SITE, &c, BEGIN + 2 * MINUTE);
	assert_true(probe_at(m, SITE, FAMILY_IPV6, 1, BEGIN + 3 * MINUTE - 1) == UINT64_MAX);
	assert_int_equal(probe_at(m, SITE, FAMILY_IPV6, 1, BEGIN + 3 * MINUTE), BEGIN + 3 * MINUTE);
	/* want of a descriptor here says nothing: it is tried again then too */
	note(m, SITE, FAMILY_IPV6, 1, FAULT_LOCAL, BEGIN + 2 * MINUTE);
	assert_int_equal(probe_at(m, SITE, FAMILY_IPV6, 1, BEGIN + 2 * MINUTE), BEGIN + 3 * MINUTE);
	end(m);
}

static void test_faults(void **state)
{
	enum { NOT, FOR_NOW, LASTING };
	static const struct {
		enum fault fault;
		uint32_t connect_ms, total_ms;
		int doubt;
	} rows[] = {
		{FAULT_NONE, 10, 50, NOT},
		{FAULT_LOCAL, UINT32_MAX, 0, NOT},
		{FAULT_SUPERSEDED, UINT32_MAX, 99, NOT},
		{FAULT_SUPERSEDED, UINT32_MAX, 100, LASTING}, /* it had its chance */
		{FAULT_SUPERSEDED, 10, 1009, NOT},
		{FAULT_SUPERSEDED, 10, 1010, LASTING},
		{FAULT_LOAD, 10, 20, FOR_NOW},
		{FAULT_GREETING_4YZ, 10, 20, FOR_NOW},
		{FAULT_EHLO_4YZ, 10, 20, FOR_NOW},
		{FAULT_GREETING_5YZ, 10, 20, LASTING},
		{FAULT_SILENT_GREETING, 10, 5000, LASTING},
		{FAULT_UNREACHABLE, UINT32_MAX, 0, LASTING},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct memory *m = begin();
		struct path_try p = path(FAMILY_IPV6, 1, rows[i].fault, rows[i].connect_ms, rows[i].total_ms);
		memory_note(m, SITE, &p, 1, BEGIN);
		assert_int_equal(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN + MINUTE - 1), rows[i].doubt != NOT);
		assert_int_equal(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN + MINUTE), rows[i].doubt == LASTING);
		/* load and 4yz say nothing about the family */
		assert_int_equal(doubtful(m, SITE, FAMILY_IPV6, 2, BEGIN), rows[i].doubt == LASTING);
		end(m);
	}
	struct memory *m = begin();
	struct endpoint to = at(FAMILY_IPV6, 1);
	memory_note_fault(m, SITE, &to, (enum family)to.ip.family, FAULT_LOCAL, BEGIN);
	memory_note_fault(m, SITE, &to, (enum family)to.ip.family, FAULT_NONE, BEGIN);
	assert_false(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN));
	memory_note_fault(m, SITE, &to, (enum family)to.ip.family, FAULT_STALLED, BEGIN);
	assert_true(doubtful(m, SITE, FAMILY_IPV6, 2, BEGIN + HOUR));
	/* a 421 on top of it neither shortens nor lengthens that */
	memory_note_fault(m, SITE, &to, (enum family)to.ip.family, FAULT_LOAD, BEGIN + MINUTE);
	assert_int_equal(probe_at(m, SITE, FAMILY_IPV6, 1, BEGIN + MINUTE), BEGIN + 2 * MINUTE);
	/* as slow as every path there: no fault */
	memory_forgive(m, SITE, &to, (enum family)to.ip.family, BEGIN + 2 * MINUTE);
	assert_false(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN + 2 * MINUTE));
	end(m);
}

/* Refused for its family: it goes last there for an hour, then two, … a day; a greeting proves nothing; mail that is
 * taken afterwards ends the row. */
static void test_refused(void **state)
{
	static const uint64_t hours[] = {1, 2, 4, 8, 16, 24, 24};
	struct memory *m = begin();
	struct endpoint to = at(FAMILY_IPV6, 1);
	uint64_t now = BEGIN;
	(void)state;
	for (unsigned i = 0; i < sizeof hours / sizeof hours[0]; i++) {
		memory_note_refused(m, SITE, &to, (enum family)to.ip.family, now);
		memory_note_refused(m, SITE, &to, (enum family)to.ip.family, now + 1); /* mail that was under way */
		note(m, SITE, FAMILY_IPV6, 1, FAULT_NONE, now + 2);
		assert_true(doubtful(m, SITE, FAMILY_IPV6, 2, now + hours[i] * HOUR - 1));
		assert_true(memory_avoids(m, SITE, FAMILY_IPV6, now + hours[i] * HOUR - 1));
		assert_false(memory_avoids(m, SITE, FAMILY_IPV4, now));
		assert_false(memory_avoids(m, "other.example", FAMILY_IPV6, now));
		assert_true(probe_at(m, SITE, FAMILY_IPV6, 1, now) == UINT64_MAX); /* no connection can tell */
		memory_note_taken(m, SITE, FAMILY_IPV6, now + 3);		   /* … that was before */
		assert_true(memory_avoids(m, SITE, FAMILY_IPV6, now + 4));
		now += hours[i] * HOUR;
		assert_false(memory_avoids(m, SITE, FAMILY_IPV6, now));
		assert_false(doubtful(m, SITE, FAMILY_IPV6, 1, now));
	}
	memory_note_taken(m, SITE, FAMILY_IPV6, now);
	memory_note_refused(m, SITE, &to, (enum family)to.ip.family, now);
	assert_false(memory_avoids(m, SITE, FAMILY_IPV6, now + HOUR)); /* from the beginning */
	/* a refusal of long ago is no reason to wait longer */
	memory_note_refused(m, SITE, &to, (enum family)to.ip.family, now + 100 * HOUR);
	assert_false(memory_avoids(m, SITE, FAMILY_IPV6, now + 101 * HOUR));
	/* at the greeting likewise */
	const struct path_try paths[] = {
		path(FAMILY_IPV6, 1, FAULT_FAMILY_REFUSED, 10, 20), path(FAMILY_IPV4, 1, FAULT_NONE, 10, 30)};
	memory_note(m, "other.example", paths, 2, now);
	assert_true(memory_avoids(m, "other.example", FAMILY_IPV6, now));
	end(m);
}

/* The family that would win in spite of the other's head start (250 ms) goes first. */
static void test_quicker(void **state)
{
	static const struct {
		uint32_t ipv4, ipv6;
		enum family quicker;
	} rows[] = {
		{10, 10, FAMILY_NONE},
		{10, 260, FAMILY_NONE},
		{10, 261, FAMILY_IPV4},
		{260, 10, FAMILY_NONE},
		{261, 10, FAMILY_IPV6},
		{10, 0, FAMILY_NONE},
		{0, 500, FAMILY_NONE},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct memory *m = begin();
		struct path_try four = path(FAMILY_IPV4, 1, FAULT_NONE, 1, rows[i].ipv4);
		struct path_try six = path(FAMILY_IPV6, 1, FAULT_NONE, 1, rows[i].ipv6);
		four.greeting_ms = rows[i].ipv4;
		six.greeting_ms = rows[i].ipv6;
		if (rows[i].ipv4)
			memory_note(m, SITE, &four, 1, BEGIN);
		if (rows[i].ipv6)
			memory_note(m, SITE, &six, 1, BEGIN);
		assert_int_equal(memory_quicker(m, SITE), rows[i].quicker);
		assert_int_equal(memory_quicker(m, "other.example"), FAMILY_NONE);
		end(m);
	}
}

static void test_pins(void **state)
{
	struct memory *m = begin();
	char long_name[300];
	(void)state;
	memset(long_name, 'a', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	assert_int_equal(memory_pin(m, long_name, FAMILY_IPV4, 0, "me", 1000), -EINVAL);
	assert_int_equal(memory_pin(m, "", FAMILY_IPV4, 0, "me", 1000), -EINVAL);
	assert_int_equal(memory_pin(m, SITE, FAMILY_NONE, 0, "me", 1000), -EINVAL);
	assert_int_equal(memory_pin(m, SITE, FAMILY_IPV4, 0, long_name, 1000), -EINVAL);
	note(m, SITE, FAMILY_IPV4, 1, FAULT_RESET, BEGIN);
	assert_int_equal(memory_pin(m, SITE, FAMILY_IPV4, 0, "me", 1000), 0);
	/* whatever is known: the pinned one first, the other one is still there */
	assert_false(doubtful(m, SITE, FAMILY_IPV4, 1, BEGIN));
	assert_true(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN));
	assert_true(memory_avoids(m, SITE, FAMILY_IPV6, BEGIN));
	assert_true(probe_at(m, SITE, FAMILY_IPV6, 1, BEGIN) == UINT64_MAX);
	/* another pin takes its place */
	assert_int_equal(memory_pin(m, SITE, FAMILY_IPV6, 500, "you", 1000), 0);
	assert_false(doubtful(m, SITE, FAMILY_IPV6, 1, BEGIN));
	assert_int_equal(memory_pin(m, "other.example", FAMILY_IPV4, 0, "me", 1000), 0);
	/* a pin is not forgotten for want of room */
	for (unsigned i = 0; i < 3 * MOST; i++) {
		char name[32];
		snprintf(name, sizeof name, "s%u.example", i);
		note(m, name, FAMILY_IPV4, i, FAULT_RESET, BEGIN);
	}
	assert_null(memory_pin_over(m, 1499));
	const struct site_memory *over = memory_pin_over(m, 1500);
	assert_non_null(over);
	assert_string_equal(over->name, SITE);
	assert_null(memory_pin_over(m, 1500));
	assert_int_equal(memory_unpin(m, SITE), -ENOENT);
	assert_int_equal(memory_unpin(m, "other.example"), 0);
	assert_int_equal(memory_unpin(m, "other.example"), -ENOENT);
	end(m);

	m = begin();
	unsigned set = 0;
	for (unsigned i = 0; i < MOST + 5; i++) {
		char name[32];
		snprintf(name, sizeof name, "s%u.example", i);
		set += memory_pin(m, name, FAMILY_IPV4, 0, "me", 1000) == 0;
	}
	assert_int_equal(set, MOST); /* path { sites } */
	end(m);
}

static void test_usual_times(void **state)
{
	struct memory *m = begin();
	struct candidate c = {.to = at(FAMILY_IPV6, 1)};
	struct path_try p = {.to = at(FAMILY_IPV6, 1), .connect_ms = 100, .greeting_ms = 200, .total_ms = 260};
	char text[300];
	(void)state;
	memory_note(m, SITE, &p, 1, BEGIN);
	memory_fill(m, SITE, &c, BEGIN);
	assert_int_equal(c.usual_connect_ms, 100);
	assert_int_equal(c.usual_greeting_ms, 200);
	assert_int_equal(c.usual_ehlo_ms, 60);
	p.connect_ms = 500;
	memory_note(m, SITE, &p, 1, BEGIN);
	memory_fill(m, SITE, &c, BEGIN);
	assert_int_equal(c.usual_connect_ms, 200); /* a quarter of the way */
	p.fault = FAULT_REFUSED;
	p.connect_ms = p.greeting_ms = UINT32_MAX;
	memory_note(m, SITE, &p, 1, BEGIN);
	memory_fill(m, SITE, &c, BEGIN);
	assert_int_equal(c.usual_connect_ms, 200); /* a failure is no time */
	memory_describe(m, &c.to, BEGIN + MINUTE, text, sizeof text);
	assert_non_null(strstr(text, "connect 200 ms"));
	assert_non_null(strstr(text, "last fault refused 1m ago"));
	assert_non_null(strstr(text, "doubtful since 1m"));
	assert_non_null(strstr(text, "tried again in 1m"));
	for (size_t n = 1; n < sizeof text; n++)
		assert_true(strlen(memory_describe(m, &c.to, BEGIN + MINUTE, text, n)) < n);
	end(m);
}

/* What was counted weighs half after a day. */
static void test_counts_fade(void **state)
{
	struct memory *m = begin();
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		note(m, SITE, FAMILY_IPV6, 1, FAULT_NONE, BEGIN);
	struct track t = memory_site(m, SITE)->family[1];
	const struct track_rules rules = {.half_life = conf->path.half_life};
	assert_int_equal(t.good, 8 * TRACK_ONE);
	track_fade(&t, &rules, BEGIN + 24 * HOUR - 1);
	assert_int_equal(t.good, 8 * TRACK_ONE);
	track_fade(&t, &rules, BEGIN + 24 * HOUR);
	assert_int_equal(t.good, 4 * TRACK_ONE);
	track_fade(&t, &rules, BEGIN + 3 * 24 * HOUR);
	assert_int_equal(t.good, TRACK_ONE);
	track_fade(&t, &rules, BEGIN + 300 * 24 * HOUR);
	assert_int_equal(t.good, 0);
	end(m);
}

/* The least recently used goes, unless connections to it are open. */
static void test_bound(void **state)
{
	struct memory *m = begin();
	struct endpoint first = at(FAMILY_IPV6, 0);
	(void)state;
	memory_opened(m, &first, 1);
	memory_opened(m, &first, 1);
	for (unsigned i = 1; i < 300; i++)
		note(m, "", FAMILY_IPV6, i, FAULT_REFUSED, BEGIN);
	assert_int_equal(memory_open(m, &first), 2);
	for (unsigned i = 1; i < 300; i++)
		assert_int_equal(doubtful(m, "x", FAMILY_IPV6, i, BEGIN), i > 300 - MOST);
	note(m, "", FAMILY_IPV6, 201, FAULT_REFUSED, BEGIN); /* used again */
	note(m, "", FAMILY_IPV6, 300, FAULT_REFUSED, BEGIN);
	assert_true(doubtful(m, "x", FAMILY_IPV6, 201, BEGIN));
	assert_false(doubtful(m, "x", FAMILY_IPV6, 202, BEGIN));
	memory_opened(m, &first, -1);
	memory_opened(m, &first, -1);
	memory_opened(m, &first, -1);
	assert_int_equal(memory_open(m, &first), 0);
	end(m);

	/* all are in use: nothing more is remembered, nothing breaks */
	m = begin();
	for (unsigned i = 0; i < MOST; i++) {
		struct endpoint to = at(FAMILY_IPV6, i);
		memory_opened(m, &to, 1);
	}
	note(m, "", FAMILY_IPV6, 999, FAULT_REFUSED, BEGIN);
	assert_false(doubtful(m, "x", FAMILY_IPV6, 999, BEGIN));
	struct endpoint other = at(FAMILY_IPV6, 999);
	memory_opened(m, &other, 1);
	memory_opened(m, &other, -1);
	assert_int_equal(memory_open(m, &other), 0);
	end(m);
}

/* A walk sees every entry although others are used and forgotten meanwhile. */
static void test_walk(void **state)
{
	struct memory *m = begin();
	const struct site_memory *s;
	const struct address_memory *a;
	bool seen[50] = {false};
	unsigned sites = 0, addresses = 0;
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		char name[32];
		snprintf(name, sizeof name, "s%u.example", i);
		note(m, name, FAMILY_IPV6, i, FAULT_REFUSED, BEGIN);
	}
	memory_walk(m);
	for (unsigned n = 0; memory_walk_next(m, &s, &a) && n < 1000; n++) {
		unsigned i = 0;
		if (s != NULL && sscanf(s->name, "s%u.example", &i) == 1 && i < 50)
			seen[i] = true;
		sites += s != NULL;
		addresses += a != NULL;
		if (n < 20) { /* the next ones are used, and so move */
			note(m, "s1.example", FAMILY_IPV6, n + 1, FAULT_REFUSED, BEGIN);
			char name[32];
			snprintf(name, sizeof name, "s%u.example", n + 1);
			note(m, name, FAMILY_IPV6, 0, FAULT_REFUSED, BEGIN);
		}
		if (n == 25) /* … or go */
			for (unsigned k = 1000; k < 1000 + 2 * MOST; k++)
				note(m, "", FAMILY_IPV4, k, FAULT_REFUSED, BEGIN);
	}
	for (unsigned i = 0; i < 50; i++)
		assert_true(seen[i]);
	assert_in_range(sites, 50, 200);
	assert_in_range(addresses, MOST, 200);
	assert_false(memory_walk_next(m, &s, &a));
	end(m);
}

/* The port counts, padding does not. */
static void test_keys(void **state)
{
	struct memory *m = begin();
	struct endpoint a, b;
	(void)state;
	memset(&a, 0xff, sizeof a);
	memset(&b, 0x00, sizeof b);
	a.ip.family = b.ip.family = FAMILY_IPV4;
	memset(a.ip.bytes, 0, sizeof a.ip.bytes);
	a.ip.bytes[0] = b.ip.bytes[0] = 192;
	a.port = b.port = 25;
	memory_opened(m, &a, 1);
	assert_int_equal(memory_open(m, &b), 1);
	b.port = 26;
	assert_int_equal(memory_open(m, &b), 0);
	end(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_family_of_a_site),
		cmocka_unit_test(test_one_address_of_many),
		cmocka_unit_test(test_schedule_of_probes),
		cmocka_unit_test(test_probe_without_an_end),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_quicker),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_usual_times),
		cmocka_unit_test(test_counts_fade),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
