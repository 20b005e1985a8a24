/* tests/unit/bounce_test.c: bounces are read back: structure, fields, hostile replies and headers, limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/mail/bounce.h"
#include "queue/mail/envelope.h"

#define ARRIVED UINT64_C(1795000000000)
#define DAY UINT64_C(86400000)

/* A bounce taken apart: the header and three parts, each with its own header and content, 0-terminated. */
struct parsed {
	char *text;
	char *head;
	struct {
		char *head, *content;
	} part[3];
};

static struct reply reply_of(unsigned code, const char *enhanced, const char *text)
{
	struct reply r = {.code = (uint16_t)code};
	snprintf(r.enhanced, sizeof r.enhanced, "%s", enhanced);
	snprintf(r.text, sizeof r.text, "%s", text);
	return r;
}

static struct path_try path_of(const char *at, const char *host, enum fault fault, struct reply reply)
{
	struct path_try p = {.preference = 10, .fault = fault, .total_ms = 1500, .reply = reply};
	snprintf(p.host, sizeof p.host, "%s", host);
	assert_int_equal(endpoint_parse(&p.to, at), 0);
	return p;
}

/* Every line ends in CRLF, is short enough and holds no NUL. */
static void check_lines(const struct buf *b)
{
	size_t line = 0;
	for (size_t i = 0; i < b->len; i++) {
		assert_int_not_equal(b->data[i], 0);
		if (b->data[i] == '\r') {
			assert_true(i + 1 < b->len && b->data[i + 1] == '\n');
		} else if (b->data[i] == '\n') {
			assert_true(i > 0 && b->data[i - 1] == '\r');
			assert_true(line <= 998);
			line = 0;
			continue;
		} else {
			line++;
		}
	}
	assert_int_equal(line, 0);
}

/* Cuts at the first empty line. */
static char *split_head(char *text)
{
	char *end = strstr(text, "\r\n\r\n");
	assert_non_null(end);
	end[2] = '\0';
	return end + 4;
}

static void parse(struct parsed *p, const struct buf *b)
{
	check_lines(b);
	p->text = strdup((const char *)b->data);
	assert_int_equal(strlen(p->text), b->len);
	p->head = p->text;
	char *body = split_head(p->text);
	const char *at = strstr(p->head, "boundary=\"");
	assert_non_null(at);
	char mark[80];
	snprintf(mark, sizeof mark, "\r\n--%.*s", (int)strcspn(at + 10, "\""), at + 10);
	char *next = strstr(body, mark);
	for (int i = 0; i < 3; i++) {
		assert_non_null(next);
		char *part = next + strlen(mark);
		assert_memory_equal(part, "\r\n", 2);
		*next = '\0';
		next = strstr(part, mark);
		assert_non_null(next);
		*next = '\0';
		p->part[i].head = part + 2;
		p->part[i].content = split_head(part + 2);
	}
	assert_string_equal(next + strlen(mark), "--\r\n");
}

static struct bounce_input input_of(const struct bounce_rcpt *rcpts, unsigned n)
{
	static const char header[] = "From: a@example.org\r\nSubject: x\r\n\r\nbody is not shown\r\n";
	return (struct bounce_input){.hostname = "relay.example.net",
		.bounce_id = 77,
		.now_ms = ARRIVED + 5 * DAY,
		.id = UINT64_C(0x123456789abcdef),
		.arrival_ms = ARRIVED,
		.sender = "alice@example.org",
		.rcpts = rcpts,
		.rcpt_count = n,
		.headers = (const uint8_t *)header,
		.headers_len = sizeof header - 1};
}

static void write_and_parse(struct parsed *p, const struct bounce_input *in, unsigned expected_flags)
{
	struct buf out;
	buf_init(&out, BOUNCE_MAX);
	unsigned flags = 0;
	assert_int_equal(bounce_write(in, &out, &flags), 0);
	assert_int_equal(flags, expected_flags);
	parse(p, &out);
	buf_fini(&out);
}

#define HAS(text, what) assert_non_null(strstr((text), (what)))
#define HAS_NOT(text, what) assert_null(strstr((text), (what)))

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
	const struct bounce_rcpt rcpts[] = {{.address = "bob@example.com", .reply = &no}};
	struct bounce_input in = input_of(rcpts, 1);
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
	const struct bounce_rcpt rcpts[] = {
		{"x@example.com", &r, true}, {"y@example.com", &r, true}, {"z@example.com", &r, false}};
	struct bounce_input in = input_of(rcpts, 3);
	in.postmaster = "postmaster@example.net";
	struct parsed p;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE);
	HAS(p.head, "From: Mail relay <postmaster@example.net>\r\n");
	HAS(p.part[0].content,
		"<x@example.com>\r\n<y@example.com>\r\n    could not be delivered for 5d; the last reason:\r\n"
		"    451 4.4.3 example.com: the name servers do not answer\r\n\r\n<z@example.com>\r\n    451");
	HAS(p.part[1].content, "rfc822; x@example.com\r\nAction: failed\r\nStatus: 4.4.7\r\n");
	HAS(p.part[1].content, "rfc822; z@example.com\r\nAction: failed\r\nStatus: 5.4.3\r\n");
	HAS(p.part[1].content, "Diagnostic-Code: x-relay64; 451 4.4.3");
	HAS_NOT(p.part[1].content, "Remote-MTA");
	free(p.text);
}

