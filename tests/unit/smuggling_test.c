/* tests/unit/smuggling_test.c: SMTP smuggling, in both directions: every known way to write an end of the content that
 * some server takes for one. Each goes through the server's machine, by DATA and by BDAT, with bare line ends refused
 * and mended; what is stored then goes out through the client's machine, and no server, however it reads lines, finds
 * two messages in it. */
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

#define EVIL "MAIL FROM:<evil@x>\r\nRCPT TO:<c@d>\r\nDATA\r\nevil"
#define FORM(name, text, ...)                                                                                          \
	{                                                                                                              \
		name, text, sizeof(text) - 1, __VA_ARGS__                                                              \
	}

enum fate {
	BARE_END, /* a CR or LF alone: refused, or mended */
	VEILED,	  /* a dot behind NULs: refused in either way */
	CONTENT,  /* no end and no fault: content */
	BY_BDAT,  /* the true end of DATA: content inside a chunk alone */
};

/* What stands between the first message and the one that is to be smuggled. */
static const struct form {
	const char *name, *text;
	size_t len;
	enum fate fate;
} forms[] = {
	/* the nine ways to put CRLF, LF and CR around a dot; the first is the end */
	FORM("CRLF . CRLF", "\r\n.\r\n", BY_BDAT),
	FORM("CRLF . LF", "\r\n.\n", BARE_END),
	FORM("CRLF . CR", "\r\n.\r", BARE_END),
	FORM("LF . CRLF (Postfix, Sendmail, Exim 2023)", "\n.\r\n", BARE_END),
	FORM("LF . LF (Postfix, Sendmail 2023)", "\n.\n", BARE_END),
	FORM("LF . CR", "\n.\r", BARE_END),
	FORM("CR . CRLF", "\r.\r\n", BARE_END),
	FORM("CR . LF", "\r.\n", BARE_END),
	FORM("CR . CR (Cisco 2023)", "\r.\r", BARE_END),
	/* doubled line ends, for those who drop a CR or take CR CR LF for one end */
	FORM("CRCRLF . CRCRLF", "\r\r\n.\r\r\n", BARE_END),
	FORM("CRLF . CRCRLF", "\r\n.\r\r\n", BARE_END),
	FORM("CRCRLF . LF", "\r\r\n.\n", BARE_END),
	FORM("CRCR . CRLF", "\r\r.\r\n", BARE_END),
	FORM("CRLF CR . CRLF", "\r\n\r.\r\n", BARE_END),
	FORM("LFLF . CRLF", "\n\n.\r\n", BARE_END),
	FORM("CRLF LF . CRLF", "\r\n\n.\r\n", BARE_END),
	FORM("CRLF . LFCR", "\r\n.\n\r", BARE_END),
	FORM("LFCR . LFCR", "\n\r.\n\r", BARE_END),
	FORM("LF . LF CRLF", "\n.\n\r\n", BARE_END),
	FORM("CRLF . LF CRLF", "\r\n.\n\r\n", BARE_END),
	FORM("CRLF . CR x CRLF", "\r\n.\rx\r\n", BARE_END),
	/* mixed with the end of another form at once behind it */
	FORM("LF . LF, CR . CR", "\n.\n\r.\r", BARE_END),
	FORM("LF . CR, LF", "\n.\r.\n", BARE_END),
	/* without a dot */
	FORM("LF alone", "\n", BARE_END),
	FORM("CR alone", "\r", BARE_END),
	FORM("CRCRLF alone", "\r\r\n", BARE_END),
	/* NULs, for those who drop them */
	FORM("CRLF NUL . CRLF", "\r\n\0.\r\n", VEILED),
	FORM("CRLF NUL . NUL CRLF", "\r\n\0.\0\r\n", VEILED),
	FORM("CRLF NUL NUL . CRLF", "\r\n\0\0.\r\n", VEILED),
	FORM("CRLF . NUL CRLF", "\r\n.\0\r\n", CONTENT),
	FORM("CRLF . . NUL CRLF", "\r\n..\0\r\n", CONTENT),
	FORM("LF NUL . CRLF", "\n\0.\r\n", VEILED),
	FORM("CRLF NUL . LF", "\r\n\0.\n", VEILED),
	FORM("CR NUL LF . CRLF", "\r\0\n.\r\n", BARE_END),
	FORM("NUL CRLF . CR NUL LF", "\0\r\n.\r\0\n", BARE_END),
	/* dots doubled and undone */
	FORM("CRLF . . CRLF", "\r\n..\r\n", CONTENT),
	FORM("CRLF . . . CRLF", "\r\n...\r\n", CONTENT),
	FORM("CRLF . . LF", "\r\n..\n", BARE_END),
	FORM("LF . . CRLF", "\n..\r\n", BARE_END),
	FORM("CR . . CR", "\r..\r", BARE_END),
	FORM("CRLF . blank CRLF", "\r\n. \r\n", CONTENT),
	FORM("CRLF blank . CRLF", "\r\n .\r\n", CONTENT),
	FORM("CRLF . TAB CRLF", "\r\n.\t\r\n", CONTENT),
	FORM("CRLF . x CRLF", "\r\n.x\r\n", CONTENT),
	/* other line ends, and bytes that look like them with the eighth bit off */
	FORM("CRLF . VT CRLF", "\r\n.\v\r\n", CONTENT),
	FORM("FF . FF", "\f.\f", CONTENT),
	FORM("NEL . NEL", "\xc2\x85.\xc2\x85", CONTENT),
	FORM("U+2028 . U+2028", "\xe2\x80\xa8.\xe2\x80\xa8", CONTENT),
	FORM("8-bit CR LF", "\x8d\x8a.\x8d\x8a", CONTENT),
	FORM("8-bit dot", "\r\n\xae\r\n", CONTENT),
};

