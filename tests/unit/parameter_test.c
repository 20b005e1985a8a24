/* tests/unit/parameter_test.c: the parameters of MAIL and RCPT, right and wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "queue/mail/xtext.h"
#include "smtpd/parameter.h"

static const struct rights all = {.deliver_by = true, .future_release = true, .priority = true};
static const struct rights none = {.relay = true};

#define T50 "12345678901234567890123456789012345678901234567890"

static const struct {
	const char *text;
	enum parameter_fault fault;
	struct mail_parameters is; /* without `seen` */
} mail[] = {
	{"", PARAMETER_OK, {0}},
	{"  ", PARAMETER_OK, {0}},
	{" SIZE=42", PARAMETER_OK, {.has_size = true, .size = 42}},
	{" size=42  body=7bit", PARAMETER_OK, {.has_size = true, .size = 42}},
	{" SIZE=18446744073709551615", PARAMETER_OK, {.has_size = true, .size = UINT64_MAX}},
	{" SIZE=18446744073709551616", PARAMETER_OK, {.has_size = true, .size = UINT64_MAX}},
	{" SIZE=99999999999999999999", PARAMETER_OK, {.has_size = true, .size = UINT64_MAX}},
	{" SIZE=000000000000000000001", PARAMETER_WRONG, {0}},
	{" SIZE=", PARAMETER_WRONG, {0}},
	{" SIZE", PARAMETER_WRONG, {0}},
	{" SIZE=-1", PARAMETER_WRONG, {0}},
	{" SIZE=1K", PARAMETER_WRONG, {0}},
	{" SIZE=1 SIZE=1", PARAMETER_WRONG, {0}},
	{" BODY=8BITMIME", PARAMETER_OK, {.flags = ENVELOPE_BODY_8BIT}},
	{" BODY=BinaryMIME", PARAMETER_OK, {.flags = ENVELOPE_BODY_8BIT | ENVELOPE_BINARY}},
	{" BODY=BINARY", PARAMETER_WRONG, {0}},
	{" BODY=7BIT BODY=8BITMIME", PARAMETER_WRONG, {0}},
	{" SMTPUTF8", PARAMETER_OK, {.flags = ENVELOPE_SMTPUTF8}},
	{" SMTPUTF8=", PARAMETER_WRONG, {0}},
	{" SMTPUTF8=YES", PARAMETER_WRONG, {0}},
	{" RET=full", PARAMETER_OK, {.flags = ENVELOPE_RET_FULL}},
	{" RET=HDRS", PARAMETER_OK, {.flags = ENVELOPE_RET_HDRS}},
	{" RET=BODY", PARAMETER_WRONG, {0}},
	{" RET", PARAMETER_WRONG, {0}},
	{" RET=FULL RET=HDRS", PARAMETER_WRONG, {0}},
	{" ENVID=QQ314159", PARAMETER_OK, {.envid = "QQ314159"}},
	{" ENVID=a+2Bb+3Dc", PARAMETER_OK, {.envid = "a+2Bb+3Dc"}},
	{" ENVID=" T50 T50, PARAMETER_OK, {.envid = T50 T50}},
	{" ENVID=" T50 T50 "1", PARAMETER_WRONG, {0}},
	{" ENVID=", PARAMETER_WRONG, {0}},
	{" ENVID=a+2", PARAMETER_WRONG, {0}},
	{" ENVID=a+GG", PARAMETER_WRONG, {0}},
	{" ENVID=a\xc3\xbc", PARAMETER_WRONG, {0}},
	{" ENVID=a=b", PARAMETER_WRONG, {0}},
	{" BY=3600;R", PARAMETER_OK, {.flags = ENVELOPE_BY_RETURN, .by_seconds = 3600}},
	{" BY=+3600;rt", PARAMETER_OK, {.flags = ENVELOPE_BY_RETURN | ENVELOPE_BY_TRACE, .by_seconds = 3600}},
	{" BY=-10;N", PARAMETER_OK, {.flags = ENVELOPE_BY_NOTIFY, .by_seconds = -10}},
	{" BY=0;NT", PARAMETER_OK, {.flags = ENVELOPE_BY_NOTIFY | ENVELOPE_BY_TRACE}},
	{" BY=999999999;N", PARAMETER_OK, {.flags = ENVELOPE_BY_NOTIFY, .by_seconds = 999999999}},
	{" BY=1000000000;N", PARAMETER_WRONG, {0}},
	{" BY=0;R", PARAMETER_WRONG, {0}},
	{" BY=-1;R", PARAMETER_WRONG, {0}},
	{" BY=10", PARAMETER_WRONG, {0}},
	{" BY=;R", PARAMETER_WRONG, {0}},
	{" BY=-;N", PARAMETER_WRONG, {0}},
	{" BY=10;X", PARAMETER_WRONG, {0}},
	{" BY=10;RTX", PARAMETER_WRONG, {0}},
	{" HOLDFOR=0", PARAMETER_WRONG, {0}}, /* RFC 4865: not zero */
	{" HOLDFOR=000", PARAMETER_WRONG, {0}},
	{" HOLDFOR=1", PARAMETER_OK, {.hold_for = true, .hold_seconds = 1}},
	{" HOLDFOR=86400", PARAMETER_OK, {.hold_for = true, .hold_seconds = 86400}},
	{" HOLDFOR=1000000000", PARAMETER_WRONG, {0}},
	{" HOLDFOR=1h", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=2026-11-23T14:15:40Z", PARAMETER_OK, {.hold_until = true, .until_ms = 1795443340000}},
	{" HOLDUNTIL=2026-11-23t14:15:40.25z", PARAMETER_OK, {.hold_until = true, .until_ms = 1795443340000}},
	{" HOLDUNTIL=2026-11-23T15:45:40+01:30", PARAMETER_OK, {.hold_until = true, .until_ms = 1795443340000}},
	{" HOLDUNTIL=2026-11-23T09:15:40-05:00", PARAMETER_OK, {.hold_until = true, .until_ms = 1795443340000}},
	{" HOLDUNTIL=2028-02-29T00:00:00Z", PARAMETER_OK, {.hold_until = true, .until_ms = 1835395200000}},
	{" HOLDUNTIL=2028-03-01T00:00:00Z", PARAMETER_OK, {.hold_until = true, .until_ms = 1835481600000}},
	{" HOLDUNTIL=2026-02-29T00:00:00Z", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=2026-13-01T00:00:00Z", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=2026-11-23T24:00:00Z", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=2026-11-23T14:15:40", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=2026-11-23T14:15:40.Z", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=2026-11-23T14:15:40+0100", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=2026-11-23", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=", PARAMETER_WRONG, {0}},
	{" HOLDFOR=1 HOLDUNTIL=2026-11-23T14:15:40Z", PARAMETER_WRONG, {0}},
	{" HOLDUNTIL=2026-11-23T14:15:40Z HOLDFOR=1", PARAMETER_WRONG, {0}},
	{" MT-PRIORITY=9", PARAMETER_OK, {.priority = 9, .has_priority = true}},
	{" MT-PRIORITY=-9", PARAMETER_OK, {.priority = -9, .has_priority = true}},
	{" MT-PRIORITY=0", PARAMETER_OK, {.has_priority = true}},
	{" MT-PRIORITY=-0", PARAMETER_WRONG, {0}},
	{" MT-PRIORITY=10", PARAMETER_WRONG, {0}},
	{" MT-PRIORITY=", PARAMETER_WRONG, {0}},
	{" MT-PRIORITY=-", PARAMETER_WRONG, {0}},
	{" ENVID=a+0D+0Ab", PARAMETER_WRONG, {0}},
	{" ENVID=a+7Fb", PARAMETER_WRONG, {0}},
	{" ENVID=a+C3+A9b", PARAMETER_WRONG, {0}},
	{" ENVID=a+20b", PARAMETER_OK, {.envid = "a+20b"}},
	{" AUTH=<>", PARAMETER_UNKNOWN, {0}},
	{" NOTIFY=NEVER", PARAMETER_UNKNOWN, {0}},
	{" =1", PARAMETER_UNKNOWN, {0}},
	{" SIZE=1\tRET=FULL SMTPUTF8", PARAMETER_OK,
		{.has_size = true, .size = 1, .flags = ENVELOPE_RET_FULL | ENVELOPE_SMTPUTF8}},
};

static void test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof mail / sizeof mail[0]; i++) {
		struct mail_parameters out;
		const struct mail_parameters *is = &mail[i].is;
		struct piece text = {(const uint8_t *)mail[i].text, strlen(mail[i].text)};
		enum parameter_fault f = mail_parameters_read(&out, &text, &all);
		if (f != mail[i].fault)
			fail_msg("%s: %d, not %d", mail[i].text, (int)f, (int)mail[i].fault);
		if (f != PARAMETER_OK)
			continue;
		if (out.flags != is->flags || out.has_size != is->has_size || out.size != is->size ||
			strcmp(out.envid, is->envid) != 0 || out.by_seconds != is->by_seconds ||
			out.hold_for != is->hold_for || out.hold_until != is->hold_until ||
			out.hold_seconds != is->hold_seconds || out.until_ms != is->until_ms ||
			out.priority != is->priority || out.has_priority != is->has_priority)
			fail_msg("%s: read as something else (until %llu)", mail[i].text,
				(unsigned long long)out.until_ms);
	}
}

