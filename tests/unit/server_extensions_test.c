/* tests/unit/server_extensions_test.c: dialogues with the server's machine about what EHLO offers: chunks, binary
 * content, SMTPUTF8, DSN, times and priorities; and for old devices bare line ends that are mended. */
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

#define MB "MAIL FROM:<a@b> BODY=BINARYMIME\r\n"
#define GOT(n) "250 2.0.0 " #n " octets received\r\n"
#define LONG "500 5.5.2 Line too long\r\n"
#define DOWN "421 4.3.2 r.example: Service is shutting down\r\n"
#define SPOILED "503 5.5.1 A chunk before this one was refused: RSET\r\n"
#define IN_CHUNKS "503 5.5.1 The message is coming in chunks: go on with BDAT, or RSET\r\n"
#define WRONG "501 5.5.4 Parameter with a wrong value, or twice\r\n"
#define UNKNOWN_P "555 5.5.4 Parameter not known\r\n"
#define RANGE "501 5.5.4 Parameter out of the range that EHLO names\r\n"
#define TRACE_UTF8                                                                                                     \
	"Received: from c.example ([192.0.2.1])\r\n\tby r.example with UTF8SMTP id 0000000000001;\r\n\t" DATE "\r\n"

static void test_chunks(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO M R "BDAT 5 LAST\r\nx\r\ny\nNOOP\r\n", .said = G HI MOK ROK BARE OK},
		{.in = EHLO M R "BDAT 6 LAST\r\nx\r\ny\r\nNOOP\r\n",
			.said = G HI MOK ROK Q1 OK,
			.messages = "a@b|c@d|\n" TRACE1 "x\r\ny\r\n"},
		/* dots are content, and so is what looks like the end of DATA or like a command */
		{.in = EHLO M R "BDAT 24 last\r\n.\r\n..\r\n\r\n.\r\nQUIT\r\nRSET\r\nNOOP\r\n",
			.said = G HI MOK ROK Q1 OK,
			.messages = "a@b|c@d|\n" TRACE1 ".\r\n..\r\n\r\n.\r\nQUIT\r\nRSET\r\n"},
		/* a CRLF lies between two chunks; the last one is empty */
		{.in = EHLO M R "bdat 3\r\nab\rBDAT 4\r\n\ncd\rBDAT 1\r\n\nBDAT 0 LAST\r\n" M,
			.said = G HI MOK ROK GOT(3) GOT(4) GOT(1) Q1 MOK,
			.messages = "a@b|c@d|\n" TRACE1 "ab\r\ncd\r\n"},
		{.in = EHLO M R "BDAT 0\r\nBDAT 0 LAST\r\n",
			.said = G HI MOK ROK GOT(0) Q1,
			.messages = "a@b|c@d|\n" TRACE1},
		/* no CRLF at the end: kept as it is */
		{.in = EHLO M R "BDAT 1 LAST\r\nx" M R "DATA\r\ny\r\n.\r\n",
			.said = G HI MOK ROK Q1 MOK ROK GO Q2,
			.messages = "a@b|c@d|\n" TRACE1 "xa@b|c@d|\n" TRACE2 "y\r\n"},
		/* a CR at the very end is bare */
		{.in = EHLO M R "BDAT 2 LAST\r\nx\rNOOP\r\n", .said = G HI MOK ROK BARE OK},
		{.in = EHLO M R "BDAT 2\r\nx\rRSET\r\n" M R "BDAT 3 LAST\r\ny\r\n",
			.said = G HI MOK ROK GOT(2) OK MOK ROK Q2,
			.messages = "a@b|c@d|\n" TRACE2 "y\r\n"},
		/* between chunks only BDAT, and what ends it */
		{.in = EHLO M R "BDAT 1\r\nx" M R "DATA\r\nNOOP\r\nBDAT 2 LAST\r\n\r\n",
			.said = G HI MOK ROK GOT(1) IN_CHUNKS IN_CHUNKS IN_CHUNKS OK Q1,
			.messages = "a@b|c@d|\n" TRACE1 "x\r\n"},
		{.in = EHLO M R "BDAT 1\r\nx" EHLO "BDAT 1\r\nxNOOP\r\n", .said = G HI MOK ROK GOT(1) HI NEED_MAIL OK},
		{.in = EHLO M R "BDAT 1\r\nxQUIT\r\n", .said = G HI MOK ROK GOT(1) BYE, .closed = true},
	};
	assert_true(RUN(rows) & 1u << SMTP_CHUNKS);
}

