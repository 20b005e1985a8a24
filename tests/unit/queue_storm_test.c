/* tests/unit/queue_storm_test.c: mail, dials, transactions, records, holds and removals in random order and with every
 * result; then the weather clears up, and all mail must go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/dispatch.h"
#include "queue/index.h"
#include "queue/schedule.h"
#include "queue/site.h"
#include "tests/unit/queue_fixture.h"

static unsigned below(unsigned n)
{
	return (unsigned)random() % n;
}

static void any_dial(bool fair)
{
	if (fx.dial_count == 0)
		return;
	struct dial *d = fx.dials[below(fx.dial_count)];
	char ip[IP_TEXT], paths[256];
	if (d->candidate_count == 0) {
		if (!d->more) /* else it waits for answers of the DNS */
			dial_end(d, "");
		return;
	}
	const struct candidate *c = &d->candidates[below(d->candidate_count)];
	static const char *const results[] = {"ok", "ok", "ok", "refused", "connect-timeout", "greeting-4yz", "load"};
	snprintf(paths, sizeof paths, "%s %s", ip_format(&c->to.ip, ip), fair ? "ok" : results[below(7)]);
	dial_end(d, paths);
}

static void any_connection(bool fair)
{
	for (unsigned tries = 0; tries < 8 && fx.connection_count > 0; tries++) {
		struct connection *c = fx.connections[below(fx.connection_count)];
		if (!c->open)
			continue;
		if (c->sent == NULL) {
			if (c->quit || below(4) == 0)
				close_connection(c);
			return;
		}
		static const char *const words[] = {"250 ok", "250 ok", "450 4.2.0 later", "550 no", "451 4.7.1 grey"};
		unsigned end = fair ? 0 : below(8);
		if (end < 4) {
			answer(c, fair ? "250 ok" : words[below(5)]);
		} else {
			static const enum transaction_end ends[] = {
				TRANSACTION_UNSTARTED, TRANSACTION_LOST, TRANSACTION_UNKNOWN, TRANSACTION_LOCAL};
			c->sent->error = below(2) ? -EIO : -EBADMSG;
			end_transaction(c, ends[end - 4], below(3) ? FAULT_RESET : FAULT_LOAD, "-");
		}
		return;
	}
}

static struct message *any_message(void)
{
	uint64_t id;
	struct message *m = idmap_next(&fx.q.messages, below(300), &id);
	return m ? m : idmap_next(&fx.q.messages, 0, &id);
}

static void by_hand(void)
{
	struct message *m = any_message();
	if (m == NULL || m->removing)
		return;
	switch (below(6)) {
	case 0:
		index_remove(&fx.q, m, "x");
		break;
	case 1:
		index_hold(&fx.q, m, ENVELOPE_HELD, "x", false);
		break;
	case 2:
	case 3:
		index_release(&fx.q, m, false);
		schedule_message(&fx.q, m);
		break;
	default:
		schedule_retry(&fx.q, m);
	}
}

static void step(uint64_t *id)
{
	char rcpts[200];
	switch (below(12)) {
	case 0:
		snprintf(
			rcpts, sizeof rcpts, "a@d%u.example b@d%u.example c@d%u.example", below(5), below(5), below(5));
		if (*id < 250 && below(2))
			mail(++*id, below(3) ? NULL : "", rcpts);
		else if (*id < 250)
			mail_stored(++*id, rcpts, BEGIN + fx.clock - DAYS(below(7)), below(2));
		break;
	case 1:
		by_hand();
		break;
	case 2:
		dns_run();
		break;
	case 3:
		snprintf(rcpts, sizeof rcpts, "d%u.example", below(5));
		zone(rcpts, "MX",
			below(4) == 0	? "NXDOMAIN"
			: below(3) == 0 ? "SERVFAIL"
			: below(2)	? "OK 10 mx.x"
					: "OK 10 mx.y");
		break;
	case 4:
		pass(below(3) ? below(5000) : below(3000000));
		break;
	case 5:
		fx.room = below(8) ? STORE_OK : STORE_BROKEN;
		dispatch_turns(&fx.q);
		dispatch_resume(&fx.q);
		break;
	case 6:
	case 7:
		any_dial(false);
		break;
	case 8:
	case 9:
		if (fx.commit_count > 0)
			commit_one(fx.commits[0]->group && below(3) == 0 ? -ENOSPC : 0);
		break;
	default:
		any_connection(false);
	}
	fx.forgotten_count = 0;
	journal_clear();
	assert_true(fx.q.links + fx.q.dials <= 40);
}

/* All that stops mail is gone; each message is on its way in some hours. */
static void clear_up(void)
{
	uint64_t id = 0;
	struct message *m;
	fx.room = STORE_OK;
	for (unsigned i = 0; i < 5; i++) {
		char name[32];
		snprintf(name, sizeof name, "d%u.example", i);
		zone(name, "MX", "OK 10 mx.x");
	}
	while ((m = idmap_next(&fx.q.messages, id, &id)) != NULL) {
		index_release(&fx.q, m, false);
		schedule_message(&fx.q, m);
	}
	for (unsigned i = 0; i < 3000 && fx.q.messages.count > 0; i++) {
		dispatch_turns(&fx.q);
		dispatch_resume(&fx.q);
		dns_run();
		while (fx.dial_count > 0)
			any_dial(true);
		for (unsigned n = 0; n < 20; n++)
			any_connection(true);
		commit_all();
		journal_clear();
		fx.forgotten_count = 0;
		pass(SECONDS(20));
	}
}

static void test_storm(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++) {
		uint64_t id = 0;
		srandom(seed);
		fixture_begin("limits {\n site_connections = 4\n connections = 12\n address_connections = 5\n}\n");
		for (unsigned i = 0; i < 600; i++)
			step(&id);
		clear_up();
		if (fx.q.messages.count > 0) {
			uint64_t first;
			const struct message *m = idmap_next(&fx.q.messages, 0, &first);
			fail_msg("seed %u: %zu left; message %u, %u of its recipients, state %d", seed,
				fx.q.messages.count, (unsigned)first, m->open, m->deliveries[0].state);
		}
		fixture_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
