/* tests/unit/nat64_test.c: IPv4 in IPv6 (RFC 6052), prefixes from answers (RFC 7050). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dns/nat64.h"

static struct nat64_prefix prefix(const char *text)
{
	struct nat64_prefix out;
	struct prefix p;
	assert_int_equal(prefix_parse(&p, text), 0);
	assert_int_equal(nat64_prefix_check(&p, &out), 0);
	return out;
}

static struct ip address(const char *text)
{
	struct ip ip;
	assert_int_equal(ip_parse(&ip, text), 0);
	return ip;
}

/* RFC 6052 §2.4, both tables. */
static const struct {
	const char *prefix, *ipv4, *ipv6;
} vectors[] = {
	{"2001:db8::/32", "192.0.2.33", "2001:db8:c000:221::"},
	{"2001:db8:100::/40", "192.0.2.33", "2001:db8:1c0:2:21::"},
	{"2001:db8:122::/48", "192.0.2.33", "2001:db8:122:c000:2:2100::"},
	{"2001:db8:122:300::/56", "192.0.2.33", "2001:db8:122:3c0:0:221::"},
	{"2001:db8:122:344::/64", "192.0.2.33", "2001:db8:122:344:c0:2:2100::"},
	{"2001:db8:122:344::/96", "192.0.2.33", "2001:db8:122:344::192.0.2.33"},
};

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		struct nat64_prefix p = prefix(vectors[i].prefix);
		struct ip v4 = address(vectors[i].ipv4), v6 = address(vectors[i].ipv6), out = {0};
		assert_int_equal(nat64_synthesise(&p, &v4, &out), 0);
		assert_true(ip_equal(&out, &v6));
		assert_int_equal(nat64_extract(&p, &v6, &out), 0);
		assert_true(ip_equal(&out, &v4));
	}
	/* the second table's address with the well-known prefix is not global: see below. One that is: */
	struct nat64_prefix p = prefix("64:ff9b::/96");
	struct ip v4 = address("8.8.4.4"), v6 = address("64:ff9b::8.8.4.4"), out = {0};
	assert_int_equal(nat64_synthesise(&p, &v4, &out), 0);
	assert_true(ip_equal(&out, &v6));
	/* what is there already is read, whatever it is */
	v6 = address("64:ff9b::192.0.2.33");
	assert_int_equal(nat64_extract(&p, &v6, &out), 0);
	assert_true(ip_equal(&out, &(struct ip){FAMILY_IPV4, {192, 0, 2, 33}}));
}

static void test_outside(void **state)
{
	static const struct {
		const char *why, *prefix, *ipv6;
	} rows[] = {
		{"another /32", "2001:db8::/32", "2001:db9:c000:221::"},
		{"the last bit of a /40", "2001:db8:100::/40", "2001:db8:2c0:2:21::"},
		{"the last bit of a /96", "2001:db8:122:344::/96", "2001:db8:122:344:0:1:c000:221"},
		{"u octet, /32", "2001:db8::/32", "2001:db8:c000:221:100::"},
		{"u octet, /40", "2001:db8:100::/40", "2001:db8:1c0:2:8021::"},
		{"u octet, /48", "2001:db8:122::/48", "2001:db8:122:c000:102:2100::"},
		{"u octet, /56", "2001:db8:122:300::/56", "2001:db8:122:3c0:200:221::"},
		{"u octet, /64", "2001:db8:122:344::/64", "2001:db8:122:344:1c0:2:2100::"},
		{"IPv4", "64:ff9b::/96", "192.0.2.33"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct nat64_prefix p = prefix(rows[i].prefix);
		struct ip v6 = address(rows[i].ipv6), out = {.family = 99};
		if (nat64_extract(&p, &v6, &out) != -ENOENT || out.family != 99)
			fail_msg("%s: %s", rows[i].why, rows[i].ipv6);
	}
	/* §2.2: a suffix is reserved, §2.3 passes over it */
	struct nat64_prefix p = prefix("2001:db8::/32");
	struct ip v6 = address("2001:db8:c000:221:0012:3456:789a:bcde"), out;
	assert_int_equal(nat64_extract(&p, &v6, &out), 0);
	assert_true(ip_equal(&out, &(struct ip){FAMILY_IPV4, {192, 0, 2, 33}}));
}

/* Each octet of an address has its place, for each length. */
static void test_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		struct nat64_prefix p = prefix(vectors[i].prefix);
		for (unsigned bit = 0; bit < 32; bit++) {
			struct ip v4 = {FAMILY_IPV4, {198, 51, 100, 7}}, v6, back;
			v4.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			v4.bytes[0] &= 0xdf; /* not multicast */
			assert_int_equal(nat64_synthesise(&p, &v4, &v6), 0);
			assert_int_equal(v6.bytes[8], 0);
			assert_int_equal(nat64_extract(&p, &v6, &back), 0);
			assert_true(ip_equal(&v4, &back));
		}
	}
}