/* The bytes of a chunk that cannot be taken are never taken for commands. */
static void test_refused_chunks(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", .said = G NEED_HELO OK},
		{.in = EHLO "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", .said = G HI NEED_MAIL OK},
		{.in = EHLO M "BDAT 6\r\nQUIT\r\n" R "BDAT 3 LAST\r\nx\r\n",
			.said = G HI MOK NO_RCPT ROK Q1,
			.messages = "a@b|c@d|\n" TRACE1 "x\r\n"},
		{.in = EHLO M "RCPT TO:<x>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
			.said = G HI MOK "501 5.1.3 Recipient address cannot be read\r\n" NO_RCPT OK},
		{.in = EHLO M R "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
			.stranger = true,
			.said = G HI MOK DENIED NO_RCPT OK},
		/* no place: this chunk and those behind it, until LAST */
		{.in = EHLO M R "BDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n" M,
			.open_err = -ENOSPC,
			.said = G HI MOK ROK "452 4.3.1 Not enough space in the spool\r\n" SPOILED SPOILED MOK},
		{.in = EHLO M R "BDAT 6 LAST\r\nQUIT\r\n" M,
			.open_err = -ENOSPC,
			.said = G HI MOK ROK "452 4.3.1 Not enough space in the spool\r\n" MOK},
		/* a fault in one chunk */
		{.in = EHLO M R "BDAT 3\r\na\nbBDAT 3\r\nc\r\nRSET\r\n" M, .said = G HI MOK ROK BARE SPOILED OK MOK},
		{.in = EHLO M R "BDAT 3\r\na\nbBDAT 0 LAST\r\n" M, .said = G HI MOK ROK BARE SPOILED MOK},
		{.in = EHLO M R "BDAT 3\r\nabcBDAT 2 LAST\r\n\n\n" M, .said = G HI MOK ROK GOT(3) BARE MOK},
		/* size: 1000 bytes in all; the answer comes behind the bytes */
		{.in = EHLO M R "BDAT 9\r\nsmall one"
				"BDAT 992\r\n" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
					TEN TEN TEN TEN TEN TEN TEN TEN TEN "01"
				"BDAT 2 LAST\r\n\r\n" M,
			.said = G HI MOK ROK GOT(9) BIG SPOILED MOK},
		{.in = EHLO M R "BDAT 99999999999999999999 LAST\r\nQUIT\r\n",
			.said = G HI MOK ROK "501 5.5.4 Syntax: BDAT size [LAST]\r\n",
			.closed = true},
		/* hops: 2 */
		{.in = EHLO M R "BDAT 39\r\nReceived: 1\r\nReceived: 2\r\nReceived: 3\r\nBDAT 2 LAST\r\n\r\n" M,
			.said = G HI MOK ROK
			"554 5.4.6 Too many Received fields: this looks like a loop\r\n" SPOILED MOK},
		{.in = EHLO M R "BDAT 3 LAST\r\nx\r\nNOOP\r\n",
			.commit_err = -EIO,
			.said = G HI MOK ROK "451 4.3.0 The message could not be stored\r\n" OK},
		{.in = EHLO M R "BDAT 3\r\nx\r\nBDAT 3\r\ny\r\nBDAT 3 LAST\r\nz\r\nNOOP\r\n",
			.body_err = -ENOSPC,
			.said = G HI MOK ROK "452 4.3.1 Not enough space in the spool\r\n" SPOILED SPOILED OK},
	};
	assert_true(RUN(rows) & 1u << SMTP_SKIP);
	/* without a size nobody knows what is content: the session ends */
	static const char *const wrong[] = {"BDAT", "BDAT LAST", "BDAT x", "BDAT -1", "BDAT 1 FIRST", "BDAT 1 LAST x",
		"BDAT 1LAST", "BDAT 0x1", "BDAT 18446744073709551615"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		char in[200];
		snprintf(in, sizeof in, EHLO M R "%s\r\nMAIL FROM:<evil@x>\r\n", wrong[i]);
		const struct dialogue d = {
			.in = in, .said = G HI MOK ROK "501 5.5.4 Syntax: BDAT size [LAST]\r\n", .closed = true};
		dialogue_run_all(&d, 1);
	}
	/* … as it does if the line itself cannot be read; only a line that begins with BDAT is followed by content */
	static const struct dialogue unread[] = {
		{.in = EHLO M R "BDAT 20 LAST\nMAIL FROM:<evil@x>\r\n", .said = G HI MOK ROK ENDS, .closed = true},
		{.in = EHLO M R "bdat 20\rLAST\r\nMAIL FROM:<evil@x>\r\n", .said = G HI MOK ROK ENDS, .closed = true},
		{.in = EHLO M R "Bdat " HUNDRED " LAST\r\nRSET\r\n", .said = G HI MOK ROK LONG, .closed = true},
		{.in = EHLO M R "XBDAT " HUNDRED " LAST\r\nBDA\r\nBDA\n" M,
			.said = G HI MOK ROK LONG UNKNOWN ENDS NESTED},
	};
	RUN(unread);
}

