/* tests/unit/client_test.c: the SMTP client in the dialogues of tests/dialogues/client, and what they cannot tell. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/deliver/client.h"
#include "queue/deliver/commands.h"
#include "queue/mail/envelope.h"
#include "tests/unit/dialogue.h"

enum { MOST_RCPTS = 4, MOST_MAILS = 3, REPLY_LINES = 20, REPLY_BYTES = 2000 };

/* One mail of a dialogue: "mail from=a@x to=b@y notify=FAILURE to=c@y content=… flags=8BIT,BINARY". */
struct mail {
	struct transaction t;
	struct transaction_rcpt *rcpts; /* just so many, for ASan to watch */
	char text[1000];
	const char *content;
	size_t given;
	int broken; /* error of the content in place of its end */
	bool ended;
};

struct stage {
	struct client c;
	struct mail mails[MOST_MAILS];
	unsigned mail_count, begun;
};

static void *stage_open(void)
{
	struct stage *s = calloc(1, sizeof *s);
	assert_non_null(s);
	client_init(&s->c, "relay.example", REPLY_LINES, REPLY_BYTES);
	return s;
}

static void stage_close(void *m)
{
	struct stage *s = m;
	assert_null(client_ended(&s->c));
	for (unsigned i = 0; i < s->mail_count; i++)
		free(s->mails[i].rcpts);
	client_fini(&s->c);
	free(s);
}

/* The bits of words separated by commas. */
static unsigned bits(const char *text)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {{"8BIT", ENVELOPE_8BIT}, {"BODY8", ENVELOPE_BODY_8BIT}, {"BINARY", ENVELOPE_BINARY},
		{"SMTPUTF8", ENVELOPE_SMTPUTF8}, {"HEADER8", ENVELOPE_HEADER_8BIT}, {"RETFULL", ENVELOPE_RET_FULL},
		{"RETHDRS", ENVELOPE_RET_HDRS}, {"BYR", ENVELOPE_BY_RETURN}, {"BYN", ENVELOPE_BY_NOTIFY},
		{"BYT", ENVELOPE_BY_TRACE}, {"NEVER", NOTIFY_NEVER}, {"SUCCESS", NOTIFY_SUCCESS},
		{"FAILURE", NOTIFY_FAILURE}, {"DELAY", NOTIFY_DELAY}};
	unsigned all = 0;
	while (*text != '\0') {
		size_t n = strcspn(text, ","), i = 0;
		while (strlen(words[i].word) != n || strncmp(words[i].word, text, n) != 0)
			assert_true(++i < sizeof words / sizeof words[0]);
		all |= words[i].bit;
		text += n + (text[n] == ',');
	}
	return all;
}

static void set_word(struct mail *m, const char *key, const char *value)
{
	struct transaction *t = &m->t;
	struct transaction_rcpt *r = t->rcpt_count > 0 ? &m->rcpts[t->rcpt_count - 1] : NULL;
	if (strcmp(key, "from") == 0) {
		t->sender = value;
	} else if (strcmp(key, "to") == 0) {
		assert_true(t->rcpt_count < MOST_RCPTS);
		m->rcpts = reallocarray(m->rcpts, t->rcpt_count + 1, sizeof *m->rcpts);
		assert_non_null(m->rcpts);
		m->rcpts[t->rcpt_count++] = (struct transaction_rcpt){.address = value};
	} else if (strcmp(key, "notify") == 0) {
		r->notify = (uint8_t)bits(value);
	} else if (strcmp(key, "orcpt") == 0) {
		r->orcpt = value;
	} else if (strcmp(key, "content") == 0) {
		m->content = value;
	} else if (strcmp(key, "flags") == 0) {
		t->flags = bits(value);
	} else if (strcmp(key, "size") == 0) {
		t->size = strtoull(value, NULL, 10);
	} else if (strcmp(key, "envid") == 0) {
		t->envid = value;
	} else if (strcmp(key, "by") == 0) {
		t->has_by = true;
		t->by_s = atoi(value);
	} else if (strcmp(key, "priority") == 0) {
		t->priority = atoi(value);
	} else if (strcmp(key, "broken") == 0) {
		m->broken = -atoi(value);
	} else {
		fail_msg("what is %s=%s?", key, value);
	}
}

