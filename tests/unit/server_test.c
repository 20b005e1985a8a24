/* tests/unit/server_test.c: dialogues with the server's machine. Each is run whole, byte by byte and in odd pieces: the
 * replies and the messages must be the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/server_dialogue.h"

static const struct rights anybody = {.relay = true};

static void test_commands(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = "", .said = G},
		{.in = EHLO, .said = G HI},
		{.in = "ehlo c.example\r\n", .said = G HI},
		{.in = "HELO c.example\r\n", .said = G "250 r.example\r\n"},
		{.in = "HELO\r\nEHLO \r\n",
			.said = G "501 Give the name of your host\r\n501 Give the name of your host\r\n"},
		{.in = "EHLO \xc3\xbc\r\n", .said = G "501 Give the name of your host\r\n"},
		{.in = "QUIT\r\n", .said = G BYE, .closed = true},
		{.in = "QUIT\r\nNOOP\r\n", .said = G BYE, .closed = true},
		{.in = "QUIT now\r\n", .said = G "501 5.5.4 This command takes no argument\r\n"},
		{.in = "NOOP\r\nNOOP x y\r\nRSET\r\n", .said = G OK OK OK},
		{.in = "VRFY a\r\n",
			.said = G "252 2.1.5 Addresses are not verified here; mail for them will be tried\r\n"},
		{.in = "VRFY\r\n", .said = G "501 5.5.4 An argument is missing\r\n"},
		{.in = "HELP\r\n", .said = G "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP\r\n"},
		{.in = "EXPN a\r\n", .said = G "502 5.5.1 Command not implemented\r\n"},
		{.in = "STARTTLS\r\n\r\nMAILFROM:<a@b>\r\n", .said = G UNKNOWN UNKNOWN UNKNOWN},
		{.in = "GET / HTTP/1.1\r\nHost: x\r\n\r\n" EHLO M,
			.said = G "421 4.7.0 r.example: This is not an HTTP server\r\n",
			.closed = true},
		{.in = M R "DATA\r\n", .said = G NEED_HELO NEED_HELO NEED_HELO},
		{.in = EHLO R, .said = G HI NEED_MAIL},
		{.in = EHLO M M, .said = G HI MOK NESTED},
		{.in = EHLO M "RSET\r\n" R, .said = G HI MOK OK NEED_MAIL},
		{.in = EHLO M EHLO R, .said = G HI MOK HI NEED_MAIL},
		{.in = EHLO "DATA\r\n" M "DATA\r\n" R "DATA x\r\n",
			.said = G HI NO_RCPT MOK NO_RCPT ROK "501 5.5.4 This command takes no argument\r\n"},
		{.in = EHLO "MAIL FROM:<a>\r\nMAIL a\r\nMAIL FROM:<a@b> FOO\r\nMAIL FROM:<> SIZE=x\r\n",
			.said = G HI "501 5.1.7 Sender address cannot be read\r\n" SYNTAX
				     "555 5.5.4 Parameter not known\r\n"
				     "501 5.5.4 Parameter with a wrong value, or twice\r\n"},
		{.in = EHLO M "RCPT TO:<>\r\nRCPT TO:<a@b@c>\r\nRCPT TO:<\xc3\xa9@b>\r\n",
			.said = G HI MOK
			"501 5.1.3 Recipient address cannot be read\r\n"
			"501 5.1.3 Recipient address cannot be read\r\n"
			"553 5.6.7 An address beyond ASCII needs SMTPUTF8, and UTF-8 that is valid\r\n"},
	};
	RUN(rows);
}

static void test_messages(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO M R "DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n",
			.said = G HI MOK ROK GO Q1 BYE,
			.messages = "a@b|c@d|\n" TRACE1 "Subject: x\r\n\r\nhello\r\n",
			.closed = true},
		{.in = EHLO M R "DATA\r\n.\r\n", .said = G HI MOK ROK GO Q1, .messages = "a@b|c@d|\n" TRACE1},
		{.in = EHLO M R "DATA\r\n..\r\n...\r\n.a\r\n..\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1 ".\r\n..\r\na\r\n.\r\n"},
		{.in = EHLO M R "DATA\r\nx\r\n.\r\n" M R "DATA\r\ny\r\n.\r\n",
			.said = G HI MOK ROK GO Q1 MOK ROK GO Q2,
			.messages = "a@b|c@d|\n" TRACE1 "x\r\na@b|c@d|\n" TRACE2 "y\r\n"},
		{.in = "HELO [192.0.2.9]\r\nMAIL FROM:<>\r\nRCPT TO:<c@D.Example>\r\nRCPT "
		       "TO:<e@f>\r\nDATA\r\nx\r\n.\r\n",
			.said = G "250 r.example\r\n" MOK ROK ROK GO Q1,
			.messages = "|c@d.example|e@f|\nReceived: from [192.0.2.9] ([192.0.2.1])\r\n"
				    "\tby r.example with SMTP id 0000000000001;\r\n\t" DATE "\r\nx\r\n"},
		{.in = EHLO "MAIL FROM:<a@b> BODY=8BITMIME SIZE=10\r\n" R "DATA\r\n\xc3\xbc\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|c@d|8hB\n" TRACE1 "\xc3\xbc\r\n"},
		{.in = EHLO M R "DATA\r\n123456789\xff\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|c@d|8h\n" TRACE1 "123456789\xff\r\n"},
		{.in = EHLO M "RCPT TO:<Postmaster>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\n",
			.said = G HI MOK ROK ROK GO Q1,
			.messages = "a@b|Postmaster@r.example|c@d|\nReceived: from c.example ([192.0.2.1])\r\n"
				    "\tby r.example with ESMTP id 0000000000001;\r\n\t" DATE "\r\n"},
		/* a long line of content is no long command */
		{.in = EHLO M R "DATA\r\n" HUNDRED HUNDRED "\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1 HUNDRED HUNDRED "\r\n"},
	};
	assert_int_equal(RUN(rows) & 1u << SMTP_CLOSED, 1u << SMTP_CLOSED);
}

