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
	const char *args, *keyword;
	unsigned allowed;
	enum command_fault fault;
	const char *address, *rest;
	bool eight;
	bool lenient;
} rows[] = {
	{"FROM:<a@b>", "FROM:", ADDRESS_NULL, COMMAND_OK, "a@b", "", false, false},
	{"from:<a@b>", "FROM:", ADDRESS_NULL, COMMAND_OK, "a@b", "", false, false},
	{"FROM: <a@b>", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, false},
	{"FROM: <a@b>", "FROM:", ADDRESS_NULL, COMMAND_OK, "a@b", "", false, true},
	{"FROM:a@b SIZE=1", "FROM:", ADDRESS_NULL, COMMAND_OK, "a@b", " SIZE=1", false, true},
	{"FROM: \t A@B.Example", "FROM:", ADDRESS_NULL, COMMAND_OK, "A@b.example", "", false, true},
	{"FROM:\"a \\\" b\"@c x", "FROM:", ADDRESS_NULL, COMMAND_OK, "\"a \\\" b\"@c", " x", false, true},
	{"FROM:\"a b@c", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, true},
	{"FROM:a@b>", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, true},
	{"FROM:a@b><c@d", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, true},
	{"FROM:>", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, true},
	{"FROM:a@b,c@d", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, true},
	{"FROM:", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, true},
	{"FROM:<a@b", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, true},
	{"FROM:\xc3\xa9@b X\xc3", "FROM:", ADDRESS_UTF8, COMMAND_OK, "\xc3\xa9@b", " X\xc3", true, true},
	{"FROM:a@b X\xc3", "FROM:", 0, COMMAND_OK, "a@b", " X\xc3", false, true},
	{"TO:postmaster", "TO:", ADDRESS_POSTMASTER, COMMAND_OK, "postmaster", "", false, true},
	{"FROM:<>", "FROM:", ADDRESS_NULL, COMMAND_OK, "", "", false, false},
	{"FROM:<> BODY=8BITMIME SIZE=42", "FROM:", ADDRESS_NULL, COMMAND_OK, "", " BODY=8BITMIME SIZE=42", false,
		false},
	{"FROM:<a@b>SIZE=1", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, false},
	{"FROM:<a@b>x", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, false},
	{"FROM:a@b", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, false},
	{"FROM:", "FROM:", ADDRESS_NULL, COMMAND_ADDRESS, NULL, NULL, false, false},
	{"FROM <a@b>", "FROM:", ADDRESS_NULL, COMMAND_SYNTAX, NULL, NULL, false, false},
	{"TO:<a@b>", "FROM:", ADDRESS_NULL, COMMAND_SYNTAX, NULL, NULL, false, false},
	{"", "FROM:", ADDRESS_NULL, COMMAND_SYNTAX, NULL, NULL, false, false},
	{"FROM:<\xc3\xa9@b>", "FROM:", ADDRESS_NULL, COMMAND_8BIT, NULL, NULL, true, false},
	{"FROM:<\xc3\xa9@b> SMTPUTF8", "FROM:", ADDRESS_NULL | ADDRESS_UTF8, COMMAND_OK, "\xc3\xa9@b", " SMTPUTF8",
		true, false},
	{"FROM:<a@b\xc3\xbc.de> SMTPUTF8", "FROM:", ADDRESS_UTF8, COMMAND_OK, "a@xn--b-eha.de", " SMTPUTF8", true,
		false},
	{"FROM:<\xc3@b> SMTPUTF8", "FROM:", ADDRESS_UTF8, COMMAND_8BIT, NULL, NULL, true, false},
	{"TO:<a@b>", "TO:", ADDRESS_POSTMASTER, COMMAND_OK, "a@b", "", false, false},
	{"TO:<postmaster>", "TO:", ADDRESS_POSTMASTER, COMMAND_OK, "postmaster", "", false, false},
	{"TO:<POSTMASTER> NOTIFY=NEVER", "TO:", ADDRESS_POSTMASTER, COMMAND_OK, "POSTMASTER", " NOTIFY=NEVER", false,
		false},
	{"TO:<>", "TO:", ADDRESS_POSTMASTER, COMMAND_ADDRESS, NULL, NULL, false, false},
	{"FROM:<a@b>", "TO:", ADDRESS_POSTMASTER, COMMAND_SYNTAX, NULL, NULL, false, false},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct command_path out;
		struct piece args = {(const uint8_t *)rows[i].args, strlen(rows[i].args)};
		enum command_fault f =
			command_read_path(&out, &args, rows[i].keyword, rows[i].allowed, rows[i].lenient);
		if (f != rows[i].fault)
			fail_msg("%s: %d, not %d", rows[i].args, (int)f, (int)rows[i].fault);
		if (f != COMMAND_OK)
			continue;
		assert_string_equal(out.address, rows[i].address);
		assert_int_equal(out.rest.len, strlen(rows[i].rest));
		assert_memory_equal(out.rest.at, rows[i].rest, out.rest.len);
		assert_int_equal(out.eight, rows[i].eight);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_split), cmocka_unit_test(test_paths)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
