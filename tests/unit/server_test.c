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

#include "smtpd/server.h"

#define DATE "Mon, 23 Nov 2026 14:15:40 +0000"
#define G "220 r.example ESMTP relay64\r\n"
#define EHLO "EHLO c.example\r\n"
#define HI "250-r.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
#define M "MAIL FROM:<a@b>\r\n"
#define R "RCPT TO:<c@d>\r\n"
#define MOK "250 2.1.0 Ok\r\n"
#define ROK "250 2.1.5 Ok\r\n"
#define OK "250 2.0.0 Ok\r\n"
#define GO "354 End with CRLF.CRLF\r\n"
#define Q1 "250 2.0.0 Ok: queued as 0000000000001\r\n"
#define Q2 "250 2.0.0 Ok: queued as 0000000000002\r\n"
#define BYE "221 2.0.0 r.example closes\r\n"
#define TRACE1                                                                                                         \
	"Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id 0000000000001\r\n\tfor "               \
	"<c@d>;\r\n\t" DATE "\r\n"
#define TRACE2                                                                                                         \
	"Received: from c.example ([192.0.2.1])\r\n\tby r.example with ESMTP id 0000000000002\r\n\tfor "               \
	"<c@d>;\r\n\t" DATE "\r\n"
#define BARE "550 5.5.2 The message has a CR or LF that is not part of a CRLF\r\n"
#define ENDS "500 5.5.2 A line must end in CRLF, and CR and LF stand nowhere else\r\n"
#define NO_RCPT "554 5.5.1 No valid recipients\r\n"
#define SYNTAX "501 5.5.4 Syntax: MAIL FROM:<address> or RCPT TO:<address>\r\n"
#define UNKNOWN "500 5.5.1 Command not known\r\n"
#define NEED_HELO "503 5.5.1 Say EHLO or HELO first\r\n"
#define NEED_MAIL "503 5.5.1 Say MAIL first\r\n"
#define NESTED "503 5.5.1 A transaction is open already: RSET ends it\r\n"
#define DENIED "550 5.7.1 Relaying denied: your address is not in `clients`\r\n"
#define BIG "552 5.3.4 Message too big\r\n"
#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* What the driver answers and notes. */
struct world {
	enum smtp_room room;
	int open_err, commit_err, body_err;
	uint64_t next_id;
	struct buf said, body, messages; /* messages: "sender|rcpt|rcpt|8?\n" and content */
	unsigned refused[SMTP_REFUSAL_COUNT];
	unsigned visited;
	size_t largest_out;
	bool closed;
};

static enum smtp_room on_room(void *arg, uint64_t size)
{
	(void)size;
	return ((struct world *)arg)->room;
}

static void on_refused(void *arg, enum smtp_refusal why, const char *what, size_t len)
{
	(void)what;
	(void)len;
	((struct world *)arg)->refused[why]++;
}

static const struct smtp_server_host host = {on_room, on_refused};

static struct conf test_conf(void)
{
	static char name[] = "r.example";
	static char gone[] = "gone.example", closed[] = "gone.example is closed, see new.example";
	static char soft[] = "soft.example", moves[] = "it moves";
	static struct conf_route routes[] = {{.pattern = gone, .reject = closed},
		{.pattern = soft, .reject = moves, .soft_bounce = CONF_ANSWER_YES}};
	struct conf c = {.hostname = name, .routes = routes, .route_count = 2};
	c.limits.size = 1000;
	c.limits.recipients = 3;
	c.limits.hops = 2;
	c.limits.errors = 5;
	c.limits.line = 80;
	return c;
}

static void send_out(struct world *w, struct smtp_server *s)
{
	if (s->out.len > w->largest_out)
		w->largest_out = s->out.len;
	assert_int_equal(buf_append(&w->said, s->out.data, s->out.len), 0);
	buf_reset(&s->out);
}