static void stage_set(void *m, char *text)
{
	struct stage *s = m;
	if (strncmp(text, "bdat ", 5) == 0) {
		s->c.bdat = strcmp(text + 5, "always") == 0 ? CLIENT_BDAT_ALWAYS : CLIENT_BDAT_NEVER;
		return;
	}
	assert_true(strncmp(text, "mail ", 5) == 0 && s->mail_count < MOST_MAILS);
	struct mail *mail = &s->mails[s->mail_count++];
	assert_true((size_t)snprintf(mail->text, sizeof mail->text, "%s", text + 5) < sizeof mail->text);
	char *rest = mail->text, *word;
	while ((word = strsep(&rest, " ")) != NULL) {
		char *value = strchr(word, '=');
		assert_non_null(value);
		*value++ = '\0';
		set_word(mail, word, value);
	}
	mail->t.rcpts = mail->rcpts;
	if (mail->t.size == 0)
		mail->t.size = strlen(mail->content);
}

static void give_content(struct stage *s)
{
	struct mail *m = (struct mail *)(void *)s->c.jobs[0].t; /* its first member */
	size_t left = strlen(m->content) - m->given;
	if (left == 0 && m->broken != 0) {
		client_content_failed(&s->c, m->broken);
	} else if (left == 0) {
		client_content_end(&s->c);
	} else {
		size_t n = dialogue_portion(left);
		client_content(&s->c, m->content + m->given, n);
		m->given += n;
	}
}

static size_t stage_say(void *m, void *p, size_t most)
{
	struct stage *s = m;
	struct wire_slice out[CLIENT_SLICES + 1];
	for (;;) {
		struct transaction *t;
		while ((t = client_ended(&s->c)) != NULL) {
			struct mail *mail = (struct mail *)(void *)t;
			assert_false(mail->ended);
			mail->ended = true;
		}
		if (s->c.state == CLIENT_GREETED)
			client_hello(&s->c);
		if (!client_wants_content(&s->c))
			break;
		give_content(s);
	}
	size_t taken = 0;
	unsigned n = client_output(&s->c, out);
	for (unsigned i = 0; i < n && taken < most; i++) {
		assert_true(out[i].n > 0);
		size_t part = out[i].n < most - taken ? out[i].n : most - taken;
		memcpy((char *)p + taken, out[i].p, part);
		taken += part;
	}
	client_sent(&s->c, taken);
	return taken;
}

static void stage_hear(void *m, const void *p, size_t n)
{
	struct stage *s = m;
	client_receive(&s->c, p, n, 0);
}

static void stage_act(void *m, const char *what)
{
	struct stage *s = m;
	if (strcmp(what, "begin") == 0)
		assert_int_equal(client_begin(&s->c, &s->mails[s->begun++].t), 0);
	else if (strcmp(what, "quit") == 0)
		client_quit(&s->c);
	else if (strcmp(what, "silent") == 0)
		client_lost(&s->c, FAULT_SILENT_LATER, 0);
	else if (strcmp(what, "close") == 0)
		client_lost(&s->c, FAULT_CLOSED, 0);
	else if (strncmp(what, "unsent", 6) == 0)
		client_lost(&s->c, FAULT_RESET, strtoull(what + 6, NULL, 10));
	else
		fail_msg("what is %s?", what);
}

/* END code,code,… FAULT; for each mail, then the client's own fault, or its state. */
static void stage_outcome(void *m, char *out, size_t size)
{
	static const char *const ends[] = {"answered", "unstarted", "lost", "unknown", "local"};
	struct stage *s = m;
	size_t at = 0;
	for (unsigned i = 0; i < s->begun; i++) {
		const struct transaction *t = &s->mails[i].t;
		if (!s->mails[i].ended)
			fail_msg("mail %u has no end", i);
		at += (size_t)snprintf(out + at, size - at, "%s", ends[t->end]);
		for (unsigned k = 0; k < t->rcpt_count; k++) {
			const struct reply *r = &t->rcpts[k].reply;
			bool answered = t->rcpts[k].answered,
			     words = answered && r->code >= 400 && *r->enhanced != '\0';
			at += (size_t)snprintf(out + at, size - at, "%c%u%s%s", k ? ',' : ' ', answered ? r->code : 0u,
				words ? " " : "", words ? r->enhanced : "");
		}
		at += (size_t)snprintf(
			out + at, size - at, "%s%s; ", t->fault ? " " : "", t->fault ? fault_word(t->fault) : "");
	}
	bool closed = s->c.state == CLIENT_CLOSED;
	snprintf(out + at, size - at, "%s%s", closed ? "closed " : "",
		closed ? fault_word(s->c.fault) : client_state_word(s->c.state));
}