/* More ways to write an end that is none: smuggling_test.c. */
static void test_false_ends_at_the_very_beginning(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO M R "DATA\r\n.\n" M "\r\n.\r\n", .said = G HI MOK ROK GO BARE},
		{.in = EHLO M R "DATA\r\n.\r" M "\r\n.\r\n", .said = G HI MOK ROK GO BARE},
		{.in = EHLO M R "DATA\r\n\n.\r\nx\r\n.\r\n", .said = G HI MOK ROK GO BARE},
	};
	RUN(rows);
}

static void test_line_ends_of_commands(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = "NOOP\n", .said = G ENDS},
		{.in = "NOOP\nRSET\r\n", .said = G ENDS OK},
		{.in = "NOOP\rRSET\r\n", .said = G ENDS},
		{.in = "NOOP\r\r\n", .said = G ENDS},
		{.in = "\n", .said = G ENDS},
		{.in = EHLO "MAIL FROM:<a@b>\rRCPT TO:<c@d>\r\n", .said = G HI ENDS},
		{.in = EHLO "MAIL FROM:<a@b>\n" R "DATA\r\nNOOP\r\n", .said = G HI ENDS NEED_MAIL NO_RCPT OK},
	};
	RUN(rows);
}

/* A group of which parts fail: what follows is read as commands, never as content. */
static void test_groups(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO "MAIL FROM:<a>\r\n" R "DATA\r\nNOOP\r\n",
			.said = G HI "501 5.1.7 Sender address cannot be read\r\n" NEED_MAIL NO_RCPT OK},
		{.in = EHLO M "RCPT TO:<x>\r\nDATA\r\nRSET\r\n",
			.said = G HI MOK "501 5.1.3 Recipient address cannot be read\r\n" NO_RCPT OK},
		{.in = EHLO M "RCPT TO:<x>\r\n" R "DATA\r\nx\r\n.\r\nNOOP\r\n",
			.said = G HI MOK "501 5.1.3 Recipient address cannot be read\r\n" ROK GO Q1 OK,
			.messages = "a@b|c@d|\n" TRACE1 "x\r\n"},
		{.in = EHLO M R "DATA\r\nNOOP\r\n", .stranger = true, .said = G HI MOK DENIED NO_RCPT OK},
		{.in = EHLO M R "DATA\r\nNOOP\r\n",
			.open_err = -ENOSPC,
			.said = G HI MOK ROK "452 4.3.1 Not enough space in the spool\r\n" OK},
		{.in = EHLO M R "DATA\r\nNOOP\r\n",
			.room = SMTP_ROOM_QUEUE,
			.said = G HI "452 4.3.1 Too many messages in the queue\r\n" NEED_MAIL NO_RCPT OK},
	};
	RUN(rows);
}

