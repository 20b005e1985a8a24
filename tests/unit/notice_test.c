/* tests/unit/notice_test.c: notices are read back: structure, words, hostile replies, what goes back of the message,
 * limits.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/mail/words.h"
#include "tests/unit/notice_fixture.h"

static void test_what_it_says(void **state)
{
	(void)state;
	struct reply no = reply_of(550, "5.1.1", "No such user"), refused = reply_of(0, "", "Connection refused");
	struct attempt *a = attempt_new(ARRIVED + 1000, "mx.example.com");
	struct path_try v6 = path_of("[2001:db8::25]:25", "mx.example.com", FAULT_REFUSED, refused);
	struct path_try v4 = path_of("192.0.2.25:25", "mx.example.com", FAULT_NONE, (struct reply){0});
	assert_int_equal(attempt_add_path(a, &v6), 0);
	assert_int_equal(attempt_add_path(a, &v4), 0);
	a->used = 1;
	struct reply other = reply_of(554, "5.7.1", "IPv6 not welcome");
	assert_int_equal(attempt_set_rcpt(a, 0, RCPT_FAILED, &no), 0);
	assert_int_equal(attempt_set_rcpt(a, 1, RCPT_FAILED, &other), 0);
	const struct notice_rcpt rcpts[] = {{.address = "bob@example.com", .reply = &no}};
	struct notice in = input_of(rcpts, 1);
	in.attempt = a;
	struct parsed p;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);

	HAS(p.head, "From: Mail relay <MAILER-DAEMON@relay.example.net>\r\n");
	HAS(p.head, "To: <alice@example.org>\r\n");
	HAS(p.head, "Auto-Submitted: auto-replied\r\n");
	HAS(p.head, "Date: ");
	HAS(p.head, "Subject: ");
	HAS(p.head, "Message-ID: <");
	HAS(p.head, "MIME-Version: 1.0\r\n");
	HAS(p.head, "multipart/report; report-type=delivery-status;");
	HAS(p.part[0].head, "text/plain");
	HAS(p.part[0].content, "<bob@example.com>\r\n");
	HAS(p.part[0].content, "550 5.1.1 No such user");
	HAS(p.part[0].content, "[2001:db8::25]:25 over IPv6: connection refused");
	HAS(p.part[0].content, "Connection refused");
	HAS(p.part[0].content, "192.0.2.25:25 over IPv4: connected, ready");
	HAS(p.part[0].content, "554 5.7.1 IPv6 not welcome"); /* both replies */
	HAS(p.part[1].head, "message/delivery-status");
	HAS(p.part[1].content, "Reporting-MTA: dns; relay.example.net\r\n");
	HAS(p.part[1].content, "Arrival-Date: ");
	HAS(p.part[1].content, "X-relay64-Queue-ID: 028T5CY4TQKFF\r\n\r\nFinal-Recipient: rfc822; bob@example.com\r\n");
	HAS(p.part[1].content, "Action: failed\r\nStatus: 5.1.1\r\n");
	HAS(p.part[1].content, "Remote-MTA: dns; mx.example.com\r\n");
	HAS(p.part[1].content, "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n");
	HAS(p.part[1].content, "Last-Attempt-Date: ");
	HAS(p.part[2].head, "text/rfc822-headers");
	assert_string_equal(p.part[2].content, "From: a@example.org\r\nSubject: x\r\n");
	free(p.text);
	attempt_free(a);
}

static void test_expiry_and_no_attempt(void **state)
{
	(void)state;
	struct reply r = reply_of(451, "4.4.3", "example.com: the name servers do not answer");
	const struct notice_rcpt rcpts[] = {{"x@example.com", NULL, &r, true, false},
		{"y@example.com", NULL, &r, true, false}, {"z@example.com", NULL, &r, false, false}};
	struct notice in = input_of(rcpts, 3);
	in.postmaster = "postmaster@example.net";
	struct parsed p;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);
	HAS(p.head, "From: Mail relay <postmaster@example.net>\r\n");
	HAS(p.part[0].content,
		"\r\n  <x@example.com>\r\n  <y@example.com>\r\n\r\nIt was tried for 5d, without success. Why it "
		"waited:\r\n"
		"The mail server for this address cannot be looked up at the moment.\r\n\r\n  <z@example.com>\r\n");
	HAS(p.part[0].content,
		"\r\n<x@example.com>\r\n<y@example.com>\r\n"
		"    451 4.4.3 example.com: the name servers do not answer\r\n\r\n<z@example.com>\r\n    451");
	HAS(p.part[1].content, "rfc822; x@example.com\r\nAction: failed\r\nStatus: 4.4.7\r\n");
	HAS(p.part[1].content, "rfc822; z@example.com\r\nAction: failed\r\nStatus: 5.4.3\r\n");
	HAS(p.part[1].content, "Diagnostic-Code: x-relay64; 451 4.4.3");
	HAS_NOT(p.part[1].content, "Remote-MTA");
	free(p.text);
}

