/* tests/fuzz/client.c: the SMTP client and a hostile server. Byte 0: bytes read at a time (0: a line); byte 1: bytes
 * sent at a time (0: all); byte 2: flags; byte 3: length of the content, which follows; then the server's bytes, after
 * which the connection is lost. Every transaction ends once; nothing is delivered unless it was all sent. Protocol. */
#include "queue/deliver/client.h"
#include "queue/mail/envelope.h"
#include "tests/fuzz/fuzz.h"

enum { MAILS = 3, RCPTS = 3 };

struct stage {
	struct client c;
	struct transaction mails[MAILS];
	struct transaction_rcpt rcpts[MAILS][RCPTS];
	bool ended[MAILS];
	unsigned wanted, begun, over;
	const uint8_t *content;
	size_t content_len, given[MAILS];
	size_t piece;
	struct buf said, stuffed; /* commands; what the content looks like on the wire */
	struct buf sent[MAILS];
};

/* RFC 5321 §4.5.2; a bare LF counts as a line's end. */
static void stuff(struct stage *s)
{
	for (size_t i = 0; i < s->content_len; i++) {
		if (s->content[i] == '.' && (i == 0 || s->content[i - 1] == '\n'))
			MUST(buf_append(&s->stuffed, ".", 1) == 0);
		MUST(buf_append(&s->stuffed, s->content + i, 1) == 0);
	}
}

static void check_end(struct stage *s, const struct transaction *t)
{
	size_t i = (size_t)(t - s->mails);
	MUST(!s->ended[i] && t->end <= TRANSACTION_LOCAL);
	s->ended[i] = true;
	s->over++;
	MUST(fuzz_is_printable(t->last.text));
	for (unsigned k = 0; k < t->rcpt_count; k++) {
		const struct transaction_rcpt *r = &t->rcpts[k];
		MUST(r->answered || t->end != TRANSACTION_ANSWERED);
		MUST(!r->answered || reply_class(&r->reply) == 2 || reply_class(&r->reply) >= 4);
		if (r->answered && reply_class(&r->reply) == 2)
			MUST(fuzz_same(&s->sent[i], &s->stuffed));
	}
	MUST(t->end != TRANSACTION_UNKNOWN || fuzz_same(&s->sent[i], &s->stuffed));
}

static void begin(struct stage *s, uint8_t flags)
{
	unsigned i = s->begun;
	struct transaction *t = &s->mails[i];
	for (unsigned k = 0; k < RCPTS; k++)
		s->rcpts[i][k] = (struct transaction_rcpt){.address = k == 1 && (flags & 8) ? "x>\r\nRSET" : "c@d"};
	*t = (struct transaction){.sender = i ? "" : "a@b", .rcpts = s->rcpts[i], .rcpt_count = 1 + i % RCPTS};
	t->size = s->content_len + (flags >> 6 & 1); /* a byte is missing in the spool */
	t->flags = flags & 4 ? ENVELOPE_8BIT : 0;
	if (client_begin(&s->c, t) == 0)
		s->begun++;
}

/* The one to which content goes: the first that is under way. */
static void give(struct stage *s)
{
	size_t i = (size_t)(s->c.jobs[0].t - s->mails), left = s->content_len - s->given[i];
	size_t n = left < s->piece ? left : s->piece;
	if (n == 0)
		client_content_end(&s->c);
	else
		client_content(&s->c, s->content + s->given[i], n);
	s->given[i] += n;
}

static void pump(struct stage *s, uint8_t flags)
{
	struct wire_slice out[CLIENT_SLICES + 1];
	struct transaction *t;
	for (;;) {
		while ((t = client_ended(&s->c)) != NULL)
			check_end(s, t);
		client_hello(&s->c);
		if (s->begun < s->wanted && (s->c.job_count == 0 || (flags & 16)) && s->c.job_count < 2)
			begin(s, flags);
		else if (s->begun == s->wanted && s->c.job_count == 0 && s->c.state == CLIENT_READY)
			client_quit(&s->c);
		if (client_wants_content(&s->c)) {
			give(s);
			continue;
		}
		unsigned n = client_output(&s->c, out);
		if (n == 0)
			break;
		size_t taken = 0;
		for (unsigned k = 0; k < n && taken < s->piece; k++) {
			size_t part = out[k].n < s->piece - taken ? out[k].n : s->piece - taken;
			MUST(out[k].n > 0 && (out[k].text || s->c.job_count > 0));
			struct buf *to = out[k].text ? &s->said : &s->sent[s->c.jobs[0].t - s->mails];
			MUST(buf_append(to, out[k].p, part) == 0);
			taken += part;
		}
		client_sent(&s->c, taken);
		if (flags & 32) /* a slow path: the server hears little before its next words are read */
			break;
	}
	while ((t = client_ended(&s->c)) != NULL)
		check_end(s, t);
}

static void check_said(const struct stage *s)
{
	static const char *const commands[] = {"EHLO h.example\r\n", "HELO h.example\r\n", "MAIL FROM:<a@b>",
		"MAIL FROM:<>", "RCPT TO:<c@d>\r\n", "DATA\r\n", "RSET\r\n", "QUIT\r\n", ".\r\n", "\r\n.\r\n"};
	const char *line = s->said.data ? (const char *)s->said.data : "";
	while (*line != 0) {
		const char *end = strstr(line + (line[0] == '\r' ? 2 : 0), "\r\n");
		size_t i = 0, count = sizeof commands / sizeof commands[0];
		while (i < count && strncmp(line, commands[i], strlen(commands[i])) != 0)
			i++;
		if (end == NULL && s->c.state == CLIENT_CLOSED)
			break; /* cut off */
		MUST(i < count && end != NULL);
		line = end + 2;
	}
	for (unsigned i = 0; i < MAILS; i++)
		MUST(s->sent[i].len <= s->stuffed.len &&
			(s->sent[i].len == 0 || memcmp(s->sent[i].data, s->stuffed.data, s->sent[i].len) == 0));
}

FUZZ_TARGET(client)
{
	if (len < 4 || len - 4 < in[3])
		return 0;
	static const enum fault faults[] = {FAULT_CLOSED, FAULT_SILENT_LATER, FAULT_SILENT_DOT, FAULT_RESET};
	struct stage s = {.wanted = 1 + in[2] % MAILS, .content = in + 4, .content_len = in[3]};
	s.piece = in[1] ? in[1] : SIZE_MAX;
	buf_init(&s.said, 1 << 20);
	buf_init(&s.stuffed, 1 << 20);
	for (unsigned i = 0; i < MAILS; i++)
		buf_init(&s.sent[i], 1 << 20);
	stuff(&s);
	client_init(&s.c, "h.example", 8, 2048);
	for (size_t at = 4u + in[3], n; at < len && s.c.state != CLIENT_CLOSED; at += n) {
		const uint8_t *line = memchr(in + at, '\n', len - at);
		n = in[0] ? in[0] : line ? (size_t)(line + 1 - (in + at)) : len - at;
		n = len - at < n ? len - at : n;
		client_receive(&s.c, in + at, n, 0);
		pump(&s, in[2]);
	}
	client_lost(&s.c, faults[in[2] >> 4 & 3], in[2] & 128 ? 3 : 0);
	pump(&s, in[2]);
	MUST(s.c.state == CLIENT_CLOSED && s.over == s.begun && s.c.job_count == 0);
	check_said(&s);
	client_fini(&s.c);
	buf_fini(&s.said);
	buf_fini(&s.stuffed);
	for (unsigned i = 0; i < MAILS; i++)
		buf_fini(&s.sent[i]);
	return 0;
}