static void test_limits(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		/* the line: 80 bytes with its CRLF */
		{.in = "NOOP " TEN TEN TEN TEN TEN TEN TEN "xxx\r\nNOOP\r\n", .said = G OK OK},
		{.in = "NOOP " TEN TEN TEN TEN TEN TEN TEN "xxxx\r\nNOOP\r\n",
			.said = G "500 5.5.2 Line too long\r\n" OK},
		{.in = "NOOP " HUNDRED HUNDRED "\r\nNOOP\r\n", .said = G "500 5.5.2 Line too long\r\n" OK},
		/* recipients: 3 */
		{.in = EHLO M R
			"RCPT TO:<e@d>\r\nRCPT TO:<f@d>\r\nRCPT TO:<g@d>\r\nRCPT TO:<h@d>\r\nDATA\r\nx\r\n.\r\n",
			.said = G HI MOK ROK ROK ROK
			"452 4.5.3 Too many recipients\r\n452 4.5.3 Too many recipients\r\n" GO Q1,
			.messages = "a@b|c@d|e@d|f@d|\nReceived: from c.example ([192.0.2.1])\r\n"
				    "\tby r.example with ESMTP id 0000000000001;\r\n\t" DATE "\r\nx\r\n"},
		/* size: 1000 bytes */
		{.in = EHLO "MAIL FROM:<a@b> SIZE=1000\r\nRSET\r\nMAIL FROM:<a@b> SIZE=1001\r\n" R,
			.said = G HI MOK OK BIG NEED_MAIL},
		{.in = EHLO M R "DATA\r\n" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED TEN
				TEN TEN TEN TEN TEN TEN TEN TEN "01234567\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1 HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
				HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN "01234567\r\n"},
		{.in = EHLO M R "DATA\r\n" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED TEN
				TEN TEN TEN TEN TEN TEN TEN TEN "012345678\r\n.\r\nNOOP\r\n",
			.said = G HI MOK ROK GO BIG OK},
		/* hops: 2 */
		{.in = EHLO M R "DATA\r\nReceived: 1\r\n x\r\nRECEIVED :2\r\nXReceived: x\r\n Received: x\r\n\r\n"
				"Received: 3\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1
				    "Received: 1\r\n x\r\nRECEIVED :2\r\nXReceived: x\r\n Received: x\r\n\r\n"
				    "Received: 3\r\n"},
		{.in = EHLO M R "DATA\r\nReceived: 1\r\nreceived: 2\r\nReceived :3\r\n\r\n.\r\nNOOP\r\n",
			.said = G HI MOK ROK GO "554 5.4.6 Too many Received fields: this looks like a loop\r\n" OK},
		/* errors: 5; replies of a group stop there */
		{.in = "A\r\nB\r\nC\r\nD\r\nNOOP\r\nE\r\nF\r\nNOOP\r\n",
			.said = G UNKNOWN UNKNOWN UNKNOWN UNKNOWN OK UNKNOWN "421 4.7.0 r.example: Too many errors\r\n",
			.closed = true},
		/* storage */
		{.in = EHLO M, .room = SMTP_ROOM_SPACE, .said = G HI "452 4.3.1 Not enough space in the spool\r\n"},
		{.in = EHLO M, .room = SMTP_ROOM_BROKEN, .said = G HI "451 4.3.0 The message could not be stored\r\n"},
		{.in = EHLO M R "DATA\r\nx\r\n.\r\nNOOP\r\n",
			.commit_err = -ENOSPC,
			.said = G HI MOK ROK GO "452 4.3.1 Not enough space in the spool\r\n" OK},
		{.in = EHLO M R "DATA\r\nx\r\n.\r\nNOOP\r\n",
			.commit_err = -EIO,
			.said = G HI MOK ROK GO "451 4.3.0 The message could not be stored\r\n" OK},
		{.in = EHLO M R "DATA\r\nx\r\nNOOP\r\n.\r\nNOOP\r\n",
			.body_err = -EIO,
			.said = G HI MOK ROK GO "451 4.3.0 The message could not be stored\r\n" OK},
		{.in = EHLO M R "DATA\r\nx\r\nNOOP\r\n.\r\nNOOP\r\n",
			.body_err = -ENOSPC,
			.said = G HI MOK ROK GO "452 4.3.1 Not enough space in the spool\r\n" OK},
	};
	RUN(rows);
}