/* What a client has sent ahead of the bad news is one error: five end a session. */
static void test_chunks_sent_ahead(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO M R "BDAT 1\r\n\nBDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nxBDAT 1\r\nxBDAT 1 LAST\r\nx" M,
			.said = G HI MOK ROK BARE SPOILED SPOILED SPOILED SPOILED SPOILED SPOILED MOK},
	};
	RUN(rows);
}

/* The daemon ends between two chunks: the message may come to its end, and no other begins. */
static void test_shutdown_between_chunks(void **state)
{
	(void)state;
	static const struct {
		const char *then, *said, *messages;
		bool goes_on;
	} rows[] = {
		{"NOOP\r\nBDAT 3 LAST\r\ny\r\n", OK Q1 DOWN, "a@b|c@d|\n" TRACE1 "xy\r\n", false},
		{"RSET\r\n" M, OK DOWN, "", false},
		{EHLO M, HI DOWN, "", false},
		{"BDAT 1\r\n\nBDAT 0 LAST\r\n", BARE DOWN, "", false},
		{"BDAT 9\r\n", "", "", true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static const char before[] = EHLO M R "BDAT 1\r\nx";
		struct conf c = dialogue_test_conf();
		struct rights rights = {.relay = true};
		struct world w;
		struct smtp_server s;
		dialogue_world_init(&w);
		dialogue_start(&w, &s, &c, &rights);
		dialogue_feed(&w, &s, before, strlen(before));
		assert_int_equal(s.state, SMTP_CHUNKS);
		buf_reset(&w.said);
		assert_int_equal(smtp_server_shutdown(&s), SMTP_WANT_INPUT);
		dialogue_feed(&w, &s, rows[i].then, strlen(rows[i].then));
		dialogue_same(&w.said, rows[i].said, rows[i].then);
		dialogue_same(&w.messages, rows[i].messages, rows[i].then);
		assert_int_equal(w.closed, !rows[i].goes_on);
		smtp_server_fini(&s);
		dialogue_world_fini(&w);
	}
}

/* RFC 5321 §4.5.3.1.8: one that is there already is no further one. */
static void test_duplicate_recipients(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO M "RCPT TO:<1@d>\r\nRCPT TO:<2@d>\r\nRCPT TO:<3@d>\r\nRCPT TO:<1@D>\r\nRCPT TO:<4@d>\r\n"
			      "DATA\r\n.\r\n",
			.said = G HI MOK ROK ROK ROK ROK "452 4.5.3 Too many recipients\r\n" GO Q1,
			.messages = "a@b|1@d|2@d|3@d|\n"
				    "Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id "
				    "0000000000001;\r\n\t" DATE "\r\n"},
	};
	RUN(rows);
}

static void test_binary(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO MB R "BDAT 8 LAST\r\na\nb\rc\r\n.NOOP\r\n",
			.said = G HI MOK ROK Q1 OK,
			.messages = "a@b|c@d|BN\n" TRACE1 "a\nb\rc\r\n."},
		{.in = EHLO MB R "DATA\r\nNOOP\r\n",
			.said = G HI MOK ROK "503 5.5.1 BODY=BINARYMIME needs BDAT\r\n" OK},
		{.in = EHLO MB R "BDAT 1\r\n\rBDAT 1 LAST\r\n\r",
			.said = G HI MOK ROK GOT(1) Q1,
			.messages = "a@b|c@d|BN\n" TRACE1 "\r\r"},
	};
	RUN(rows);
}

