/* tests/unit/account_test.c: what is counted of address families while mail goes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "queue/path/account.h"
#include "tests/unit/queue_fixture.h"

#define AT "mx.d.example"

static struct tally_row hour(enum tally_family f)
{
	static struct tally_sum sum;
	tally_sum_up(fx.q.tally, TALLY_HOUR, core_wall(&fx.q, core_now(&fx.q)), &sum);
	return sum.family[f];
}

static struct dial *next_mail(uint64_t id)
{
	for (unsigned i = 0; i < fx.connection_count; i++)
		if (fx.connections[i]->open && fx.connections[i]->sent == NULL)
			close_connection(fx.connections[i]);
	mail(id, NULL, "b@d.example");
	dns_run();
	return dial_to(AT);
}

static void begin(const char *settings)
{
	fixture_begin(settings);
	account_load(&fx.q);
}

static void test_races_and_mail(void **state)
{
	(void)state;
	begin(NULL);
	/* nothing beside it; two recipients */
	mail(1, NULL, "b@d.example c@d.example");
	dns_run();
	answer(dial_end(dial_to(AT), "2001:db8::1 ok"), "250 ok|550 5.1.1 no");
	commit_all();
	/* the other one failed; the other one was slower */
	answer(dial_end(next_mail(2), "2001:db8::1 connect-timeout, 192.0.2.1 ok"), "550 5.1.1 no");
	commit_all();
	struct dial *d = next_mail(3);
	if (d != NULL)
		answer(dial_end(d, "2001:db8::1 superseded, 192.0.2.1 ok"), "250 ok");
	commit_all();
	const struct tally_row v6 = hour(TALLY_IPV6), v4 = hour(TALLY_IPV4);
	assert_int_equal(v6.count[TALLY_DELIVERED], 1);
	assert_int_equal(v6.count[TALLY_FAILED], 1);
	assert_int_equal(v4.count[TALLY_FAILED], 1);
	assert_int_equal(v4.count[TALLY_DELIVERED], 1);
	assert_int_equal(v4.count[TALLY_BYTES], 100);
	assert_int_equal(v6.count[TALLY_ATTEMPTS], 3);
	assert_int_equal(v4.count[TALLY_ATTEMPTS], 2);
	assert_int_equal(v6.count[TALLY_WON], 1);
	assert_int_equal(v6.count[TALLY_WON_ALONE], 1);
	assert_int_equal(v4.count[TALLY_WON], 2);
	assert_int_equal(v4.count[TALLY_WON_FAILED], 1);
	assert_int_equal(v4.count[TALLY_WON_SLOWER], 1);
	assert_int_equal(tally_spread_count(&v4.span[TALLY_LEAD]), 1);
	assert_int_equal(v6.failover[TALLY_SILENT][TALLY_CONNECTING], 1);
	assert_int_equal(tally_spread_count(&v6.span[TALLY_DELAY]), 1);
	fixture_end();
}

static void test_failovers_of_mail(void **state)
{
	(void)state;
	begin(NULL);
	answer(dial_end(next_mail(1), "2001:db8::1 ok"), "550 5.7.25 no PTR record");
	answer(dial_end(dial_to(AT), "192.0.2.1 ok"), "250 ok");
	commit_all();
	zone("mx.e.example", "A", "OK 192.0.2.5");
	zone("mx.e.example", "AAAA", "OK 2001:db8::5");
	mail(2, NULL, "b@e.example");
	dns_run();
	end_transaction(dial_end(dial_to("mx.e.example"), "2001:db8::5 ok"), TRANSACTION_LOST, FAULT_STALLED, "-");
	answer(dial_end(dial_to("mx.e.example"), "192.0.2.5 ok"), "250 ok");
	commit_all();
	const struct tally_row v6 = hour(TALLY_IPV6), v4 = hour(TALLY_IPV4);
	uint64_t policy = 0;
	for (unsigned i = 0; i < TALLY_STEP_COUNT; i++)
		policy += v6.failover[TALLY_POLICY][i];
	assert_int_equal(policy, 1);
	assert_int_equal(v6.failover[TALLY_SILENT][TALLY_CONTENT], 1);
	assert_int_equal(v4.count[TALLY_DELIVERED], 2);
	assert_int_equal(v6.count[TALLY_DELIVERED] + v6.count[TALLY_FAILED] + v6.count[TALLY_DEFERRED], 0);
	fixture_end();
}

static void test_kept(void **state)
{
	static struct kept file;
	(void)state;
	begin(NULL);
	answer(dial_end(next_mail(1), "2001:db8::1 ok"), "250 ok");
	commit_all();
	account_tick(&fx.q);
	assert_int_equal(fx.states_written, 0); /* not within the first minute */
	pass(MINUTES(1));
	account_tick(&fx.q);
	assert_int_equal(fx.states_written, 1);
	pass(MINUTES(1));
	account_tick(&fx.q);
	assert_int_equal(fx.states_written, 1); /* nothing is new */
	file = fx.families;
	fixture_end();

	fixture_begin(NULL);
	fx.families = file;
	account_load(&fx.q);
	assert_int_equal(hour(TALLY_IPV6).count[TALLY_DELIVERED], 1);
	pass(HOURS(2));
	assert_int_equal(hour(TALLY_IPV6).count[TALLY_DELIVERED], 0);
	fixture_end();

	fixture_begin(NULL);
	fx.families = file;
	fx.families.len -= 2;
	account_load(&fx.q);
	assert_int_equal(hour(TALLY_IPV6).count[TALLY_DELIVERED], 0);
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_races_and_mail),
		cmocka_unit_test(test_failovers_of_mail),
		cmocka_unit_test(test_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
