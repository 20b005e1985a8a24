/* tests/unit/notice_report_test.c: the report in a notice for programs: every field, its status, addresses in UTF-8,
 * and what clients gave. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/notice_fixture.h"

static void test_status_of_replies(void **state)
{
	(void)state;
	static const struct {
		const char *enhanced, *status;
	} rows[] = {{"5.7.1", "Status: 5.7.1\r\n"}, {"4.7.1", "Status: 5.7.1\r\n"}, {"", "Status: 5.0.0\r\n"},
		{"5.7", "Status: 5.0.0\r\n"}, {"x.y.z", "Status: 5.0.0\r\n"}, {"5.1.1.1", "Status: 5.0.0\r\n"},
		{"5..1", "Status: 5.0.0\r\n"}, {"5.1.10", "Status: 5.1.10\r\n"}, {"5.123.999", "Status: 5.123.999\r\n"},
		{"5.1.1000", "Status: 5.0.0\r\n"}, {"5.1.", "Status: 5.0.0\r\n"}, {"55.1.1", "Status: 5.0.0\r\n"},
		{"5\r\n.1.1", "Status: 5.0.0\r\n"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reply r = reply_of(550, rows[i].enhanced, "no");
		const struct notice_rcpt rcpt = {"x@example.com", NULL, &r, false, false};
		struct notice in = input_of(&rcpt, 1);
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE);
		HAS(p.part[1].content, rows[i].status);
		free(p.text);
	}
}

static void test_every_field(void **state)
{
	(void)state;
	static const struct {
		enum notice_kind kind;
		bool expired, late;
		unsigned code;
		const char *enhanced, *action, *status;
	} rows[] = {
		{NOTICE_FAILED, false, false, 550, "5.1.1", "failed", "5.1.1"},
		{NOTICE_FAILED, true, false, 450, "4.2.2", "failed", "4.4.7"},
		{NOTICE_FAILED, false, true, 450, "4.2.2", "failed", "5.4.7"},
		{NOTICE_DELAYED, false, false, 450, "4.2.2", "delayed", "4.2.2"},
		{NOTICE_DELAYED, false, true, 450, "4.2.2", "delayed", "4.4.7"},
		{NOTICE_DELAYED, false, false, 0, "", "delayed", "4.0.0"},
		{NOTICE_RELAYED, false, false, 250, "2.1.5", "relayed", "2.1.5"},
		{NOTICE_RELAYED, false, false, 250, "", "relayed", "2.0.0"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reply r = reply_of(rows[i].code, rows[i].enhanced, "words of the peer");
		struct attempt *a = attempt_new(ARRIVED + 1000, "mx.example.com");
		struct path_try path = path_of("192.0.2.25:25", "mx.example.com", FAULT_NONE, (struct reply){0});
		assert_int_equal(attempt_add_path(a, &path), 0);
		a->used = 0;
		const struct notice_rcpt rcpts[] = {
			{"bob@example.com", "rfc822;Bob+2Btag@old.example", &r, rows[i].expired, rows[i].late},
			{"\"a  b\"@example.com", "", &r, rows[i].expired, rows[i].late}};
		struct notice in = input_of(rcpts, 2);
		in.kind = rows[i].kind;
		in.envid = "QQ+3D314+20x";
		in.attempt = a;
		in.until_ms = ARRIVED + 6 * DAY;
		in.by_ms = rows[i].late ? ARRIVED + 3 * DAY : 0;
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE);
		const char *at = p.part[1].content;
		struct field f[20];
		unsigned n = read_fields(&at, f, 20);
		char date[CLOCK_DATE];
		IS("Original-Envelope-Id", "QQ=314 x");
		IS("Reporting-MTA", "dns; relay.example.net");
		IS("Arrival-Date", clock_date(ARRIVED, date));
		IS("X-relay64-Queue-ID", "028T5CY4TQKFF");
		if (rows[i].late)
			IS("Deliver-By-Date", clock_date(in.by_ms, date));
		assert_int_equal(n, rows[i].late ? 5 : 4);
		n = read_fields(&at, f, 20);
		IS("Original-Recipient", "rfc822; Bob+tag@old.example");
		IS("Final-Recipient", "rfc822; bob@example.com");
		IS("Action", rows[i].action);
		IS("Status", rows[i].status);
		IS("Final-Log-ID", "028T5CY4TQKFF");
		IS("Last-Attempt-Date", clock_date(ARRIVED + 1000, date));
		if (rows[i].code != 0) {
			IS("Remote-MTA", "dns; mx.example.com");
			assert_memory_equal(value_of(f, n, "Diagnostic-Code"), "smtp; ", 6);
		} else {
			assert_null(value_of(f, n, "Remote-MTA"));
			IS("Diagnostic-Code", "x-relay64; words of the peer");
		}
		if (rows[i].kind == NOTICE_DELAYED)
			IS("Will-Retry-Until", clock_date(in.until_ms, date));
		else
			assert_null(value_of(f, n, "Will-Retry-Until"));
		n = read_fields(&at, f, 20);
		IS("Final-Recipient", "rfc822; \"a  b\"@example.com");
		assert_null(value_of(f, n, "Original-Recipient"));
		assert_string_equal(at, "");
		free(p.text);
		attempt_free(a);
	}
}

/* What a client says in ENVID and ORCPT can begin no field; what is no xtext is left out. */
static void test_hostile_parameters(void **state)
{
	(void)state;
	static const struct {
		const char *envid, *orcpt, *original;
	} rows[] = {
		{"a+0D+0AAction:+20delivered", "rfc822;x+0D+0A+0D+0AAction:+20delivered@y",
			"rfc822; x    Action: delivered@y"},
		{"a+zz", "rfc822;a+4", NULL},
		{"a=b", "rfc822", NULL},
		{"+1B[2J", "x y;b@c", NULL},
		{"\xff", "utf-8;\\x{D}\\x{A}Evil:@y", "utf-8; \\x{0D}\\x{0A}Evil:@y"},
		{"id", "utf-8;\\x{110000}@y", NULL},
		{"id", "utf-8;\xc3\x28@y", NULL},
		{"id", "rfc822;+00@y", "rfc822; ?@y"},
		{"id", "x400;/G+3Da/", "x400; /G=a/"},
	};
	struct reply r = reply_of(550, "5.1.1", "no");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct notice_rcpt rcpt = {"x@example.com", rows[i].orcpt, &r, false, false};
		struct notice in = input_of(&rcpt, 1);
		in.envid = rows[i].envid;
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE);
		const char *at = p.part[1].content;
		struct field f[20];
		unsigned n = read_fields(&at, f, 20);
		HAS_NOT(p.part[1].content, "\nAction: delivered");
		n = read_fields(&at, f, 20);
		IS("Action", "failed");
		if (rows[i].original != NULL)
			IS("Original-Recipient", rows[i].original);
		else
			assert_null(value_of(f, n, "Original-Recipient"));
		free(p.text);
	}
}

