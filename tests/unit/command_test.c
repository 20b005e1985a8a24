/* tests/unit/command_test.c: command lines, MAIL and RCPT with their parameters. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "smtpd/command.h"

static void test_split(void **state)
{
	(void)state;
	static const struct {
		const char *line, *verb, *args;
	} rows[] = {
		{"QUIT", "QUIT", ""},
		{"quit ", "quit", ""},
		{"EHLO a b", "EHLO", "a b"},
		{"NOOP \t x \t", "NOOP", "x"},
		{"", "", ""},
		{" QUIT", "", "QUIT"},
		{"MAIL\tFROM:<>", "MAIL", "FROM:<>"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct piece verb, args;
		command_split((const uint8_t *)rows[i].line, strlen(rows[i].line), &verb, &args);
		assert_int_equal(verb.len, strlen(rows[i].verb));
		assert_memory_equal(verb.at, rows[i].verb, verb.len);
		assert_int_equal(args.len, strlen(rows[i].args));
		assert_memory_equal(args.at, rows[i].args, args.len);
		assert_true(piece_is(&verb, rows[i].verb));
		assert_false(piece_is(&verb, "QUITS"));
		assert_false(piece_is(&verb, "QUI"));
	}
}

static const struct {
	const char *args;
	bool rcpt;
	enum command_fault fault;
	const char *address;
	bool has_size;
	uint64_t size;
	bool eight;
} rows[] = {
	{"FROM:<a@b>", false, COMMAND_OK, "a@b", false, 0, false},
	{"from:<a@b>", false, COMMAND_OK, "a@b", false, 0, false},
	{"FROM: <a@b>", false, COMMAND_OK, "a@b", false, 0, false},
	{"FROM:<>", false, COMMAND_OK, "", false, 0, false},
	{"FROM:<> BODY=8BITMIME SIZE=42", false, COMMAND_OK, "", true, 42, true},
	{"FROM:<> size=42  body=7bit", false, COMMAND_OK, "", true, 42, false},
	{"FROM:<> SIZE=18446744073709551615", false, COMMAND_OK, "", true, UINT64_MAX, false},
	{"FROM:<> SIZE=18446744073709551616", false, COMMAND_OK, "", true, UINT64_MAX, false},
	{"FROM:<> SIZE=99999999999999999999", false, COMMAND_OK, "", true, UINT64_MAX, false},
	{"FROM:<> SIZE=000000000000000000001", false, COMMAND_VALUE, NULL, false, 0, false},
	{"FROM:<> SIZE=", false, COMMAND_VALUE, NULL, false, 0, false},
	{"FROM:<> SIZE", false, COMMAND_VALUE, NULL, false, 0, false},
	{"FROM:<> SIZE=-1", false, COMMAND_VALUE, NULL, false, 0, false},
	{"FROM:<> SIZE=1K", false, COMMAND_VALUE, NULL, false, 0, false},
	{"FROM:<> SIZE=1 SIZE=1", false, COMMAND_VALUE, NULL, false, 0, false},
	{"FROM:<> BODY=BINARYMIME", false, COMMAND_VALUE, NULL, false, 0, false},
	{"FROM:<> BODY=7BIT BODY=8BITMIME", false, COMMAND_VALUE, NULL, false, 0, false},
	{"FROM:<> SMTPUTF8", false, COMMAND_PARAMETER, NULL, false, 0, false},
	{"FROM:<> RET=FULL", false, COMMAND_PARAMETER, NULL, false, 0, false},
	{"FROM:<> =1", false, COMMAND_PARAMETER, NULL, false, 0, false},
	{"FROM:<a@b>SIZE=1", false, COMMAND_ADDRESS, NULL, false, 0, false},
	{"FROM:<a@b>x", false, COMMAND_ADDRESS, NULL, false, 0, false},
	{"FROM:a@b", false, COMMAND_ADDRESS, NULL, false, 0, false},
	{"FROM:", false, COMMAND_ADDRESS, NULL, false, 0, false},
	{"FROM <a@b>", false, COMMAND_SYNTAX, NULL, false, 0, false},
	{"TO:<a@b>", false, COMMAND_SYNTAX, NULL, false, 0, false},
	{"", false, COMMAND_SYNTAX, NULL, false, 0, false},
	{"FROM:<\xc3\xa9@b>", false, COMMAND_8BIT, NULL, false, 0, false},
	{"TO:<a@b>", true, COMMAND_OK, "a@b", false, 0, false},
	{"TO:<postmaster>", true, COMMAND_OK, "postmaster", false, 0, false},
	{"TO:<>", true, COMMAND_ADDRESS, NULL, false, 0, false},
	{"TO:<a@b> SIZE=1", true, COMMAND_PARAMETER, NULL, false, 0, false},
	{"TO:<a@b> NOTIFY=NEVER", true, COMMAND_PARAMETER, NULL, false, 0, false},
	{"FROM:<a@b>", true, COMMAND_SYNTAX, NULL, false, 0, false},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct command_path out;
		struct piece args = {(const uint8_t *)rows[i].args, strlen(rows[i].args)};
		enum command_fault f = rows[i].rcpt ? command_read_rcpt(&out, &args) : command_read_mail(&out, &args);
		if (f != rows[i].fault)
			fail_msg("%s: %d, not %d", rows[i].args, (int)f, (int)rows[i].fault);
		if (f != COMMAND_OK)
			continue;
		assert_string_equal(out.address, rows[i].address);
		assert_int_equal(out.has_size, rows[i].has_size);
		assert_int_equal(out.size, rows[i].size);
		assert_int_equal(out.body_8bit, rows[i].eight);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_split), cmocka_unit_test(test_paths)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