static void test_not_global(void **state)
{
	/* RFC 5735 §3 and RFC 6598, first and last of each, and their neighbours */
	static const char *const not_global[] = {"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0",
		"100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.255.255", "172.16.0.0",
		"172.31.255.255", "192.0.0.0", "192.0.0.170", "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.88.99.0",
		"192.88.99.255", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.0",
		"198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0", "239.255.255.255", "240.0.0.0",
		"255.255.255.255"};
	static const char *const global[] = {"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
		"126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
		"191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255",
		"192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255",
		"203.0.114.0", "223.255.255.255"};
	/* RFC 6890: what no other host can have, behind no prefix */
	static const char *const nowhere[] = {
		"0.0.0.0", "127.0.0.1", "127.255.255.255", "169.254.1.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"};
	struct nat64_prefix known = prefix("64:ff9b::/96");
	struct nat64_prefix own[] = {prefix("2001:db8:64::/96"), prefix("64:ff9b:1::/96"), prefix("64:ff9b:1::/48")};
	struct ip out = {.family = 99}, v4;
	(void)state;
	for (size_t i = 0; i < sizeof not_global / sizeof not_global[0]; i++) {
		v4 = address(not_global[i]);
		if (nat64_synthesise(&known, &v4, &out) != -EPERM || out.family != 99)
			fail_msg("%s behind 64:ff9b::/96", not_global[i]);
	}
	for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
		for (size_t k = 0; k < 3; k++) {
			v4 = address(nowhere[i]);
			assert_int_equal(nat64_synthesise(&own[k], &v4, &out), -EPERM);
		}
	for (size_t i = 0; i < sizeof global / sizeof global[0]; i++) {
		v4 = address(global[i]);
		if (nat64_synthesise(&known, &v4, &out) != 0)
			fail_msg("%s is global", global[i]);
	}
	for (size_t k = 0; k < 3; k++) { /* private ones are the network's own matter (RFC 6052 §3.1, RFC 8215 §4) */
		v4 = address("10.1.2.3");
		assert_int_equal(nat64_synthesise(&own[k], &v4, &out), 0);
		v4 = address("100.64.0.1");
		assert_int_equal(nat64_synthesise(&own[k], &v4, &out), 0);
	}
	v4 = address("2001:db8::1");
	assert_int_equal(nat64_synthesise(&known, &v4, &out), -EINVAL);
	v4.family = FAMILY_NONE;
	assert_int_equal(nat64_synthesise(&known, &v4, &out), -EINVAL);
}

static void test_set_aside(void **state)
{
	static const struct {
		const char *prefix;
		bool yes;
	} rows[] = {{"64:ff9b::/96", true}, {"64:ff9b:1::/48", true}, {"64:ff9b:1:fffe::/64", true},
		{"64:ff9b:1::/96", true}, {"64:ff9b::/32", false}, {"64:ff9b::/48", false}, {"64:ff9b::/64", false},
		{"64:ff9b:2::/48", false}, {"64:ff9b:0:0:0:1::/96", false}, {"2001:db8:64::/96", false}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct nat64_prefix p = prefix(rows[i].prefix);
		if (nat64_is_set_aside(&p) != rows[i].yes)
			fail_msg("%s", rows[i].prefix);
	}
}

