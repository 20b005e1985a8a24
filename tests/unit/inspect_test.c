/* tests/unit/inspect_test.c: what an operator sees of a queue at work, and what he may do with a message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/buf.h"
#include "queue/control/inspect.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"

static char seen[4096];

/* "5:b@d=deferred,c@d=held 6:…" */
static bool note(void *arg, const struct message_view *m)
{
	unsigned *most = arg;
	size_t at = strlen(seen);
	at += (size_t)snprintf(seen + at, sizeof seen - at, "%s%u:", at ? " " : "", (unsigned)m->id);
	for (unsigned i = 0; i < m->rcpt_count; i++)
		at += (size_t)snprintf(seen + at, sizeof seen - at, "%s%s=%s", i ? "," : "", m->rcpts[i].address,
			rcpt_state_word(m->rcpts[i].state));
	return most == NULL || --*most > 0;
}

static const char *list(const struct queue_filter *f)
{
	seen[0] = '\0';
	uint64_t after = 0;
	do {
		after = queue_list(&fx.q, f, after, 2, note, NULL);
	} while (after != 0);
	return seen;
}

static void test_list(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone(SITE, "AAAA", "NODATA");
	mail(5, NULL, "b@d.example");
	mail(6, "", "c@e.example x@d.example");
	dns_run();
	answer(dial_end(dial_to(SITE), "192.0.2.1 ok"), "450 4.2.0 mailbox busy");
	commit_all();
	mail(7, "S@Other.Example", "b@f.example");
	const struct {
		struct queue_filter f;
		const char *ids;
	} rows[] = {
		{{.state = RCPT_STATE_COUNT}, "5 6 7"},
		{{.state = RCPT_STATE_COUNT, .sender = "<>"}, "6"},
		{{.state = RCPT_STATE_COUNT, .sender = "s@other.example"}, "7"},
		{{.state = RCPT_STATE_COUNT, .sender = "@sender.EXAMPLE"}, "5"},
		{{.state = RCPT_STATE_COUNT, .sender = "@ender.example"}, ""},
		{{.state = RCPT_STATE_COUNT, .rcpt = "x@d.example"}, "6"},
		{{.state = RCPT_STATE_COUNT, .rcpt = "@d.example"}, "5 6"},
		{{.state = RCPT_STATE_COUNT, .domain = "F.example"}, "7"},
		{{.state = RCPT_STATE_COUNT, .site = "MX.d.example"}, "5 6"},
		{{.state = RCPT_STATE_ROUTING}, "7"},
		{{.state = RCPT_STATE_DEFERRED}, "5"},
		{{.state = RCPT_STATE_COUNT, .reason = "BUSY"}, "5"},
		/* all conditions of one and the same recipient */
		{{.state = RCPT_STATE_COUNT, .rcpt = "c@e.example", .domain = "d.example"}, ""},
		{{.state = RCPT_STATE_COUNT, .larger_than = 100}, ""},
		{{.state = RCPT_STATE_COUNT, .larger_than = 99}, "5 6 7"},
		{{.state = RCPT_STATE_COUNT, .older_than_ms = 1000}, ""},
		{{.state = RCPT_STATE_COUNT, .younger_than_ms = 1000}, "5 6 7"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char ids[64] = "";
		list(&rows[i].f);
		for (const char *at = seen; *at != '\0';) {
			size_t n = strlen(ids);
			snprintf(ids + n, sizeof ids - n, "%s%.*s", n ? " " : "", (int)strcspn(at, ":"), at);
			at += strcspn(at, " ");
			at += *at == ' ';
		}
		if (strcmp(ids, rows[i].ids) != 0)
			fail_msg("row %zu: \"%s\", not \"%s\" (%s)", i, ids, rows[i].ids, seen);
	}
	/* in pages */
	unsigned most = 1;
	seen[0] = '\0';
	uint64_t after = queue_list(&fx.q, NULL, 0, 100, note, &most);
	assert_int_equal(after, 5);
	most = 9;
	assert_int_equal(queue_list(&fx.q, NULL, after, 100, note, &most), 0);
	assert_non_null(strstr(seen, " 6:x@d.example="));
	assert_non_null(strstr(seen, " 7:b@f.example=routing"));
	dns_run();
	fixture_end();
}

static void test_find(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	mail((uint64_t)1 << 60, NULL, "b@d.example");
	uint64_t id = 0;
	assert_int_equal(queue_find(&fx.q, "0000000000005", &id), 0);
	assert_int_equal(id, 5);
	assert_int_equal(queue_find(&fx.q, "000", &id), 0);
	assert_int_equal(id, 5);
	assert_int_equal(queue_find(&fx.q, "1", &id), 0);
	assert_int_equal(id, (uint64_t)1 << 60);
	assert_int_equal(queue_find(&fx.q, "7", &id), -ENOENT);
	assert_int_equal(queue_find(&fx.q, "u", &id), -EINVAL);
	mail(6, NULL, "b@d.example");
	assert_int_equal(queue_find(&fx.q, "00", &id), -EEXIST);
	assert_int_equal(queue_find(&fx.q, "0000000000006", &id), 0);
	dns_run();
	fixture_end();
}

static int act(enum queue_action action, uint64_t id, const char *reason)
{
	const struct queue_order o = {.action = action, .reason = reason, .to = "", .who = "x"};
	return queue_act(&fx.q, &o, id);
}

static void test_act(void **state)
{
	(void)state;
	fixture_begin(NULL);
	mail(5, NULL, "b@d.example");
	assert_int_equal(act(QUEUE_RELEASE, 5, NULL), -EALREADY);
	assert_int_equal(act(QUEUE_HOLD, 5, "ticket"), 0);
	assert_int_equal(act(QUEUE_HOLD, 5, "ticket"), -EALREADY);
	assert_string_equal(list(NULL), "5:b@d.example=held");
	assert_string_equal(find(5)->reason, "ticket");
	assert_int_equal(act(QUEUE_RELEASE, 5, NULL), 0);
	assert_string_equal(list(NULL), "5:b@d.example=routing");
	assert_int_equal(act(QUEUE_REMOVE, 5, NULL), 0);
	assert_int_equal(act(QUEUE_RELEASE, 5, NULL), -ENOENT); /* too late */
	commit_all();
	assert_null(find(5));
	assert_int_equal(act(QUEUE_RETRY, 5, NULL), -ENOENT);
	dns_run();
	fixture_end();
}

static struct site_view rows[8];
static unsigned row_count;

static void note_site(void *arg, const struct site_view *s)
{
	(void)arg;
	rows[row_count++] = *s;
}

static void test_summary(void **state)
{
	(void)state;
	fixture_begin("route p.example { relay = [192.0.2.9]:2600 }\nroute r.example { relay = [192.0.2.9]:2601 }");
	mail(5, NULL, "a@p.example b@p.example");
	mail(6, NULL, "a@r.example");
	dns_run();
	dial_end(dial_to("[192.0.2.9]:2600"), "192.0.2.9 ok");
	dial_end(dial_to("[192.0.2.9]:2601"), "192.0.2.9 ok");
	assert_int_equal(sending(), 2);
	struct site_view total;
	for (unsigned most = 8; most > 0; most /= 8) {
		row_count = 0;
		queue_summary(&fx.q, most, note_site, &total, NULL);
		assert_int_equal(row_count, most == 8 ? 2 : 1);
		assert_string_equal(rows[0].name, "[192.0.2.9]:2600");
		assert_int_equal(rows[0].recipients, 2);
		assert_int_equal(rows[0].active, 1);
		/* the total is of all, however many rows are asked for */
		assert_int_equal(total.recipients, 3);
		assert_int_equal(total.connections, 2);
		assert_int_equal(total.active, 2);
	}
	dns_run();
	fixture_end();
}

static bool held_back(void *arg, const struct message_view *m)
{
	(void)arg;
	assert_int_equal(m->rcpts[0].state, RCPT_STATE_DEFERRED);
	assert_string_equal(m->rcpts[0].reason, "held for release at 2027-01-22T08:00:00.000Z");
	assert_int_equal(m->rcpts[0].next_ms, BEGIN + DAYS(7));
	seen[0]++;
	return true;
}

/* Mail that its sender held back: why it waits, and till when, though it is looked at before. */
static void test_held_back(void **state)
{
	(void)state;
	fixture_begin(NULL);
	const struct envelope_rcpt rcpt = {.address = "b@d.example"};
	mail_of((struct envelope){.id = 5, .release_ms = BEGIN + DAYS(7), .rcpts = &rcpt, .rcpt_count = 1});
	seen[0] = 0;
	queue_list(&fx.q, &(struct queue_filter){.state = RCPT_STATE_COUNT}, 0, 10, held_back, NULL);
	assert_int_equal(seen[0], 1);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_act),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_held_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
