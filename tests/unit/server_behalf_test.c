/* tests/unit/server_behalf_test.c: XCLIENT and XFORWARD, and commands that do nothing, as dialogues. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/server_dialogue.h"

#define XCLIENT "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME\r\n"
#define XFORWARD "250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
#define HI_X HI_LEAD XCLIENT "250 ENHANCEDSTATUSCODES\r\n"
#define HI_F HI_LEAD XFORWARD "250 ENHANCEDSTATUSCODES\r\n"
#define NOT_YOU "550 5.7.0 You may not say on whose behalf you speak\r\n"
#define BAD "501 5.5.4 Not a valid list of attributes\r\n"
#define AS(ip) "XCLIENT ADDR=" ip "\r\n"

static void test_xclient(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		/* only to those who may, and only they are offered it */
		{.in = EHLO AS("192.0.2.7") "XFORWARD NAME=x\r\n", .said = G HI NOT_YOU NOT_YOU},
		{.in = EHLO M AS("192.0.2.7"), .said = G HI MOK NOT_YOU},
		{.in = EHLO AS("192.0.2.7") "XFORWARD NAME=x\r\n", .xforward = true, .said = G HI_F NOT_YOU OK},
		/* a new session at its greeting: HELO is said again, the address stands in the trace */
		{.in = EHLO AS("192.0.2.7") M EHLO M R "DATA\r\n.\r\n",
			.xclient = true,
			.stranger = true,
			.said = G HI_X G NEED_HELO HI_X MOK ROK GO Q1,
			.messages = "a@b|c@d|\nReceived: from c.example ([192.0.2.7])\r\n\tby r.example with ESMTP id "
				    "0000000000001\r\n\tfor <c@d>;\r\n\t" DATE "\r\n"},
		/* before EHLO too, in any case, IPv6 with its mark, mapped as what it is */
		{.in = "xclient addr=ipv6:2001:db8::1 port=5 proto=esmtp name=m.example\r\n" EHLO M R,
			.xclient = true,
			.said = G G HI_X MOK DENIED},
		{.in = AS("IPV6:::ffff:192.0.2.9") EHLO M R,
			.xclient = true,
			.stranger = true,
			.said = G G HI_X MOK ROK},
		/* never more than that client may: the right to relay goes, and comes */
		{.in = AS("198.51.100.1") EHLO M R "RSET\r\n" AS("192.0.2.1") EHLO M R,
			.xclient = true,
			.said = G G HI_X MOK DENIED OK G HI_X MOK ROK},
		{.in = AS("[UNAVAILABLE]") EHLO M R, .xclient = true, .said = G G HI_X MOK DENIED},
		{.in = AS("[tempunavail]") EHLO M R, .xclient = true, .said = G G HI_X MOK DENIED},
		/* without ADDR it stays who it is */
		{.in = "XCLIENT NAME=[UNAVAILABLE] HELO=h.example LOGIN=u+40d\r\n" EHLO M R,
			.xclient = true,
			.said = G G HI_X MOK ROK},
		/* not let in */
		{.in = AS("203.0.113.1") EHLO,
			.xclient = true,
			.closed = true,
			.said = G "421 4.7.0 r.example: Too many connections from your address\r\n"},
		/* inside a transaction */
		{.in = EHLO M AS("192.0.2.7") R AS("192.0.2.7") "RSET\r\n" AS("192.0.2.7"),
			.xclient = true,
			.said = G HI_X MOK NESTED ROK NESTED OK G},
		{.in = EHLO M R "BDAT 1\r\nx" AS("192.0.2.7"),
			.xclient = true,
			.said = G HI_X MOK ROK
			"250 2.0.0 1 octets received\r\n"
			"503 5.5.1 The message is coming in chunks: go on with BDAT, or RSET\r\n"},
		/* syntax; nothing of a wrong list holds */
		{.in = "XCLIENT\r\nXCLIENT ADDR\r\nXCLIENT ADDR=192.0.2.7 IDENT=5\r\n" EHLO M R,
			.xclient = true,
			.stranger = true,
			.said = G BAD BAD BAD HI_X MOK DENIED},
	};
	RUN(rows);
}