/* ---- a server that reads lines in its own way ---- */

struct peer {
	const char *name, *before, *after; /* its ends */
	bool drops_nul, drops_cr;	   /* it does not see NULs, or CRs that are not before LF */
};

#define PEER(before, after)                                                                                            \
	{"as it is", before, after, false, false}, {"without NULs", before, after, true, false},                       \
		{"without CRs", before, after, false, true},                                                           \
	{                                                                                                              \
		"without both", before, after, true, true                                                              \
	}

static const struct peer peers[] = {PEER("\r\n", "\r\n"), PEER("\r\n", "\n"), PEER("\r\n", "\r"), PEER("\n", "\r\n"),
	PEER("\n", "\n"), PEER("\n", "\r"), PEER("\r", "\r\n"), PEER("\r", "\n"), PEER("\r", "\r")};

/* What it has left behind the first end that it sees; SIZE_MAX: it sees none. */
static size_t left_behind(const struct peer *r, const struct buf *wire)
{
	char *text = malloc(wire->len + 3), end[8];
	assert_non_null(text);
	size_t n = 2;
	memcpy(text, "\r\n", n); /* that of DATA */
	for (size_t i = 0; i < wire->len; i++) {
		uint8_t c = wire->data[i];
		bool bare = c == '\r' && (i + 1 == wire->len || wire->data[i + 1] != '\n');
		if ((r->drops_nul && c == '\0') || (r->drops_cr && bare))
			continue;
		text[n++] = (char)c;
	}
	int len = snprintf(end, sizeof end, "%s.%s", r->before, r->after);
	size_t left = SIZE_MAX;
	for (size_t i = 0; i + (size_t)len <= n && left == SIZE_MAX; i++)
		if (memcmp(text + i, end, (size_t)len) == 0)
			left = n - i - (size_t)len;
	free(text);
	return left;
}

/* ---- in ---- */

enum road { DATA, CHUNK, CHUNKS };
static const char *const roads[] = {"DATA", "one chunk", "two chunks"};