/* RFC 6533: to a UTF-8 address in the message/global forms, to any other one so that every server can take it. */
static void test_utf8_forms(void **state)
{
	(void)state;
	static const char header[] = "Subject: \xce\xb4\r\n\r\nx\r\n", latin[] = "Subject: \xe9\r\n\r\nx\r\n";
	static const char rcpt_address[] = "\xce\xb4\xce\xbf@example.com";
	static const struct {
		const char *to, *content;
		bool whole;
		unsigned flags;
		const char *report, *final, *original, *third, *encoding, *back;
	} rows[] = {
		{"\xce\xb1@example.org", header, false,
			ENVELOPE_BOUNCE | ENVELOPE_8BIT | ENVELOPE_SMTPUTF8 | ENVELOPE_HEADER_8BIT,
			"message/global-delivery-status", "utf-8; \xce\xb4\xce\xbf@example.com",
			"utf-8; \xce\xb3@old.example", "message/global-headers", "8bit", "Subject: \xce\xb4\r\n"},
		{"\xce\xb1@example.org", header, true,
			ENVELOPE_BOUNCE | ENVELOPE_8BIT | ENVELOPE_SMTPUTF8 | ENVELOPE_HEADER_8BIT,
			"message/global-delivery-status", "utf-8; \xce\xb4\xce\xbf@example.com",
			"utf-8; \xce\xb3@old.example", "message/global\r\n", "8bit", header},
		{"a@example.org", header, false, ENVELOPE_BOUNCE, "message/delivery-status",
			"utf-8; \\x{3B4}\\x{3BF}@example.com", "utf-8; \\x{3B3}@old.example", "message/global-headers",
			"quoted-printable", "Subject: =CE=B4\r\n"},
		{"a@example.org", header, true, ENVELOPE_BOUNCE, "message/delivery-status",
			"utf-8; \\x{3B4}\\x{3BF}@example.com", "utf-8; \\x{3B3}@old.example", "message/global\r\n",
			"quoted-printable", "Subject: =CE=B4\r\n\r\nx\r\n"},
		{"a@example.org", latin, true, ENVELOPE_BOUNCE, "message/delivery-status",
			"utf-8; \\x{3B4}\\x{3BF}@example.com", "utf-8; \\x{3B3}@old.example",
			"text/rfc822-headers; charset=unknown-8bit", "quoted-printable", "Subject: =E9\r\n"},
	};
	struct reply r = reply_of(550, "5.1.1", "no");
	const struct notice_rcpt rcpt = {rcpt_address, "utf-8;\\x{3B3}@old.example", &r, false, false};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct notice in = input_of(&rcpt, 1);
		in.sender = in.to = rows[i].to;
		in.content = (const uint8_t *)rows[i].content;
		in.content_len = strlen(rows[i].content);
		in.whole = rows[i].whole;
		in.full_max = 1000;
		struct parsed p;
		write_and_parse(&p, &in, rows[i].flags);
		bool utf8 = (rows[i].flags & ENVELOPE_SMTPUTF8) != 0;
		HAS(p.head, utf8 ? "report-type=global-delivery-status;" : "report-type=delivery-status;");
		HAS(p.head, utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "Content-Transfer-Encoding: 7bit\r\n");
		HAS(p.part[0].head, "text/plain; charset=utf-8");
		HAS(p.part[0].content, utf8 ? "<\xce\xb4\xce\xbf@example.com>" : "<=CE=B4=CE=BF@example.com>");
		HAS(p.part[1].head, rows[i].report);
		const char *at = p.part[1].content;
		struct field f[20];
		unsigned n = read_fields(&at, f, 20);
		n = read_fields(&at, f, 20);
		IS("Final-Recipient", rows[i].final);
		IS("Original-Recipient", rows[i].original);
		HAS(p.part[2].head, rows[i].third);
		HAS(p.part[2].head, rows[i].encoding);
		assert_string_equal(p.part[2].content, rows[i].back);
		free(p.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_of_replies),
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_hostile_parameters),
		cmocka_unit_test(test_utf8_forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