static void test_check(void **state)
{
	struct nat64_prefix out = {.bits = 99};
	(void)state;
	for (unsigned bits = 0; bits <= 128; bits++) {
		struct prefix p = {.ip = {FAMILY_IPV6, {0x20, 1, 0xd, 0xb8}}, .bits = (uint8_t)bits};
		bool valid = bits == 32 || bits == 40 || bits == 48 || bits == 56 || bits == 64 || bits == 96;
		out.bits = 99;
		assert_int_equal(nat64_prefix_check(&p, &out), valid ? 0 : -EINVAL);
		assert_int_equal(out.bits, valid ? bits : 99);
	}
	struct prefix host_bits = {.ip = {FAMILY_IPV6, {0x20, 1, [15] = 1}}, .bits = 96};
	assert_int_equal(nat64_prefix_check(&host_bits, &out), -EINVAL);
	struct prefix u_octet = {.ip = {FAMILY_IPV6, {0x20, 1, [8] = 1}}, .bits = 96};
	assert_int_equal(nat64_prefix_check(&u_octet, &out), -EINVAL);
}

/* ---- RFC 7050 ---- */

/* The prefixes in an answer with these AAAA records, separated by blanks; "+N" for addresses without a place. */
static const char *discovered(const char *records)
{
	static char out[1000];
	static struct dns_record r[64];
	struct dns_answer answer = {.status = DNS_OK, .records = r};
	struct nat64_prefix found[NAT64_PREFIXES_MAX];
	char copy[4000], *rest = copy, *word, text[PREFIX_TEXT];
	size_t left_out, n = 0;
	snprintf(copy, sizeof copy, "%s", records);
	memset(r, 0, sizeof r);
	while ((word = strsep(&rest, " ")) != NULL)
		if (*word != '\0')
			r[answer.count++].ip = address(word);
	size_t count = nat64_discover(&answer, found, &left_out);
	assert_in_range(count, 0, NAT64_PREFIXES_MAX);
	out[0] = '\0';
	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(
			out + n, sizeof out - n, "%s%s", i ? " " : "", nat64_prefix_format(&found[i], text));
	if (left_out != 0)
		snprintf(out + n, sizeof out - n, " +%zu", left_out);
	return out;
}

