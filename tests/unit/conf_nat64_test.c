/* tests/unit/conf_nat64_test.c: the key `nat64` and what it says of prefixes that cannot be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/keys.h"
#include "conf/pref64.h"

static int parse(const char *value, struct conf **c, struct buf *errors)
{
	char text[1000];
	snprintf(text, sizeof text, "hostname = relay.example.net\n%s%s\n", value[0] ? "nat64 = " : "", value);
	buf_init(errors, 10000);
	return conf_parse(c, "t", text, strlen(text), errors);
}

static void written_is(const struct conf *c, const char *expected)
{
	struct buf out;
	buf_init(&out, 10000);
	const struct conf_key *k = keys_find("", "nat64");
	assert_int_equal(value_write(&k->rule, (const char *)c + k->at, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal((char *)out.data, expected);
	buf_fini(&out);
}

static void test_values(void **state)
{
	static const struct {
		const char *value, *written;
		enum conf_nat64_mode mode;
		unsigned count;
	} rows[] = {
		{"", "auto", CONF_NAT64_AUTO, 0},
		{"auto", "auto", CONF_NAT64_AUTO, 0},
		{"off", "off", CONF_NAT64_OFF, 0},
		{"64:ff9b::/96", "64:ff9b::/96", CONF_NAT64_GIVEN, 1},
		{"2001:DB8:0::/32", "2001:db8::/32", CONF_NAT64_GIVEN, 1},
		{"2001:db8:64::/96, 64:ff9b::/96", "2001:db8:64::/96, 64:ff9b::/96", CONF_NAT64_GIVEN, 2},
		{"2001:db8::/32, 2001:db8:100::/40, 2001:db8:122::/48, 2001:db8:122:300::/56, 2001:db8:122:344::/64, "
		 "2001:db8:122:344::/96, 64:ff9b:1::/48, fd00:64::/96",
			"2001:db8::/32, 2001:db8:100::/40, 2001:db8:122::/48, 2001:db8:122:300::/56, "
			"2001:db8:122:344::/64, 2001:db8:122:344::/96, 64:ff9b:1::/48, fd00:64::/96",
			CONF_NAT64_GIVEN, 8},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct conf *c, *again;
		struct buf errors;
		if (parse(rows[i].value, &c, &errors) != 0)
			fail_msg("%s: %.*s", rows[i].value, (int)errors.len, (char *)errors.data);
		assert_int_equal(c->nat64.mode, rows[i].mode);
		assert_int_equal(c->nat64.count, rows[i].count);
		written_is(c, rows[i].written);
		buf_fini(&errors);
		assert_int_equal(parse(rows[i].written, &again, &errors), 0);
		assert_true(pref64_equal(&c->nat64, &again->nat64));
		buf_fini(&errors);
		conf_unref(again);
		conf_unref(c);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *value, *error;
	} rows[] = {
		{"yes", "t:2:9: nat64: \"yes\"; expected auto, off or IPv6 prefixes as 64:ff9b::/96, separated by "
			"commas\n"},
		{"2001:db8::/129", "t:2:9: nat64: \"2001:db8::/129\"; expected auto, off or IPv6 prefixes as "
				   "64:ff9b::/96, separated by commas\n"},
		{"2001:db8::/33",
			"t:2:9: nat64: \"2001:db8::/33\" has another length; expected 32, 40, 48, 56, 64 or 96 "
			"bits (RFC 6052)\n"},
		{"2001:db8::/72",
			"t:2:9: nat64: \"2001:db8::/72\" has another length; expected 32, 40, 48, 56, 64 or 96 "
			"bits (RFC 6052)\n"},
		{"2001:db8::/128",
			"t:2:9: nat64: \"2001:db8::/128\" has another length; expected 32, 40, 48, 56, 64 or "
			"96 bits (RFC 6052)\n"},
		{"64:ff9b::", "t:2:9: nat64: \"64:ff9b::\" has no length; expected /32, /40, /48, /56, /64 or /96\n"},
		{"64:ff9b::1/96", "t:2:9: nat64: \"64:ff9b::1/96\" has bits set behind its length; expected those 0\n"},
		{"2001:db8:1::/32",
			"t:2:9: nat64: \"2001:db8:1::/32\" has bits set behind its length; expected those 0\n"},
		/* RFC 6052 §2.2: bits 64 to 71; the octet is the first of the fifth group */
		{"2001:db8:0:0:100::/96", "t:2:9: nat64: \"2001:db8:0:0:100::/96\" has some of the bits 64 to 71 set; "
					  "expected those 0 (RFC 6052)\n"},
		{"192.0.2.0/32", "t:2:9: nat64: \"192.0.2.0/32\" is no IPv6 prefix; expected one, as 64:ff9b::/96\n"},
		{"::ffff:0:0/96", "t:2:9: nat64: \"::ffff:0:0/96\" is no IPv6 prefix; expected one, as 64:ff9b::/96\n"},
		{"::/96", "t:2:9: nat64: \"::/96\" is set aside for other things (RFC 4291); expected a prefix of a "
			  "translator\n"},
		{"fe80::/64",
			"t:2:9: nat64: \"fe80::/64\" is set aside for other things (RFC 4291); expected a prefix of "
			"a translator\n"},
		{"ff0e::/96",
			"t:2:9: nat64: \"ff0e::/96\" is set aside for other things (RFC 4291); expected a prefix of "
			"a translator\n"},
		{"64:ff9b::/96, auto", "t:2:23: nat64: auto stands in a list; expected it alone, or prefixes alone\n"},
		{"off, 64:ff9b::/96", "t:2:9: nat64: off stands in a list; expected it alone, or prefixes alone\n"},
		{"64:ff9b::/96, 0064:ff9b::/96",
			"t:2:23: nat64: \"0064:ff9b::/96\" is there already; expected each prefix once\n"},
		{"fd00:1::/96, fd00:2::/96, fd00:3::/96, fd00:4::/96, fd00:5::/96, fd00:6::/96, fd00:7::/96, "
		 "fd00:8::/96, fd00:9::/96",
			"t:2:113: nat64: more than 8 prefixes; expected at most so many\n"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct conf *c = NULL;
		struct buf errors;
		assert_int_equal(parse(rows[i].value, &c, &errors), -EINVAL);
		assert_null(c);
		assert_int_equal(buf_append(&errors, "", 1), 0);
		assert_string_equal((char *)errors.data, rows[i].error);
		buf_fini(&errors);
	}
}

static void test_bounds_fit_together(void **state)
{
	static const char text[] = "hostname = relay.example.net\ndns { nat64_min = 1h  nat64_max = 30m }\n";
	struct conf *c = NULL;
	struct buf errors;
	(void)state;
	buf_init(&errors, 10000);
	assert_int_equal(conf_parse(&c, "t", text, sizeof text - 1, &errors), -EINVAL);
	assert_int_equal(buf_append(&errors, "", 1), 0);
	assert_string_equal(
		(char *)errors.data, "t:2:19: nat64_min (1h) is more than nat64_max (30m); expected at most that\n");
	buf_fini(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_bounds_fit_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