static void test_needs_somebody_to_tell(void **state)
{
	(void)state;
	struct reply r = reply_of(550, "", "no");
	const struct notice_rcpt rcpt = {"x@example.com", NULL, &r, false, false};
	struct notice in = input_of(&rcpt, 1);
	struct buf out;
	unsigned flags = 99;
	buf_init(&out, NOTICE_MAX);
	in.to = "";
	assert_int_equal(notice_write(&in, &out, &flags), -EINVAL);
	in = input_of(&rcpt, 0);
	assert_int_equal(notice_write(&in, &out, &flags), -EINVAL);
	assert_int_equal(out.len, 0);
	assert_int_equal(flags, 99);
	buf_fini(&out);
}

/* What a peer says can begin no field, no part, no line of ours, and never reaches a terminal raw. */
static void test_hostile_words(void **state)
{
	(void)state;
	static const char *const words[] = {
		"ok\r\n\r\n--=_relay64_0000000000000000--\r\nSubject: forged",
		"ok\n.\nAction: delivered\n\nFinal-Recipient: rfc822; evil@example.org",
		"\x1b[2J\x1b]0;title\x07 \x80\x9b\xff",
		"\t \r\n \t",
		"",
	};
	char longest[REPLY_TEXT_MAX];
	memset(longest, 0xff, sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	for (size_t i = 0; i <= sizeof words / sizeof words[0]; i++) {
		const char *text = i < sizeof words / sizeof words[0] ? words[i] : longest;
		struct reply r = reply_of(550, "5.1.1", text);
		struct attempt *a = attempt_new(ARRIVED, "site");
		struct path_try path = path_of("192.0.2.1:25", text[0] ? "a\r\nEvil: host" : "", FAULT_GARBAGE, r);
		assert_int_equal(attempt_add_path(a, &path), 0);
		a->used = 0;
		const struct notice_rcpt rcpt = {"x\r\nEvil: rcpt@example.com", NULL, &r, false, false};
		struct notice in = input_of(&rcpt, 1);
		in.attempt = a;
		in.to = "a\r\nBcc: everybody@example.org";
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE);
		HAS_NOT(p.head, "\nBcc:");
		for (int part = 0; part < 2; part++) {
			HAS_NOT(p.part[part].content, "\nEvil:");
			HAS_NOT(p.part[part].content, "\nSubject:");
			HAS_NOT(p.part[part].content, "\nAction: delivered");
			HAS_NOT(p.part[part].content, "\n--");
			for (const char *at = p.part[part].content; *at != '\0'; at++)
				assert_true(*at == '\r' || *at == '\n' || (*at >= 0x20 && *at < 0x7f));
		}
		HAS_NOT(p.part[1].content, "\r\n\r\n\r\n");
		free(p.text);
		attempt_free(a);
	}
}

static void test_headers(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
		unsigned flags;
	} rows[] = {
		{"A: 1\r\nB: 2\r\n\r\nbody", "A: 1\r\nB: 2\r\n", 0},
		{"A: 1\nB: 2\n\nbody", "A: 1\r\nB: 2\r\n", 0},
		{"A: 1\r\nB: 2", "A: 1\r\nB: 2\r\n", 0}, /* no body at all: the last field is whole */
		{"\r\nbody", "", 0},
		{"", "", 0},
		{"A: x\ry\r\r\nB: 2\r\n\r\n", "A: x?y?\r\nB: 2\r\n", 0},
		{"A: \xc3\xa9\r\n\r\n", "A: =C3=A9\r\n", 0},
		{"A: 1\r\n\r\n\xc3\xa9", "A: 1\r\n", 0},
	};
	struct reply r = reply_of(550, "5.1.1", "no");
	const struct notice_rcpt rcpt = {"x@example.com", NULL, &r, false, false};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct notice in = input_of(&rcpt, 1);
		in.content = (const uint8_t *)rows[i].in;
		in.content_len = strlen(rows[i].in);
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE | rows[i].flags);
		assert_string_equal(p.part[2].content, rows[i].out);
		const char *declared =
			rows[i].flags ? "Content-Transfer-Encoding: 8bit\r\n" : "Content-Transfer-Encoding: 7bit\r\n";
		HAS(p.head, declared);
		if (rows[i].flags)
			HAS(p.part[2].head, declared);
		free(p.text);
	}
	struct notice in = input_of(&rcpt, 1);
	in.content = NULL;
	in.content_len = 0;
	struct parsed p;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);
	assert_string_equal(p.part[2].content, "");
	free(p.text);
}