#define GONE "RCPT TO:<x@gone.example>\r\n"
#define IS_GONE "550 5.7.1 gone.example is closed, see new.example\r\n"
#define ERRORS "421 4.7.0 r.example: Too many errors\r\n"

/* Five errors end a session, but a message that was taken makes up for those before it. */
static void test_errors_are_forgiven(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO "A\r\nB\r\nC\r\nD\r\n" M R "DATA\r\n.\r\nA\r\nB\r\nC\r\nD\r\nNOOP\r\nE\r\nNOOP\r\n",
			.said = G HI UNKNOWN UNKNOWN UNKNOWN UNKNOWN MOK ROK GO Q1 UNKNOWN UNKNOWN UNKNOWN UNKNOWN OK
				UNKNOWN ERRORS,
			.messages = "a@b|c@d|\n" TRACE1,
			.closed = true},
		/* a message that was not stored makes up for nothing */
		{.in = EHLO "A\r\nB\r\nC\r\nD\r\n" M R "DATA\r\n.\r\nA\r\nNOOP\r\n",
			.commit_err = -EIO,
			.said = G HI UNKNOWN UNKNOWN UNKNOWN UNKNOWN MOK ROK GO
			"451 4.3.0 The message could not be stored\r\n" UNKNOWN ERRORS,
			.closed = true},
		/* what a route refuses to a client that may relay is no error of that client */
		{.in = EHLO M GONE GONE GONE GONE GONE GONE R "DATA\r\n.\r\n",
			.said = G HI MOK IS_GONE IS_GONE IS_GONE IS_GONE IS_GONE IS_GONE ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1},
		/* a stranger that looks for an open relay is ended */
		{.in = EHLO M R R R R R "NOOP\r\n",
			.stranger = true,
			.said = G HI MOK DENIED DENIED DENIED DENIED DENIED ERRORS,
			.closed = true},
	};
	RUN(rows);
}

#define PM "RCPT TO:<postmaster>\r\n"
#define NO_PM "550 5.1.1 Nobody reads mail for postmaster here: `postmaster` is not set\r\n"
#define TRACE_PM                                                                                                       \
	"Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id 0000000000001\r\n"                     \
	"\tfor <pat@p.example>;\r\n\t" DATE "\r\n"