static void say(struct buf *in, const void *p, size_t n)
{
	assert_int_equal(buf_append(in, p, n), 0);
}

/* The dialogue with the form in it. */
static void write_dialogue(struct buf *in, const struct form *f, enum road road)
{
	static const char head[] = EHLO M R, tail[] = EVIL "\r\n.\r\n", last[] = "NOOP\r\n";
	size_t size = 1 + f->len + sizeof tail - 1, half = 1 + f->len / 2;
	say(in, head, sizeof head - 1);
	if (road == DATA) {
		say(in, "DATA\r\nx", 7);
		say(in, f->text, f->len);
	} else if (road == CHUNK) {
		assert_int_equal(buf_printf(in, "BDAT %zu LAST\r\nx", size), 0);
		say(in, f->text, f->len);
	} else {
		assert_int_equal(buf_printf(in, "BDAT %zu\r\nx", half), 0);
		say(in, f->text, half - 1);
		assert_int_equal(buf_printf(in, "BDAT %zu LAST\r\n", size - half), 0);
		say(in, f->text + half - 1, f->len - half + 1);
	}
	say(in, tail, sizeof tail - 1);
	say(in, last, sizeof last - 1);
}

static unsigned count(const struct buf *b, const char *part)
{
	unsigned n = 0;
	for (const char *at = b->data ? (const char *)b->data : ""; (at = strstr(at, part)) != NULL; at++)
		n++;
	return n;
}

/* ---- out ---- */

/* Sends the content by DATA in pieces of `most` bytes; `wire` is what follows 354. */
static enum transaction_end send_out(struct buf *wire, const uint8_t *content, size_t len, size_t most)
{
	static const char *const answers[] = {"220 mx.example\r\n", "250-mx.example\r\n250 8BITMIME\r\n", "250 a\r\n",
		"250 b\r\n", "354 go\r\n", "250 taken\r\n"};
	struct client c;
	struct transaction_rcpt rcpt = {.address = "c@d"};
	struct transaction t = {.sender = "a@b", .flags = ENVELOPE_8BIT, .rcpts = &rcpt, .rcpt_count = 1, .size = len};
	size_t given = 0;
	client_init(&c, "r.example", 20, 2000);
	for (size_t i = 0; i < sizeof answers / sizeof answers[0] && c.state != CLIENT_CLOSED; i++) {
		struct wire_slice out[CLIENT_SLICES + 1];
		unsigned n;
		client_receive(&c, answers[i], strlen(answers[i]), 0);
		client_hello(&c);
		if (i == 1)
			assert_int_equal(client_begin(&c, &t), 0);
		do {
			if (client_wants_content(&c)) {
				size_t part = len - given < most ? len - given : most;
				if (part > 0)
					client_content(&c, content + given, part);
				else
					client_content_end(&c);
				given += part;
			}
			n = client_output(&c, out);
			size_t taken = 0;
			for (unsigned k = 0; k < n; k++) {
				if (i == 4)
					say(wire, out[k].p, out[k].n);
				taken += out[k].n;
			}
			client_sent(&c, taken);
		} while (n > 0 || client_wants_content(&c));
	}
	assert_ptr_equal(client_ended(&c), &t);
	client_fini(&c);
	return t.end;
}

static void check_wire(const char *what, const struct buf *wire)
{
	for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
		size_t left = left_behind(&peers[i], wire);
		/* the true end holds the last LF, which a reader of LF . CR and its like leaves over */
		if (left != SIZE_MAX && left > 1)
			fail_msg("%s: who reads %s finds an end with %zu bytes behind it", what, peers[i].name, left);
	}
}

static void check_stored(const char *what, const struct world *w)
{
	const uint8_t *line = memchr(w->messages.data, '\n', w->messages.len);
	assert_non_null(line);
	size_t len = w->messages.len - (size_t)(line + 1 - w->messages.data);
	for (size_t most = 1; most < 2000; most = most * 3 + 1) {
		struct buf wire;
		buf_init(&wire, 1 << 16);
		assert_int_equal(send_out(&wire, line + 1, len, most), TRANSACTION_ANSWERED);
		assert_true(wire.len > len);
		assert_memory_equal(wire.data + wire.len - 5, "\r\n.\r\n", 5);
		check_wire(what, &wire);
		buf_fini(&wire);
	}
}