/* Over 64 KiB: cut at the end of a field, a folded one included; a NUL cannot pass; long lines are folded. */
static void test_large_headers(void **state)
{
	(void)state;
	struct reply r = reply_of(550, "5.1.1", "no");
	const struct notice_rcpt rcpt = {"x@example.com", NULL, &r, false, false};
	size_t size = NOTICE_HEADERS_MAX + 5000;
	char *h = malloc(size);
	assert_non_null(h);
	memset(h, 'x', size);
	memcpy(h, "First: 1\r\n", 10);
	h[20] = '\0';
	memcpy(h + 40000, "\r\nSecond: 2\r\n folded\r\nLast: ", 29);
	struct notice in = input_of(&rcpt, 1);
	in.content = (const uint8_t *)h;
	in.content_len = size;
	struct parsed p;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);
	const char *content = p.part[2].content;
	assert_memory_equal(content, "First: 1\r\n", 10);
	HAS(content, "\r\nSecond: 2\r\n folded\r\n");
	assert_string_equal(content + strlen(content) - 9, " folded\r\n");
	HAS_NOT(content, "Last:");
	assert_true(strlen(content) > 39990);
	free(p.text);

	memset(h, 'x', size); /* one field larger than all */
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);
	assert_string_equal(p.part[2].content, "");
	free(p.text);

	memset(h, 0xa9, 5000); /* a long line of UTF-8 is not cut inside a character */
	for (size_t i = 0; i < 5000; i += 2)
		h[i] = (char)0xc3;
	in.content_len = 5000;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);
	HAS(p.part[2].head, "quoted-printable");
	HAS_NOT(p.part[2].content, "=C3\r\n");
	free(p.text);
	free(h);
}

/* Whoever knows the ID that the bounce will have cannot put its boundary into the content. */
static void test_boundary_is_not_in_the_content(void **state)
{
	(void)state;
	struct reply r = reply_of(550, "5.1.1", "no");
	const struct notice_rcpt rcpt = {"x@example.com", NULL, &r, false, false};
	struct notice in = input_of(&rcpt, 1);
	struct buf header;
	buf_init(&header, 65536);
	assert_int_equal(buf_append_str(&header, "A: 1\r\n"), 0);
	for (int round = 0; round < 20; round++) {
		in.content = header.data;
		in.content_len = header.len;
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE);
		const char *at = strstr(p.head, "boundary=\"") + 10;
		char boundary[64];
		snprintf(boundary, sizeof boundary, "%.*s", (int)strcspn(at, "\""), at);
		assert_null(memmem(header.data, header.len, boundary, strlen(boundary)));
		assert_int_equal(buf_printf(&header, "--%s\r\n--%s--\r\n", boundary, boundary), 0);
		free(p.text);
	}
	buf_fini(&header);
}

static void test_most_recipients_fit(void **state)
{
	(void)state;
	struct notice_rcpt *rcpts = calloc(ENVELOPE_RCPTS_MAX, sizeof *rcpts);
	struct reply *replies = calloc(2, sizeof *replies);
	char address[ADDRESS_MAX + 1];
	memset(address, 'a', ADDRESS_MAX);
	address[ADDRESS_MAX] = '\0';
	address[100] = '@';
	char orcpt[ORCPT_MAX + 1];
	memset(orcpt, 'b', ORCPT_MAX);
	orcpt[ORCPT_MAX] = '\0';
	memcpy(orcpt, "rfc822;", 7);
	char text[REPLY_TEXT_MAX];
	memset(text, 0x01, sizeof text - 1);
	text[sizeof text - 1] = '\0';
	replies[0] = reply_of(550, "5.1.1", text);
	replies[1] = reply_of(551, "5.1.1", text);
	for (unsigned i = 0; i < ENVELOPE_RCPTS_MAX; i++)
		rcpts[i] = (struct notice_rcpt){address, orcpt, &replies[i % 2], i % 3 == 0, false};
	struct notice in = input_of(rcpts, ENVELOPE_RCPTS_MAX);
	struct parsed p;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);
	unsigned named = 0;
	for (const char *at = p.part[1].content; (at = strstr(at, "\r\nFinal-Recipient: ")) != NULL; at += 2)
		named++;
	assert_int_equal(named, ENVELOPE_RCPTS_MAX);
	free(p.text);

	struct buf out; /* too small a room: as it was */
	buf_init(&out, 3000);
	assert_int_equal(buf_append_str(&out, "before"), 0);
	unsigned flags = 99;
	assert_int_equal(notice_write(&in, &out, &flags), -E2BIG);
	assert_string_equal((char *)out.data, "before");
	assert_int_equal(flags, 99);
	buf_fini(&out);
	free(rcpts);
	free(replies);
}