static void test_dialogues(void **state)
{
	(void)state;
	static const struct dialogue_machine machine = {
		'S', stage_open, stage_set, stage_hear, stage_say, stage_act, stage_outcome, stage_close};
	assert_in_range(dialogue_run("tests/dialogues/client", &machine), 90, 1000);
}

/* Brings a client to CONTENT of one transaction. */
static void start_content(struct client *c, struct transaction *t, struct transaction_rcpt *r)
{
	static const char before[] = "220 mx\r\n", after[] = "250 mx\r\n", answers[] = "250 ok\r\n250 ok\r\n354 go\r\n";
	struct wire_slice out[CLIENT_SLICES + 1];
	client_init(c, "h", 10, 1000);
	client_receive(c, before, sizeof before - 1, 0);
	client_hello(c);
	client_output(c, out);
	client_sent(c, out[0].n);
	client_receive(c, after, sizeof after - 1, 0);
	c->peer.pipelining = true;
	*r = (struct transaction_rcpt){.address = "b@y"};
	t->sender = "a@x";
	t->rcpts = r;
	t->rcpt_count = 1;
	assert_int_equal(client_begin(c, t), 0);
	client_output(c, out);
	client_sent(c, out[0].n);
	client_receive(c, answers, sizeof answers - 1, 0);
	assert_int_equal(c->state, CLIENT_CONTENT);
}

/* Any content comes out as a peer that follows RFC 5321 §4.5.2 reads it, whatever the pieces. */
static void test_stuffing_property(void **state)
{
	(void)state;
	static const char letters[] = "..\r\n\r\n\r\nab.";
	unsigned random = 7;
	for (unsigned round = 0; round < 3000; round++) {
		char content[200], wire[700];
		size_t size = (size_t)rand_r(&random) % (sizeof content - 2), n = 0;
		while (n < size) {
			char next = letters[(size_t)rand_r(&random) % (sizeof letters - 1)];
			/* no bare CR or LF */
			if (next == '\r' || next == '\n') {
				content[n++] = '\r';
				next = '\n';
			}
			content[n++] = next;
		}
		struct client c;
		struct transaction t = {.size = n};
		struct transaction_rcpt r;
		start_content(&c, &t, &r);
		size_t given = 0, got = 0;
		while (c.state == CLIENT_CONTENT || c.out.len > 0) {
			if (client_wants_content(&c)) {
				size_t part = (size_t)rand_r(&random) % 40 + 1;
				part = part < n - given ? part : n - given;
				if (part == 0)
					client_content_end(&c);
				else
					client_content(&c, content + given, part);
				given += part;
				continue;
			}
			struct wire_slice out[CLIENT_SLICES + 1];
			unsigned count = client_output(&c, out);
			assert_true(count > 0);
			size_t taken = 0;
			for (unsigned i = 0; i < count; i++) {
				size_t part = (size_t)rand_r(&random) % out[i].n + 1;
				memcpy(wire + got, out[i].p, part);
				got += part;
				taken += part;
				if (part < out[i].n)
					break;
			}
			client_sent(&c, taken);
		}
		/* the peer */
		size_t at = 0, back = 0;
		char heard[700];
		bool over = false;
		while (at < got && !over) {
			const char *end = memmem(wire + at, got - at, "\r\n", 2);
			assert_non_null(end);
			size_t length = (size_t)(end - (wire + at)) + 2;
			over = length == 3 && wire[at] == '.';
			size_t skip = wire[at] == '.';
			if (!over) {
				memcpy(heard + back, wire + at + skip, length - skip);
				back += length - skip;
			}
			at += length;
		}
		assert_true(over);
		assert_int_equal(at, got);
		if (n > 0 && (n < 2 || memcmp(content + n - 2, "\r\n", 2) != 0)) {
			memcpy(content + n, "\r\n", 2);
			n += 2;
		}
		assert_int_equal(back, n);
		assert_memory_equal(heard, content, n);
		client_fini(&c);
	}
}

