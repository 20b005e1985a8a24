/* tests/unit/telling_test.c: which notices outcomes ask for: NOTIFY, warnings of delay, success, double bounces. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/counter.h"
#include "queue/index.h"
#include "queue/mail/compose.h"
#include "queue/mail/notify.h"
#include "queue/replay.h"
#include "queue/schedule.h"
#include "tests/unit/queue_fixture.h"

#define SITE "mx.d.example"

/* The connection to the site over one path. */
static struct connection *begin(const char *settings, struct envelope e)
{
	fixture_begin(settings);
	zone(SITE, "AAAA", "NODATA");
	mail_of(e);
	return connect_site(SITE, "192.0.2.1");
}

/* What the next attempt of what is due is answered. */
static void attempt(const char *replies)
{
	dns_run();
	if (fx.dial_count > 0)
		dial_end(fx.dials[0], "192.0.2.1 ok");
	for (unsigned i = 0; i < fx.connection_count; i++)
		if (fx.connections[i]->sent != NULL)
			answer(fx.connections[i], replies);
}

/* The text of a record's content. */
static const char *text_of(const struct commit *c)
{
	static char out[32768];
	size_t n = 0;
	for (const struct body_chunk *k = c->content->first; k != NULL && n + k->len < sizeof out; k = k->next) {
		memcpy(out + n, k->data, k->len);
		n += k->len;
	}
	out[n] = '\0';
	return out;
}

/* "failed delayed": the notices of the group that waits to be stored, in their order; "" if it is an outcome alone. */
static const char *notices(void)
{
	static char out[64];
	out[0] = '\0';
	assert_int_equal(fx.commit_count, 1);
	for (const struct commit *c = fx.commits[0]; c != NULL; c = c->group) {
		if (c->type != RECORD_MESSAGE)
			continue;
		const char *action = strstr(text_of(c), "\r\nAction: ");
		assert_non_null(action);
		size_t n = strlen(out);
		snprintf(out + n, sizeof out - n, "%s%.*s", n ? " " : "", (int)strcspn(action + 10, "\r"), action + 10);
	}
	return out;
}

/* ---- NOTIFY ---- */

static void test_table(void **state)
{
	(void)state;
	static const struct {
		uint8_t notify;
		const char *wanted[3]; /* plainly, with BY;N, with BY;N and its trace: a letter for each event */
	} rows[] = {
		{0, {"FD--", "FDB-", "FDBR"}},
		{NOTIFY_NEVER, {"----", "----", "----"}},
		{NOTIFY_FAILURE, {"F---", "F-B-", "F-BR"}},
		{NOTIFY_DELAY, {"-D--", "-DB-", "-DBR"}},
		{NOTIFY_SUCCESS, {"---R", "--BR", "--BR"}},
		{NOTIFY_FAILURE | NOTIFY_DELAY, {"FD--", "FDB-", "FDBR"}},
		{NOTIFY_SUCCESS | NOTIFY_FAILURE, {"F--R", "F-BR", "F-BR"}},
		{NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, {"FD-R", "FDBR", "FDBR"}},
	};
	static const unsigned flags[3] = {0, ENVELOPE_BY_NOTIFY, ENVELOPE_BY_NOTIFY | ENVELOPE_BY_TRACE};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (unsigned k = 0; k < 3; k++) {
			char got[5] = "----";
			for (unsigned e = 0; e < 4; e++)
				if (notify_wants(rows[i].notify, flags[k], (enum notify_event)e))
					got[e] = "FDBR"[e];
			assert_string_equal(got, rows[i].wanted[k]);
		}
}