static void test_utf8(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO "MAIL FROM:<j\xc3\xbcrgen@b\xc3\xbc.de> SMTPUTF8\r\nRCPT TO:<\xce\xb4@D\xc3\x9c.de>\r\n"
			    "DATA\r\nSubject: \xc3\xbc\r\n\r\nx\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "j\xc3\xbcrgen@xn--b-eha.de|\xce\xb4@xn--d-eha.de|8hU\n" TRACE_UTF8
				    "Subject: \xc3\xbc\r\n\r\nx\r\n"},
		/* without the parameter */
		{.in = EHLO "MAIL FROM:<j\xc3\xbc@b>\r\n" M "RCPT TO:<\xce\xb4@d>\r\nRCPT TO:<x@\xce\xb4.de>\r\n",
			.said = G HI "553 5.6.7 An address beyond ASCII needs SMTPUTF8, and UTF-8 that is valid\r\n" MOK
				     "553 5.6.7 An address beyond ASCII needs SMTPUTF8, and UTF-8 that is valid\r\n"
				     "553 5.6.7 An address beyond ASCII needs SMTPUTF8, and UTF-8 that is valid\r\n"},
		/* no UTF-8, or no name */
		{.in = EHLO "MAIL FROM:<j\xfc@b> SMTPUTF8\r\nMAIL FROM:<j@\xe2\x98\x83\xff> SMTPUTF8\r\nMAIL "
			    "FROM:<\xc2\x85@b> "
			    "SMTPUTF8\r\n",
			.said = G HI "553 5.6.7 An address beyond ASCII needs SMTPUTF8, and UTF-8 that is valid\r\n"
				     "553 5.6.7 An address beyond ASCII needs SMTPUTF8, and UTF-8 that is valid\r\n"
				     "553 5.6.7 An address beyond ASCII needs SMTPUTF8, and UTF-8 that is valid\r\n"},
		{.in = EHLO "MAIL FROM:<\"j\xc3\xbc x\"@b> SMTPUTF8\r\n" R "DATA\r\n\r\n\xc3\xbc\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "\"j\xc3\xbc x\"@b|c@d|8U\nReceived: from c.example ([192.0.2.1])\r\n\tby "
				    "r.example with "
				    "UTF8SMTP id 0000000000001\r\n\tfor <c@d>;\r\n\t" DATE "\r\n\r\n\xc3\xbc\r\n"},
	};
	RUN(rows);
}

static void test_dsn(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO "MAIL FROM:<a@b> RET=HDRS ENVID=q+2Bq\r\n"
			    "RCPT TO:<c@d> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c@x\r\nRCPT TO:<e@d> NOTIFY=NEVER\r\n"
			    "BDAT 3 LAST\r\nx\r\n",
			.said = G HI MOK ROK ROK Q1,
			.messages = "a@b|c@d notify=6 orcpt=rfc822;c@x|e@d notify=1 orcpt=|H envid=q+2Bq\n"
				    "Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id "
				    "0000000000001;\r\n\t" DATE "\r\nx\r\n"},
		{.in = EHLO "MAIL FROM:<a@b> RET=ALL\r\n" M
			    "RCPT TO:<c@d> NOTIFY=NEVER,DELAY\r\nRCPT TO:<c@d> ORCPT=x\r\n",
			.said = G HI WRONG MOK WRONG WRONG},
		/* the same recipient again counts once, with what was said first */
		{.in = EHLO M "RCPT TO:<c@d> NOTIFY=NEVER\r\nRCPT TO:<c@D>\r\n" R "RCPT TO:<C@d>\r\nDATA\r\n.\r\n",
			.said = G HI MOK ROK ROK ROK ROK GO Q1,
			.messages = "a@b|c@d notify=1 orcpt=|C@d|\nReceived: from c.example ([192.0.2.1])\r\n\tby "
				    "r.example "
				    "with ESMTP id 0000000000001;\r\n\t" DATE "\r\n"},
	};
	RUN(rows);
}

