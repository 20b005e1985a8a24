/* tests/unit/census_test.c: counting sessions, alone and by many threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "smtpd/census.h"

static struct ip ip(const char *text)
{
	struct ip out;
	assert_int_equal(ip_parse(&out, text), 0);
	return out;
}

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		const char *client;
		unsigned bits;
		enum census_result result;
	} rows[] = {
		{"192.0.2.1", 128, CENSUS_OK},
		{"192.0.2.1", 64, CENSUS_OK}, /* IPv4 is whole either way */
		{"192.0.2.1", 128, CENSUS_CLIENT},
		{"192.0.2.2", 64, CENSUS_OK},
		{"2001:db8::1", 64, CENSUS_OK},
		{"2001:db8::2", 64, CENSUS_OK},
		{"2001:db8::3:0:0:3", 64, CENSUS_CLIENT},
		{"2001:db8:0:1::1", 64, CENSUS_OK},
		{"2001:db8::1", 128, CENSUS_OK},
		{"2001:db8::2", 128, CENSUS_ALL},
		{"192.0.2.1", 128, CENSUS_ALL},
	};
	enum { ROWS = sizeof rows / sizeof rows[0] };
	struct census *c = census_new(10, 42);
	uint32_t places[ROWS];
	for (size_t i = 0; i < ROWS; i++) {
		struct ip client = ip(rows[i].client);
		places[i] = UINT32_MAX;
		assert_int_equal(census_enter(c, &client, rows[i].bits, 2, 7, &places[i]), rows[i].result);
		assert_int_equal(places[i] == UINT32_MAX, rows[i].result != CENSUS_OK);
	}
	assert_int_equal(census_count(c), 7);
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].result == CENSUS_OK)
			census_leave(c, places[i]);
	assert_int_equal(census_count(c), 0);
	/* and all places are free again */
	struct ip client = ip("192.0.2.1");
	uint32_t place;
	for (int i = 0; i < 2; i++)
		assert_int_equal(census_enter(c, &client, 128, 2, 7, &place), CENSUS_OK);
	assert_int_equal(census_enter(c, &client, 128, 2, 7, &place), CENSUS_CLIENT);
	account_free(c);
}

/* As many clients as were promised find a place, and each is counted for itself. */
static void test_many_clients(void **state)
{
	(void)state;
	enum { CLIENTS = 10000 };
	struct census *c = census_new(CLIENTS, 7);
	static uint32_t places[CLIENTS];
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct ip client = {
			.family = FAMILY_IPV4, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		assert_int_equal(census_enter(c, &client, 128, 1, CLIENTS, &places[i]), CENSUS_OK);
		uint32_t again;
		assert_int_not_equal(census_enter(c, &client, 128, 1, CLIENTS + 1, &again), CENSUS_OK);
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		census_leave(c, places[i]);
	assert_int_equal(census_count(c), 0);
	account_free(c);
}

/* A place is free again for any other client. */
static void test_passers_by(void **state)
{
	(void)state;
	struct census *c = census_new(10, 3);
	for (uint32_t i = 0; i < 100000; i++) {
		struct ip client = {
			.family = FAMILY_IPV4, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
		uint32_t place;
		assert_int_equal(census_enter(c, &client, 128, 1, 10, &place), CENSUS_OK);
		census_leave(c, place);
	}
	account_free(c);
}

enum { THREADS = 4, ROUNDS = 5000, LIMIT = 3 };

struct crowd {
	struct census *census;
	atomic_int inside, most, entered;
};

static void *come_and_go(void *arg)
{
	struct crowd *crowd = arg;
	struct ip client = {.family = FAMILY_IPV4, .bytes = {192, 0, 2, 1}};
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t place;
		if (census_enter(crowd->census, &client, 128, LIMIT, 1000, &place) != CENSUS_OK)
			continue;
		int now = atomic_fetch_add(&crowd->inside, 1) + 1, most = atomic_load(&crowd->most);
		while (now > most && !atomic_compare_exchange_weak(&crowd->most, &most, now))
			;
		atomic_fetch_add(&crowd->entered, 1);
		atomic_fetch_sub(&crowd->inside, 1);
		census_leave(crowd->census, place);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	struct crowd crowd = {.census = census_new(10, 1)};
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&crowd.entered) > 0);
	assert_true(atomic_load(&crowd.most) <= LIMIT);
	assert_int_equal(census_count(crowd.census), 0);
	uint32_t place;
	struct ip client = ip("192.0.2.1");
	for (int i = 0; i < LIMIT; i++)
		assert_int_equal(census_enter(crowd.census, &client, 128, LIMIT, 1000, &place), CENSUS_OK);
	assert_int_equal(census_enter(crowd.census, &client, 128, LIMIT, 1000, &place), CENSUS_CLIENT);
	account_free(crowd.census);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_clients),
		cmocka_unit_test(test_passers_by),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