/* Replies that come while the content is being sent. */
static void test_early_reply(void **state)
{
	(void)state;
	static const struct {
		const char *reply;
		enum transaction_end end;
		unsigned code;
		enum fault fault;
	} table[] = {
		{"552 too large\r\n", TRANSACTION_ANSWERED, 552, FAULT_CLOSED},
		{"451 disk full\r\n", TRANSACTION_ANSWERED, 451, FAULT_CLOSED},
		{"421 going down\r\n", TRANSACTION_LOST, 0, FAULT_LOAD},
		{"250 taken before it was sent\r\n", TRANSACTION_LOST, 0, FAULT_GARBAGE},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		/* once in the midst of the content, once with the dot taken by the plumbing, not by the kernel */
		for (unsigned late = 0; late < 2; late++) {
			struct client c;
			struct transaction t = {.size = late ? 4 : 100};
			struct transaction_rcpt r;
			struct wire_slice out[CLIENT_SLICES + 1];
			start_content(&c, &t, &r);
			client_content(&c, "hi\r\n", 4);
			client_output(&c, out);
			client_sent(&c, 4);
			if (late) {
				client_content_end(&c);
				client_output(&c, out);
				client_sent(&c, 3);
			}
			client_receive(&c, table[i].reply, strlen(table[i].reply), late ? 1 : 0);
			assert_ptr_equal(client_ended(&c), &t);
			assert_int_equal(t.end, table[i].end);
			assert_int_equal(r.answered ? r.reply.code : 0, table[i].code);
			assert_int_equal(t.fault, table[i].fault);
			assert_int_equal(c.state, CLIENT_CLOSED);
			client_fini(&c);
		}
	}
}

/* Brings a client to the content of a binary message in chunks. */
static void start_chunks(struct client *c, struct transaction *t, struct transaction_rcpt *r, bool pipelining)
{
	static const char hello[] = "220 mx\r\n", more[] = "250-mx\r\n250-CHUNKING\r\n250 BINARYMIME\r\n";
	struct wire_slice out[CLIENT_SLICES + 1];
	client_init(c, "h", 10, 1000);
	client_receive(c, hello, sizeof hello - 1, 0);
	client_hello(c);
	client_output(c, out);
	client_sent(c, out[0].n);
	client_receive(c, more, sizeof more - 1, 0);
	*r = (struct transaction_rcpt){.address = "b@y"};
	*t = (struct transaction){.sender = "a@x", .size = t->size, .rcpts = r, .rcpt_count = 1};
	t->flags = ENVELOPE_BINARY;
	assert_int_equal(client_begin(c, t), 0);
	for (unsigned i = 0; i < 2; i++) {
		client_output(c, out);
		client_sent(c, out[0].n);
		client_receive(c, "250 ok\r\n", 8, 0);
	}
	c->peer.pipelining = pipelining;
	assert_int_equal(c->state, CLIENT_CONTENT);
}

/* Replies to a chunk while it is being sent: all but part of it is out. */
static void test_early_chunk_reply(void **state)
{
	(void)state;
	static const struct {
		const char *reply;
		enum transaction_end end;
		unsigned code;
		enum fault fault;
	} table[] = {
		{"552 too large\r\n", TRANSACTION_ANSWERED, 552, FAULT_CLOSED},
		{"451 disk full\r\n", TRANSACTION_ANSWERED, 451, FAULT_CLOSED},
		{"421 going down\r\n", TRANSACTION_LOST, 0, FAULT_LOAD},
		{"250 taken before it was sent\r\n", TRANSACTION_LOST, 0, FAULT_GARBAGE},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct client c;
		struct transaction t = {.size = 100};
		struct transaction_rcpt r;
		struct wire_slice out[CLIENT_SLICES + 1];
		start_chunks(&c, &t, &r, i % 2);
		client_content(&c, "some of it", 10);
		assert_int_equal(client_output(&c, out), 2);
		assert_memory_equal(out[0].p, "BDAT 100\r\n", 10);
		client_sent(&c, 20);
		client_receive(&c, table[i].reply, strlen(table[i].reply), 0);
		assert_ptr_equal(client_ended(&c), &t);
		assert_int_equal(t.end, table[i].end);
		assert_int_equal(r.answered ? r.reply.code : 0, table[i].code);
		assert_int_equal(t.fault, table[i].fault);
		assert_int_equal(c.state, CLIENT_CLOSED);
		client_fini(&c);
	}
}

