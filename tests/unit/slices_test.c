/* tests/unit/slices_test.c: what many messages wait for comes to all of them a slice at a time, and what an operator
 * ends too; time is the test's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "queue/control/inspect.h"
#include "queue/index.h"
#include "queue/schedule.h"
#include "queue/suspension.h"
#include "tests/unit/queue_fixture.h"

enum { MANY = 1000, NOTICES = 16 /* of one turn */ };

static void many_from(const char *sender)
{
	for (uint64_t id = 1; id <= MANY; id++)
		mail(id, sender, "b@d.example");
}

static unsigned in_state(enum delivery_state state)
{
	unsigned n = 0;
	for (uint64_t id = 1; id <= MANY; id++)
		n += find(id) != NULL && state_of(id, "b@d.example") == state;
	return n;
}

/* The domain does not exist: no turn makes more than a few notices, and all of them are made. */
static void test_no_such_domain(void **state)
{
	(void)state;
	fixture_begin(NULL);
	zone("d.example", "MX", "NXDOMAIN");
	many_from("s@sender.example");
	fx.q.slice_notices = 0;
	dns_run();
	assert_int_equal(fx.commit_count, NOTICES);
	assert_int_equal(in_state(DELIVERY_ROUTING), MANY - NOTICES);
	/* one that comes now does not have them all answered at once */
	mail(MANY + 1, "s@sender.example", "b@d.example");
	assert_true(fx.commit_count <= NOTICES + 1);
	dns_run();
	unsigned turns = 0;
	while (find(MANY) != NULL || find(MANY + 1) != NULL) {
		unsigned before = fx.commit_count;
		fx.clock += 20;
		schedule_run(&fx.q, 100);
		assert_true(fx.commit_count - before <= NOTICES + 1);
		commit_all();
		dns_run();
		assert_true(++turns < 1000);
	}
	assert_int_equal(in_state(DELIVERY_ROUTING), 0);
	fixture_end();
}

/* Meanwhile one is held: it is passed over, and nobody is forgotten. */
static void test_to_the_site(void **state)
{
	(void)state;
	fixture_begin(NULL);
	many_from(NULL);
	dns_run();
	unsigned first = in_state(DELIVERY_READY);
	assert_true(first > 0 && first <= 500);
	index_hold(&fx.q, find(700), ENVELOPE_HELD, "x", false);
	assert_int_equal(in_state(DELIVERY_ROUTING), MANY - first - 1);
	fx.clock += 1;
	schedule_run(&fx.q, 100);
	assert_true(in_state(DELIVERY_READY) <= first + 500);
	pass(100);
	assert_int_equal(in_state(DELIVERY_READY), MANY - 1);
	assert_int_equal(in_state(DELIVERY_HELD), 1);
	fixture_end();
}

/* Every suspension at once, of many sites: each of them goes on, a slice at a time. */
static void test_resume_all(void **state)
{
	(void)state;
	enum { SITES = 250 };
	fixture_begin(NULL);
	assert_int_equal(queue_suspend(&fx.q, "mx.*", 0, "", "me"), 0);
	assert_int_equal(queue_suspend(&fx.q, "mx.s7.example", 0, "", "me"), 0);
	for (unsigned i = 0; i < SITES; i++) {
		char rcpt[32];
		snprintf(rcpt, sizeof rcpt, "b@s%u.example", i);
		mail(1 + i, NULL, rcpt);
	}
	dns_run();
	assert_int_equal(fx.dials_made, 0);
	assert_int_equal(queue_resume(&fx.q, "*", "me"), 2);
	assert_int_equal(fx.q.suspension_count, 0);
	unsigned waiting = 0;
	suspension_slice(&fx.q);
	for (unsigned i = 0; i < SITES; i++) {
		char name[32];
		snprintf(name, sizeof name, "mx.s%u.example", i);
		waiting += site_named(name)->suspension != NULL;
	}
	assert_int_equal(waiting, SITES - 100);
	pass(10);
	for (unsigned i = 0; i < SITES; i++) {
		char name[32];
		snprintf(name, sizeof name, "mx.s%u.example", i);
		assert_null(site_named(name)->suspension);
	}
	assert_int_equal(fx.dials_made, 40); /* limits { address_connections }: they all have one */
	assert_true(TAILQ_EMPTY(&fx.q.sites_suspended));
	fixture_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_such_domain),
		cmocka_unit_test(test_to_the_site),
		cmocka_unit_test(test_resume_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
