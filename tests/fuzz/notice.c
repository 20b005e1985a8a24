/* tests/fuzz/notice.c: notices about hostile peers and clients: whatever they said, the structure holds. Input: two
 * bytes of flags, hosts, replies, addresses, ENVID and ORCPT as texts up to a 0, then the message. Protocol. */
#include "queue/mail/compose.h"
#include "queue/mail/envelope.h"
#include "tests/fuzz/fuzz.h"

enum { RCPTS = 3 };

static bool begins(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

/* Every line ends in CRLF, has at most 998 bytes and no NUL; 8-bit bytes only where the flags say so. */
static void check_lines(const struct buf *b, unsigned flags)
{
	size_t line = 0;
	for (size_t i = 0; i < b->len; i++) {
		uint8_t c = b->data[i];
		MUST(c != 0 && (c < 128 || (flags & ENVELOPE_8BIT)));
		MUST(c != '\r' || (i + 1 < b->len && b->data[i + 1] == '\n'));
		MUST(c != '\n' || (i > 0 && b->data[i - 1] == '\r'));
		line = c == '\n' ? 0 : line + 1;
		MUST(line <= 998 + 1); /* with its CR */
	}
	MUST(line == 0);
}

/* A line of the report for programs: one of our fields, the rest of one, or nothing. */
static void check_field(const char *line, unsigned *rcpts)
{
	static const char *const fields[] = {"Content-", "Reporting-MTA: dns; ", "Arrival-Date: ",
		"X-relay64-Queue-ID: ", "Final-Recipient: ", "Action: ", "Status: ", "Remote-MTA: dns; ",
		"Diagnostic-Code: ", "Last-Attempt-Date: ", " ", "\r\n", "Original-Recipient: ",
		"Original-Envelope-Id: ", "Will-Retry-Until: ", "Deliver-By-Date: ", "Final-Log-ID: "};
	size_t i = 0, count = sizeof fields / sizeof fields[0];
	while (i < count && !begins(line, fields[i]))
		i++;
	MUST(i < count);
	*rcpts += i == 4;
	if (i == 6)
		MUST(strchr("245", line[8]) != NULL && line[9] == '.' && strcspn(line, "\r") <= 17);
	if (i == 10) /* a folded line is never blank alone (RFC 5322 §3.2.2) */
		MUST(line[strspn(line, " ")] != '\r');
}

static void check_structure(const struct buf *b, unsigned rcpt_count)
{
	const char *text = (const char *)b->data, *mark = strstr(text, "\tboundary=\"");
	char delimiter[96];
	MUST(mark != NULL);
	mark += strlen("\tboundary=\"");
	int n = (int)strcspn(mark, "\"");
	snprintf(delimiter, sizeof delimiter, "%.*s", n, mark);
	unsigned marks = 0, rcpts = 0, part = 0;
	const char *body = strstr(text, "\r\n\r\n");
	MUST(body != NULL && mark < body);
	for (const char *at = body; (at = strstr(at, delimiter)) != NULL; at++)
		marks++;
	MUST(marks == 4); /* three parts, the end */
	for (const char *line = text; *line != 0; line = strchr(line, '\n') + 1) {
		if (begins(line, "--") && strncmp(line + 2, delimiter, (size_t)n) == 0) {
			part++;
			MUST(begins(line + 2 + n, part < 4 ? "\r\n" : "--\r\n"));
		} else if (part == 2) {
			check_field(line, &rcpts);
		}
	}
	MUST(part == 4 && rcpts == rcpt_count);
}

static void take_reply(struct reader *r, struct reply *out)
{
	static const uint16_t codes[] = {0, 250, 421, 450, 550, 554, 599, 65535};
	out->code = codes[reader_u8(r) % 8];
	fuzz_text(r, out->enhanced, sizeof out->enhanced);
	fuzz_text(r, out->text, sizeof out->text);
}

FUZZ_TARGET(notice)
{
	struct reader r;
	struct reply replies[RCPTS] = {{0}};
	struct notice_rcpt rcpts[RCPTS];
	struct path_try path = {.to = {{FAMILY_IPV6, {0x20, 1}}, 25}};
	struct attempt a = {
		.when_ms = 1795000000000, .paths = &path, .path_count = 1, .replies = replies, .reply_count = RCPTS};
	char addresses[RCPTS][ADDRESS_MAX + 1], sender[ADDRESS_MAX + 1], hostname[256];
	char envid[ENVID_MAX + 1], orcpt[ORCPT_MAX + 1];
	reader_init(&r, in, len);
	uint8_t flags = reader_u8(&r), more = reader_u8(&r);
	a.used = flags & 1 ? 0 : -1;
	path.fault = (enum fault)(reader_u8(&r) % FAULT_COUNT);
	fuzz_text(&r, path.host, sizeof path.host);
	take_reply(&r, &path.reply);
	fuzz_text(&r, sender, sizeof sender);
	fuzz_text(&r, hostname, sizeof hostname);
	fuzz_text(&r, envid, sizeof envid);
	fuzz_text(&r, orcpt, sizeof orcpt);
	for (unsigned i = 0; i < RCPTS; i++) {
		take_reply(&r, &replies[i]);
		fuzz_text(&r, addresses[i], sizeof addresses[i]);
		rcpts[i] = (struct notice_rcpt){
			addresses[i], orcpt, &replies[i], flags >> (4 + i) & 1, more >> (4 + i) & 1};
	}
	struct notice n = {.kind = (enum notice_kind)((more & 3) % NOTICE_KINDS),
		.hostname = hostname,
		.to = flags & 4 ? "postmaster@relay.example" : sender,
		.notice_id = 1,
		.now_ms = 1795000000000 + 86400000,
		.id = 77,
		.arrival_ms = 1795000000000,
		.sender = flags & 4 ? "" : sender,
		.envid = envid,
		.flags = more & 4 ? ENVELOPE_RET_HDRS : 0,
		.until_ms = 1796000000000,
		.by_ms = more & 8 ? 1795000001000 : 0,
		.attempt = flags & 2 ? &a : NULL,
		.rcpts = rcpts,
		.rcpt_count = RCPTS,
		.content = r.left ? r.at : NULL,
		.content_len = r.left,
		.whole = (flags & 8) != 0,
		.full_max = 10000};
	struct buf out;
	unsigned say = 0;
	buf_init(&out, NOTICE_MAX);
	int err = notice_write(&n, &out, &say);
	MUST(err == (n.to[0] == 0 ? -22 : 0));
	if (err == 0) {
		check_lines(&out, say);
		check_structure(&out, RCPTS);
	}
	buf_fini(&out);
	return 0;
}
