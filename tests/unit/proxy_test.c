/* tests/unit/proxy_test.c: PROXY headers of both versions, whole, byte by byte and in odd pieces: the same client, and
 * not one byte taken of what comes behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "smtpd/proxy.h"

struct row {
	const char *bytes;
	size_t len;
	enum proxy_result result;
	const char *client, *listener; /* PROXY_CLIENT */
};

/* A row of a string literal, which may hold zeros. */
#define ROW(bytes, ...)                                                                                                \
	{                                                                                                              \
		bytes, sizeof(bytes) - 1, __VA_ARGS__                                                                  \
	}

#define NONE(bytes, result) ROW(bytes, result, NULL, NULL)

static const char *show(const struct endpoint *e, char out[ENDPOINT_TEXT])
{
	return endpoint_format(e, out);
}

/* `behind`: bytes of the client after the header, none of which may be taken. */
static void run(const struct row *row, size_t piece, size_t behind)
{
	struct proxy p;
	char text[ENDPOINT_TEXT];
	size_t len = row->len + behind, at = 0;
	uint8_t *in = malloc(len + 1);
	assert_non_null(in);
	memcpy(in, row->bytes, row->len);
	memset(in + row->len, 'E', behind);
	proxy_init(&p);
	enum proxy_result result = PROXY_MORE;
	while (at < len && result == PROXY_MORE) {
		size_t n = piece < len - at ? piece : len - at, used = 0;
		uint8_t *copy = malloc(n); /* just so many, for ASan to watch */
		assert_non_null(copy);
		memcpy(copy, in + at, n);
		result = proxy_read(&p, copy, n, &used);
		free(copy);
		assert_true(used <= n && (result != PROXY_MORE || used == n));
		at += used;
	}
	if (result != row->result)
		fail_msg("<<%s>> in pieces of %zu: %d, not %d", row->bytes, piece, (int)result, (int)row->result);
	if (row->result != PROXY_WRONG)
		assert_int_equal(at, row->len);
	if (row->result == PROXY_CLIENT) {
		assert_string_equal(show(&p.client, text), row->client);
		assert_string_equal(show(&p.listener, text), row->listener);
	}
	free(in);
}

static void run_all(const struct row *rows, size_t count)
{
	static const size_t pieces[] = {1 << 20, 1, 7, 13};
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
			run(&rows[i], pieces[k], 0);
			if (rows[i].result != PROXY_MORE)
				run(&rows[i], pieces[k], 9);
		}
}
#define RUN(rows) run_all(rows, sizeof(rows) / sizeof(rows)[0])

#define TEN "0123456789"

