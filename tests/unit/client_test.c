/* tests/unit/client_test.c: the SMTP client in dialogues: each is run whole, byte by byte, and in random pieces both
 * ways.
 *
 * In a script a line is what the client sends ("C: "), what the peer sends ("S: "), or what the plumbing does ("!"). */
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
#include "queue/mail/envelope.h"

enum { MOST_RCPTS = 3, MOST_MAILS = 3, REPLY_LINES = 20, REPLY_BYTES = 2000 };

struct mail {
	const char *sender;
	const char *rcpts[MOST_RCPTS];
	const char *content;
	unsigned flags;
	uint64_t size; /* 0: that of the content */
	int broken;    /* error of the content in place of its end */
};

struct row {
	const char *name;
	struct mail mails[MOST_MAILS];
	const char *script;
	/* END code,code,… FAULT; one for each mail, then the client's own fault */
	const char *outcome;
};

struct stage {
	const struct row *row;
	struct client c;
	struct transaction t[MOST_MAILS];
	struct transaction_rcpt *rcpts[MOST_MAILS]; /* just so many, for ASan to watch */
	size_t given[MOST_MAILS];
	unsigned begun, ended;
	bool is_ended[MOST_MAILS];
	struct buf said; /* by the client, not yet compared */
	unsigned most;	 /* bytes at a time; 0: random */
	unsigned random;
};

static size_t portion(struct stage *s, size_t n)
{
	size_t most = s->most != 0 ? s->most : (size_t)rand_r(&s->random) % 7 + 1;
	return n < most ? n : most;
}

static void give_content(struct stage *s)
{
	struct transaction *t = s->c.jobs[0].t;
	size_t i = (size_t)(t - s->t);
	const char *content = s->row->mails[i].content;
	size_t left = strlen(content) - s->given[i];
	if (left == 0 && s->row->mails[i].broken != 0) {
		client_content_failed(&s->c, s->row->mails[i].broken);
	} else if (left == 0) {
		client_content_end(&s->c);
	} else {
		size_t n = portion(s, left);
		client_content(&s->c, content + s->given[i], n);
		s->given[i] += n;
	}
}

/* Takes what the client has to say. */
static void pump(struct stage *s)
{
	for (;;) {
		struct wire_slice out[CLIENT_SLICES + 1];
		struct transaction *t;
		while ((t = client_ended(&s->c)) != NULL) {
			assert_false(s->is_ended[t - s->t]);
			s->is_ended[t - s->t] = true;
			s->ended++;
		}
		if (s->c.state == CLIENT_GREETED)
			client_hello(&s->c);
		if (client_wants_content(&s->c)) {
			give_content(s);
			continue;
		}
		unsigned n = client_output(&s->c, out);
		if (n == 0)
			return;
		size_t taken = 0;
		for (unsigned i = 0; i < n; i++) {
			assert_true(out[i].n > 0);
			size_t part = portion(s, out[i].n);
			assert_int_equal(buf_append(&s->said, out[i].p, part), 0);
			taken += part;
			if (part < out[i].n)
				break;
		}
		client_sent(&s->c, taken);
	}
}

static void begin(struct stage *s)
{
	unsigned i = s->begun++;
	const struct mail *m = &s->row->mails[i];
	struct transaction *t = &s->t[i];
	unsigned n = 0;
	while (n < MOST_RCPTS && m->rcpts[n] != NULL)
		n++;
	s->rcpts[i] = calloc(n, sizeof *s->rcpts[i]);
	for (unsigned k = 0; k < n; k++)
		s->rcpts[i][k].address = m->rcpts[k];
	*t = (struct transaction){.sender = m->sender, .flags = m->flags, .rcpts = s->rcpts[i], .rcpt_count = n};
	t->size = m->size ? m->size : strlen(m->content);
	assert_int_equal(client_begin(&s->c, t), 0);
}