/* A message of several chunks: without PIPELINING each waits for the answer to the one before; with it none does. */
static void test_many_chunks(void **state)
{
	(void)state;
	enum { PIECE = 100000, CHUNKS = 4 };
	static const char piece[PIECE];
	for (unsigned pipelining = 0; pipelining < 2; pipelining++) {
		struct client c;
		struct transaction t = {.size = (CHUNKS - 1) * WIRE_CHUNK_MOST + 5};
		struct transaction_rcpt r;
		uint64_t given = 0, content = 0;
		unsigned commands = 0, answered = 0;
		start_chunks(&c, &t, &r, pipelining);
		while (c.state != CLIENT_READY) {
			struct wire_slice out[CLIENT_SLICES + 1];
			if (client_wants_content(&c)) {
				uint64_t part = t.size - given < PIECE ? t.size - given : PIECE;
				if (part == 0)
					client_content_end(&c);
				else
					client_content(&c, piece, part);
				given += part;
				continue;
			}
			unsigned n = client_output(&c, out);
			size_t taken = 0;
			for (unsigned i = 0; i < n; i++) {
				taken += out[i].n;
				commands += out[i].text;
				content += out[i].text ? 0 : out[i].n;
			}
			client_sent(&c, taken);
			assert_in_range(commands - answered, 0, pipelining ? CHUNKS + 1 : 1);
			if (n > 0 || client_wants_content(&c))
				continue;
			assert_int_equal(c.state, c.jobs[0].dot_sent ? CLIENT_DOT : CLIENT_CHUNK);
			client_receive(&c, "250 ok\r\n", 8, 0);
			answered++;
		}
		assert_int_equal(commands, CHUNKS + 1);
		assert_int_equal(content, t.size);
		assert_ptr_equal(client_ended(&c), &t);
		assert_int_equal(t.end, TRANSACTION_ANSWERED);
		assert_int_equal(r.reply.code, 250);
		client_fini(&c);
	}
}

/* Content with a CR or LF alone: answered by us, and the connection ends without a dot. */
static void test_bare_newline(void **state)
{
	(void)state;
	struct client c;
	struct transaction t = {.size = 20};
	struct transaction_rcpt r;
	struct wire_slice out[CLIENT_SLICES + 1];
	start_content(&c, &t, &r);
	client_content(&c, "hi\r\n.\nRSET\r\n", 12);
	assert_int_equal(client_output(&c, out), 0);
	assert_ptr_equal(client_ended(&c), &t);
	assert_int_equal(t.end, TRANSACTION_ANSWERED);
	assert_int_equal(r.reply.code, 554);
	assert_string_equal(r.reply.enhanced, "5.6.0");
	assert_int_equal(c.state, CLIENT_CLOSED);
	client_fini(&c);
}

/* What comes before its command was sent is no answer. */
static void test_reply_before_the_command(void **state)
{
	(void)state;
	static const struct {
		const char *first, *rest; /* the rest comes while what the first called for is not sent yet */
	} table[] = {{"", "220 mx\r\n250 mx\r\n"}, {"220 mx\r\n", "250 mx\r\n"}, {"220 mx\r\n250 mx\r\n", "250 ok\r\n"},
		{"220 mx\r\n250 mx\r\n250 ok\r\n", "250 ok\r\n"},
		{"220 mx\r\n250 mx\r\n250 ok\r\n250 ok\r\n", "354 go\r\n"}};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct client c;
		struct transaction_rcpt r = {.address = "b@y"};
		struct transaction t = {.sender = "a@x", .rcpts = &r, .rcpt_count = 1};
		const char *at = table[i].first;
		client_init(&c, "h", 10, 1000);
		for (size_t n; *at != '\0'; at += n) {
			struct wire_slice out[CLIENT_SLICES + 1];
			n = strcspn(at, "\n") + 1;
			if (client_output(&c, out) > 0)
				client_sent(&c, out[0].n);
			client_receive(&c, at, n, 0);
			client_hello(&c);
			if (c.state == CLIENT_READY)
				assert_int_equal(client_begin(&c, &t), 0);
		}
		client_receive(&c, table[i].rest, strlen(table[i].rest), 0);
		assert_int_equal(c.state, CLIENT_CLOSED);
		assert_int_equal(c.fault, FAULT_GARBAGE);
		assert_false(r.answered);
		client_fini(&c);
	}
}