/* RFC 5321 §4.5.1: our postmaster is reached by everybody, if there is one. */
static void test_postmaster(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO M "RCPT TO:<PostMaster>\r\n" R "DATA\r\n.\r\n",
			.stranger = true,
			.postmaster = true,
			.said = G HI MOK ROK DENIED GO Q1,
			.messages = "a@b|pat@p.example notify=0 orcpt=rfc822;PostMaster@r.example|\n" TRACE_PM},
		{.in = EHLO M "RCPT TO:<Postmaster@R.example>\r\nRCPT TO:<\"postmaster\"@r.example>\r\nDATA\r\n.\r\n",
			.stranger = true,
			.postmaster = true,
			.said = G HI MOK ROK ROK GO Q1,
			.messages = "a@b|pat@p.example notify=0 orcpt=rfc822;Postmaster@r.example|\n" TRACE_PM},
		/* no one else's postmaster, and not whom ours is */
		{.in = EHLO M
			"RCPT TO:<postmaster@d>\r\nRCPT TO:<pat@p.example>\r\nRCPT TO:<postmasters@r.example>\r\n",
			.stranger = true,
			.postmaster = true,
			.said = G HI MOK DENIED DENIED DENIED},
		/* the client's own ORCPT stays */
		{.in = EHLO M "RCPT TO:<postmaster> NOTIFY=NEVER ORCPT=rfc822;o@x\r\nDATA\r\n.\r\n",
			.postmaster = true,
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|pat@p.example notify=1 orcpt=rfc822;o@x|\n" TRACE_PM},
		/* in every spelling, and by the address behind it, one recipient */
		{.in = EHLO M PM "RCPT TO:<pat@p.example>\r\nRCPT TO:<postmaster@r.example>\r\nDATA\r\n.\r\n",
			.postmaster = true,
			.said = G HI MOK ROK ROK ROK GO Q1,
			.messages = "a@b|pat@p.example notify=0 orcpt=rfc822;postmaster@r.example|\n" TRACE_PM},
		{.in = EHLO M "RCPT TO:<pat@p.example>\r\n" PM "DATA\r\n.\r\n",
			.postmaster = true,
			.said = G HI MOK ROK ROK GO Q1,
			.messages = "a@b|pat@p.example|\n" TRACE_PM},
		/* nobody was named */
		{.in = EHLO M PM "RCPT TO:<postmaster@r.example>\r\nDATA\r\n",
			.stranger = true,
			.said = G HI MOK NO_PM NO_PM NO_RCPT},
		{.in = EHLO M PM "DATA\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages =
				"a@b|postmaster@r.example|\nReceived: from c.example ([192.0.2.1])\r\n"
				"\tby r.example with ESMTP id 0000000000001\r\n\tfor <postmaster@r.example>;\r\n\t" DATE
				"\r\n"},
	};
	RUN(rows);
}

#define NO_NAME "501 Give the name of your host\r\n"

/* What old devices write is let pass for those who may relay; a stranger keeps to the RFC. */
static void test_leniency(void **state)
{
	(void)state;
	static const char *const names[] = {"my_printer", "192.0.2.7", "2001:db8::7", "a b", "scanner.", "[192.0.2.7"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char in[64];
		snprintf(in, sizeof in, "EHLO %s\r\n", names[i]);
		const struct dialogue rows[] = {
			{.in = in, .said = G HI}, {.in = in, .stranger = true, .said = G NO_NAME}};
		RUN(rows);
	}
	static const char *const fine[] = {"c.example", "localhost", "[192.0.2.7]", "[IPv6:2001:db8::7]", "1.example"};
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
		char in[64];
		snprintf(in, sizeof in, "EHLO %s\r\n", fine[i]);
		const struct dialogue d = {.in = in, .stranger = true, .said = G HI};
		dialogue_run_all(&d, 1);
	}
	static const struct dialogue rows[] = {
		{.in = EHLO "MAIL FROM: a@b SIZE=3\r\nRCPT TO:c@d\r\nDATA\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1},
		{.in = EHLO "MAIL FROM: <a@b>\r\nMAIL FROM:a@b\r\n" M "RCPT TO: <postmaster>\r\nRCPT TO:postmaster\r\n",
			.stranger = true,
			.postmaster = true,
			.said = G HI "501 5.1.7 Sender address cannot be read\r\n"
				     "501 5.1.7 Sender address cannot be read\r\n" MOK
				     "501 5.1.3 Recipient address cannot be read\r\n"
				     "501 5.1.3 Recipient address cannot be read\r\n"},
	};
	RUN(rows);
}