static void act(struct stage *s, const char *what, size_t n)
{
	if (n == 5 && memcmp(what, "begin", n) == 0) {
		begin(s);
	} else if (n == 4 && memcmp(what, "quit", n) == 0) {
		client_quit(&s->c);
	} else if (n == 6 && memcmp(what, "silent", n) == 0) {
		client_lost(&s->c, FAULT_SILENT_LATER, 0);
	} else if (n == 5 && memcmp(what, "close", n) == 0) {
		client_lost(&s->c, FAULT_CLOSED, 0);
	} else if (n > 6 && memcmp(what, "unsent", 6) == 0) {
		client_lost(&s->c, FAULT_RESET, strtoull(what + 6, NULL, 10));
	} else {
		fail_msg("%s: what is %.*s?", s->row->name, (int)n, what);
	}
}

static void hear(struct stage *s, const char *line, size_t n)
{
	char text[4096];
	assert_true(n + 2 < sizeof text);
	memcpy(text, line, n);
	memcpy(text + n, "\r\n", 2);
	n += 2;
	if (s->said.len > 0)
		fail_msg("%s (by %u): said too early: \"%s\"", s->row->name, s->most, s->said.data);
	for (size_t at = 0; at < n;) {
		size_t part = portion(s, n - at);
		client_receive(&s->c, text + at, part, 0);
		at += part;
		pump(s);
	}
}

static void expect(struct stage *s, const char *line, size_t n)
{
	const uint8_t *data = s->said.data ? s->said.data : (const uint8_t *)"";
	if (s->said.len < n + 2 || memcmp(data, line, n) != 0 || memcmp(data + n, "\r\n", 2) != 0)
		fail_msg("%s (by %u): expected \"%.*s\", said \"%s\"", s->row->name, s->most, (int)n, line, data);
	buf_consume(&s->said, n + 2);
}

static void summarise(struct stage *s, char *out, size_t size)
{
	static const char *const ends[] = {"answered", "unstarted", "lost", "unknown", "local"};
	size_t at = 0;
	for (unsigned i = 0; i < s->begun; i++) {
		if (!s->is_ended[i])
			fail_msg("%s: mail %u has no end", s->row->name, i);
		at += (size_t)snprintf(out + at, size - at, "%s", ends[s->t[i].end]);
		for (unsigned k = 0; k < s->t[i].rcpt_count; k++)
			at += (size_t)snprintf(out + at, size - at, "%c%u", k ? ',' : ' ',
				s->rcpts[i][k].answered ? s->rcpts[i][k].reply.code : 0u);
		if (s->t[i].fault != FAULT_NONE)
			at += (size_t)snprintf(out + at, size - at, " %s", fault_word(s->t[i].fault));
		at += (size_t)snprintf(out + at, size - at, "; ");
	}
	snprintf(out + at, size - at, "%s%s", s->c.state == CLIENT_CLOSED ? "closed " : "",
		s->c.state == CLIENT_CLOSED ? fault_word(s->c.fault) : client_state_word(s->c.state));
}

static void play(const struct row *row, unsigned most, unsigned seed)
{
	struct stage s = {.row = row, .most = most, .random = seed};
	client_init(&s.c, "relay.example", REPLY_LINES, REPLY_BYTES);
	buf_init(&s.said, 1 << 20);
	for (const char *at = row->script; *at != 0;) {
		size_t n = strcspn(at, "\n");
		pump(&s);
		if (at[0] == '!')
			act(&s, at + 1, n - 1);
		else if (at[0] == 'S')
			hear(&s, at + 3, n - 3);
		else
			expect(&s, at + 3, n - 3);
		pump(&s);
		at += n + (at[n] != 0);
	}
	if (s.said.len > 0)
		fail_msg("%s (by %u): said too much: \"%s\"", row->name, most, s.said.data);
	char outcome[500];
	summarise(&s, outcome, sizeof outcome);
	if (strcmp(outcome, row->outcome) != 0)
		fail_msg("%s (by %u):\n  is     %s\n  should %s", row->name, most, outcome, row->outcome);
	assert_null(client_ended(&s.c));
	for (unsigned i = 0; i < s.begun; i++)
		free(s.rcpts[i]);
	buf_fini(&s.said);
	client_fini(&s.c);
}

#define PLAIN "S: 220 mx ESMTP\nC: EHLO relay.example\nS: 250 mx\n"
#define PIPE                                                                                                           \
	"S: 220 mx ESMTP\nC: EHLO relay.example\nS: 250-mx PIPELINING is in this line no keyword\nS: 250-SIZE 1000\n"  \
	"S: 250-8bitmime\nS: 250-XUNKNOWN\nS: 250 PIPELINING\n"