/* ORCPT in its ASCII form may be longer than RFC 3461 allows: then it is left out, not cut. */
static void test_long_orcpt(void **state)
{
	(void)state;
	char orcpt[ORCPT_MAX + 1] = "utf-8;";
	struct capabilities peer = {.dsn = true};
	struct transaction t = {.sender = "a@x"};
	struct transaction_rcpt r = {.address = "b@y", .orcpt = orcpt};
	for (unsigned i = 0; i < 2; i++) {
		struct buf out;
		buf_init(&out, COMMAND_MOST);
		while (strlen(orcpt) + 2 < (i == 0 ? 130u : ORCPT_MAX))
			memcpy(orcpt + strlen(orcpt), "\xce\xb4", 3);
		assert_int_equal(commands_rcpt(&out, &peer, &t, &r), 0);
		assert_int_equal(strstr((char *)out.data, "ORCPT=utf-8;\\x{3B4}\\x{3B4}") != NULL, i == 0);
		if (i == 1)
			assert_string_equal((char *)out.data, "RCPT TO:<b@y>\r\n");
		buf_fini(&out);
	}
}

/* However many recipients: the client never has more commands unanswered, or bytes to send, than its window. */
static void test_window(void **state)
{
	(void)state;
	enum { MANY = 5000 };
	struct transaction_rcpt *r = calloc(MANY, sizeof *r);
	struct transaction t = {.sender = "a@x", .size = 0, .rcpts = r, .rcpt_count = MANY};
	struct client c;
	struct wire_slice out[CLIENT_SLICES + 1];
	static const char hello[] = "250-mx\r\n250 PIPELINING\r\n";
	for (size_t i = 0; i < MANY; i++)
		r[i].address = "somebody@example.org";
	client_init(&c, "h", 10, 1000);
	client_receive(&c, "220 mx\r\n", 8, 0);
	client_hello(&c);
	client_output(&c, out);
	client_sent(&c, out[0].n);
	client_receive(&c, hello, sizeof hello - 1, 0);
	assert_int_equal(client_begin(&c, &t), 0);
	assert_int_equal(client_begin(&c, &t), 0);
	assert_int_equal(client_begin(&c, &t), -EBUSY);
	unsigned asked = 0, answered = 0;
	while (c.state == CLIENT_ENVELOPE) {
		unsigned n = client_output(&c, out);
		for (unsigned i = 0; i < n; i++) {
			for (size_t k = 0; k < out[i].n; k++)
				asked += ((const char *)out[i].p)[k] == '\n';
			client_sent(&c, out[i].n);
		}
		assert_in_range(asked - answered, 1, CLIENT_WINDOW);
		client_receive(&c, "250 ok\r\n", 8, 0);
		answered++;
	}
	assert_int_equal(c.state, CLIENT_DATA);
	assert_int_equal(answered, MANY + 1);
	client_lost(&c, FAULT_CLOSED, 0);
	client_fini(&c);
	free(r);
}

static void test_quit_unused(void **state)
{
	(void)state;
	struct client c;
	struct wire_slice out[CLIENT_SLICES + 1];
	struct transaction t = {0};
	client_init(&c, "h", 10, 1000);
	assert_int_equal(client_begin(&c, &t), -ENOTCONN);
	client_receive(&c, "220-", 4, 0);
	assert_true(c.greeting_begun);
	client_receive(&c, "mx\r\n220 mx\r\n", 12, 0);
	assert_int_equal(c.state, CLIENT_GREETED);
	client_quit(&c);
	assert_int_equal(client_output(&c, out), 1);
	assert_int_equal(out[0].n, 6);
	assert_memory_equal(out[0].p, "QUIT\r\n", 6);
	assert_int_equal(client_begin(&c, &t), -ENOTCONN);
	client_lost(&c, FAULT_RESET, 0);
	assert_int_equal(c.fault, FAULT_NONE);
	client_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_stuffing_property),
		cmocka_unit_test(test_early_reply),
		cmocka_unit_test(test_early_chunk_reply),
		cmocka_unit_test(test_many_chunks),
		cmocka_unit_test(test_bare_newline),
		cmocka_unit_test(test_reply_before_the_command),
		cmocka_unit_test(test_long_orcpt),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_quit_unused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
