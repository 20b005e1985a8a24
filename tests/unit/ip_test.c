/* tests/unit/ip_test.c: addresses, prefixes and endpoints of both families. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "conf/ip.h"

static void addresses(void **state)
{
	static const struct {
		const char *text, *canonical; /* NULL: refused */
		enum family family;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1", FAMILY_IPV4},
		{"0.0.0.0", "0.0.0.0", FAMILY_IPV4},
		{"255.255.255.255", "255.255.255.255", FAMILY_IPV4},
		{"::", "::", FAMILY_IPV6},
		{"::1", "::1", FAMILY_IPV6},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1", FAMILY_IPV6},
		{"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1", FAMILY_IPV6},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1",
			FAMILY_IPV6}, /* RFC 5952 §4.2.2: no :: for one group */
		{"fe80::0001", "fe80::1", FAMILY_IPV6},
		/* mapped ones are IPv4, however written */
		{"::ffff:192.0.2.1", "192.0.2.1", FAMILY_IPV4},
		{"::ffff:c000:201", "192.0.2.1", FAMILY_IPV4},
		{"0:0:0:0:0:FFFF:192.0.2.1", "192.0.2.1", FAMILY_IPV4},
		/* these only look so */
		{"::fffe:c000:201", "::fffe:c000:201", FAMILY_IPV6},
		{"64:ff9b::c000:201", "64:ff9b::c000:201", FAMILY_IPV6},
		{"", NULL, FAMILY_NONE},
		{"192.0.2", NULL, FAMILY_NONE},
		{"192.0.2.256", NULL, FAMILY_NONE},
		{"192.0.2.01", NULL, FAMILY_NONE},
		{"0x7f.1", NULL, FAMILY_NONE},
		{"127.1", NULL, FAMILY_NONE},
		{"192.0.2.1 ", NULL, FAMILY_NONE},
		{" ::1", NULL, FAMILY_NONE},
		{"[::1]", NULL, FAMILY_NONE},
		{"::1%lo", NULL, FAMILY_NONE},
		{"::1::", NULL, FAMILY_NONE},
		{":::", NULL, FAMILY_NONE},
		{"1:2:3:4:5:6:7", NULL, FAMILY_NONE},
		{"12345::", NULL, FAMILY_NONE},
		{"192.0.2.1:25", NULL, FAMILY_NONE},
	};
	char text[IP_TEXT];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ip ip, before;
		memset(&ip, 0xaa, sizeof ip);
		before = ip;
		int err = ip_parse(&ip, rows[i].text);
		if (rows[i].canonical == NULL) {
			if (err != -EINVAL || memcmp(&ip, &before, sizeof ip) != 0)
				fail_msg("%s gave %d", rows[i].text, err);
			continue;
		}
		if (err != 0 || ip.family != rows[i].family || strcmp(ip_format(&ip, text), rows[i].canonical) != 0)
			fail_msg("%s gave %d %s", rows[i].text, err, text);
		struct ip again;
		assert_int_equal(ip_parse(&again, text), 0);
		assert_true(ip_equal(&ip, &again));
		assert_memory_equal(&ip, &again, sizeof ip);
	}
	assert_string_equal(ip_format(&(struct ip){0}, text), "none");
}

static void order(void **state)
{
	static const char *const sorted[] = {
		"0.0.0.0", "9.255.0.0", "10.0.0.1", "255.0.0.0", "::", "::1", "2001:db8::", "ff00::"};
	(void)state;
	for (size_t i = 0; i < sizeof sorted / sizeof sorted[0]; i++)
		for (size_t j = 0; j < sizeof sorted / sizeof sorted[0]; j++) {
			struct ip a, b;
			assert_int_equal(ip_parse(&a, sorted[i]), 0);
			assert_int_equal(ip_parse(&b, sorted[j]), 0);
			int c = ip_compare(&a, &b);
			assert_int_equal(c < 0 ? -1 : c > 0, i < j ? -1 : i > j);
			assert_int_equal(ip_equal(&a, &b), i == j);
		}
}

static void loopback(void **state)
{
	static const struct {
		const char *text;
		bool is;
	} rows[] = {
		{"127.0.0.1", true},
		{"127.255.255.255", true},
		{"::1", true},
		{"::ffff:127.0.0.1", true},
		{"126.255.255.255", false},
		{"128.0.0.0", false},
		{"::", false},
		{"::2", false},
		{"7f00::1", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ip ip;
		assert_int_equal(ip_parse(&ip, rows[i].text), 0);
		assert_int_equal(ip_is_loopback(&ip), rows[i].is);
	}
	assert_false(ip_is_loopback(&(struct ip){0}));
}

static void prefixes(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *canonical;
	} rows[] = {
		{"192.0.2.0/24", 0, "192.0.2.0/24"},
		{"192.0.2.1", 0, "192.0.2.1/32"},
		{"0.0.0.0/0", 0, "0.0.0.0/0"},
		{"::/0", 0, "::/0"},
		{"2001:db8::/32", 0, "2001:db8::/32"},
		{"::1", 0, "::1/128"},
		{"192.0.2.128/25", 0, "192.0.2.128/25"},
		{"192.0.2.1/24", -ERANGE, NULL},
		{"192.0.2.128/24", -ERANGE, NULL},
		{"128.0.0.0/0", -ERANGE, NULL},
		{"2001:db8::1/127", -ERANGE, NULL},
		{"192.0.2.0/33", -EINVAL, NULL},
		{"::/129", -EINVAL, NULL},
		{"192.0.2.0/", -EINVAL, NULL},
		{"192.0.2.0/-1", -EINVAL, NULL},
		{"192.0.2.0/+1", -EINVAL, NULL},
		{"192.0.2.0/ 8", -EINVAL, NULL},
		{"192.0.2.0/24x", -EINVAL, NULL},
		{"192.0.2.0/0024", -EINVAL, NULL},
		{"192.0.2.0/255.255.255.0", -EINVAL, NULL},
		{"/24", -EINVAL, NULL},
		{"", -EINVAL, NULL},
		{"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/1", -EINVAL, NULL},
		/* mapped */
		{"::ffff:192.0.2.0/120", 0, "192.0.2.0/24"},
		{"::ffff:0:0/96", 0, "0.0.0.0/0"},
		{"::ffff:192.0.2.1", 0, "192.0.2.1/32"},
		{"::ffff:0:0/95", -ERANGE, NULL},
		{"::fffe:0:0/95", 0, "::fffe:0:0/95"},
	};
	char text[PREFIX_TEXT];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct prefix p = {.bits = 77};
		int err = prefix_parse(&p, rows[i].text);
		if (err != rows[i].err || (err != 0 && p.bits != 77) ||
			(err == 0 && strcmp(prefix_format(&p, text), rows[i].canonical) != 0))
			fail_msg("%s gave %d %s", rows[i].text, err, err ? "" : text);
	}
}