static void note_message(struct world *w, struct smtp_server *s)
{
	const char *text = smtp_server_sender(s);
	assert_int_equal(buf_printf(&w->messages, "%s", text), 0);
	for (uint32_t i = 0; i < s->rcpt_count; i++) {
		text = smtp_server_next(text);
		assert_int_equal(buf_printf(&w->messages, "|%s", text), 0);
	}
	assert_int_equal(buf_printf(&w->messages, "|%s%s\n", s->content.eight ? "8" : "", s->body_8bit ? "B" : ""), 0);
	assert_int_equal(buf_append(&w->messages, w->body.data, w->body.len), 0);
	buf_reset(&w->body);
}

/* Does what the machine wants until it wants input. */
static void obey(struct world *w, struct smtp_server *s, enum smtp_want want)
{
	if (want == SMTP_WANT_OPEN) {
		assert_int_equal(s->state, SMTP_OPEN);
		want = smtp_server_opened(s, w->open_err, ++w->next_id, DATE);
	}
	if (want == SMTP_WANT_COMMIT) {
		assert_int_equal(s->state, SMTP_COMMIT);
		if (w->commit_err == 0)
			note_message(w, s);
		buf_reset(&w->body);
		want = smtp_server_committed(s, w->commit_err);
	}
	if (want == SMTP_WANT_BODY) {
		assert_true(s->slice_len > 0);
		if (w->body_err != 0 && s->content.size > 0) {
			buf_reset(&w->body);
			smtp_server_failed(s, w->body_err);
		} else {
			assert_int_equal(buf_append(&w->body, s->slice, s->slice_len), 0);
		}
	} else if (want == SMTP_WANT_DROP) {
		buf_reset(&w->body);
	} else if (want == SMTP_WANT_CLOSE) {
		w->closed = true;
	}
	send_out(w, s);
	w->visited |= 1u << s->state;
}

static void feed(struct world *w, struct smtp_server *s, const char *in, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* so that ASan sees a step over its end */
	assert_non_null(copy);
	memcpy(copy, in, len);
	size_t at = 0;
	enum smtp_want want = SMTP_WANT_OUTPUT;
	while (want != SMTP_WANT_INPUT && !w->closed) {
		size_t used;
		want = smtp_server_receive(s, copy + at, len - at, &used);
		at += used;
		assert_true(at <= len);
		if (want != SMTP_WANT_INPUT)
			obey(w, s, want);
	}
	assert_true(at == len || w->closed);
	send_out(w, s);
	w->visited |= 1u << s->state;
	free(copy);
}

enum chunking { WHOLE, BYTES, ODD, CHUNKINGS };

static uint32_t seed = 12345;

static size_t piece(enum chunking how, size_t left)
{
	seed = seed * 1103515245 + 12345;
	size_t n = how == WHOLE ? left : how == BYTES ? 1 : 1 + (seed >> 16) % 13;
	return n < left ? n : left;
}

static void world_init(struct world *w)
{
	*w = (struct world){.next_id = 0};
	buf_init(&w->said, 1 << 20);
	buf_init(&w->body, 1 << 20);
	buf_init(&w->messages, 1 << 20);
}

static void world_fini(struct world *w)
{
	buf_fini(&w->said);
	buf_fini(&w->body);
	buf_fini(&w->messages);
}

static void start(struct world *w, struct smtp_server *s, const struct conf *c, bool may_relay)
{
	struct ip client;
	assert_int_equal(ip_parse(&client, "192.0.2.1"), 0);
	smtp_server_init(s, c, &host, w, &client, may_relay);
	send_out(w, s);
	w->visited |= 1u << s->state;
}

static void same(const struct buf *got, const char *want, const char *in)
{
	const char *text = got->data ? (const char *)got->data : "";
	if (got->len != strlen(want) || memcmp(text, want, got->len) != 0)
		fail_msg("after <<%s>>\ngot <<%s>>\nnot <<%s>>", in, text, want);
}

struct dialogue {
	const char *in, *said, *messages;
	bool stranger; /* may not relay */
	bool closed;
	enum smtp_room room;
	int open_err, commit_err, body_err;
};

