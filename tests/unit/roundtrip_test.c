/* tests/unit/roundtrip_test.c: the client's machine talks to the server's, twice in a row, in pieces of any size: what
 * comes out of the second server is what went into the first client, behind two trace fields. Messages are generated.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/deliver/client.h"
#include "queue/mail/envelope.h"
#include "tests/unit/server_dialogue.h"

enum { MESSAGES = 4000, LARGE_EVERY = 100, LARGE = 200000, SMALL = 400, PIECE = 4096 };

struct row {
	bool binary, chunking;
	size_t most; /* bytes of a piece, either way */
	const struct buf *content;
};

static unsigned seed;

static size_t below(size_t n)
{
	return (size_t)rand_r(&seed) % n;
}

static void append(struct buf *b, const char *p, size_t n)
{
	assert_int_equal(buf_append(b, p, n), 0);
}

/* Whatever may be in content, with a liking for what the wire treats in a way of its own. */
static void generate(struct buf *b, size_t size, bool binary)
{
	static const char *const tokens[] = {"\r\n", "\r\n", ".", "..", "\r\n.", "\r\n.\r\n", "\r\n..\r\n", "x", " ",
		"\t", "Subject: s\r\n", "RSET\r\n", "BDAT 3 LAST\r\n", "\xc3\xa4", "\x80", "\r", "\n", "\n.\n", "\r.\r",
		"\0"};
	enum { COUNT = sizeof tokens / sizeof tokens[0], FIRST_BINARY = COUNT - 5 };
	while (b->len < size) {
		size_t i = below(binary ? COUNT : FIRST_BINARY);
		append(b, tokens[i], i == COUNT - 1 ? 1 : strlen(tokens[i]));
		for (size_t n = below(40) == 0 ? below(1200) : 0; n > 0; n--)
			append(b, "y", 1);
	}
}

static void begin(struct client *c, struct transaction *t, struct transaction_rcpt *r, const struct row *row)
{
	*r = (struct transaction_rcpt){.address = "c@d"};
	*t = (struct transaction){.sender = "a@b", .rcpts = r, .rcpt_count = 1, .size = row->content->len};
	t->flags = row->binary ? ENVELOPE_BINARY : ENVELOPE_8BIT | ENVELOPE_BODY_8BIT;
	assert_int_equal(client_begin(c, t), 0);
}

/* Some of what the client wants to send. False: nothing now. */
static bool send_some(struct client *c, struct world *w, struct smtp_server *s, size_t most)
{
	static char bytes[PIECE];
	struct wire_slice out[CLIENT_SLICES + 1];
	unsigned n = client_output(c, out);
	size_t len = 0, limit = 1 + below(most);
	for (unsigned i = 0; i < n && len < limit; i++) {
		size_t part = out[i].n < limit - len ? out[i].n : limit - len;
		memcpy(bytes + len, out[i].p, part);
		len += part;
	}
	client_sent(c, len);
	if (len > 0)
		dialogue_feed(w, s, bytes, len);
	return len > 0;
}

/* One hop: row->content through a client and a server; `stored` is what the server stores. */
static void hop(const struct row *row, const struct conf *conf, struct buf *stored)
{
	struct world w;
	struct smtp_server s;
	struct client c;
	struct transaction t = {0}, *ended = NULL;
	struct transaction_rcpt r = {0};
	struct rights rights = {.relay = true};
	size_t heard = 0, given = 0;
	bool begun = false;
	dialogue_world_init(&w);
	dialogue_start(&w, &s, conf, &rights);
	client_init(&c, "c.example", 100, 65536);
	c.bdat = row->chunking ? CLIENT_BDAT_ALWAYS : CLIENT_BDAT_BINARY;
	while (c.state != CLIENT_CLOSED) {
		size_t part = below(row->most) + 1, left = row->content->len - given;
		bool moved = true;
		if (c.state == CLIENT_GREETED)
			client_hello(&c);
		else if (c.state == CLIENT_READY && begun)
			client_quit(&c);
		else if (c.state == CLIENT_READY)
			begin(&c, &t, &r, row), begun = true;
		else if (client_wants_content(&c) && left == 0)
			client_content_end(&c);
		else if (client_wants_content(&c)) {
			client_content(&c, row->content->data + given, part < left ? part : left);
			given += part < left ? part : left;
		} else {
			moved = false;
		}
		moved |= send_some(&c, &w, &s, row->most);
		if (heard < w.said.len) {
			part = part < w.said.len - heard ? part : w.said.len - heard;
			client_receive(&c, w.said.data + heard, part, 0);
			heard += part;
			moved = true;
		}
		if (ended == NULL)
			ended = client_ended(&c);
		assert_true(moved); /* else both wait for each other */
	}
	assert_int_equal(c.fault, FAULT_NONE);
	assert_ptr_equal(ended, &t);
	assert_int_equal(t.end, TRANSACTION_ANSWERED);
	assert_int_equal(r.reply.code, 250);
	const uint8_t *line = memchr(w.messages.data, '\n', w.messages.len);
	assert_non_null(line);
	append(stored, (const char *)line + 1, (size_t)(w.messages.data + w.messages.len - line - 1));
	client_fini(&c);
	smtp_server_fini(&s);
	dialogue_world_fini(&w);
}

static bool ends_in_crlf(const struct buf *b)
{
	return b->len >= 2 && memcmp(b->data + b->len - 2, "\r\n", 2) == 0;
}

static void round_trip(const struct conf *conf, unsigned number)
{
	static const char trace[] = TRACE1;
	struct buf content, once, twice, want;
	buf_init(&content, 1 << 20);
	buf_init(&once, 1 << 20);
	buf_init(&twice, 1 << 20);
	buf_init(&want, 1 << 20);
	seed = number;
	bool binary = below(3) == 0, large = number % LARGE_EVERY == 0;
	generate(&content, large ? below(LARGE) : below(SMALL), binary);
	size_t most = large ? PIECE : below(2) ? 1 + below(20) : 1 + below(600);
	hop(&(struct row){binary, below(2) == 0, most, &content}, conf, &once);
	hop(&(struct row){binary, below(2) == 0, most, &once}, conf, &twice);
	append(&want, trace, sizeof trace - 1);
	append(&want, trace, sizeof trace - 1);
	append(&want, (const char *)content.data, content.len);
	if (!binary && content.len > 0 && !ends_in_crlf(&content))
		append(&want, "\r\n", 2); /* lines end so, RFC 5321 §4.1.1.4 */
	if (twice.len != want.len || memcmp(twice.data, want.data, want.len) != 0) {
		size_t at = 0;
		while (at < twice.len && at < want.len && twice.data[at] == want.data[at])
			at++;
		fail_msg("message %u (%s, %zu bytes) differs at byte %zu of %zu, now %zu", number,
			binary ? "binary" : "text", content.len, at, want.len, twice.len);
	}
	buf_fini(&content);
	buf_fini(&once);
	buf_fini(&twice);
	buf_fini(&want);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct conf conf = dialogue_test_conf();
	conf.limits.size = 1 << 20;
	conf.limits.line = 2048;
	conf.limits.hops = 1000;
	for (unsigned n = 1; n <= MESSAGES; n++)
		round_trip(&conf, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
