/* tests/unit/address_test.c: RFC 5321 §4.1.2 row by row. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "queue/mail/address.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define L60 A60 "."

static const struct {
	const char *in;
	unsigned allowed;
	enum address_result result;
	const char *out;
	size_t used; /* 0: all of `in` */
} rows[] = {
	{"<a@b.example>", 0, ADDRESS_OK, "a@b.example", 0},
	{"<A.b@EXAMPLE.Org>", 0, ADDRESS_OK, "A.b@example.org", 0},
	{"<a@b> SIZE=1", 0, ADDRESS_OK, "a@b", 5},
	{"<a+b/c=d!e#$%&'*?^_`{|}~-@b>", 0, ADDRESS_OK, "a+b/c=d!e#$%&'*?^_`{|}~-@b", 0},
	{"<user%other.example@relay.example>", 0, ADDRESS_OK, "user%other.example@relay.example", 0},
	{"<host!user@relay.example>", 0, ADDRESS_OK, "host!user@relay.example", 0},
	{"<a@b@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@b.example@c.example>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<\"a@b\"@c>", 0, ADDRESS_OK, "\"a@b\"@c", 0},
	{"<\"a b\\\"\\\\>\"@c.d>", 0, ADDRESS_OK, "\"a b\\\"\\\\>\"@c.d", 0},
	{"<\"\"@c>", 0, ADDRESS_OK, "\"\"@c", 0},
	{"<\"a@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<\"a\\", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<\"a\"b@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<\"a\tb\"@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a b@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<.a@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a.@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a..b@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<@c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@b", 0, ADDRESS_SYNTAX, NULL, 0},
	{"a@b>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@b.>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@.b>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@b..c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@-b>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@b->", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@b-.c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@b_c.d>", 0, ADDRESS_OK, "a@b_c.d", 0},
	{"<a@b/c>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@b c>", 0, ADDRESS_SYNTAX, NULL, 0},
	/* null path and postmaster */
	{"<>", ADDRESS_NULL, ADDRESS_OK, "", 0},
	{"<>", ADDRESS_POSTMASTER, ADDRESS_SYNTAX, NULL, 0},
	{"<>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<PostMaster>", ADDRESS_POSTMASTER, ADDRESS_OK, "PostMaster", 0},
	{"<postmaster>", ADDRESS_NULL, ADDRESS_SYNTAX, NULL, 0},
	{"<postmasters>", ADDRESS_POSTMASTER, ADDRESS_SYNTAX, NULL, 0},
	/* source routes are dropped */
	{"<@x.example,@y:a@b>", 0, ADDRESS_OK, "a@b", 0},
	{"<@[192.0.2.1]:a@b>", 0, ADDRESS_OK, "a@b", 0},
	{"<@x.example:@y:a@b>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<@x.example,y:a@b>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<@:a@b>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<@x a@b>", 0, ADDRESS_SYNTAX, NULL, 0},
	/* literals */
	{"<a@[192.0.2.1]>", 0, ADDRESS_OK, "a@[192.0.2.1]", 0},
	{"<a@[IPv6:2001:DB8:0:0::1]>", 0, ADDRESS_OK, "a@[IPv6:2001:db8::1]", 0},
	{"<a@[ipv6:::1]>", 0, ADDRESS_OK, "a@[IPv6:::1]", 0},
	{"<a@[IPv6:::ffff:192.0.2.1]>", 0, ADDRESS_OK, "a@[192.0.2.1]", 0},
	{"<a@[2001:db8::1]>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@[IPv6:192.0.2.1]>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@[192.0.2]>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@[192.0.2.1>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@[192.0.2.1].b>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@[]>", 0, ADDRESS_SYNTAX, NULL, 0},
	{"<a@[x:y]>", 0, ADDRESS_SYNTAX, NULL, 0},
	/* 8-bit */
	{"<\xc3\xbc@b>", 0, ADDRESS_8BIT, NULL, 0},
	{"<a@b\xc3\xbc.example>", 0, ADDRESS_8BIT, NULL, 0},
	{"<\"\xff\"@b>", 0, ADDRESS_8BIT, NULL, 0},
	/* limits: 64, 63, 253, 256 */
	{"<" A60 "aaaa@b>", 0, ADDRESS_OK, A60 "aaaa@b", 0},
	{"<" A60 "aaaaa@b>", 0, ADDRESS_TOO_LONG, NULL, 0},
	{"<a@" A60 "aaa>", 0, ADDRESS_OK, "a@" A60 "aaa", 0},
	{"<a@" A60 "aaaa>", 0, ADDRESS_TOO_LONG, NULL, 0},
	{"<a@" L60 L60 L60 L60 "aaaaaaaa>", 0, ADDRESS_OK, "a@" L60 L60 L60 L60 "aaaaaaaa", 0}, /* 256 */
	{"<a@" L60 L60 L60 L60 "aaaaaaaaa>", 0, ADDRESS_TOO_LONG, NULL, 0},
	{"<@" L60 L60 L60 "b:a@" L60 "bbbbb>", 0, ADDRESS_OK, "a@" L60 "bbbbb", 0},
	{"<@" L60 L60 L60 "b:a@" L60 "bbbbbb>", 0, ADDRESS_TOO_LONG, NULL, 0},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[ADDRESS_TEXT] = "untouched";
		size_t used = 12345, len = strlen(rows[i].in);
		enum address_result r =
			address_read_path(out, (const uint8_t *)rows[i].in, len, &used, rows[i].allowed);
		if (r != rows[i].result)
			fail_msg("%s: %d, not %d", rows[i].in, (int)r, (int)rows[i].result);
		if (r == ADDRESS_OK) {
			assert_string_equal(out, rows[i].out);
			assert_int_equal(used, rows[i].used ? rows[i].used : len);
		} else {
			assert_string_equal(out, "untouched");
			assert_int_equal(used, 12345);
		}
	}
}

/* A zero byte is no end of anything. */
static void test_zero_byte(void **state)
{
	(void)state;
	static const char *const hostile[] = {"<a\0b@c>", "<a@b\0c>", "<a@[1.2.3.4\0]>", "<\"\0\"@c>"};
	static const size_t len[] = {7, 7, 13, 7};
	for (size_t i = 0; i < 4; i++) {
		char out[ADDRESS_TEXT];
		size_t used;
		assert_int_equal(address_read_path(out, (const uint8_t *)hostile[i], len[i], &used, 0), ADDRESS_SYNTAX);
	}
}

static void test_helpers(void **state)
{
	(void)state;
	assert_string_equal(address_domain("a@b.c"), "b.c");
	assert_string_equal(address_domain("\"x@y\"@b.c"), "b.c");
	assert_string_equal(address_domain(""), "");
	assert_string_equal(address_domain("postmaster"), "");
	assert_true(domain_is_literal("[192.0.2.1]"));
	assert_false(domain_is_literal("b.c"));
	char text[LITERAL_TEXT];
	struct ip ip;
	assert_int_equal(literal_read(&ip, "[IPv6:2001:db8:1111:2222:3333:4444:5555:6666]", 45), 0);
	assert_string_equal(literal_format(&ip, text), "[IPv6:2001:db8:1111:2222:3333:4444:5555:6666]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_zero_byte),
		cmocka_unit_test(test_helpers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