static void test_rights(void **state)
{
	(void)state;
	static const struct dialogue rows[] = {
		{.in = EHLO, .deliver_by = true, .said = G HI_LEAD "250-DELIVERBY 60\r\n250 ENHANCEDSTATUSCODES\r\n"},
		{.in = EHLO,
			.future_release = true,
			.said = G HI_LEAD
			"250-FUTURERELEASE 86400 2026-11-24T14:15:40.000Z\r\n250 ENHANCEDSTATUSCODES\r\n"},
		{.in = EHLO, .priority = true, .said = G HI_LEAD "250-MT-PRIORITY\r\n250 ENHANCEDSTATUSCODES\r\n"},
		{.in = EHLO "MAIL FROM:<a@b> BY=60;R\r\nMAIL FROM:<a@b> HOLDFOR=1\r\nMAIL FROM:<a@b> MT-PRIORITY=1\r\n",
			.said = G HI UNKNOWN_P UNKNOWN_P UNKNOWN_P},
		{.in = EHLO "MAIL FROM:<a@b> BY=59;R\r\nMAIL FROM:<a@b> BY=60;RT\r\n" R "DATA\r\n.\r\n",
			.deliver_by = true,
			.said = G HI_LEAD "250-DELIVERBY 60\r\n250 ENHANCEDSTATUSCODES\r\n" RANGE MOK ROK GO Q1,
			.messages = "a@b|c@d| by=+60RT\n" TRACE1},
		{.in = EHLO "MAIL FROM:<a@b> BY=-5;N\r\n" R "DATA\r\n.\r\n",
			.deliver_by = true,
			.said = G HI_LEAD "250-DELIVERBY 60\r\n250 ENHANCEDSTATUSCODES\r\n" MOK ROK GO Q1,
			.messages = "a@b|c@d| by=-5N\n" TRACE1},
		{.in = EHLO "MAIL FROM:<a@b> HOLDFOR=86401\r\nMAIL FROM:<a@b> HOLDUNTIL=2026-11-24T14:15:41Z\r\n"
			    "MAIL FROM:<a@b> HOLDUNTIL=2026-11-24T14:15:40Z\r\n" R "DATA\r\n.\r\n",
			.future_release = true,
			.said = G HI_LEAD
			"250-FUTURERELEASE 86400 2026-11-24T14:15:40.000Z\r\n250 ENHANCEDSTATUSCODES\r\n" RANGE RANGE
				MOK ROK GO Q1,
			.messages = "a@b|c@d| release=+86400\n" TRACE1},
		/* what was to be held until a time that is over goes at once */
		{.in = EHLO "MAIL FROM:<a@b> HOLDUNTIL=2026-11-22T14:15:40Z\r\n" R "DATA\r\n.\r\n",
			.future_release = true,
			.said = G HI_LEAD "250-FUTURERELEASE 86400 2026-11-24T14:15:40.000Z\r\n250 "
					  "ENHANCEDSTATUSCODES\r\n" MOK ROK GO Q1,
			.messages = "a@b|c@d|\n" TRACE1},
		{.in = EHLO "MAIL FROM:<a@b> MT-PRIORITY=-4\r\n" R "DATA\r\n.\r\n" M R "DATA\r\n.\r\n",
			.priority = true,
			.said = G HI_LEAD "250-MT-PRIORITY\r\n250 ENHANCEDSTATUSCODES\r\n" MOK ROK GO Q1 MOK ROK GO Q2,
			.messages = "a@b|c@d| priority=-4\n"
				    "Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id "
				    "0000000000001\r\n\tfor <c@d>\r\n\tPRIORITY -4;\r\n\t" DATE "\r\n"
				    "a@b|c@d|\n" TRACE2},
		{.in = EHLO "MAIL FROM:<a@b> MT-PRIORITY=0\r\n" R "DATA\r\n.\r\n",
			.priority = true,
			.said = G HI_LEAD "250-MT-PRIORITY\r\n250 ENHANCEDSTATUSCODES\r\n" MOK ROK GO Q1,
			.messages = "a@b|c@d|\n"
				    "Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id "
				    "0000000000001\r\n\tfor <c@d>\r\n\tPRIORITY 0;\r\n\t" DATE "\r\n"},
		/* held until it is to be returned, at the latest (mode R; mode N only tells) */
		{.in = EHLO "MAIL FROM:<a@b> BY=60;R HOLDFOR=61\r\n"
			    "MAIL FROM:<a@b> HOLDUNTIL=2026-11-23T14:16:41Z BY=60;RT\r\n"
			    "MAIL FROM:<a@b> BY=60;N HOLDFOR=61\r\nRSET\r\n"
			    "MAIL FROM:<a@b> BY=60;R HOLDFOR=60\r\n" R "DATA\r\n.\r\n",
			.deliver_by = true,
			.future_release = true,
			.said = G HI_LEAD "250-DELIVERBY 60\r\n250-FUTURERELEASE 86400 2026-11-24T14:15:40.000Z\r\n"
					  "250 ENHANCEDSTATUSCODES\r\n" RANGE RANGE MOK OK MOK ROK GO Q1,
			.messages = "a@b|c@d| by=+60R release=+60\n" TRACE1},
		{.in = EHLO "MAIL FROM:<a@b> HOLDFOR=0\r\n",
			.future_release = true,
			.said = G HI_LEAD "250-FUTURERELEASE 86400 2026-11-24T14:15:40.000Z\r\n250 "
					  "ENHANCEDSTATUSCODES\r\n" WRONG},
	};
	RUN(rows);
}

