/* tests/unit/admission_test.c: who comes in, as what, and what those are told who do not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/counter.h"
#include "smtpd/admission.h"

static const char text[] = "hostname = r.example\nclients = 192.0.2.0/24, 2001:db8:1::/48\n"
			   "limits { sessions = 5 sessions_per_client = 3 sessions_per_other = 2 }\n"
			   "client 198.51.100.1 { sessions = 1 priority = yes }\n";

struct world {
	struct conf *conf;
	struct census *census;
};

static int setup(void **state)
{
	static struct world w;
	struct buf errors;
	buf_init(&errors, 1000);
	assert_int_equal(conf_parse(&w.conf, "t", text, strlen(text), &errors), 0);
	w.census = census_new(100, 7);
	assert_non_null(w.census);
	buf_fini(&errors);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	assert_int_equal(census_count(w->census), 0);
	account_free(w->census);
	conf_unref(w->conf);
	return 0;
}

static enum census_result enter(struct world *w, struct guest *g, const char *ip, bool known)
{
	struct endpoint client = {.port = 1000};
	assert_int_equal(ip_parse(&client.ip, ip), 0);
	return admission_enter(g, w->census, w->conf, NULL, &client, known);
}

/* Fills up with `ips`; the last one is refused with `why`, and counted. */
static void fill(struct world *w, const char *const *ips, size_t count, enum smtp_refusal why, enum counter counter)
{
	struct guest guests[8];
	uint64_t before = counter_get(counter);
	for (size_t i = 0; i + 1 < count; i++)
		assert_int_equal(enter(w, &guests[i], ips[i], true), CENSUS_OK);
	enum census_result result = enter(w, &guests[count - 1], ips[count - 1], true);
	assert_int_not_equal(result, CENSUS_OK);
	assert_int_equal(admission_refusal(result), why);
	assert_int_equal(counter_get(counter), before + 1);
	assert_int_equal(census_count(w->census), count - 1);
	for (size_t i = 0; i + 1 < count; i++)
		census_leave(w->census, guests[i].place);
}
#define FILL(w, why, counter, ...)                                                                                     \
	do {                                                                                                           \
		static const char *const ips[] = {__VA_ARGS__};                                                        \
		fill(w, ips, sizeof ips / sizeof ips[0], SMTP_REFUSED_##why, COUNTER_##counter);                       \
	} while (0)

static void test_limits(void **state)
{
	struct world *w = *state;
	FILL(w, CLIENT_SESSIONS, sessions_refused_client, "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1");
	FILL(w, CLIENT_SESSIONS, sessions_refused_client, "198.51.100.2", "198.51.100.2", "198.51.100.2");
	FILL(w, CLIENT_SESSIONS, sessions_refused_client, "198.51.100.1", "198.51.100.1");
	/* an address of a /64 is as good as any other of it, in `clients` too */
	FILL(w, CLIENT_SESSIONS, sessions_refused_client, "2001:db8::1", "2001:db8::2", "2001:db8::3");
	FILL(w, CLIENT_SESSIONS, sessions_refused_client, "2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3",
		"2001:db8:1::4");
	FILL(w, SESSIONS, sessions_refused_all, "2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:3::1",
		"2001:db8:1:4::1", "2001:db8:1:5::1", "2001:db8:1:6::1");
}

static void test_rights(void **state)
{
	struct world *w = *state;
	struct guest g;
	assert_int_equal(enter(w, &g, "192.0.2.1", true), CENSUS_OK);
	assert_true(g.rights.relay && ip_equal(&g.client.ip, &g.via.ip));
	census_leave(w->census, g.place);
	/* only whom we see: counted by that address, and no rights of it */
	assert_int_equal(enter(w, &g, "192.0.2.1", false), CENSUS_OK);
	assert_false(g.rights.relay);
	assert_int_equal(g.rights.sessions, 2);
	census_leave(w->census, g.place);
	assert_int_equal(enter(w, &g, "198.51.100.1", true), CENSUS_OK);
	assert_true(g.rights.priority && !g.rights.relay);
	census_leave(w->census, g.place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