static void test_discovery(void **state)
{
	static const struct {
		const char *why, *records, *found;
	} rows[] = {
		{"/32", "2001:db8:c000:aa:: 2001:db8:c000:ab::", "2001:db8::/32"},
		{"/40", "2001:db8:1c0:0:aa:: 2001:db8:1c0:0:ab::", "2001:db8:100::/40"},
		{"/48", "2001:db8:122:c000:0:aa00:: 2001:db8:122:c000:0:ab00::", "2001:db8:122::/48"},
		{"/56", "2001:db8:122:3c0:0:aa:: 2001:db8:122:3c0:0:ab::", "2001:db8:122:300::/56"},
		{"/64", "2001:db8:122:344:c0:0:aa00:: 2001:db8:122:344:c0:0:ab00::", "2001:db8:122:344::/64"},
		{"/96", "2001:db8:122:344::192.0.0.170 2001:db8:122:344::192.0.0.171", "2001:db8:122:344::/96"},
		{"well known", "64:ff9b::192.0.0.171 64:ff9b::192.0.0.170", "64:ff9b::/96"},
		{"one of the two addresses", "64:ff9b::192.0.0.170", "64:ff9b::/96"},
		{"the other one", "64:ff9b::192.0.0.171", "64:ff9b::/96"},

		{"none", "", ""},
		{"other addresses: a captive portal", "2001:db8::1 2001:db8:64::192.0.2.1", ""},
		{"a neighbour of the two", "64:ff9b::192.0.0.169 64:ff9b::192.0.0.172", ""},
		{"no place of RFC 6052: octet 10", "2001:db8:0:0:0:c000:aa:0", ""},
		{"octet 0 and octet 2", "c000:aa:: 2001:c000:aa::", ""},
		{"across bits 64 to 71, which are not passed over", "2001:db8:0:c0:0:aa00::", ""},
		{"u octet", "2001:db8:c000:aa:100::", ""},
		{"IPv4 in its mapped form", "::ffff:192.0.0.170", ""},
		{"IPv4 in its compatible form", "::192.0.0.170", ""},
		{"link-local and multicast", "fe80::192.0.0.170 ff0e::192.0.0.170", ""},
		{"among others", "2001:db8::1 64:ff9b::192.0.0.170 2001:db8::2", "64:ff9b::/96"},

		{"192.0.0.170 in the prefix: the address with 171 says it",
			"2001:db8:c000:aa:c0:0:aa00:: 2001:db8:c000:aa:c0:0:ab00::", "2001:db8:c000:aa::/64"},
		{"twice in one address alone: says nothing", "2001:db8:c000:aa::192.0.0.170", ""},
		{"192.0.0.171 in the prefix", "2001:db8:c000:ab::192.0.0.170 2001:db8:c000:ab::192.0.0.171",
			"2001:db8:c000:ab::/96"},
		{"in the prefix, at no place of RFC 6052", "2001:c000:aa::192.0.0.170 2001:c000:aa::192.0.0.171",
			"2001:c000:aa::/96"},
		{"a suffix, as some DNS64 servers can be told to add",
			"2001:db8:c000:aa:0:64:: 2001:db8:c000:ab:0:64::", "2001:db8::/32"},

		{"several: /96 of the network, well known, the longest",
			"2001:db8:c000:aa:: 64:ff9b::192.0.0.170 2001:db8:122:344:c0:0:aa00:: 2001:db8:64::192.0.0.170 "
			"2001:db8:c000:ab:: 64:ff9b::192.0.0.171 2001:db8:122:344:c0:0:ab00:: "
			"2001:db8:64::192.0.0.171 ",
			"2001:db8:64::/96 64:ff9b::/96 2001:db8:122:344::/64 2001:db8::/32"},
		{"equal ones as in the answer",
			"fd00:2::192.0.0.170 fd00:1::192.0.0.170 fd00:2::192.0.0.171 fd00:1::192.0.0.171",
			"fd00:2::/96 fd00:1::/96"},
		{"lengths inside one another",
			"2001:db8::192.0.0.170 2001:db8:c000:aa::", "2001:db8::/96 2001:db8::/32"},
		{"eight",
			"fd00:1::192.0.0.170 fd00:2::192.0.0.170 fd00:3::192.0.0.170 fd00:4::192.0.0.170 "
			"fd00:5::192.0.0.170 fd00:6::192.0.0.170 fd00:7::192.0.0.170 fd00:8::192.0.0.170 "
			"fd00:8::192.0.0.171",
			"fd00:1::/96 fd00:2::/96 fd00:3::/96 fd00:4::/96 fd00:5::/96 fd00:6::/96 fd00:7::/96 "
			"fd00:8::/96"},
		{"the ninth has no place",
			"fd00:1::192.0.0.170 fd00:2::192.0.0.170 fd00:3::192.0.0.170 "
			"fd00:4::192.0.0.170 fd00:5::192.0.0.170 fd00:6::192.0.0.170 "
			"fd00:7::192.0.0.170 fd00:8::192.0.0.170 fd00:9::192.0.0.170",
			"fd00:1::/96 fd00:2::/96 fd00:3::/96 fd00:4::/96 fd00:5::/96 fd00:6::/96 fd00:7::/96 "
			"fd00:8::/96 +1"},
		{"unless it is better than another",
			"2001:db8:c000:aa:: fd00:2::192.0.0.170 fd00:3::192.0.0.170 "
			"fd00:4::192.0.0.170 fd00:5::192.0.0.170 fd00:6::192.0.0.170 "
			"fd00:7::192.0.0.170 fd00:8::192.0.0.170 fd00:9::192.0.0.170",
			"fd00:2::/96 fd00:3::/96 fd00:4::/96 fd00:5::/96 fd00:6::/96 fd00:7::/96 fd00:8::/96 "
			"fd00:9::/96 +1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(discovered(rows[i].records), rows[i].found) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", rows[i].why, discovered(rows[i].records), rows[i].found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_not_global),
		cmocka_unit_test(test_set_aside),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_discovery),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