static void containing(void **state)
{
	static const struct {
		const char *prefix, *ip;
		bool contains;
	} rows[] = {
		{"192.0.2.0/24", "192.0.2.0", true},
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"192.0.2.0/23", "192.0.3.255", true},
		{"192.0.2.0/25", "192.0.2.128", false},
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.6", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::1", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"::/0", "ffff::", true},
		{"2001:db8::1", "2001:db8::1", true},
		/* however either is written */
		{"::ffff:192.0.2.0/120", "192.0.2.9", true},
		{"192.0.2.0/24", "::ffff:192.0.2.9", true},
		{"::/0", "192.0.2.9", true},
		{"::/80", "192.0.2.9", true},
		{"::fffe:0:0/95", "192.0.2.9", true},
		{"::/96", "192.0.2.9", false},
		{"2001:db8::/32", "192.0.2.9", false},
		/* c000:0200:: begins with the bytes of 192.0.2.0 */
		{"c000:200::/24", "192.0.2.9", false},
		{"192.0.2.0/24", "c000:200::9", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct prefix p;
		struct ip ip;
		assert_int_equal(prefix_parse(&p, rows[i].prefix), 0);
		assert_int_equal(ip_parse(&ip, rows[i].ip), 0);
		if (prefix_contains(&p, &ip) != rows[i].contains)
			fail_msg("%s and %s", rows[i].prefix, rows[i].ip);
	}
}

static void endpoints(void **state)
{
	static const struct {
		const char *text, *canonical; /* NULL: refused */
	} rows[] = {
		{"192.0.2.1:25", "192.0.2.1:25"},
		{"[2001:DB8::1]:65535", "[2001:db8::1]:65535"},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1:1"},
		{"192.0.2.1", NULL},
		{"192.0.2.1:", NULL},
		{"192.0.2.1:0", NULL},
		{"192.0.2.1:65536", NULL},
		{"192.0.2.1:99999999999999999999", NULL},
		{"192.0.2.1:-1", NULL},
		{"192.0.2.1:25x", NULL},
		{"[192.0.2.1]:25", NULL},
		{"::1:25", NULL},
		{"[::1]", NULL},
		{"[::1]25", NULL},
		{"[::1:25", NULL},
		{"[]:25", NULL},
		{":25", NULL},
		{"", NULL},
		{"[", NULL},
		{"localhost:25", NULL},
		{"[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:25", NULL},
	};
	char text[ENDPOINT_TEXT];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct endpoint e = {.port = 7}, again;
		struct sockaddr_storage sa;
		int err = endpoint_parse(&e, rows[i].text);
		if (rows[i].canonical == NULL) {
			if (err != -EINVAL || e.port != 7)
				fail_msg("%s gave %d", rows[i].text, err);
			continue;
		}
		if (err != 0 || strcmp(endpoint_format(&e, text), rows[i].canonical) != 0)
			fail_msg("%s gave %d %s", rows[i].text, err, text);
		socklen_t length = endpoint_to_sockaddr(&e, &sa);
		bool v6 = e.ip.family == FAMILY_IPV6;
		assert_int_equal(sa.ss_family, v6 ? AF_INET6 : AF_INET);
		assert_int_equal(length, v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		assert_int_equal(endpoint_from_sockaddr(&again, (struct sockaddr *)&sa), 0);
		assert_true(endpoint_equal(&e, &again));
	}
}

/* A client that connects to a dual-stack socket comes as ::ffff:a.b.c.d. */
static void mapped_sockaddr(void **state)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(4000)};
	struct endpoint e = {.port = 1};
	char text[ENDPOINT_TEXT];
	(void)state;
	memcpy(&in6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	assert_int_equal(endpoint_from_sockaddr(&e, (struct sockaddr *)&in6), 0);
	assert_string_equal(endpoint_format(&e, text), "192.0.2.1:4000");
	in6.sin6_family = AF_UNIX;
	assert_int_equal(endpoint_from_sockaddr(&e, (struct sockaddr *)&in6), -EAFNOSUPPORT);
	assert_int_equal(e.port, 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(order),
		cmocka_unit_test(loopback),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(containing),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(mapped_sockaddr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