static unsigned run(const struct dialogue *d, enum chunking how)
{
	struct conf c = test_conf();
	struct world w;
	struct smtp_server s;
	world_init(&w);
	w.room = d->room;
	w.open_err = d->open_err;
	w.commit_err = d->commit_err;
	w.body_err = d->body_err;
	start(&w, &s, &c, !d->stranger);
	for (size_t at = 0, len = strlen(d->in); at < len && !w.closed;) {
		size_t n = piece(how, len - at);
		feed(&w, &s, d->in + at, n);
		at += n;
	}
	same(&w.said, d->said, d->in);
	same(&w.messages, d->messages ? d->messages : "", d->in);
	assert_int_equal(w.closed, d->closed);
	if (s.state == SMTP_FRESH || s.state == SMTP_GREETED)
		assert_null(s.arena.data);
	assert_null(s.line.data);
	smtp_server_fini(&s);
	world_fini(&w);
	return w.visited;
}

static unsigned run_all(const struct dialogue *rows, size_t count)
{
	unsigned visited = 0;
	for (size_t i = 0; i < count; i++) {
		visited |= run(&rows[i], WHOLE);
		visited |= run(&rows[i], BYTES);
		for (int k = 0; k < 20; k++)
			visited |= run(&rows[i], ODD);
	}
	return visited;
}
#define RUN(rows) run_all(rows, sizeof(rows) / sizeof(rows)[0])

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
		{.in = "HELP\r\n", .said = G "214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n"},
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
			.said = G HI MOK "501 5.1.3 Recipient address cannot be read\r\n"
					 "501 5.1.3 Recipient address cannot be read\r\n"
					 "553 5.6.7 Only ASCII addresses are taken here\r\n"},
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
			.messages = "a@b|c@d|8B\n" TRACE1 "\xc3\xbc\r\n"},
		{.in = EHLO M R "DATA\r\n123456789\xff\r\n.\r\n",
			.said = G HI MOK ROK GO Q1,
			.messages = "a@b|c@d|8\n" TRACE1 "123456789\xff\r\n"},
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

/* Every way to write an end that some server takes for one: none of them ends a message here, and none of them is
 * stored. */
static void test_smuggling(void **state)
{
	(void)state;
	static const char *const ends[] = {"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n.\r\r\n",
		"\r\r\n.\r\r\n", "\n\n.\r\n", "\n.\n\r\n", "\r\n.\rx\r\n", "\r\n\n.\r\n", "\r\n.\n\r\n", "\rx\r\n",
		"\nx\r\n", "\r\r\n", "\n\r\n", "\r\n\r.\r\n", ".\r"};
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		char in[512];
		snprintf(in, sizeof in, EHLO M R "DATA\r\nx%sMAIL FROM:<evil@x>\r\n" R "DATA\r\nevil\r\n.\r\nNOOP\r\n",
			ends[i]);
		const struct dialogue d = {.in = in, .said = G HI MOK ROK GO BARE OK};
		run_all(&d, 1);
	}
	/* at the very beginning of the content */
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
		{.in = EHLO M R R R R R "DATA\r\nx\r\n.\r\n",
			.said = G HI MOK ROK ROK ROK
			"452 4.5.3 Too many recipients\r\n452 4.5.3 Too many recipients\r\n" GO Q1,
			.messages = "a@b|c@d|c@d|c@d|\nReceived: from c.example ([192.0.2.1])\r\n"
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

/* Nobody outside `clients` gets a recipient through, however it is written. */
static void test_relaying(void **state)
{
	(void)state;
	static const char *const targets[] = {"<c@d>", "<c%d@r.example>", "<d!c@r.example>", "<@r.example:c@d>",
		"<\"c@d\"@r.example>", "<postmaster>", "<c@[192.0.2.1]>", "<c@r.example>"};
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		char in[256];
		snprintf(in, sizeof in, EHLO M "RCPT TO:%s\r\nDATA\r\n", targets[i]);
		const struct dialogue d = {.in = in, .stranger = true, .said = G HI MOK DENIED NO_RCPT};
		run_all(&d, 1);
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
	struct conf c = test_conf();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;
		struct smtp_server s;
		world_init(&w);
		start(&w, &s, &c, true);
		feed(&w, &s, rows[i].in, strlen(rows[i].in));
		assert_int_equal(s.state, rows[i].at);
		buf_reset(&w.said);
		obey(&w, &s, smtp_server_shutdown(&s));
		assert_int_equal(w.closed, !rows[i].waits);
		if (rows[i].waits) {
			assert_int_equal(w.said.len, 0);
			feed(&w, &s, "\r\n.\r\nNOOP\r\n", 11);
			assert_true(w.closed);
			assert_non_null(strstr((char *)w.said.data, rows[i].at == SMTP_CONTENT ? Q1 : BARE));
		}
		assert_non_null(strstr((char *)w.said.data, "421 4.3.2 r.example: Service is shutting down\r\n"));
		smtp_server_fini(&s);
		world_fini(&w);

		world_init(&w);
		start(&w, &s, &c, true);
		feed(&w, &s, rows[i].in, strlen(rows[i].in));
		buf_reset(&w.said);
		obey(&w, &s, smtp_server_timed_out(&s, i % 2));
		assert_true(w.closed);
		same(&w.said,
			i % 2 ? "421 4.4.2 r.example: The message took too long\r\n"
			      : "421 4.4.2 r.example: You were silent for too long\r\n",
			rows[i].in);
		assert_int_equal(w.refused[i % 2 ? SMTP_REFUSED_DATA_TIMEOUT : SMTP_REFUSED_TIMEOUT], 1);
		smtp_server_fini(&s);
		world_fini(&w);
	}
}

