/* tests/unit/conf_rights_test.c: what a client may do, by the networks that hold it and the listener it came to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "conf/rights.h"

static struct conf *parse(const char *text)
{
	struct conf *c = NULL;
	struct buf errors;
	buf_init(&errors, 10000);
	if (conf_parse(&c, "t", text, strlen(text), &errors) != 0)
		fail_msg("%s", (char *)errors.data);
	buf_fini(&errors);
	return c;
}

static struct rights of(const struct conf *c, const char *at, const char *client)
{
	struct endpoint e;
	struct ip ip;
	assert_int_equal(ip_parse(&ip, client), 0);
	assert_int_equal(endpoint_parse(&e, at), 0);
	return rights_of(c, rights_listen(c, &e), &ip);
}

static void longest_network_decides(void **state)
{
	(void)state;
	struct conf *c = parse("hostname = r.example\nclients = 192.0.2.0/24\n"
			       "client 192.0.2.0/24 { bare_newline = normalize priority = yes xforward = yes }\n"
			       "client 192.0.2.9, 2001:db8::9 { priority = no xclient = yes }\n"
			       "client 192.0.2.8/29 { deliver_by = yes future_release = yes priority = inherit }\n");
	struct rights r = of(c, "127.0.0.1:25", "192.0.2.7");
	assert_true(r.relay && r.normalize && r.priority && r.xforward);
	assert_false(r.xclient || r.deliver_by || r.future_release);
	r = of(c, "127.0.0.1:25", "192.0.2.9");
	assert_true(r.relay && r.normalize && r.xclient && r.xforward && r.deliver_by && r.future_release);
	assert_false(r.priority);
	r = of(c, "127.0.0.1:25", "192.0.2.10");
	assert_true(r.priority && r.deliver_by && !r.xclient);
	r = of(c, "127.0.0.1:25", "2001:db8::9");
	assert_true(r.xclient && !r.relay && !r.normalize);
	r = of(c, "127.0.0.1:25", "198.51.100.1");
	assert_false(
		r.relay || r.normalize || r.xclient || r.xforward || r.deliver_by || r.future_release || r.priority);
	conf_unref(c);
}

static void bare_newline_goes_client_listener_all(void **state)
{
	(void)state;
	struct conf *c =
		parse("hostname = r.example\nbare_newline = normalize\n"
		      "listen 127.0.0.1:25 { }\nlisten 127.0.0.1:26 { bare_newline = reject }\n"
		      "client 192.0.2.1 { bare_newline = normalize }\nclient 192.0.2.2 { bare_newline = reject }\n");
	assert_true(of(c, "127.0.0.1:25", "192.0.2.3").normalize);
	assert_false(of(c, "127.0.0.1:26", "192.0.2.3").normalize);
	assert_true(of(c, "127.0.0.1:26", "192.0.2.1").normalize);
	assert_false(of(c, "127.0.0.1:25", "192.0.2.2").normalize);
	assert_null(rights_listen(c, &(struct endpoint){.port = 1}));
	conf_unref(c);
}

static void early_talkers_and_sessions(void **state)
{
	(void)state;
	struct conf *c = parse("hostname = r.example\nearly_talkers = allow\nclients = 192.0.2.0/24, 2001:db8::/32\n"
			       "limits { sessions_per_client = 70 sessions_per_other = 7 }\n"
			       "listen 127.0.0.1:25 { }\nlisten 127.0.0.1:26 { early_talkers = reject }\n"
			       "client 192.0.2.1, 203.0.113.1 { early_talkers = reject sessions = 9 }\n"
			       "client 2001:db8:0:1::/64 { sessions = 4 }\nclient 2001:db8:0:1::/80 { sessions = 5 }\n"
			       "client 2001:db8:0:2::7 { priority = yes }\n"
			       "client ::/0 { sessions = 3 }\nclient 0.0.0.0/0 { priority = yes }\n");
	static const struct {
		const char *at, *client;
		bool early;
		uint64_t sessions;
		unsigned bits;
		const char *key;
	} rows[] = {
		{"127.0.0.1:25", "192.0.2.2", true, 3, 64, "client { sessions }"}, /* ::/0 has IPv4 too */
		{"127.0.0.1:26", "192.0.2.2", false, 3, 64, "client { sessions }"},
		{"127.0.0.1:25", "192.0.2.1", false, 9, 64, "client { sessions }"},
		{"127.0.0.1:25", "203.0.113.1", false, 9, 64, "client { sessions }"},
		{"127.0.0.1:25", "2001:db8::1", true, 3, 64, "client { sessions }"},
		/* one of `clients` too is its /64, unless a longer network sets its limit */
		{"127.0.0.1:25", "2001:db8:0:1:1::1", true, 4, 64, "client { sessions }"},
		{"127.0.0.1:25", "2001:db8:0:1::1", true, 5, 128, "client { sessions }"},
		{"127.0.0.1:25", "2001:db8:0:2::7", true, 3, 64, "client { sessions }"},
		{"127.0.0.1:25", "2001:db9::1", true, 3, 64, "client { sessions }"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rights r = of(c, rows[i].at, rows[i].client);
		assert_int_equal(r.early, rows[i].early);
		assert_int_equal(r.sessions, rows[i].sessions);
		assert_int_equal(r.sessions_bits, rows[i].bits);
		assert_string_equal(r.sessions_key, rows[i].key);
	}
	/* nobody knows who: what everybody has, and no more */
	const struct ip nobody = {.family = FAMILY_NONE};
	struct rights r = rights_of(c, NULL, &nobody);
	assert_false(r.relay || r.priority);
	assert_int_equal(r.sessions, 7);
	assert_string_equal(r.sessions_key, "limits { sessions_per_other }");
	conf_unref(c);
}