static void test_xforward(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		/* for one message, added up over the commands, kept by a MAIL that fails */
		{.in = EHLO "XFORWARD NAME=m.example ADDR=198.51.100.9\r\nXFORWARD HELO=h IDENT=q1\r\n"
			    "MAIL FROM:<\r\n" M R "DATA\r\n.\r\n" M R "DATA\r\n.\r\n",
			.xforward = true,
			.said = G HI_F OK OK "501 5.1.7 Sender address cannot be read\r\n" MOK ROK GO Q1 MOK ROK GO Q2,
			.messages = "a@b|c@d| forward=198.51.100.9,m.example,h,q1\n" TRACE1 "a@b|c@d|\n" TRACE2},
		/* [UNAVAILABLE] erases */
		{.in = EHLO "XFORWARD NAME=m HELO=h IDENT=i\r\nXFORWARD NAME=[UNAVAILABLE]\r\n" M R "DATA\r\n.\r\n",
			.xforward = true,
			.said = G HI_F OK OK MOK ROK GO Q1,
			.messages = "a@b|c@d| forward=none,,h,i\n" TRACE1},
		/* RSET and EHLO end it; it gives no rights */
		{.in = EHLO "XFORWARD NAME=m\r\nRSET\r\n" M R "DATA\r\n.\r\n",
			.xforward = true,
			.said = G HI_F OK OK MOK ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1},
		{.in = EHLO "XFORWARD NAME=m\r\n" EHLO M R "DATA\r\n.\r\n",
			.xforward = true,
			.said = G HI_F OK HI_F MOK ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1},
		{.in = EHLO "XFORWARD ADDR=192.0.2.1\r\n" M R,
			.xforward = true,
			.stranger = true,
			.said = G HI_F OK MOK DENIED},
		/* a refused content is the end of its transaction as well */
		{.in = EHLO "XFORWARD NAME=m\r\n" M R "DATA\r\na\nb\r\n.\r\n" M R "DATA\r\n.\r\n",
			.xforward = true,
			.said = G HI_F OK MOK ROK GO BARE MOK ROK GO Q2,
			.messages = "a@b|c@d|\n" TRACE2},
		{.in = EHLO M "XFORWARD NAME=m\r\n" R "XFORWARD NAME=m\r\n",
			.xforward = true,
			.said = G HI_F MOK NESTED ROK NESTED},
		{.in = EHLO "XFORWARD\r\nXFORWARD LOGIN=x\r\nXFORWARD NAME=a+ZZ\r\nXFORWARD SOURCE=here\r\n",
			.xforward = true,
			.said = G HI_F BAD BAD BAD BAD},
	};
	RUN(rows);
}

#define FIVE(x) x x x x x
#define JUNK "503 5.5.1 Too many commands without a message\r\n"
#define NOOPS FIVE("NOOP\r\n") FIVE("RSET\r\n") FIVE("VRFY x\r\n")
#define NOOP_REPLIES                                                                                                   \
	FIVE(OK)                                                                                                       \
	FIVE(OK) FIVE("252 2.1.5 Addresses are not verified here; mail for them will be tried\r\n")
#define MANY "421 4.7.0 r.example: Too many errors\r\n"

/* Twenty commands that do nothing; each further one is an error, and five errors are the end. A message begins the
 * count anew, HELO and RSET do not. */
static void test_junk(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO NOOPS "NOOP\r\nHELP\r\nNOOP\r\nNOOP\r\n" FIVE("NOOP\r\n"),
			.closed = true,
			.said = G HI NOOP_REPLIES OK
			"214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP\r\n" OK OK FIVE(JUNK) MANY},
		{.in = EHLO NOOPS M R "DATA\r\n.\r\n" NOOPS "QUIT\r\n",
			.closed = true,
			.said = G HI NOOP_REPLIES MOK ROK GO Q1 NOOP_REPLIES BYE,
			.messages = "a@b|c@d|\n" TRACE1},
		{.in = FIVE(FIVE(EHLO)), .closed = true, .said = G FIVE(HI) FIVE(HI) FIVE(HI) FIVE(HI) FIVE(JUNK) MANY},
	};
	RUN(rows);
}

/* Every 5yz counts, whatever it was said to; neither RSET nor HELO takes one back. */
static void test_errors(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = "X\r\n" EHLO "RCPT TO:<c@d>\r\nRSET\r\nMAIL\r\n" EHLO "DATA\r\nNOOP\r\nEXPN x\r\nNOOP\r\n",
			.closed = true,
			.said = G UNKNOWN HI NEED_MAIL OK SYNTAX HI "554 5.5.1 No valid recipients\r\n" OK
								    "502 5.5.1 Command not implemented\r\n" MANY},
		{.in = AS("192.0.2.1") EHLO "X\r\nX\r\n" AS("192.0.2.1") "X\r\nX\r\nX\r\n",
			.xclient = true,
			.closed = true,
			.said = G G HI_X UNKNOWN UNKNOWN G UNKNOWN UNKNOWN UNKNOWN MANY},
	};
	RUN(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xclient),
		cmocka_unit_test(test_xforward),
		cmocka_unit_test(test_junk),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