/* Replies never grow past the mark by more than one, whatever a group asks for. */
static void test_output_is_bounded(void **state)
{
	(void)state;
	struct conf c = test_conf();
	struct world w;
	struct smtp_server s;
	world_init(&w);
	start(&w, &s, &c, true);
	char in[6 * 5000 + 1];
	for (int i = 0; i < 5000; i++)
		memcpy(in + 6 * i, "HELP\r\n", 6);
	feed(&w, &s, in, sizeof in - 1);
	assert_true(w.largest_out < 4096 + 2048);
	assert_int_equal(w.said.len,
		strlen(G) + 5000 * strlen("214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\r\n"));
	smtp_server_fini(&s);
	world_fini(&w);
}

/* An idle machine holds a name and nothing else; a partial line is bounded by limits { line }. */
static void test_memory(void **state)
{
	(void)state;
	struct conf c = test_conf();
	struct world w;
	struct smtp_server s;
	world_init(&w);
	start(&w, &s, &c, true);
	feed(&w, &s, EHLO M R "DATA\r\nx\r\n.\r\n", strlen(EHLO M R "DATA\r\nx\r\n.\r\n"));
	assert_null(s.line.data);
	assert_null(s.arena.data);
	for (int i = 0; i < 100000; i++) {
		feed(&w, &s, "x", 1);
		assert_true(s.line.cap <= c.limits.line + 1);
	}
	assert_true(sizeof s < 512);
	smtp_server_fini(&s);
	world_fini(&w);
}

/* The states are all reachable, and random bytes bring no state to a message that was not ended by CRLF.CRLF. */
static void test_noise(void **state)
{
	(void)state;
	static const char *const words[] = {EHLO, M, R, "DATA\r\n", "\r\n", ".", "\r", "\n", "\r\n.\r\n", "RSET\r\n",
		"x", "\xff", "MAIL FROM:<", ">", "NOOP\r\n"};
	struct conf c = test_conf();
	c.limits.errors = 1000000;
	unsigned visited = 0;
	for (int round = 0; round < 2000; round++) {
		struct world w;
		struct smtp_server s;
		world_init(&w);
		start(&w, &s, &c, true);
		feed(&w, &s, EHLO M R, strlen(EHLO M R));
		for (int i = 0; i < 40 && !w.closed; i++) {
			seed = seed * 1103515245 + 12345;
			const char *word = words[(seed >> 16) % (sizeof words / sizeof words[0])];
			feed(&w, &s, word, strlen(word));
		}
		for (size_t i = 0; i < w.messages.len; i++) {
			assert_false(w.messages.data[i] == '\r' && w.messages.data[i + 1] != '\n');
		}
		visited |= w.visited;
		smtp_server_fini(&s);
		world_fini(&w);
	}
	assert_true(visited & 1u << SMTP_CONTENT && visited & 1u << SMTP_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_line_ends_of_commands),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_relaying),
		cmocka_unit_test(test_rejecting_routes),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_output_is_bounded),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