/* Who may name any client can be any client: such networks are bound by the rule for `clients`. */
static void errors_say_where(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"client 0.0.0.0/0 { xclient = yes }",
			"t:2:8: client with xclient = yes: 0.0.0.0/0, alone or put together"},
		{"client ::/0 { priority = yes }", NULL},
		/* together, too: two halves, of one kind or of both */
		{"client 10.0.0.0/8, 11.0.0.0/8 { xclient = yes }",
			"t: clients with xclient = yes and balancers together: 10.0.0.0/7, alone or put together"},
		{"client 10.0.0.0/8 { xclient = yes }\nlisten 127.0.0.1:25 { proxy = 11.0.0.0/8 }",
			"t: clients with xclient = yes and balancers together: 10.0.0.0/7, alone or put together"},
		{"listen 127.0.0.1:25 { proxy = 10.0.0.0/8 }\nlisten 127.0.0.1:26 { proxy = 11.0.0.0/8 }",
			"t: clients with xclient = yes and balancers together: 10.0.0.0/7, alone or put together"},
		{"client 10.0.0.0/8 { xclient = yes }\nclient 11.0.0.0/8 { xclient = no }", NULL},
		{"open_relay = i-know-that-everybody-may-relay\nclient 10.0.0.0/8, 11.0.0.0/8 { xclient = yes }", NULL},
		{"listen 127.0.0.1:25 { proxy = 0.0.0.0/1, 128.0.0.0/1 }", "t:2:8: listen with proxy: 0.0.0.0/0"},
		{"listen 127.0.0.1:25 { proxy = 192.0.2.0/24 }", NULL},
		{"client 192.0.2.1/24 { }", "t:2:8: client \"192.0.2.1/24\"; expected ADDRESS or ADDRESS/BITS"},
		{"client x { }", "t:2:8: client \"x\"; expected ADDRESS or ADDRESS/BITS"},
		{"client 192.0.2.0/24 { }\nclient 192.0.2.0/24 { }",
			"t:3:8: client \"192.0.2.0/24\" is given twice; first at t:2:8"},
		{"client { }", "t:2:1: block client has no title; expected NETWORK"},
		{"client 192.0.2.1 { xclent = yes }",
			"t:2:20: unknown key \"xclent\" in block client; did you mean \"xclient\"?"},
		{"client 192.0.2.1 { xclient = maybe }", "t:2:30: xclient: \"maybe\"; expected"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct conf *c = NULL;
		struct buf errors, text;
		buf_init(&errors, 10000);
		buf_init(&text, 1000);
		buf_printf(&text, "hostname = r.example\n%s\n", rows[i].text);
		int err = conf_parse(&c, "t", (char *)text.data, text.len, &errors);
		assert_int_equal(err == 0, rows[i].error == NULL);
		if (rows[i].error != NULL && strstr((char *)errors.data, rows[i].error) == NULL)
			fail_msg("%s\ngave\n%s", rows[i].text, (char *)errors.data);
		conf_unref(c);
		buf_fini(&errors);
		buf_fini(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_network_decides),
		cmocka_unit_test(bare_newline_goes_client_listener_all),
		cmocka_unit_test(early_talkers_and_sessions),
		cmocka_unit_test(errors_say_where),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