/* Each NOTIFY against each outcome, through the queue. */
static void test_notify_and_outcome(void **state)
{
	(void)state;
	static const struct {
		uint8_t notify;
		unsigned flags;
		bool dsn;
		const char *reply, *notices;
	} rows[] = {
		{0, 0, false, "550 5.1.1 no", "failed"},
		{0, 0, false, "250 ok", ""},
		{0, 0, false, "450 4.2.0 later", "delayed"},
		{NOTIFY_NEVER, 0, false, "550 5.1.1 no", ""},
		{NOTIFY_NEVER, 0, false, "250 ok", ""},
		{NOTIFY_NEVER, 0, false, "450 4.2.0 later", ""},
		{NOTIFY_NEVER, ENVELOPE_BY_TRACE, false, "250 ok", ""},
		{NOTIFY_FAILURE, 0, false, "550 5.1.1 no", "failed"},
		{NOTIFY_FAILURE, 0, false, "250 ok", ""},
		{NOTIFY_FAILURE, 0, false, "450 4.2.0 later", ""},
		{NOTIFY_DELAY, 0, false, "550 5.1.1 no", ""},
		{NOTIFY_DELAY, 0, false, "450 4.2.0 later", "delayed"},
		{NOTIFY_SUCCESS, 0, false, "250 ok", "relayed"},
		{NOTIFY_SUCCESS, 0, true, "250 ok", ""}, /* the next hop's matter */
		{NOTIFY_SUCCESS, 0, false, "550 5.1.1 no", ""},
		{NOTIFY_SUCCESS | NOTIFY_FAILURE, 0, true, "550 5.1.1 no", "failed"},
		{0, ENVELOPE_BY_TRACE, false, "250 ok", "relayed"},
		{0, ENVELOPE_BY_TRACE, true, "250 ok", "relayed"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct envelope_rcpt rcpt = {.address = "b@d.example", .notify = rows[i].notify};
		struct connection *c = begin(NULL, (struct envelope){.id = 5,
							   .flags = rows[i].flags,
							   .arrival_ms = BEGIN - HOURS(5),
							   .rcpts = &rcpt,
							   .rcpt_count = 1});
		c->info.peer.dsn = rows[i].dsn;
		answer(c, rows[i].reply);
		if (strcmp(notices(), rows[i].notices) != 0)
			fail_msg("row %zu: \"%s\"", i, notices());
		commit_all();
		fixture_end();
	}
}

/* One outcome, three kinds: three notices in one group with it, each about its own recipients. */
static void test_three_notices(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpts[] = {
		{.address = "a@d.example", .index = 0, .notify = NOTIFY_SUCCESS},
		{.address = "b@d.example", .index = 1},
		{.address = "c@d.example", .index = 2, .notify = NOTIFY_DELAY, .orcpt = "rfc822;C@old.example"},
		{.address = "d@d.example", .index = 3, .notify = NOTIFY_NEVER},
	};
	struct connection *c = begin(
		NULL, (struct envelope){
			      .id = 5, .arrival_ms = BEGIN - HOURS(5), .envid = "QQ", .rcpts = rcpts, .rcpt_count = 4});
	answer(c, "250 ok|550 5.1.1 no|450 4.2.0 later|550 5.1.1 no");
	assert_string_equal(notices(), "failed delayed relayed");
	assert_string_equal(fx.journal,
		"MESSAGE 0 <> a@sender.example + MESSAGE 0 <> a@sender.example + MESSAGE 0 <> a@sender.example + "
		"OUTCOME 5 0=delivered 1=failed 2=deferred 3=failed\n");
	const char *failed = text_of(fx.commits[0]);
	assert_non_null(strstr(failed, "b@d.example"));
	assert_null(strstr(failed, "a@d.example"));
	assert_null(strstr(failed, "c@d.example"));
	assert_null(strstr(failed, "d@d.example"));
	assert_non_null(strstr(failed, "Original-Envelope-Id: QQ\r\n"));
	const char *delayed = text_of(fx.commits[0]->group);
	assert_non_null(strstr(delayed, "Original-Recipient: rfc822; C@old.example\r\n"));
	assert_non_null(strstr(delayed, "Will-Retry-Until: "));
	commit_all();
	assert_int_equal(fx.q.messages.count, 4);
	assert_int_equal(find(5)->open, 1);
	fixture_end();
}

/* Taken by two servers of one site, one after the other: each record tells of those whom a server without DSN took,
 * so that a crash in between loses no notice, and nobody is told twice. */
static void test_relayed_over_two_paths(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpts[] = {
		{.address = "a@d.example", .index = 0, .notify = NOTIFY_SUCCESS},
		{.address = "b@d.example", .index = 1, .notify = NOTIFY_SUCCESS},
	};
	for (unsigned dsn = 0; dsn < 2; dsn++) {
		fixture_begin(NULL);
		mail_of((struct envelope){.id = 5, .rcpts = rcpts, .rcpt_count = 2});
		struct connection *c = connect_site(SITE, "2001:db8::1");
		c->info.peer.dsn = dsn;
		answer(c, "250 ok|450 4.2.0 later");
		assert_string_equal(fx.journal,
			dsn ? "OUTCOME 5 0=delivered\n" : "MESSAGE 0 <> a@sender.example + OUTCOME 5 0=delivered\n");
		if (!dsn)
			assert_non_null(strstr(text_of(fx.commits[0]), "rfc822; a@d.example"));
		commit_all();
		assert_string_equal(sending_to(dial_end(dial_to(SITE), "192.0.2.1 ok")), "b@d.example");
		for (unsigned i = 0; i < fx.connection_count; i++)
			if (fx.connections[i]->sent != NULL)
				answer(fx.connections[i], "250 ok");
		assert_string_equal(notices(), "relayed");
		assert_null(strstr(text_of(fx.commits[0]), "rfc822; a@d.example"));
		assert_non_null(strstr(text_of(fx.commits[0]), "rfc822; b@d.example"));
		commit_all();
		assert_null(find(5));
		fixture_end();
	}
}

/* ---- warnings of delay ---- */

/* Told once, in the first attempt after `warn`, and never again; not before. */
static void test_delay_once(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpts[] = {{.address = "b@d.example", .index = 0},
		{.address = "c@d.example", .index = 1, .notify = NOTIFY_FAILURE}};
	struct connection *c = begin("retry {\n first = 1h\n max = 1h\n warn = 4h\n}\n",
		(struct envelope){.id = 5, .rcpts = rcpts, .rcpt_count = 2});
	unsigned told = 0;
	answer(c, "450 4.2.2 mailbox full");
	for (unsigned i = 0; i < 12; i++) {
		bool late = fx.clock + fx.q.base >= BEGIN + HOURS(4);
		const char *what = notices();
		if (*what != '\0') {
			assert_true(late);
			assert_string_equal(what, "delayed");
			const char *text = text_of(fx.commits[0]);
			assert_non_null(strstr(text, "The recipient's mailbox is full at the moment."));
			assert_null(strstr(text, "c@d.example"));
			told++;
		} else {
			assert_true(!late || told == 1);
		}
		commit_all();
		/* the warning itself has no way, and is not looked at */
		struct message *m;
		for (uint64_t id = 5; (m = idmap_next(&fx.q.messages, id, &id)) != NULL;)
			index_hold(&fx.q, m, ENVELOPE_HELD, "test", true);
		pass(delivery_of(5, "b@d.example")->due.at - core_now(&fx.q));
		attempt("450 4.2.2 mailbox full");
	}
	assert_int_equal(told, 1);
	commit_all();
	fixture_end();
}

/* What is on the disk about a warning is obeyed after a restart. */
static void test_delay_once_across_a_restart(void **state)
{
	(void)state;
	struct store_replay r;
	const struct envelope_rcpt rcpt = {.address = "b@d.example"};
	struct connection *c = begin(
		NULL, (struct envelope){.id = 5, .arrival_ms = BEGIN - HOURS(5), .rcpts = &rcpt, .rcpt_count = 1});
	answer(c, "450 4.2.0 later");
	assert_string_equal(notices(), "delayed");
	struct attempt *a;
	const struct commit *outcome = fx.commits[0]->group;
	assert_int_equal(attempt_decode(&a, outcome->meta, outcome->meta_len), 0);
	assert_int_equal(a->rcpts[0].told, TOLD_DELAY);
	commit_all();
	fixture_end();

	for (unsigned with = 0; with < 2; with++) {
		fixture_begin(NULL);
		zone(SITE, "AAAA", "NODATA");
		replay_calls(&r, &fx.q);
		struct envelope e = {.id = 5,
			.arrival_ms = BEGIN - HOURS(5),
			.sender = "a@sender.example",
			.client = "",
			.helo = "",
			.reason = "",
			.rcpts = &rcpt,
			.rcpt_count = 1};
		assert_int_equal(
			r.message(r.arg, RECORD_MESSAGE, &e, (struct place){1, 64}, (struct place){1, 64}, false), 0);
		if (with)
			assert_int_equal(r.outcome(r.arg, 5, a, (struct place){1, 128}), 0);
		replay_end(&fx.q);
		schedule_all(&fx.q);
		pass(HOURS(1));
		attempt("450 4.2.0 later");
		assert_string_equal(notices(), with ? "" : "delayed");
		commit_all();
		fixture_end();
	}
	attempt_free(a);
}

/* The envelope that reclaim and checkpoints write says it too. */
static void test_told_is_in_the_envelope(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpt = {.address = "b@d.example", .told = TOLD_DELAY};
	struct connection *c = begin(
		NULL, (struct envelope){.id = 5, .arrival_ms = BEGIN - HOURS(5), .rcpts = &rcpt, .rcpt_count = 1});
	answer(c, "450 4.2.0 later");
	assert_string_equal(notices(), "");
	commit_all();
	fixture_end();
}

static void test_no_delay_told(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpt = {.address = "b@d.example"};
	for (unsigned row = 0; row < 4; row++) {
		struct envelope e = {.id = 5, .arrival_ms = BEGIN - HOURS(5), .rcpts = &rcpt, .rcpt_count = 1};
		if (row == 0)
			e.sender = "";
		struct connection *c = begin(row == 1 ? "retry {\n warn = 0\n}\n" : NULL, e);
		if (row == 2)
			index_hold(&fx.q, find(5), ENVELOPE_HELD, "wait", true);
		if (row == 3)
			fx.q.no_expiry_until = core_now(&fx.q) + HOURS(1);
		answer(c, "450 4.2.0 later");
		assert_string_equal(notices(), "");
		commit_all();
		fixture_end();
	}
}

/* Mail that waits for a resting site has no attempts of its own: it is told of with the site's probes. */
static void test_delay_at_a_resting_site(void **state)
{
	(void)state;
	fixture_begin("retry {\n first = 30m\n max = 30m\n warn = 4h\n}\n");
	zone(SITE, "AAAA", "NODATA");
	const struct envelope_rcpt b = {.address = "b@d.example"}, c = {.address = "c@d.example"};
	mail_of((struct envelope){.id = 5, .rcpts = &b, .rcpt_count = 1});
	dns_run();
	mail_of((struct envelope){.id = 6, .arrival_ms = BEGIN + 1, .rcpts = &c, .rcpt_count = 1});
	unsigned told[2] = {0, 0};
	uint64_t delayed = counter_get(COUNTER_notices_delayed);
	for (unsigned i = 0; i < 12; i++) {
		dns_run();
		struct dial *d = dial_to(SITE);
		assert_non_null(d);
		dial_end(d, "192.0.2.1 refused");
		run_due();
		while (fx.commit_count > 0) {
			if (fx.commits[0]->type == RECORD_MESSAGE) {
				assert_true(fx.clock + fx.q.base >= BEGIN + HOURS(4) - MINUTES(1));
				const char *text = text_of(fx.commits[0]);
				assert_non_null(strstr(text, "connection refused"));
				told[strstr(text, "<c@d.example>") != NULL]++;
			}
			commit_one(0);
		}
		struct message *m;
		for (uint64_t id = 6; (m = idmap_next(&fx.q.messages, id, &id)) != NULL;)
			index_hold(&fx.q, m, ENVELOPE_HELD, "test", true);
		run_due();
		dns_run();
		assert_int_equal(state_of(5, "b@d.example"), DELIVERY_READY);
		assert_int_equal(state_of(6, "c@d.example"), DELIVERY_READY);
		pass(site_named(SITE)->due.at - core_now(&fx.q));
	}
	assert_int_equal(told[0], 1);
	assert_int_equal(told[1], 1);
	assert_int_equal(counter_get(COUNTER_notices_delayed), delayed + 2);
	fixture_end();
}

/* A whole backlog is to be told of at once: so many are made at a time as memory allows for, and each once. */
static void test_delay_of_a_backlog(void **state)
{
	(void)state;
	enum { MAILS = 500 };
	fixture_begin("retry {\n first = 30m\n max = 30m\n warn = 4h\n}\n");
	zone(SITE, "AAAA", "NODATA");
	for (unsigned i = 0; i < MAILS; i++)
		mail_stored(5 + i, "b@d.example", BEGIN - HOURS(3) - MINUTES(45), false);
	dns_run();
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	commit_all();
	pass(site_named(SITE)->due.at - core_now(&fx.q));
	dns_run();
	uint64_t delayed = counter_get(COUNTER_notices_delayed);
	fx.slow_content = true;
	dial_end(dial_to(SITE), "192.0.2.1 refused");
	pass(SECONDS(5));
	assert_in_range(fx.pins, 60, 70);
	while (fx.pins > 0) {
		assert_in_range(fx.pins, 1, 70);
		fixture_content();
		fx.slow_content = true;
		commit_all();
		pass(SECONDS(1));
	}
	assert_int_equal(counter_get(COUNTER_notices_delayed), delayed + MAILS);
	dns_run();
	fixture_end();
}

/* ---- what cannot be stored ---- */

/* The group fails: nothing was told, and what it says of recipients that were delivered is written alone. */
static void test_not_stored(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpts[] = {
		{.address = "a@d.example", .index = 0, .notify = NOTIFY_SUCCESS},
		{.address = "b@d.example", .index = 1},
		{.address = "c@d.example", .index = 2},
	};
	struct connection *c = begin(
		NULL, (struct envelope){.id = 5, .arrival_ms = BEGIN - HOURS(5), .rcpts = rcpts, .rcpt_count = 3});
	answer(c, "250 ok|550 5.1.1 no|450 4.2.0 later");
	assert_string_equal(notices(), "failed delayed relayed");
	journal_clear();
	commit_one(-ENOSPC);
	assert_string_equal(fx.journal, "OUTCOME 5 0=delivered 1=deferred 2=deferred\n");
	commit_all();
	assert_int_equal(fx.q.messages.count, 1);
	assert_int_equal(find(5)->open, 2);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(find(5)->rcpts[i].told, 0);
	pass(MINUTES(6));
	attempt("550 5.1.1 no|450 4.2.0 later");
	assert_string_equal(notices(), "failed delayed");
	commit_all();
	fixture_end();
}

/* A warning that cannot be stored changes nothing of when the mail is tried again. */
static void test_warning_not_stored(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpt = {.address = "b@d.example"};
	struct connection *c = begin("retry {\n first = 20m\n}\n",
		(struct envelope){.id = 5, .arrival_ms = BEGIN - HOURS(5), .rcpts = &rcpt, .rcpt_count = 1});
	answer(c, "450 4.2.0 later");
	uint64_t at = delivery_of(5, "b@d.example")->due.at;
	commit_one(-EIO);
	commit_all();
	assert_int_equal(delivery_of(5, "b@d.example")->due.at, at);
	assert_string_equal(delivery_of(5, "b@d.example")->reason, "450 4.2.0 later");
	fixture_end();
}

/* ---- the notice as a message ---- */

static const struct envelope *stored(const struct commit *c)
{
	static struct envelope *e;
	envelope_free(e);
	e = NULL;
	if (c != NULL)
		assert_int_equal(envelope_decode(&e, c->meta, c->meta_len), 0);
	return e;
}

static void test_envelope_of_a_notice(void **state)
{
	(void)state;
	const struct envelope_rcpt rcpt = {.address = "b@d.example"};
	struct connection *c = begin("postmaster = pat@example.net\n",
		(struct envelope){
			.id = 5, .priority = 4, .sender = "postmaster@relay.example", .rcpts = &rcpt, .rcpt_count = 1});
	answer(c, "550 5.1.1 no");
	const struct envelope *e = stored(fx.commits[0]);
	assert_string_equal(e->sender, "");
	assert_int_equal(e->flags, ENVELOPE_BOUNCE);
	assert_int_equal(e->priority, 4);
	assert_string_equal(e->envid, "");
	assert_int_equal(e->rcpt_count, 1);
	assert_int_equal(e->rcpts[0].notify, NOTIFY_NEVER);
	assert_string_equal(e->rcpts[0].address, "pat@example.net"); /* it is mail for our postmaster */
	stored(NULL);
	commit_all();
	fixture_end();
}

/* ---- double bounces ---- */

#define DOUBLES "double_bounces = doubles@example.net\n"

static void test_double_bounces(void **state)
{
	(void)state;
	static const struct {
		const char *settings, *rcpt;
		unsigned flags;
		uint8_t notify;
		const char *content, *notices;
	} rows[] = {
		{NULL, "b@d.example", 0, 0, NULL, ""},
		{DOUBLES, "b@d.example", 0, 0, NULL, "failed"},
		{DOUBLES, "b@d.example", ENVELOPE_BOUNCE, NOTIFY_NEVER, NULL, "failed"}, /* our own bounce */
		{DOUBLES, "b@d.example", 0, NOTIFY_NEVER, NULL, ""},
		{DOUBLES, "b@d.example", ENVELOPE_BOUNCE | ENVELOPE_DOUBLE, NOTIFY_NEVER, NULL, ""},
		{"double_bounces = b@d.example\n", "b@d.example", 0, 0, NULL, ""},
		{DOUBLES, "b@d.example", 0, 0, "Subject: x\r\n" NOTICE_DOUBLE_FIELD ": relay.example\r\n\r\nx\r\n", ""},
		{DOUBLES, "b@d.example", 0, 0, "Subject: x\r\n\r\n" NOTICE_DOUBLE_FIELD ": relay.example\r\n",
			"failed"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		fixture_begin(rows[i].settings);
		zone(SITE, "AAAA", "NODATA");
		const struct envelope_rcpt rcpt = {.address = rows[i].rcpt, .notify = rows[i].notify};
		struct message *m = mail_of((struct envelope){
			.id = 5, .sender = "", .flags = rows[i].flags, .rcpts = &rcpt, .rcpt_count = 1});
		if (rows[i].content != NULL) {
			fx.content = rows[i].content;
			TAILQ_REMOVE(&fx.q.with_body, m, with_body);
			body_unref(m->body);
			m->body = NULL;
		}
		attempt("550 5.1.1 no");
		if (strcmp(notices(), rows[i].notices) != 0)
			fail_msg("row %zu: \"%s\"", i, notices());
		if (*rows[i].notices != '\0') {
			const struct envelope *e = stored(fx.commits[0]);
			assert_string_equal(e->rcpts[0].address, "doubles@example.net");
			assert_int_equal(e->flags, ENVELOPE_BOUNCE | ENVELOPE_DOUBLE);
			stored(NULL);
		}
		commit_all();
		fixture_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_notify_and_outcome),
		cmocka_unit_test(test_three_notices),
		cmocka_unit_test(test_relayed_over_two_paths),
		cmocka_unit_test(test_delay_once),
		cmocka_unit_test(test_delay_once_across_a_restart),
		cmocka_unit_test(test_told_is_in_the_envelope),
		cmocka_unit_test(test_no_delay_told),
		cmocka_unit_test(test_delay_at_a_resting_site),
		cmocka_unit_test(test_delay_of_a_backlog),
		cmocka_unit_test(test_not_stored),
		cmocka_unit_test(test_warning_not_stored),
		cmocka_unit_test(test_envelope_of_a_notice),
		cmocka_unit_test(test_double_bounces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
