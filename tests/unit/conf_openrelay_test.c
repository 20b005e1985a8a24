/* tests/unit/conf_openrelay_test.c: which lists of clients are an open relay. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "conf/openrelay.h"

enum { MOST = 600 };

/* Reads prefixes separated by blanks. */
static size_t read_prefixes(const char *text, struct prefix *items)
{
	size_t count = 0;
	for (char one[64]; *text != '\0'; count++) {
		size_t n = strcspn(text, " ");
		assert_true(n < sizeof one && count < MOST);
		memcpy(one, text, n);
		one[n] = '\0';
		if (prefix_parse(&items[count], one) != 0)
			fail_msg("%s", one);
		text += n + strspn(text + n, " ");
	}
	return count;
}

static void rows(void **state)
{
	static const struct {
		const char *clients;
		const char *found; /* NULL: allowed; else a part of the reason */
	} rows[] = {
		{"", NULL},
		{"127.0.0.0/8 ::1", NULL},
		{"10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 2001:db8::/32", NULL},
		{"10.0.0.0/8", NULL},
		{"2001::/16", NULL},
		/* alone */
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"::/0", "::/0"},
		{"10.0.0.0/7", "10.0.0.0/7"},
		{"2000::/15", "2000::/15"},
		{"2000::/3", "2000::/3"},
		{"192.0.2.1 2001:db8::1 128.0.0.0/1", "128.0.0.0/1"},
		/* by the union, in any order, at any depth */
		{"0.0.0.0/1 128.0.0.0/1", "0.0.0.0/"},
		{"10.0.0.0/8 11.0.0.0/8", "10.0.0.0/7"},
		{"11.0.0.0/8 10.0.0.0/8", "10.0.0.0/7"},
		{"10.0.0.0/9 10.128.0.0/9", NULL},
		{"10.0.0.0/9 11.128.0.0/9 11.0.0.0/9 10.128.0.0/9", "10.0.0.0/7"},
		{"10.0.0.0/9 11.0.0.0/8 10.192.0.0/10 10.128.0.0/10", "10.0.0.0/7"},
		{"2001::/16 2000::/16", "2000::/15"},
		{"2000::/17 2000:8000::/17 2001::/16", "2000::/15"},
		/* what lies in another, and what is given twice, adds nothing */
		{"10.0.0.0/8 10.1.0.0/16 10.0.0.0/8 10.255.255.255 10.0.0.0/9", NULL},
		/* neighbours that are no halves of one block are no block */
		{"127.0.0.0/8 128.0.0.0/16", NULL},
		{"11.0.0.0/8 12.0.0.0/8", NULL},
		{"10.0.0.0/8 11.0.0.0/9", NULL},
		{"10.128.0.0/9 11.0.0.0/8", NULL},
		/* holes do not help */
		{"1.0.0.0/8 3.0.0.0/8 5.0.0.0/8 7.0.0.0/8 9.0.0.0/8 11.0.0.0/8 13.0.0.0/8 15.0.0.0/8", NULL},
		{"1.0.0.0/8 3.0.0.0/8 5.0.0.0/8 7.0.0.0/8 9.0.0.0/8 11.0.0.0/8 13.0.0.0/8 15.0.0.0/8 17.0.0.0/24",
			"more IPv4 addresses"},
		{"2000::/16 2002::/16 2004::/16 2006::/16 2008::/16 200a::/16 200c::/16 200e::/16 2010::/16",
			"more IPv6 addresses"},
		/* IPv4 written as IPv6 */
		{"::ffff:0:0/96", "0.0.0.0/0"},
		{"::ffff:10.0.0.0/103", "10.0.0.0/7"},
		{"::ffff:10.0.0.0/104", NULL},
		{"::ffff:10.0.0.0/104 11.0.0.0/8", "10.0.0.0/7"},
		{"::ffff:0:0/97 ::ffff:128.0.0.0/97", "0.0.0.0/"},
		/* and what contains it */
		{"::/16", "::/16 contains all of IPv4"},
		{"::/80", "::/80 contains all of IPv4"},
		{"::fffe:0:0/95", "::fffe:0:0/95 contains all of IPv4"},
		{"::/96", NULL},
		{"::fffe:0:0/96", NULL},
	};
	static struct prefix items[MOST];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf why;
		buf_init(&why, 1000);
		int open = openrelay_check(items, read_prefixes(rows[i].clients, items), &why);
		const char *reason = why.data ? (const char *)why.data : "";
		if (open != (rows[i].found != NULL) || (rows[i].found != NULL && !strstr(reason, rows[i].found)) ||
			(why.len > 0) != open)
			fail_msg("%s gave %d: %s", rows[i].clients, open, reason);
		buf_fini(&why);
	}
}

/* All 256 /8 but one; and 512 pieces of /17 that make one /8. */
static void many(void **state)
{
	static struct prefix items[MOST];
	struct buf why;
	(void)state;
	buf_init(&why, 1000);
	for (size_t i = 0; i < 255; i++)
		items[i] = (struct prefix){.ip = {.family = FAMILY_IPV4, .bytes = {(uint8_t)(i + 1)}}, .bits = 8};
	assert_int_equal(openrelay_check(items, 255, &why), 1);
	for (size_t i = 0; i < 512; i++)
		items[511 - i] = (struct prefix){
			.ip = {.family = FAMILY_IPV4, .bytes = {10, (uint8_t)(i / 2), (uint8_t)(i % 2 * 128)}},
			.bits = 17};
	assert_int_equal(openrelay_check(items, 512, &why), 0);
	items[512] = (struct prefix){.ip = {.family = FAMILY_IPV4, .bytes = {11}}, .bits = 8};
	assert_int_equal(openrelay_check(items, 513, &why), 1);
	buf_fini(&why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rows), cmocka_unit_test(many)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
