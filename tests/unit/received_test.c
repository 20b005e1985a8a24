/* tests/unit/received_test.c: the trace field. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "smtpd/received.h"

#define DATE "Mon, 23 Nov 2026 14:15:40 +0000"
#define ID "000000000000Z"
#define LONG_HOST "a-rather-long-name-of-a-relay-in-a-rather-long-zone.example.net"

static const int8_t high = 4, low = -9, normal = 0;

static const struct {
	const char *helo, *client, *hostname;
	bool extended;
	const char *rcpt, *text;
	const int8_t *priority;
} rows[] = {
	{"mail.example", "192.0.2.1", "r.example", true, "u@d.example",
		"Received: from mail.example ([192.0.2.1])\r\n\tby r.example with ESMTP id " ID
		"\r\n\tfor <u@d.example>;\r\n\t" DATE "\r\n",
		NULL},
	{"mail.example", "2001:db8::1", "r.example", false, NULL,
		"Received: from mail.example ([IPv6:2001:db8::1])\r\n\tby r.example with SMTP id " ID ";\r\n\t" DATE
		"\r\n",
		NULL},
	{"[192.0.2.7]", "192.0.2.1", "r.example", true, NULL,
		"Received: from [192.0.2.7] ([192.0.2.1])\r\n\tby r.example with ESMTP id " ID ";\r\n\t" DATE "\r\n",
		NULL},
	{"my (old) printer\\", "192.0.2.1", "r.example", false, NULL,
		"Received: from [192.0.2.1] ([192.0.2.1])\r\n\t(HELO my ?old? printer?)\r\n"
		"\tby r.example with SMTP id " ID ";\r\n\t" DATE "\r\n",
		NULL},
	{"x\r\nEvil: y", "192.0.2.1", "r.example", false, NULL,
		"Received: from [192.0.2.1] ([192.0.2.1])\r\n\t(HELO x??Evil: y)\r\n"
		"\tby r.example with SMTP id " ID ";\r\n\t" DATE "\r\n",
		NULL},
	{"mail.example", "192.0.2.1", LONG_HOST, true, NULL,
		"Received: from mail.example ([192.0.2.1])\r\n\tby " LONG_HOST "\r\n\twith ESMTP id " ID ";\r\n\t" DATE
		"\r\n",
		NULL},
	/* RFC 6710: a clause behind those of RFC 5321 §4.4 */
	{"mail.example", "192.0.2.1", "r.example", true, "u@d.example",
		"Received: from mail.example ([192.0.2.1])\r\n\tby r.example with ESMTP id " ID
		"\r\n\tfor <u@d.example>\r\n\tPRIORITY 4;\r\n\t" DATE "\r\n",
		&high},
	{"mail.example", "192.0.2.1", "r.example", true, NULL,
		"Received: from mail.example ([192.0.2.1])\r\n\tby r.example with ESMTP id " ID
		"\r\n\tPRIORITY -9;\r\n\t" DATE "\r\n",
		&low},
	{"mail.example", "192.0.2.1", "r.example", true, NULL,
		"Received: from mail.example ([192.0.2.1])\r\n\tby r.example with ESMTP id " ID
		"\r\n\tPRIORITY 0;\r\n\t" DATE "\r\n",
		&normal},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct ip client;
		assert_int_equal(ip_parse(&client, rows[i].client), 0);
		struct received r = {rows[i].helo, &client, rows[i].hostname, rows[i].extended ? "ESMTP" : "SMTP", 31,
			rows[i].priority, rows[i].rcpt, DATE};
		struct buf out;
		buf_init(&out, RECEIVED_MAX);
		assert_int_equal(received_append(&out, &r), 0);
		assert_string_equal((char *)out.data, rows[i].text);
		buf_fini(&out);
	}
}

/* The longest of everything fits; no line but one with a long name is over 78. */
static void test_bounds(void **state)
{
	(void)state;
	char helo[256], host[254], rcpt[255];
	memset(helo, '(', 255), helo[255] = 0;
	memset(host, 'h', 253), host[253] = 0;
	memset(rcpt, 'r', 254), rcpt[254] = 0;
	struct ip client;
	ip_parse(&client, "2001:db8:1111:2222:3333:4444:5555:6666");
	struct received r = {helo, &client, host, "UTF8SMTP", UINT64_MAX, &low, rcpt, DATE};
	struct buf out;
	buf_init(&out, RECEIVED_MAX);
	assert_int_equal(received_append(&out, &r), 0);
	size_t whole = out.len;
	buf_fini(&out);
	buf_init(&out, whole - 1);
	assert_int_not_equal(received_append(&out, &r), 0);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_bounds)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