/* ---- what goes back ---- */

static void test_what_goes_back(void **state)
{
	(void)state;
	static const char plain[] = "Subject: x\r\n\r\nbody\r\n", eight[] = "Subject: x\r\n\r\n\xe9\r\n",
			  bare[] = "Subject: x\r\n\r\na\nb\r\n", head[] = "Subject: x\r\n";
	static const struct {
		enum notice_kind kind;
		unsigned flags;
		bool whole;
		size_t most;
		const char *content, *type, *back;
	} rows[] = {
		{NOTICE_FAILED, ENVELOPE_RET_FULL, true, 1000, plain, "message/rfc822\r\n", plain},
		{NOTICE_FAILED, 0, true, 1000, plain, "message/rfc822\r\n", plain},
		{NOTICE_FAILED, 0, true, sizeof plain - 1, plain, "message/rfc822\r\n", plain},
		{NOTICE_FAILED, ENVELOPE_RET_FULL, true, sizeof plain - 2, plain, "text/rfc822-headers\r\n", head},
		{NOTICE_FAILED, ENVELOPE_RET_FULL, false, 1000, plain, "text/rfc822-headers\r\n", head},
		{NOTICE_FAILED, ENVELOPE_RET_HDRS, true, 1000, plain, "text/rfc822-headers\r\n", head},
		{NOTICE_DELAYED, ENVELOPE_RET_FULL, true, 1000, plain, "text/rfc822-headers\r\n", head},
		{NOTICE_RELAYED, ENVELOPE_RET_FULL, true, 1000, plain, "text/rfc822-headers\r\n", head},
		{NOTICE_FAILED, ENVELOPE_BINARY, true, 1000, plain, "text/rfc822-headers\r\n", head},
		{NOTICE_FAILED, 0, true, 1000, bare, "text/rfc822-headers\r\n", head},
		{NOTICE_FAILED, 0, true, 1000, eight, "message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n", eight},
	};
	struct reply r = reply_of(550, "5.1.1", "no");
	const struct notice_rcpt rcpt = {"x@example.com", NULL, &r, false, false};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct notice in = input_of(&rcpt, 1);
		in.kind = rows[i].kind;
		in.flags = rows[i].flags;
		in.whole = rows[i].whole;
		in.full_max = rows[i].most;
		in.content = (const uint8_t *)rows[i].content;
		in.content_len = strlen(rows[i].content);
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE | (rows[i].back == eight ? ENVELOPE_8BIT : 0u));
		char type[128];
		snprintf(type, sizeof type, "Content-Type: %s", rows[i].type);
		HAS(p.part[2].head, type);
		assert_string_equal(p.part[2].content, rows[i].back);
		HAS(p.part[0].content, rows[i].back == head ? "Its header is attached." : "All of it is attached.");
		free(p.text);
	}
}

/* ---- the words ---- */