/* bare_newline = normalize: every form of bare CR and LF is mended, and still only CRLF.CRLF ends a message. What
 * looked like an end to others goes out as a line of one dot, which the client machine doubles. */
static void test_normalize(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"a\nb\r\n", "a\r\nb\r\n"},
		{"a\r\nb\n\nc\r\n", "a\r\nb\r\n\r\nc\r\n"},
		{"a\rb\r\n", "a b\r\n"},
		{"a\r\r\n", "a \r\n"},
		{"a\r\r\r\nb\r\n", "a  \r\nb\r\n"},
		{"\n\r\n", "\r\n\r\n"},
		{"a\n.\nb\r\n", "a\r\n.\r\nb\r\n"},
		{"a\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"},
		{"a\r\n.\nb\r\n", "a\r\n.\r\nb\r\n"},
		{"a\r.\rb\r\n", "a . b\r\n"},
		{"a\r\n.\rb\r\n", "a\r\n b\r\n"},
		{"a\r\n.\r\r\n", "a\r\n \r\n"},
		{"a\n..b\n...\r\n", "a\r\n.b\r\n..\r\n"},
		{"a\r\n..\nb\r\n", "a\r\n.\r\nb\r\n"},
		{".\nb\r\n", ".\r\nb\r\n"},
		{"\n.\r\nb\r\n", "\r\n.\r\nb\r\n"},
		{"a\r\n\r.\r\n", "a\r\n .\r\n"},
		{"a\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char in[512], messages[512];
		snprintf(in, sizeof in, EHLO M R "DATA\r\n%s.\r\nNOOP\r\n", rows[i].in);
		snprintf(messages, sizeof messages, "a@b|c@d|\n" TRACE1 "%s", rows[i].out);
		const struct dialogue d = {
			.in = in, .normalize = true, .said = G HI MOK ROK GO Q1 OK, .messages = messages};
		dialogue_run_all(&d, 1);
	}
	static const struct dialogue others[] = {
		{.in = "EHLO c.example\nMAIL FROM:<a@b>\n" R "BDAT 4 LAST\na\nb\rNOOP\n",
			.normalize = true,
			.said = G HI MOK ROK Q1 OK,
			.messages = "a@b|c@d|\n" TRACE1 "a\r\nb "},
		{.in = "NOOP\rx\nNOOP\n", .normalize = true, .said = G ENDS OK},
		{.in = "NOOP\r\r\nNOOP\n", .normalize = true, .said = G ENDS OK},
		{.in = EHLO MB R "BDAT 4 LAST\r\na\nb\r",
			.normalize = true,
			.said = G HI MOK ROK Q1,
			.messages = "a@b|c@d|BN\n" TRACE1 "a\nb\r"},
		{.in = EHLO M R "DATA\r\nReceived: 1\nReceived: 2\nReceived: 3\n\r\n.\r\n",
			.normalize = true,
			.said = G HI MOK ROK GO "554 5.4.6 Too many Received fields: this looks like a loop\r\n"},
	};
	RUN(others);
}

/* Other protocols at this port are told so once, and nothing of theirs is run. */
static void test_foreign(void **state)
{
	(void)state;
	static const char *const http[] = {"GET / HTTP/1.1", "HEAD / HTTP/1.0", "POST /x HTTP/1.1", "PUT /x HTTP/1.1",
		"DELETE /x HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT x:25 HTTP/1.1", "PRI * HTTP/2.0"};
	for (size_t i = 0; i < sizeof http / sizeof http[0]; i++) {
		char in[256];
		snprintf(in, sizeof in, "%s\r\nHost: x\r\n\r\n" EHLO M R, http[i]);
		const struct dialogue d = {
			.in = in, .said = G "421 4.7.0 r.example: This is not an HTTP server\r\n", .closed = true};
		dialogue_run_all(&d, 1);
	}
	static const struct dialogue tls = {.in = "\x16\x03\x01\x02" EHLO,
		.said = G "421 4.7.0 r.example: This port does not begin with TLS\r\n",
		.closed = true};
	dialogue_run_all(&tls, 1);
}