/* Quotes that are not needed make no other recipient; RFC 5321 §4.1.2. */
static void test_quoted_duplicates(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO M R
			"RCPT TO:<\"c\"@d>\r\nRCPT TO:<\"\\c\"@d>\r\nRCPT TO:<\"c \"@d>\r\nRCPT TO:<\"\\c \"@d>\r\n"
			"DATA\r\n.\r\n",
			.said = G HI MOK ROK ROK ROK ROK ROK GO Q1,
			.messages = "a@b|c@d|\"c \"@d|\nReceived: from c.example ([192.0.2.1])\r\n"
				    "\tby r.example with ESMTP id 0000000000001;\r\n\t" DATE "\r\n"},
	};
	RUN(rows);
}

/* Nobody outside `clients` gets a recipient through, however it is written. */
static void test_relaying(void **state)
{
	(void)state;
	static const char *const targets[] = {"<c@d>", "<c%d@r.example>", "<d!c@r.example>", "<@r.example:c@d>",
		"<\"c@d\"@r.example>", "<c@[192.0.2.1]>", "<c@r.example>"};
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		char in[256];
		snprintf(in, sizeof in, EHLO M "RCPT TO:%s\r\nDATA\r\n", targets[i]);
		const struct dialogue d = {.in = in, .stranger = true, .said = G HI MOK DENIED NO_RCPT};
		dialogue_run_all(&d, 1);
	}
}

/* What a route refuses is refused at RCPT: the client knows at once, and the rest of its message goes its way. */
static void test_rejecting_routes(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO M "RCPT TO:<x@Gone.example>\r\n" R
			      "RCPT TO:<x@soft.example>\r\nRCPT TO:<x@a.gone.example>\r\n"
			      "DATA\r\nx\r\n.\r\n",
			.said = G HI MOK "550 5.7.1 gone.example is closed, see new.example\r\n" ROK
					 "450 4.7.1 it moves\r\n" ROK GO Q1,
			.messages = "a@b|c@d|x@a.gone.example|\nReceived: from c.example ([192.0.2.1])\r\n"
				    "\tby r.example with ESMTP id 0000000000001;\r\n\t" DATE "\r\nx\r\n"},
		{.in = EHLO M "RCPT TO:<x@gone.example>\r\nDATA\r\n",
			.said = G HI MOK "550 5.7.1 gone.example is closed, see new.example\r\n" NO_RCPT},
		/* who may not relay does not learn what routes say */
		{.in = EHLO M "RCPT TO:<x@gone.example>\r\n", .stranger = true, .said = G HI MOK DENIED},
	};
	RUN(rows);
}

/* Events from outside in every state. */
static void test_events(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		enum smtp_state at;
		bool waits; /* for the end of the content */
	} rows[] = {
		{"", SMTP_FRESH, false},
		{EHLO, SMTP_GREETED, false},
		{EHLO M, SMTP_MAIL, false},
		{EHLO M R, SMTP_RCPT, false},
		{EHLO M R "DATA\r\nx", SMTP_CONTENT, true},
		{EHLO M R "DATA\r\nx\ny", SMTP_REFUSED, true},
	};
	struct conf c = dialogue_test_conf();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		struct smtp_server s;
		dialogue_world_init(&w);
		dialogue_start(&w, &s, &c, &anybody);
		dialogue_feed(&w, &s, rows[i].in, strlen(rows[i].in));
		assert_int_equal(s.state, rows[i].at);
		buf_reset(&w.said);
		dialogue_obey(&w, &s, smtp_server_shutdown(&s));
		assert_int_equal(w.closed, !rows[i].waits);
		if (rows[i].waits) {
			assert_int_equal(w.said.len, 0);
			dialogue_feed(&w, &s, "\r\n.\r\nNOOP\r\n", 11);
			assert_true(w.closed);
			assert_non_null(strstr((char *)w.said.data, rows[i].at == SMTP_CONTENT ? Q1 : BARE));
		}
		assert_non_null(strstr((char *)w.said.data, "421 4.3.2 r.example: Service is shutting down\r\n"));
		smtp_server_fini(&s);
		dialogue_world_fini(&w);

		dialogue_world_init(&w);
		dialogue_start(&w, &s, &c, &anybody);
		dialogue_feed(&w, &s, rows[i].in, strlen(rows[i].in));
		buf_reset(&w.said);
		dialogue_obey(&w, &s, smtp_server_timed_out(&s, i % 2));
		assert_true(w.closed);
		dialogue_same(&w.said,
			i % 2 ? "421 4.4.2 r.example: The message took too long\r\n"
			      : "421 4.4.2 r.example: You were silent for too long\r\n",
			rows[i].in);
		assert_int_equal(w.refused[i % 2 ? SMTP_REFUSED_DATA_TIMEOUT : SMTP_REFUSED_TIMEOUT], 1);
		smtp_server_fini(&s);
		dialogue_world_fini(&w);
	}
}

