/* tests/unit/deliver_by_test.c: DELIVERBY on its way to the next hop: BY where that has it, NOTIFY where it has not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "queue/deliver/commands.h"
#include "queue/mail/envelope.h"

static void test_notify_in_place_of_by(void **state)
{
	(void)state;
	static const struct {
		unsigned flags;
		bool by, dsn, deliver_by;
		uint8_t notify;
		const char *command;
	} rows[] = {
		{ENVELOPE_BY_NOTIFY, true, true, false, 0, "RCPT TO:<b@d.example> NOTIFY=FAILURE,DELAY\r\n"},
		{ENVELOPE_BY_NOTIFY, true, true, true, 0, "RCPT TO:<b@d.example>\r\n"},
		{ENVELOPE_BY_NOTIFY, true, false, false, 0, "RCPT TO:<b@d.example>\r\n"},
		{ENVELOPE_BY_RETURN, true, true, false, 0, "RCPT TO:<b@d.example>\r\n"},
		{0, false, true, false, 0, "RCPT TO:<b@d.example>\r\n"},
		{ENVELOPE_BY_NOTIFY, true, true, false, NOTIFY_NEVER,
			"RCPT TO:<b@d.example> NOTIFY=NEVER ORCPT=x;y\r\n"},
		{ENVELOPE_BY_NOTIFY, true, true, false, NOTIFY_SUCCESS,
			"RCPT TO:<b@d.example> NOTIFY=SUCCESS,DELAY ORCPT=x;y\r\n"},
		{ENVELOPE_BY_NOTIFY, true, true, true, NOTIFY_SUCCESS,
			"RCPT TO:<b@d.example> NOTIFY=SUCCESS ORCPT=x;y\r\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct capabilities peer = {.dsn = rows[i].dsn, .deliver_by = rows[i].deliver_by};
		struct transaction_rcpt r = {.address = "b@d.example",
			.orcpt = strstr(rows[i].command, "ORCPT") ? "x;y" : "",
			.notify = rows[i].notify};
		struct transaction t = {.sender = "a@b", .flags = rows[i].flags, .has_by = rows[i].by, .by_s = 60};
		struct buf out;
		buf_init(&out, 1000);
		assert_int_equal(commands_rcpt(&out, &peer, &t, &r), 0);
		assert_string_equal((const char *)out.data, rows[i].command);
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify_in_place_of_by),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