#define ONE                                                                                                            \
	{                                                                                                              \
		"a@x", {"b@y"}, .content = "hi\r\n"                                                                    \
	}
#define TWO                                                                                                            \
	{                                                                                                              \
		"a@x", {"b@y", "c@y"}, .content = "hi\r\n"                                                             \
	}
#define ONE_GROUP "!begin\nC: MAIL FROM:<a@x> SIZE=4\nC: RCPT TO:<b@y>\nC: DATA\n"
#define TWO_GROUP "!begin\nC: MAIL FROM:<a@x> SIZE=4\nC: RCPT TO:<b@y>\nC: RCPT TO:<c@y>\nC: DATA\n"

static const struct row rows[] = {
	{"one command at a time", {ONE},
		PLAIN "!begin\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\n"
		      "C: hi\nC: .\nS: 250 2.0.0 taken\n!quit\nC: QUIT\nS: 221 bye\n",
		"answered 250; closed ok"},
	{"pipelined", {TWO}, PIPE TWO_GROUP "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 250 ok\n",
		"answered 250,250; READY"},
	{"some recipients refused", {{"a@x", {"b@y", "c@y", "d@y"}, .content = "hi\r\n"}},
		PIPE
		"!begin\nC: MAIL FROM:<a@x> SIZE=4\nC: RCPT TO:<b@y>\nC: RCPT TO:<c@y>\nC: RCPT TO:<d@y>\nC: DATA\n"
		"S: 250 ok\nS: 550 5.1.1 no\nS: 250 ok\nS: 450 later\nS: 354 go\nC: hi\nC: .\nS: 250 ok\n",
		"answered 550,250,450; READY"},
	{"all refused, then 354 all the same: a dot alone", {TWO},
		PIPE TWO_GROUP "S: 250 ok\nS: 550 no\nS: 451 no\nS: 354 go\nC: .\nS: 250 nothing taken\n",
		"answered 550,451; READY"},
	{"all refused, then 503", {TWO, ONE},
		PIPE TWO_GROUP "S: 250 ok\nS: 550 no\nS: 551 no\nS: 503 no recipients\n"
			       "!begin\nC: RSET\nC: MAIL FROM:<a@x> SIZE=4\nC: RCPT TO:<b@y>\nC: DATA\n"
			       "S: 250 reset\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 250 ok\n",
		"answered 550,551; answered 250; READY"},
	{"all refused without pipelining: no DATA", {ONE, ONE},
		PLAIN "!begin\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 550 no\n"
		      "!begin\nC: RSET\nS: 250 ok\nC: MAIL FROM:<a@x>\nS: 451 no\n",
		"answered 550; answered 451; READY"},
	{"MAIL refused: that is the answer to all; no RSET", {TWO, ONE},
		PIPE TWO_GROUP "S: 452 full\nS: 503 no\nS: 503 no\nS: 503 no\n" ONE_GROUP
			       "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 550 spam\n",
		"answered 452,452; answered 550; READY"},
	{"DATA refused", {TWO}, PIPE TWO_GROUP "S: 250 ok\nS: 250 ok\nS: 550 no\nS: 451 not now\n",
		"answered 451,550; READY"},
	{"refused at the dot", {ONE}, PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 554 spam\n",
		"answered 554; READY"},
	{"two under way: the second envelope behind the first dot", {ONE, ONE},
		PIPE ONE_GROUP "!begin\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\n"
			       "C: MAIL FROM:<a@x> SIZE=4\nC: RCPT TO:<b@y>\nC: DATA\n"
			       "S: 451 later\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 250 ok\n",
		"answered 451; answered 250; READY"},
	{"two under way without pipelining", {ONE, ONE},
		PLAIN "!begin\n!begin\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\n"
		      "C: hi\nC: .\nS: 250 ok\nC: MAIL FROM:<a@x>\nS: 550 no\n",
		"answered 250; answered 550; READY"},
	{"lost after the dot, the next envelope sent", {ONE, ONE},
		PIPE ONE_GROUP "!begin\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\n"
			       "C: MAIL FROM:<a@x> SIZE=4\nC: RCPT TO:<b@y>\nC: DATA\n!close\n",
		"unknown 0 closed; unstarted 0 closed; closed closed"},
	{"421 at the dot answers it; the next one goes elsewhere", {ONE, ONE},
		PIPE ONE_GROUP "!begin\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\n"
			       "C: MAIL FROM:<a@x> SIZE=4\nC: RCPT TO:<b@y>\nC: DATA\nS: 421 enough\n",
		"answered 421 load; unstarted 0 load; closed load"},
	{"lost before the dot was sent", {ONE},
		PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\n!unsent1\n",
		"lost 0 reset; closed reset"},
	{"reset after the dot was sent", {ONE},
		PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\n!unsent0\n",
		"unknown 0 reset; closed reset"},
	{"garbage after the dot", {ONE}, PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: OK\n",
		"unknown 0 garbage; closed garbage"},
	{"354 after the dot", {ONE}, PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 354 more\n",
		"unknown 0 garbage; closed garbage"},
	{"closed in the midst of an endless answer to the dot", {ONE},
		PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 250-ok\n!close\n",
		"unknown 0 closed; closed closed"},
	{"silent at RCPT", {TWO}, PIPE TWO_GROUP "S: 250 ok\nS: 550 no\n!silent\n",
		"lost 550,0 silent-later; closed silent-later"},
	{"closed at MAIL, first message", {ONE}, PIPE ONE_GROUP "!close\n", "lost 0 closed; closed closed"},
	{"closed at MAIL, connection used before", {ONE, ONE},
		PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 250 ok\n" ONE_GROUP "!close\n",
		"answered 250; unstarted 0 closed; closed closed"},
	{"silent at MAIL, connection used before", {ONE, ONE},
		PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 250 ok\n" ONE_GROUP "!silent\n",
		"answered 250; lost 0 silent-later; closed silent-later"},
	{"421 at MAIL", {ONE}, PIPE ONE_GROUP "S: 421 busy\n", "lost 0 load; closed load"},
	{"421 at RCPT keeps the answers before", {TWO}, PIPE TWO_GROUP "S: 250 ok\nS: 550 no\nS: 421 busy\n",
		"lost 550,0 load; closed load"},
	{"421 at DATA", {ONE}, PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 421 busy\n", "lost 0 load; closed load"},
	{"421 when all was refused already", {TWO}, PIPE TWO_GROUP "S: 250 ok\nS: 550 no\nS: 550 no\nS: 421 busy\n",
		"answered 550,550 load; closed load"},
	{"421 between transactions", {ONE},
		PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 250 ok\nS: 421 idle\n",
		"answered 250; closed load"},
	{"a reply that nobody asked for", {ONE},
		PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\nC: .\nS: 250 ok\nS: 250 again\n",
		"answered 250; closed garbage"},
	{"250 to DATA", {ONE}, PIPE ONE_GROUP "S: 250 ok\nS: 250 ok\nS: 250 what\n", "lost 0 garbage; closed garbage"},
	{"354 to RCPT", {ONE}, PIPE ONE_GROUP "S: 250 ok\nS: 354 what\n", "lost 0 garbage; closed garbage"},
	{"mixed codes", {ONE}, PIPE ONE_GROUP "S: 250-ok\nS: 550 what\n", "lost 0 garbage; closed garbage"},
	{"HELO after EHLO was refused; no extensions", {ONE},
		"S: 220 mx\nC: EHLO relay.example\nS: 502-PIPELINING\nS: 502 PIPELINING\nC: HELO relay.example\nS: 250 "
		"mx\n"
		"!begin\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hi\nC: "
		".\nS: 250 ok\n",
		"answered 250; READY"},
	{"EHLO and HELO refused", {{0}},
		"S: 220 mx\nC: EHLO relay.example\nS: 502 no\nC: HELO relay.example\nS: 550 no\n", "closed ehlo-5yz"},
	{"EHLO put off", {{0}}, "S: 220 mx\nC: EHLO relay.example\nS: 451 no\n", "closed ehlo-4yz"},
	{"421 at EHLO", {{0}}, "S: 220 mx\nC: EHLO relay.example\nS: 421 no\n", "closed load"},
	{"greeting 554", {{0}}, "S: 554-go\nS: 554 away\n", "closed greeting-5yz"},
	{"greeting 450", {{0}}, "S: 450 later\n", "closed greeting-4yz"},
	{"greeting 421", {{0}}, "S: 421 later\n", "closed load"},
	{"greeting 250", {{0}}, "S: 250 what\n", "closed garbage"},
	{"no SMTP", {{0}}, "S: SSH-2.0-OpenSSH_9.2p1\n", "closed garbage"},
	{"endless greeting", {{0}},
		"S: 220-1\nS: 220-2\nS: 220-3\nS: 220-4\nS: 220-5\nS: 220-6\nS: 220-7\nS: 220-8\nS: 220-9\nS: "
		"220-10\nS: 220-11\n"
		"S: 220-12\nS: 220-13\nS: 220-14\nS: 220-15\nS: 220-16\nS: 220-17\nS: 220-18\nS: 220-19\nS: 220-20\nS: "
		"220-21\n",
		"closed too-long"},
	{"a second reply before EHLO was asked", {{0}}, "S: 220 a\nC: EHLO relay.example\nS: 250 b\nS: 220 c\n",
		"closed garbage"},
	{"8-bit content, 7-bit peer", {{"a@x", {"b@y"}, .content = "h\xc3\xa4\r\n", .flags = ENVELOPE_8BIT}},
		PLAIN "!begin\n", "answered 554; READY"},
	{"8-bit content, 8-bit peer", {{"", {"b@y"}, .content = "h\xc3\xa4\r\n", .flags = ENVELOPE_8BIT}},
		PIPE "!begin\nC: MAIL FROM:<> SIZE=5 BODY=8BITMIME\nC: RCPT TO:<b@y>\nC: DATA\n"
		     "S: 250 ok\nS: 250 ok\nS: 354 go\nC: h\xc3\xa4\nC: .\nS: 250 ok\n",
		"answered 250; READY"},
	{"larger than SIZE allows", {{"a@x", {"b@y"}, .content = "", .size = 1001}}, PIPE "!begin\n",
		"answered 552; READY"},
	{"an address that could break out",
		{{"a@x", {"b@y>\r\nDATA", "c@y"}, .content = "hi\r\n"}, {"a\n@x", {"b@y"}, .content = "hi\r\n"}},
		PIPE "!begin\nC: MAIL FROM:<a@x> SIZE=4\nC: RCPT TO:<c@y>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 "
		     "go\nC: hi\nC: .\n"
		     "S: 250 ok\n!begin\n",
		"answered 553,250; answered 553; READY"},
	{"dots", {{"a@x", {"b@y"}, .content = ".\r\n..\r\nx.\r\n.x\r\n\r\n.\r\n"}},
		PLAIN "!begin\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\n"
		      "C: ..\nC: ...\nC: x.\nC: ..x\nC: \nC: ..\nC: .\nS: 250 ok\n",
		"answered 250; READY"},
	{"empty content", {{"a@x", {"b@y"}, .content = ""}},
		PLAIN "!begin\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\nC: "
		      ".\nS: 250 ok\n",
		"answered 250; READY"},
	{"no line end at the end", {{"a@x", {"b@y"}, .content = "hi"}},
		PLAIN "!begin\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\nC: "
		      "hi\nC: .\nS: 250 ok\n",
		"answered 250; READY"},
	{"content that ends early never gets its dot", {{"a@x", {"b@y"}, .content = "hi\r\n", .size = 9}},
		PLAIN "!begin\nC: MAIL FROM:<a@x>\nS: 250 ok\nC: RCPT TO:<b@y>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hi\n",
		"local 0; closed local"},
	{"damaged content never gets its dot; the second one was not begun",
		{{"a@x", {"b@y"}, .content = "hi\r\n", .broken = -EBADMSG}, ONE},
		PIPE ONE_GROUP "!begin\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: hi\n",
		"local 0; unstarted 0 local; closed local"},
	{"QUIT at EHLO", {{0}}, "S: 220 mx\nC: EHLO relay.example\n!quit\nC: QUIT\n!close\n", "closed ok"},
};

static void test_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		play(&rows[i], 100000, 0);
		play(&rows[i], 1, 0);
		for (unsigned seed = 0; seed < 20; seed++)
			play(&rows[i], 0, seed);
	}
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
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_quit_unused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