static void test_never_a_bounce_of_a_bounce(void **state)
{
	(void)state;
	struct reply r = reply_of(550, "", "no");
	const struct bounce_rcpt rcpt = {"x@example.com", &r, false};
	struct bounce_input in = input_of(&rcpt, 1);
	struct buf out;
	unsigned flags = 99;
	buf_init(&out, BOUNCE_MAX);
	in.sender = "";
	assert_int_equal(bounce_write(&in, &out, &flags), -EINVAL);
	in = input_of(&rcpt, 0);
	assert_int_equal(bounce_write(&in, &out, &flags), -EINVAL);
	assert_int_equal(out.len, 0);
	assert_int_equal(flags, 99);
	buf_fini(&out);
}

static void test_status_of_replies(void **state)
{
	(void)state;
	static const struct {
		const char *enhanced, *status;
	} rows[] = {{"5.7.1", "Status: 5.7.1\r\n"}, {"4.7.1", "Status: 5.7.1\r\n"}, {"", "Status: 5.0.0\r\n"},
		{"5.7", "Status: 5.0.0\r\n"}, {"x.y.z", "Status: 5.0.0\r\n"}, {"5.1.1.1", "Status: 5.0.0\r\n"},
		{"5..1", "Status: 5.0.0\r\n"}, {"5.1.10", "Status: 5.1.10\r\n"}, {"5\r\n.1.1", "Status: 5.0.0\r\n"}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct reply r = reply_of(550, rows[i].enhanced, "no");
		const struct bounce_rcpt rcpt = {"x@example.com", &r, false};
		struct bounce_input in = input_of(&rcpt, 1);
		struct parsed p;
		write_and_parse(&p, &in, ENVELOPE_BOUNCE);
		HAS(p.part[1].content, rows[i].status);
		free(p.text);
	}
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
		const struct bounce_rcpt rcpt = {"x\r\nEvil: rcpt@example.com", &r, false};
		struct bounce_input in = input_of(&rcpt, 1);
		in.attempt = a;
		in.sender = "a\r\nBcc: everybody@example.org";
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
		{"A: \xc3\xa9\r\n\r\n", "A: \xc3\xa9\r\n", ENVELOPE_8BIT},
		{"A: 1\r\n\r\n\xc3\xa9", "A: 1\r\n", 0},
	};
	struct reply r = reply_of(550, "5.1.1", "no");
	const struct bounce_rcpt rcpt = {"x@example.com", &r, false};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct bounce_input in = input_of(&rcpt, 1);
		in.headers = (const uint8_t *)rows[i].in;
		in.headers_len = strlen(rows[i].in);
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
	struct bounce_input in = input_of(&rcpt, 1);
	in.headers = NULL;
	in.headers_len = 0;
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
	const struct bounce_rcpt rcpt = {"x@example.com", &r, false};
	size_t size = BOUNCE_HEADERS_MAX + 5000;
	char *h = malloc(size);
	assert_non_null(h);
	memset(h, 'x', size);
	memcpy(h, "First: 1\r\n", 10);
	h[20] = '\0';
	memcpy(h + 40000, "\r\nSecond: 2\r\n folded\r\nLast: ", 29);
	struct bounce_input in = input_of(&rcpt, 1);
	in.headers = (const uint8_t *)h;
	in.headers_len = size;
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
	in.headers_len = 5000;
	write_and_parse(&p, &in, ENVELOPE_BOUNCE | ENVELOPE_8BIT);
	HAS_NOT(p.part[2].content, "\xc3\r\n");
	free(p.text);
	free(h);
}

/* Whoever knows the ID that the bounce will have cannot put its boundary into the content. */
static void test_boundary_is_not_in_the_content(void **state)
{
	(void)state;
	struct reply r = reply_of(550, "5.1.1", "no");
	const struct bounce_rcpt rcpt = {"x@example.com", &r, false};
	struct bounce_input in = input_of(&rcpt, 1);
	struct buf header;
	buf_init(&header, 65536);
	assert_int_equal(buf_append_str(&header, "A: 1\r\n"), 0);
	for (int round = 0; round < 20; round++) {
		in.headers = header.data;
		in.headers_len = header.len;
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
	struct bounce_rcpt *rcpts = calloc(ENVELOPE_RCPTS_MAX, sizeof *rcpts);
	struct reply *replies = calloc(2, sizeof *replies);
	char address[ADDRESS_MAX + 1];
	memset(address, 'a', ADDRESS_MAX);
	address[ADDRESS_MAX] = '\0';
	address[100] = '@';
	char text[REPLY_TEXT_MAX];
	memset(text, 0x01, sizeof text - 1);
	text[sizeof text - 1] = '\0';
	replies[0] = reply_of(550, "5.1.1", text);
	replies[1] = reply_of(551, "5.1.1", text);
	for (unsigned i = 0; i < ENVELOPE_RCPTS_MAX; i++)
		rcpts[i] = (struct bounce_rcpt){address, &replies[i % 2], i % 3 == 0};
	struct bounce_input in = input_of(rcpts, ENVELOPE_RCPTS_MAX);
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
	assert_int_equal(bounce_write(&in, &out, &flags), -E2BIG);
	assert_string_equal((char *)out.data, "before");
	assert_int_equal(flags, 99);
	buf_fini(&out);
	free(rcpts);
	free(replies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_says),
		cmocka_unit_test(test_expiry_and_no_attempt),
		cmocka_unit_test(test_never_a_bounce_of_a_bounce),
		cmocka_unit_test(test_status_of_replies),
		cmocka_unit_test(test_hostile_words),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_large_headers),
		cmocka_unit_test(test_boundary_is_not_in_the_content),
		cmocka_unit_test(test_most_recipients_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