/* Every address that other mailers once took for "pass this on": the domain behind the last @ decides, or it is none.
 */
static void test_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *path, *address; /* NULL: cannot be read */
	} rows[] = {
		{"<c%d@r.example>", "c%d@r.example"},
		{"<d!c@r.example>", "d!c@r.example"},
		{"<@r.example:c@d>", "c@d"},
		{"<@r.example,@x.example:c@d>", "c@d"},
		{"<\"c@d\"@r.example>", "\"c@d\"@r.example"},
		{"<\"a b\"@r.example>", "\"a b\"@r.example"},
		{"<\"a\\\"b\"@r.example>", "\"a\\\"b\"@r.example"},
		{"<c@[192.0.2.1]>", "c@[192.0.2.1]"},
		{"<c@[IPv6:2001:DB8:0::1]>", "c@[IPv6:2001:db8::1]"},
		{"<c@[IPv6:::ffff:192.0.2.1]>", "c@[192.0.2.1]"},
		{"<postMASTER>", "postMASTER@r.example"},
		{"<c@d@r.example>", NULL},
		{"<c>", NULL},
		{"<@d>", NULL},
		{"<c@>", NULL},
		{"<c@d.>", NULL},
		{"<.c@d>", NULL},
		{"<c.@d>", NULL},
		{"<c..c@d>", NULL},
		{"<c c@d>", NULL},
		{"<\"c@d>", NULL},
		{"<c@[192.0.2.1>", NULL},
		{"<c@[192.0.2.300]>", NULL},
		{"<c@[x400:abc]>", NULL},
		{"<c@d", NULL},
		{"c@d", "c@d"}, /* as old clients write it, see server_test.c */
		{"c", NULL},
		{"c @d", NULL},
		{"<@r.example c@d>", NULL},
		{"<|sh@d e>", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char in[256], messages[512];
		snprintf(in, sizeof in, EHLO M "RCPT TO:%s\r\nBDAT 3 LAST\r\nx\r\n", rows[i].path);
		const char *address = rows[i].address ? rows[i].address : "";
		snprintf(messages, sizeof messages,
			"a@b|%s|\nReceived: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id "
			"0000000000001\r\n\tfor <%s>;\r\n\t" DATE "\r\nx\r\n",
			address, address);
		const struct dialogue d =
			rows[i].address
				? (struct dialogue){.in = in, .said = G HI MOK ROK Q1, .messages = messages}
				: (struct dialogue){.in = in,
					  .said = G HI MOK "501 5.1.3 Recipient address cannot be read\r\n" NO_RCPT};
		dialogue_run_all(&d, 1);
	}
}

/* A thousand recipients, each twice: a thousand. */
static void test_many_recipients(void **state)
{
	(void)state;
	struct recipients r;
	recipients_init(&r, 1000);
	char address[64];
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 1000; i++) {
			snprintf(address, sizeof address, "user%u@d%u.example", i, i % 7);
			const struct recipient one = {
				.address = address, .orcpt = i % 3 ? "" : "rfc822;x", .notify = i % 2};
			assert_int_equal(recipients_add(&r, &one), round == 0 ? 0 : -EEXIST);
		}
	assert_int_equal(r.count, 1000);
	const struct recipient further = {.address = "one@more.example", .orcpt = ""};
	assert_int_equal(recipients_add(&r, &further), -E2BIG);
	struct recipient one;
	unsigned i = 0;
	for (size_t at = 0; recipients_next(&r, &at, &one); i++) {
		snprintf(address, sizeof address, "user%u@d%u.example", i, i % 7);
		assert_string_equal(one.address, address);
		assert_string_equal(one.orcpt, i % 3 ? "" : "rfc822;x");
		assert_int_equal(one.notify, i % 2);
	}
	assert_int_equal(i, 1000);
	recipients_fini(&r);
	assert_int_equal(r.count, 0);
	assert_null(r.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_refused_chunks),
		cmocka_unit_test(test_chunks_sent_ahead),
		cmocka_unit_test(test_shutdown_between_chunks),
		cmocka_unit_test(test_duplicate_recipients),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_many_recipients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