/* ---- the tests ---- */

static void run(const struct form *f, enum road road, bool normalize, size_t most)
{
	char what[200];
	struct conf c = dialogue_test_conf();
	struct rights rights = {.relay = true, .normalize = normalize};
	struct world w;
	struct smtp_server s;
	struct buf in;
	snprintf(what, sizeof what, "%s by %s, %s, %zu bytes at a time", f->name, roads[road],
		normalize ? "mended" : "refused", most);
	buf_init(&in, 4096);
	write_dialogue(&in, f, road);
	dialogue_world_init(&w);
	dialogue_start(&w, &s, &c, &rights);
	for (size_t at = 0; at < in.len && !w.closed; at += most)
		dialogue_feed(&w, &s, (const char *)in.data + at, in.len - at < most ? in.len - at : most);
	bool refused = (f->fate == BARE_END && !normalize) || f->fate == VEILED;
	if (count(&w.said, "queued as") != !refused || count(&w.said, "550 5.5.2 ") != refused)
		fail_msg("%s: <<%s>>", what, (const char *)w.said.data);
	if (w.closed || count(&w.said, "250 2.1.0") != 1 || count(&w.said, "evil") != 0)
		fail_msg("%s: content was taken for commands: <<%s>>", what, (const char *)w.said.data);
	assert_int_equal(s.state, SMTP_GREETED);
	if (refused)
		assert_int_equal(w.messages.len, 0);
	else
		check_stored(what, &w);
	smtp_server_fini(&s);
	dialogue_world_fini(&w);
	buf_fini(&in);
}

static void run_all(bool normalize)
{
	static const size_t most[] = {4096, 1, 2, 7};
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		for (enum road road = DATA; road <= CHUNKS; road++)
			for (size_t k = 0; k < sizeof most / sizeof most[0]; k++)
				if (road != DATA || forms[i].fate != BY_BDAT)
					run(&forms[i], road, normalize, most[k]);
}

static void test_refused(void **state)
{
	(void)state;
	run_all(false);
}

static void test_mended(void **state)
{
	(void)state;
	run_all(true);
}

/* Content that came into the spool by another door: no line with a CR or LF alone goes out, and so no second message.
 */
static void test_out_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		for (size_t most = 1; most < 100; most = most * 3 + 1) {
			struct buf content, wire;
			buf_init(&content, 4096);
			buf_init(&wire, 1 << 16);
			say(&content, "Subject: x\r\n\r\nx", 15);
			say(&content, forms[i].text, forms[i].len);
			say(&content, EVIL "\r\n.\r\n", strlen(EVIL) + 5);
			send_out(&wire, content.data, content.len, most);
			if (forms[i].fate == BARE_END)
				assert_int_equal(count(&wire, "evil"), 0);
			if (forms[i].fate != VEILED)
				check_wire(forms[i].name, &wire);
			buf_fini(&content);
			buf_fini(&wire);
		}
}

/* The peers are as lax as they claim: each is fooled by the raw form that bears its name. */
static void test_readers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
		struct buf wire;
		buf_init(&wire, 100);
		assert_int_equal(buf_printf(&wire, "x%s.%sMAIL\r\n.\r\n", peers[i].before, peers[i].after), 0);
		bool gone =
			peers[i].drops_cr && (strcmp(peers[i].before, "\r") == 0 || strcmp(peers[i].after, "\r") == 0);
		assert_true(gone || left_behind(&peers[i], &wire) > 4);
		buf_fini(&wire);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused), cmocka_unit_test(test_mended),
		cmocka_unit_test(test_out_alone), cmocka_unit_test(test_readers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