/* What a client has no right to is as unknown as what does not exist. */
static void test_rights(void **state)
{
	(void)state;
	static const char *const texts[] = {
		" BY=3600;R", " HOLDFOR=1", " HOLDUNTIL=2026-11-23T14:15:40Z", " MT-PRIORITY=1"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct mail_parameters out;
		struct piece text = {(const uint8_t *)texts[i], strlen(texts[i])};
		assert_int_equal(mail_parameters_read(&out, &text, &none), PARAMETER_UNKNOWN);
		assert_int_equal(mail_parameters_read(&out, &text, &all), PARAMETER_OK);
	}
}

static void test_rcpt(void **state)
{
	(void)state;
	static char longest[600], too_long[600];
	memset(longest, 'a', 500);
	memcpy(longest, " ORCPT=rfc822;", 14);
	memset(too_long, 'a', 508);
	memcpy(too_long, " ORCPT=rfc822;", 14);
	const struct {
		const char *text;
		enum parameter_fault fault;
		uint8_t notify;
		const char *orcpt;
	} rows[] = {
		{"", PARAMETER_OK, 0, ""},
		{" NOTIFY=NEVER", PARAMETER_OK, NOTIFY_NEVER, ""},
		{" notify=success,failure,delay", PARAMETER_OK, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, ""},
		{" NOTIFY=FAILURE", PARAMETER_OK, NOTIFY_FAILURE, ""},
		{" NOTIFY=NEVER,SUCCESS", PARAMETER_WRONG, 0, NULL},
		{" NOTIFY=SUCCESS,NEVER", PARAMETER_WRONG, 0, NULL},
		{" NOTIFY=SUCCESS,", PARAMETER_WRONG, 0, NULL},
		{" NOTIFY=,SUCCESS", PARAMETER_WRONG, 0, NULL},
		{" NOTIFY=", PARAMETER_WRONG, 0, NULL},
		{" NOTIFY", PARAMETER_WRONG, 0, NULL},
		{" NOTIFY=ALWAYS", PARAMETER_WRONG, 0, NULL},
		{" NOTIFY=NEVER NOTIFY=NEVER", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rfc822;bob@old.example", PARAMETER_OK, 0, "rfc822;bob@old.example"},
		{" ORCPT=rfc822;bob+2Bx@old.example", PARAMETER_OK, 0, "rfc822;bob+2Bx@old.example"},
		{" ORCPT=utf-8;\\x{3B4}x@old.example", PARAMETER_OK, 0, "utf-8;\\x{3B4}x@old.example"},
		{" ORCPT=utf-8;\xce\xb4@old.example", PARAMETER_OK, 0, "utf-8;\xce\xb4@old.example"},
		{" ORCPT=x400;/c+3Dde/", PARAMETER_OK, 0, "x400;/c+3Dde/"},
		{" ORCPT=x400;/c=de/", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rfc822;", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rfc822", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=;bob@x", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rfc822;bob+2", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rfc822;\xce\xb4@x", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=utf-8;\xce@x", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=utf-8;\\x{D800}", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rfc822;a+0Ax@b", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rfc822;a+C3+A9@b", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rfc822;\"a+20b\"@b", PARAMETER_OK, 0, "rfc822;\"a+20b\"@b"},
		{" ORCPT=utf-8;a\\x{0A}x@b", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=utf-8;a+2Bb@x", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=utf-8;a=b@x", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=utf-8;a\\x{9B}b@x", PARAMETER_WRONG, 0, NULL},
		{" ORCPT=rf c822;b@x", PARAMETER_WRONG, 0, NULL},
		{longest, PARAMETER_OK, 0, longest + 7},
		{too_long, PARAMETER_WRONG, 0, NULL},
		{" SIZE=1", PARAMETER_UNKNOWN, 0, NULL},
		{" NOTIFY=DELAY ORCPT=rfc822;a@b", PARAMETER_OK, NOTIFY_DELAY, "rfc822;a@b"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rcpt_parameters out;
		struct piece text = {(const uint8_t *)rows[i].text, strlen(rows[i].text)};
		enum parameter_fault f = rcpt_parameters_read(&out, &text, true, &none);
		if (f != rows[i].fault)
			fail_msg("%s: %d, not %d", rows[i].text, (int)f, (int)rows[i].fault);
		if (f != PARAMETER_OK)
			continue;
		assert_int_equal(out.notify, rows[i].notify);
		assert_string_equal(out.orcpt, rows[i].orcpt);
		/* bytes over 127 only in a message with SMTPUTF8 */
		assert_int_equal(rcpt_parameters_read(&out, &text, false, &none),
			text_is_ascii(rows[i].text) ? PARAMETER_OK : PARAMETER_WRONG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail), cmocka_unit_test(test_rights), cmocka_unit_test(test_rcpt)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
