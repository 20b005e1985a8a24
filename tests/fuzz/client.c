/* tests/fuzz/client.c: the SMTP client and a hostile server. Byte 0: bytes read at a time (0: a line); byte 1: bytes
 * sent at a time (0: all); byte 2: flags; byte 3: length of the content; byte 4: flags of the message; the content;
 * then the server's bytes, after which the connection is lost. Every transaction ends once; nothing is delivered unless
 * it was all sent. Protocol. */
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
	uint8_t extra;
	const uint8_t *content;
	size_t content_len, given[MAILS];
	size_t piece;
	bool binary, lines;	  /* flags of the message: any bytes; the content has whole lines alone */
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

static bool has_whole_lines(const uint8_t *p, size_t n, bool ended)
{
	for (size_t i = 0; i < n; i++)
		if ((p[i] == '\n' && (i == 0 || p[i - 1] != '\r')) ||
			(p[i] == '\r' && (i + 1 < n ? p[i + 1] != '\n' : ended)))
			return false;
	return true;
}

/* Was all of it sent, and might it be? */
static bool is_whole(const struct stage *s, size_t i)
{
	if (s->sent[i].len == s->content_len)
		return (s->binary || s->lines) &&
		       (s->content_len == 0 || memcmp(s->sent[i].data, s->content, s->content_len) == 0);
	return s->lines && fuzz_same(&s->sent[i], &s->stuffed);
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
			MUST(is_whole(s, i));
	}
	MUST(t->end != TRANSACTION_UNKNOWN || is_whole(s, i));
}

static unsigned message_flags(uint8_t extra)
{
	return (extra & 1 ? ENVELOPE_BINARY : 0) | (extra & 4 ? ENVELOPE_SMTPUTF8 | ENVELOPE_HEADER_8BIT : 0) |
	       (extra & 8 ? ENVELOPE_RET_HDRS : 0) | (extra & 16 ? ENVELOPE_BY_RETURN : 0);
}

static void begin(struct stage *s, uint8_t flags)
{
	unsigned i = s->begun;
	struct transaction *t = &s->mails[i];
	for (unsigned k = 0; k < RCPTS; k++)
		s->rcpts[i][k] = (struct transaction_rcpt){.address = k == 1 && (flags & 8)	 ? "x>\r\nRSET"
								      : k == 2 && (s->extra & 4) ? "\xce\xb4@d"
												 : "c@d",
			.orcpt = s->extra & 64 ? "utf-8;\xce\xb4@d" : "",
			.notify = s->extra & 8 ? NOTIFY_FAILURE : 0};
	*t = (struct transaction){.sender = i ? "" : "a@b", .rcpts = s->rcpts[i], .rcpt_count = 1 + i % RCPTS};
	t->size = s->content_len + (flags >> 6 & 1); /* a byte is missing in the spool */
	t->flags = (flags & 4 ? ENVELOPE_8BIT : 0) | message_flags(s->extra);
	t->envid = s->extra & 8 ? "a+2Bb" : "";
	t->has_by = s->extra & 16;
	t->by_s = t->has_by ? 500 - (int)s->content_len * 4 : 0;
	t->priority = s->extra & 32 ? -3 : 0;
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
		"MAIL FROM:<>", "RCPT TO:<c@d>", "RCPT TO:<\xce\xb4@d>", "DATA\r\n", "BDAT ", "RSET\r\n", "QUIT\r\n",
		".\r\n", "\r\n.\r\n"};
	const char *line = s->said.data ? (const char *)s->said.data : "";
	while (*line != 0) {
		static const char with_end[] = "BDAT 2 LAST\r\n\r\n";
		if (strncmp(line, with_end, strlen(with_end)) == 0) {
			line += strlen(with_end);
			continue;
		}
		const char *end = strstr(line + (line[0] == '\r' ? 2 : 0), "\r\n");
		size_t i = 0, count = sizeof commands / sizeof commands[0];
		while (i < count && strncmp(line, commands[i], strlen(commands[i])) != 0)
			i++;
		if (end == NULL && s->c.state == CLIENT_CLOSED)
			break; /* cut off */
		MUST(i < count && end != NULL);
		line = end + 2;
	}
	for (unsigned i = 0; i < MAILS; i++) {
		size_t n = s->sent[i].len;
		MUST(n == 0 || (n <= s->stuffed.len && memcmp(s->sent[i].data, s->stuffed.data, n) == 0) ||
			(n <= s->content_len && memcmp(s->sent[i].data, s->content, n) == 0));
		MUST(s->binary || has_whole_lines(s->sent[i].data, n, false));
	}
}

FUZZ_TARGET(client)
{
	enum { HEAD = 5 };
	if (len < HEAD || len - HEAD < in[3])
		return 0;
	static const enum fault faults[] = {FAULT_CLOSED, FAULT_SILENT_LATER, FAULT_SILENT_DOT, FAULT_RESET};
	struct stage s = {.wanted = 1 + in[2] % MAILS, .content = in + HEAD, .content_len = in[3], .extra = in[4]};
	s.binary = s.extra & 1;
	s.lines = has_whole_lines(s.content, s.content_len, true);
	s.piece = in[1] ? in[1] : SIZE_MAX;
	buf_init(&s.said, 1 << 20);
	buf_init(&s.stuffed, 1 << 20);
	for (unsigned i = 0; i < MAILS; i++)
		buf_init(&s.sent[i], 1 << 20);
	stuff(&s);
	client_init(&s.c, "h.example", 16, 2048);
	s.c.bdat = s.extra & 2 ? CLIENT_BDAT_ALWAYS : CLIENT_BDAT_BINARY;
	for (size_t at = (size_t)HEAD + in[3], n; at < len && s.c.state != CLIENT_CLOSED; at += n) {
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