static void test_lines(void **state)
{
	(void)state;
	static const struct row rows[] = {
		ROW("PROXY TCP4 192.0.2.1 198.51.100.2 50000 25\r\n", PROXY_CLIENT, "192.0.2.1:50000",
			"198.51.100.2:25"),
		ROW("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", PROXY_CLIENT, "[2001:db8::1]:1",
			"[2001:db8::2]:65535"),
		ROW("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
		    "65535\r\n",
			PROXY_CLIENT, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
		/* a mapped address is the IPv4 client that it is */
		ROW("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 5 25\r\n", PROXY_CLIENT, "192.0.2.1:5",
			"192.0.2.2:25"),
		NONE("PROXY UNKNOWN\r\n", PROXY_UNKNOWN),
		NONE("PROXY UNKNOWN ffff::1 whatever it says 1 2\r\n", PROXY_UNKNOWN),
		/* the longest line there may be, and one byte more */
		NONE("PROXY UNKNOWN " TEN TEN TEN TEN TEN TEN TEN TEN TEN "0\r\n", PROXY_UNKNOWN),
		NONE("PROXY UNKNOWN " TEN TEN TEN TEN TEN TEN TEN TEN TEN "01\r\n" TEN, PROXY_WRONG),
		NONE("PROXY UNKNOWN " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN, PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000 25", PROXY_MORE),
		NONE("PROX", PROXY_MORE),
		NONE("EHLO c.example\r\n", PROXY_WRONG),
		NONE("proxy TCP4 192.0.2.1 198.51.100.2 50000 25\r\n", PROXY_WRONG),
		NONE("PROXY\r\n", PROXY_WRONG),
		NONE("PROXY \r\n", PROXY_WRONG),
		NONE("PROXY UNKNOWNX\r\n", PROXY_WRONG),
		NONE("PROXY UDP4 192.0.2.1 198.51.100.2 50000 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000 25\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000 \r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000 25 \r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000 25 1\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1  198.51.100.2 50000 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 050 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000 999999\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.999 198.51.100.2 50000 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 2001:db8::1 2001:db8::2 50000 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP6 192.0.2.1 198.51.100.2 50000 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 [192.0.2.1] 198.51.100.2 50000 25\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000 25\0\r\n", PROXY_WRONG),
		NONE("PROXY TCP4 192.0.2.1 198.51.100.2 50000 25\r\r\n", PROXY_WRONG),
	};
	RUN(rows);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4 "\300\0\2\1\306\063\144\2\303\120\0\031"
#define IPV6 "\x20\x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\r\xb8\0\0\0\0\0\0\0\0\0\0\0\2\303\120\0\031"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\300\0\2\1\0\0\0\0\0\0\0\0\0\0\xff\xff\300\0\2\2\303\120\0\031"
#define ZEROS16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS108 ZEROS16 ZEROS16 ZEROS16 ZEROS16 ZEROS16 ZEROS16 "\0\0\0\0\0\0\0\0\0\0\0\0"

static void test_binary(void **state)
{
	(void)state;
	static const struct row rows[] = {
		ROW(SIGNATURE "\x21\x11\0\x0c" IPV4, PROXY_CLIENT, "192.0.2.1:50000", "198.51.100.2:25"),
		ROW(SIGNATURE "\x21\x21\0\x24" IPV6, PROXY_CLIENT, "[2001:db8::1]:50000", "[2001:db8::2]:25"),
		ROW(SIGNATURE "\x21\x21\0\x24" MAPPED, PROXY_CLIENT, "192.0.2.1:50000", "192.0.2.2:25"),
		/* values are skipped, known or not, also empty ones */
		ROW(SIGNATURE "\x21\x11\0\x18" IPV4 "\x01\0\3foo\xee\0\0\x04\0\0", PROXY_CLIENT, "192.0.2.1:50000",
			"198.51.100.2:25"),
		/* the sum of the whole header with zeros in its place, made by another program */
		ROW(SIGNATURE "\x21\x11\0\x1e" IPV4 "\x01\0\3foo\x03\0\4\x06\x20\x28\xbd\x04\0\2ab", PROXY_CLIENT,
			"192.0.2.1:50000", "198.51.100.2:25"),
		NONE(SIGNATURE "\x21\x11\0\x1e" IPV4 "\x01\0\3fop\x03\0\4\x06\x20\x28\xbd\x04\0\2ab", PROXY_WRONG),
		NONE(SIGNATURE "\x21\x11\0\x1e" IPV4 "\x01\0\3foo\x03\0\4\1\2\3\4\x04\0\2ab", PROXY_WRONG),
		NONE(SIGNATURE "\x21\x11\0\x12" IPV4 "\x03\0\3abc", PROXY_WRONG), /* a sum of three bytes */
		/* a check by the balancer itself: the rest means nothing */
		NONE(SIGNATURE "\x20\0\0\0", PROXY_LOCAL),
		NONE(SIGNATURE "\x20\x11\0\x0c" IPV4, PROXY_LOCAL),
		NONE(SIGNATURE "\x20\xff\0\x0c" IPV4, PROXY_LOCAL),
		NONE(SIGNATURE "\x20\x11\0\x03"
			       "\x03\0\4",
			PROXY_LOCAL),
		/* whom the balancer cannot name */
		NONE(SIGNATURE "\x21\0\0\0", PROXY_UNKNOWN),
		NONE(SIGNATURE "\x21\0\0\4abcd", PROXY_UNKNOWN),
		NONE(SIGNATURE "\x21\x12\0\x0c" IPV4, PROXY_UNKNOWN),		   /* UDP */
		NONE(SIGNATURE "\x21\x31\0\xd8" ZEROS108 ZEROS108, PROXY_UNKNOWN), /* AF_UNIX */
		/* not yet */
		NONE(SIGNATURE, PROXY_MORE),
		NONE(SIGNATURE "\x21\x11\0\x0c\300\0\2", PROXY_MORE),
		NONE(SIGNATURE "\x21\x11\xff\xff" IPV4 "\x04\xff\xf0" TEN, PROXY_MORE),
		/* never */
		NONE("\r\n\r\n\0\r\nQUIX\n", PROXY_WRONG),
		NONE("\r\nEHLO c\r\n", PROXY_WRONG),
		NONE(SIGNATURE "\x11\x11\0\x0c" IPV4, PROXY_WRONG), /* version */
		NONE(SIGNATURE "\x22\x11\0\x0c" IPV4, PROXY_WRONG), /* command */
		NONE(SIGNATURE "\x21\x41\0\x0c" IPV4, PROXY_WRONG), /* family */
		NONE(SIGNATURE "\x21\x13\0\x0c" IPV4, PROXY_WRONG), /* transport */
		NONE(SIGNATURE "\x21\x11\0\x0b" IPV4, PROXY_WRONG), /* too short for its addresses */
		NONE(SIGNATURE "\x21\x21\0\x0c" IPV4, PROXY_WRONG),
		NONE(SIGNATURE "\x21\x11\0\x0e" IPV4 "\x04\0", PROXY_WRONG), /* half a value */
		NONE(SIGNATURE "\x21\x11\0\x10" IPV4 "\x04\0\2a", PROXY_WRONG),
	};
	RUN(rows);
}

/* The largest header there can be: nothing of it is kept. */
static void test_largest(void **state)
{
	(void)state;
	enum { LENGTH = 65535 };
	static char bytes[PROXY_FIXED + LENGTH];
	memcpy(bytes, SIGNATURE "\x21\x11\xff\xff" IPV4, PROXY_FIXED + 12);
	/* the rest is 21841 empty values */
	const struct row row = {bytes, sizeof bytes, PROXY_CLIENT, "192.0.2.1:50000", "198.51.100.2:25"};
	run(&row, 1 << 20, 9);
	run(&row, 512, 0);
	assert_true(sizeof(struct proxy) < 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_largest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
