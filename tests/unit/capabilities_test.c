/* tests/unit/capabilities_test.c: lines of the answer to EHLO. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "queue/deliver/capabilities.h"

static void test_keywords(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		struct capabilities is;
	} rows[] = {
		{"PIPELINING", {.pipelining = true}},
		{"pipelining", {.pipelining = true}},
		{" PIPELINING  ", {.pipelining = true}},
		{"PIPELINING of a kind", {.pipelining = true}},
		{"PIPELININGS", {0}},
		{"XPIPELINING", {0}},
		{"8BITMIME", {.eightbit = true}},
		{"CHUNKING", {.chunking = true}},
		{"BinaryMIME", {.binary = true}},
		{"SMTPUTF8", {.utf8 = true}},
		{"DSN", {.dsn = true}},
		{"MT-PRIORITY NSEP", {.priority = true}},
		{"MT-PRIORITY", {.priority = true}},
		{"SIZE", {.has_size = true}},
		{"SIZE 0", {.has_size = true}},
		{"SIZE 52428800", {.has_size = true, .size = 52428800}},
		{"SIZE=52428800", {.has_size = true, .size = 52428800}},
		{"SIZE\t7", {.has_size = true, .size = 7}},
		{"SIZE unlimited", {.has_size = true}},
		{"SIZE -1", {.has_size = true}},
		{"SIZE 10M", {.has_size = true}},
		{"SIZE 99999999999999999999999999", {.has_size = true, .size = UINT64_MAX / 100}},
		{"DELIVERBY", {.deliver_by = true}},
		{"DELIVERBY 240", {.deliver_by = true, .by_least = 240}},
		{"DELIVERBY 9999999999", {.deliver_by = true, .by_least = 999999999}},
		{"LIMITS", {0}},
		{"LIMITS RCPTMAX=20", {.rcpt_max = 20}},
		{"limits mailmax=3 rcptmax=20  rcptdomainmax=1", {.mail_max = 3, .rcpt_max = 20, .rcpt_domain_max = 1}},
		{"LIMITS RCPTMAX=0 MAILMAX= RCPTDOMAINMAX", {0}},
		{"LIMITS RCPTMAX=12x XRCPTMAX=4 RCPTMAX 5", {0}},
		{"LIMITS RCPTMAX=12345678", {.rcpt_max = 999999}},
		{"AUTH=LOGIN", {0}},
		{"AUTH PLAIN DSN", {0}},
		{"=", {0}},
		{"", {0}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct capabilities is, should;
		/* padding too is compared */
		memset(&is, 0, sizeof is);
		memset(&should, 0, sizeof should);
		capabilities_take(&is, rows[i].line);
		should.pipelining = rows[i].is.pipelining;
		should.eightbit = rows[i].is.eightbit;
		should.chunking = rows[i].is.chunking;
		should.binary = rows[i].is.binary;
		should.utf8 = rows[i].is.utf8;
		should.dsn = rows[i].is.dsn;
		should.deliver_by = rows[i].is.deliver_by;
		should.priority = rows[i].is.priority;
		should.has_size = rows[i].is.has_size;
		should.size = rows[i].is.size;
		should.by_least = rows[i].is.by_least;
		should.mail_max = rows[i].is.mail_max;
		should.rcpt_max = rows[i].is.rcpt_max;
		should.rcpt_domain_max = rows[i].is.rcpt_domain_max;
		if (memcmp(&is, &should, sizeof is) != 0)
			fail_msg("\"%s\" is understood in another way", rows[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keywords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