static void test_words(void **state)
{
	(void)state;
	static const struct {
		enum notice_kind kind;
		unsigned code;
		const char *enhanced, *words;
	} rows[] = {
		{NOTICE_FAILED, 550, "5.1.1", "no mailbox of this name"},
		{NOTICE_FAILED, 551, "", "no mailbox of this name"},
		{NOTICE_FAILED, 552, "5.2.2", "mailbox is full"},
		{NOTICE_FAILED, 552, "", "mailbox is full"},
		{NOTICE_DELAYED, 452, "4.2.2", "mailbox is full at the moment"},
		{NOTICE_FAILED, 554, "5.7.1", "Its rules forbid it"},
		{NOTICE_FAILED, 554, "", "for its rules"},
		{NOTICE_DELAYED, 450, "4.7.1", "do not know yet"},
		{NOTICE_FAILED, 550, "5.1.2", "behind the @"},
		{NOTICE_FAILED, 556, "5.1.10", "takes no mail at all"},
		{NOTICE_FAILED, 554, "5.3.4", "too large"},
		{NOTICE_FAILED, 554, "5.6.3", "this kind of message"},
		{NOTICE_DELAYED, 451, "4.4.1", "cannot be reached at the moment"},
		{NOTICE_DELAYED, 0, "", "cannot be reached at the moment"},
		{NOTICE_DELAYED, 451, "4.4.3", "cannot be looked up"},
		{NOTICE_FAILED, 550, "", "its own words"},
		{NOTICE_FAILED, 550, "5.9.99", "its own words"},
		{NOTICE_DELAYED, 550, "5.1.10", "its own words"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reply r = reply_of(rows[i].code, rows[i].enhanced, "x");
		const char *words = words_explain(&r, rows[i].kind);
		if (strstr(words, rows[i].words) == NULL)
			fail_msg("row %zu: no \"%s\" in \"%s\"", i, rows[i].words, words);
	}
}

/* A reason of policy is this relay's own where no server gave it, and a server's where one did. */
static void test_own_policy(void **state)
{
	(void)state;
	static const char own[] = "This relay did not pass the message on", rules[] = "Its rules forbid it";
	static const struct {
		enum notice_kind kind;
		bool server, expired, late;
		unsigned code;
		const char *enhanced;
		bool is_own;
	} rows[] = {
		{NOTICE_FAILED, false, false, false, 554, "5.7.0", true},
		{NOTICE_FAILED, false, false, false, 550, "5.7.1", true},
		{NOTICE_FAILED, true, false, false, 554, "5.7.1", false},
		{NOTICE_FAILED, false, false, false, 550, "5.1.1", false},
		{NOTICE_FAILED, false, false, false, 554, "5.70.1", false},
		{NOTICE_FAILED, false, true, false, 554, "5.7.1", false},
		{NOTICE_FAILED, false, false, true, 554, "5.7.1", false},
		{NOTICE_DELAYED, false, false, false, 450, "4.7.1", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reply r = reply_of(rows[i].code, rows[i].enhanced, "because I say so");
		r.own = !rows[i].server;
		struct attempt *a = attempt_new(ARRIVED + 1000, "mx.example.com");
		struct path_try path = path_of("192.0.2.25:25", "mx.example.com", FAULT_NONE, (struct reply){0});
		assert_int_equal(attempt_add_path(a, &path), 0);
		a->used = rows[i].server ? 0 : -1; /* it was dialled, and nothing answered */
		const struct notice_rcpt rcpt = {"x@example.com", NULL, &r, rows[i].expired, rows[i].late};
		struct notice in = input_of(&rcpt, 1);
		in.kind = rows[i].kind;
		struct parsed p;
		for (int with = rows[i].server; with < 2; with++) { /* without any attempt, and with one */
			in.attempt = with ? a : NULL;
			write_and_parse(&p, &in, ENVELOPE_BOUNCE);
			if ((strstr(p.part[0].content, own) != NULL) != rows[i].is_own)
				fail_msg(
					"row %zu, %s attempt:\n%s", i, with ? "with an" : "without", p.part[0].content);
			if (rows[i].is_own)
				HAS_NOT(p.part[0].content, rules);
			HAS(p.part[0].content, "because I say so");
			free(p.text);
		}
		attempt_free(a);
	}
}

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		enum notice_kind kind;
		const char *subject, *words;
	} rows[] = {
		{NOTICE_FAILED, "Subject: Undelivered mail returned to sender\r\n",
			"could not be delivered to this recipient:"},
		{NOTICE_DELAYED, "Subject: Warning: your message is delayed\r\n",
			"You need not send your message again."},
		{NOTICE_RELAYED, "Subject: Your message was handed on\r\n", "handed on to the next mail server"},
	};
	struct reply r = reply_of(450, "4.2.0", "later");
	const struct notice_rcpt rcpt = {"x@example.com", NULL, &r, false, false};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct notice in = input_of(&rcpt, 1);
		in.kind = rows[i].kind;
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE);
		HAS(p.head, rows[i].subject);
		HAS(p.part[0].content, rows[i].words);
		HAS_NOT(p.head, NOTICE_DOUBLE_FIELD);
		free(p.text);
	}
	struct notice in = input_of(&rcpt, 1);
	in.sender = "";
	in.to = "double@example.net";
	struct parsed p;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);
	HAS(p.head, "To: <double@example.net>\r\n");
	HAS(p.head, NOTICE_DOUBLE_FIELD ": relay.example.net\r\n");
	HAS(p.part[0].content, "You are told as the postmaster");
	free(p.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_says),
		cmocka_unit_test(test_expiry_and_no_attempt),
		cmocka_unit_test(test_needs_somebody_to_tell),
		cmocka_unit_test(test_hostile_words),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_large_headers),
		cmocka_unit_test(test_boundary_is_not_in_the_content),
		cmocka_unit_test(test_most_recipients_fit),
		cmocka_unit_test(test_what_goes_back),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_own_policy),
		cmocka_unit_test(test_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