/* Replies never grow past the mark by more than one, whatever a group asks for. */
static void test_output_is_bounded(void **state)
{
	(void)state;
	struct conf c = dialogue_test_conf();
	c.limits.junk = 5000;
	struct world w;
	struct smtp_server s;
	dialogue_world_init(&w);
	dialogue_start(&w, &s, &c, &anybody);
	char in[6 * 5000 + 1];
	for (int i = 0; i < 5000; i++)
		memcpy(in + 6 * i, "HELP\r\n", 6);
	dialogue_feed(&w, &s, in, sizeof in - 1);
	assert_true(w.largest_out < 4096 + 2048);
	assert_int_equal(w.said.len,
		strlen(G) + 5000 * strlen("214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP\r\n"));
	smtp_server_fini(&s);
	dialogue_world_fini(&w);
}

/* An idle machine holds a name and nothing else; a partial line is bounded by limits { line }. */
static void test_memory(void **state)
{
	(void)state;
	struct conf c = dialogue_test_conf();
	struct world w;
	struct smtp_server s;
	dialogue_world_init(&w);
	dialogue_start(&w, &s, &c, &anybody);
	dialogue_feed(&w, &s, EHLO M R "DATA\r\nx\r\n.\r\n", strlen(EHLO M R "DATA\r\nx\r\n.\r\n"));
	assert_null(s.line.data);
	assert_null(s.arena.data);
	for (int i = 0; i < 100000; i++) {
		dialogue_feed(&w, &s, "x", 1);
		assert_true(s.line.cap <= c.limits.line + 1);
	}
	assert_true(sizeof s < 512);
	smtp_server_fini(&s);
	dialogue_world_fini(&w);
}

/* The states are all reachable, and random bytes bring no state to a message that was not ended by CRLF.CRLF. */
static void test_noise(void **state)
{
	(void)state;
	static const char *const words[] = {EHLO, M, R, "DATA\r\n", "\r\n", ".", "\r", "\n", "\r\n.\r\n", "RSET\r\n",
		"x", "\xff", "MAIL FROM:<", ">", "NOOP\r\n"};
	struct conf c = dialogue_test_conf();
	c.limits.errors = 1000000;
	unsigned visited = 0;
	for (int round = 0; round < 2000; round++) {
		struct world w;
		struct smtp_server s;
		dialogue_world_init(&w);
		dialogue_start(&w, &s, &c, &anybody);
		dialogue_feed(&w, &s, EHLO M R, strlen(EHLO M R));
		for (int i = 0; i < 40 && !w.closed; i++) {
			dialogue_seed = dialogue_seed * 1103515245 + 12345;
			const char *word = words[(dialogue_seed >> 16) % (sizeof words / sizeof words[0])];
			dialogue_feed(&w, &s, word, strlen(word));
		}
		for (size_t i = 0; i < w.messages.len; i++) {
			assert_false(w.messages.data[i] == '\r' && w.messages.data[i + 1] != '\n');
		}
		visited |= w.visited;
		smtp_server_fini(&s);
		dialogue_world_fini(&w);
	}
	assert_true(visited & 1u << SMTP_CONTENT && visited & 1u << SMTP_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_false_ends_at_the_very_beginning),
		cmocka_unit_test(test_line_ends_of_commands),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_errors_are_forgiven),
		cmocka_unit_test(test_postmaster),
		cmocka_unit_test(test_leniency),
		cmocka_unit_test(test_quoted_duplicates),
		cmocka_unit_test(test_relaying),
		cmocka_unit_test(test_rejecting_routes),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_output_is_bounded),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
