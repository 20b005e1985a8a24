/* tests/unit/returned_test.c: in which form a message goes back whose parts have headers that are not ASCII. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "queue/mail/envelope.h"
#include "queue/mail/returned.h"

#define HEAD "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
#define PART(name, body)                                                                                               \
	HEAD "--b\r\nContent-Disposition: attachment; filename=\"" name "\"\r\n\r\n" body "\r\n--b--\r\n"

/* A header of a part makes the message an internationalised one (RFC 6532 §3.2): to a sender without SMTPUTF8 it goes
 * back encoded, which message/global allows (§3.7) and message/rfc822 does not; what is not UTF-8 goes back by its
 * header alone. */
static void test_headers_of_parts(void **state)
{
	(void)state;
	static const struct {
		const char *content;
		bool utf8; /* the notice goes to a UTF-8 address */
		enum returned_type type;
		const char *encoding;
	} rows[] = {
		{PART("a", "x"), false, RETURNED_MESSAGE, "7bit"},
		{PART("a", "\xc3\xa9"), false, RETURNED_MESSAGE, "8bit"},
		{PART("\xc3\xa9", "x"), false, RETURNED_GLOBAL, "quoted-printable"},
		{PART("\xc3\xa9", "x"), true, RETURNED_GLOBAL, "8bit"},
		{PART("\xe9", "x"), false, RETURNED_HEADERS, "7bit"},
		{PART("\xe9", "x"), true, RETURNED_HEADERS, "7bit"},
		{HEAD "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: \xc3\xa9\r\n\r\nx\r\n--b--\r\n", false,
			RETURNED_GLOBAL, "quoted-printable"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct draft d;
		const struct notice in = {.kind = NOTICE_FAILED,
			.flags = ENVELOPE_RET_FULL,
			.content = (const uint8_t *)rows[i].content,
			.content_len = strlen(rows[i].content),
			.whole = true,
			.full_max = 10000};
		draft_init(&d, NOTICE_MAX, rows[i].utf8);
		struct returned r = returned_write(&d, &in);
		assert_int_equal(d.err, 0);
		assert_int_equal(r.type, rows[i].type);
		assert_string_equal(r.encoding, rows[i].encoding);
		assert_int_equal(draft_is_8bit(&d), strcmp(rows[i].encoding, "8bit") == 0);
		draft_fini(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_headers_of_parts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
