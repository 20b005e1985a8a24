/* queue/mail/bounce.c: protocol. */
#include "queue/mail/bounce.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/id.h"
#include "queue/mail/envelope.h"

enum {
	COLUMNS = 76,	 /* lines that we write are wrapped here; a longer word stands alone */
	LINE_MAX_ = 990, /* of what others wrote: below 998 with room for a fold */
	CLEAN_MAX = REPLY_TEXT_MAX * 4 + 64,
	BOUNDARY = 48,
};

/* The three parts, before they are put together. */
struct parts {
	struct buf human, status, headers;
	int err; /* the first one */
	bool eight_bit;
};

static void put(struct parts *p, struct buf *b, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void put(struct parts *p, struct buf *b, const char *format, ...)
{
	if (p->err != 0)
		return;
	va_list args;
	va_start(args, format);
	p->err = buf_vprintf(b, format, args);
	va_end(args);
}

static void put_bytes(struct parts *p, struct buf *b, const void *bytes, size_t n)
{
	if (p->err == 0)
		p->err = buf_append(b, bytes, n);
}

/* Others' words as printable ASCII without line ends. */
static const char *clean(char out[CLEAN_MAX], const char *text)
{
	size_t n = 0;
	for (const unsigned char *at = (const unsigned char *)text; *at != '\0' && n + 5 < CLEAN_MAX; at++) {
		if (*at >= 0x20 && *at < 0x7f)
			out[n++] = (char)*at;
		else if (*at == '\t' || *at == '\r' || *at == '\n')
			out[n++] = ' ';
		else
			n += (size_t)snprintf(out + n, CLEAN_MAX - n, "\\x%02x", *at);
	}
	out[n] = '\0';
	return out;
}

/* Writes `lead`, then the text's words, wrapped; further lines begin with `indent` (never empty). A word that is too
 * long for any line is cut. */
static void put_wrapped(struct parts *p, struct buf *b, const char *lead, const char *indent, const char *text)
{
	char cleaned[CLEAN_MAX];
	const char *at = clean(cleaned, text);
	put(p, b, "%s", lead);
	size_t column = strlen(lead), margin = strlen(indent);
	bool fresh = true; /* nothing of the text on this line yet */
	for (;;) {
		at += strspn(at, " ");
		size_t n = strcspn(at, " ");
		if (n == 0)
			break;
		if (n > LINE_MAX_ - COLUMNS)
			n = LINE_MAX_ - COLUMNS;
		bool wrap = column + 1 + n > COLUMNS && !(fresh && column <= margin);
		if (wrap) {
			put(p, b, "\r\n%s", indent);
			column = margin;
			fresh = true;
		}
		if (!fresh) {
			put(p, b, " ");
			column++;
		}
		put_bytes(p, b, at, n);
		column += n;
		at += n;
		fresh = false;
	}
	put(p, b, "\r\n");
}

/* "550 5.1.1 No such user", whole. */
static const char *reply_words(char out[CLEAN_MAX], const struct reply *r)
{
	if (r->code == 0)
		snprintf(out, CLEAN_MAX, "%s", r->text);
	else
		snprintf(out, CLEAN_MAX, "%u%s%s%s%s", r->code, r->enhanced[0] ? " " : "", r->enhanced,
			r->text[0] ? " " : "", r->text);
	return out;
}

static const struct path_try *used_path(const struct bounce_input *in)
{
	const struct attempt *a = in->attempt;
	return a != NULL && a->used >= 0 && (unsigned)a->used < a->path_count ? &a->paths[a->used] : NULL;
}

static bool same_reply(const struct reply *a, const struct reply *b)
{
	return a == b || (a->code == b->code && strcmp(a->enhanced, b->enhanced) == 0 && strcmp(a->text, b->text) == 0);
}

/* ---- for people ---- */

/* Why the recipients of one run failed: the words below their addresses. */
static void put_cause(struct parts *p, const struct bounce_input *in, const struct bounce_rcpt *r, bool full)
{
	struct buf *b = &p->human;
	if (r->expired) {
		char span[CLOCK_SPAN];
		uint64_t waited = in->now_ms > in->arrival_ms ? in->now_ms - in->arrival_ms : 0;
		put(p, b, "    could not be delivered for %s; the last reason:\r\n", clock_span(waited, span));
	}
	if (!full) {
		put(p, b, "    %u (words left out)\r\n", r->reply->code);
		return;
	}
	char words[CLEAN_MAX];
	put_wrapped(p, b, "    ", "    ", reply_words(words, r->reply));
	const struct path_try *used = used_path(in);
	if (used != NULL && r->reply->code != 0) {
		char at[ENDPOINT_TEXT];
		put_wrapped(p, b, "    (answer of ", "    ", used->host[0] ? used->host : "the server");
		put(p, b, "    at %s, over %s)\r\n", endpoint_format(&used->to, at),
			used->to.ip.family == FAMILY_IPV6 ? "IPv6" : "IPv4");
	}
}

static void put_path(struct parts *p, const struct path_try *t)
{
	struct buf *b = &p->human;
	char at[ENDPOINT_TEXT], line[HOST_TEXT + ENDPOINT_TEXT + 160], span[CLOCK_SPAN], words[CLEAN_MAX];
	snprintf(line, sizeof line, "%s%s%s over %s: %s (%s)", t->host, t->host[0] ? " at " : "",
		endpoint_format(&t->to, at), t->to.ip.family == FAMILY_IPV6 ? "IPv6" : "IPv4",
		t->fault == FAULT_NONE ? "connected, ready for mail" : fault_text(t->fault),
		clock_span(t->total_ms, span));
	put_wrapped(p, b, "  - ", "    ", line);
	if (t->reply.code != 0 || t->reply.text[0] != '\0')
		put_wrapped(p, b, "      ", "      ", reply_words(words, &t->reply));
}

/* Replies that no recipient of this bounce shows: what another path or another recipient was told. */
static void put_other_replies(struct parts *p, const struct bounce_input *in)
{
	const struct attempt *a = in->attempt;
	bool any = false;
	for (unsigned i = 0; i < a->reply_count; i++) {
		bool shown = false;
		for (unsigned k = 0; k < in->rcpt_count && k < BOUNCE_RCPTS_FULL && !shown; k++)
			shown = same_reply(&a->replies[i], in->rcpts[k].reply);
		if (shown || a->replies[i].code < 400)
			continue;
		if (!any)
			put(p, &p->human, "\r\nOther answers in this attempt:\r\n");
		any = true;
		char words[CLEAN_MAX];
		put_wrapped(p, &p->human, "  - ", "    ", reply_words(words, &a->replies[i]));
	}
}

static void write_human(struct parts *p, const struct bounce_input *in)
{
	struct buf *b = &p->human;
	char id[ID_TEXT], date[CLOCK_DATE];
	put_wrapped(p, b, "This is the mail relay ", " ", in->hostname);
	put(p, b,
		"\r\nYour message could not be delivered to the %s below. It will not be tried\r\n"
		"again. If you do not know why, pass this whole message on to your postmaster.\r\n\r\n",
		in->rcpt_count == 1 ? "recipient" : "recipients");
	for (unsigned i = 0; i < in->rcpt_count; i++) {
		const struct bounce_rcpt *r = &in->rcpts[i], *next = i + 1 < in->rcpt_count ? r + 1 : NULL;
		char address[CLEAN_MAX];
		put(p, b, "<%.900s>\r\n", clean(address, r->address));
		if (next != NULL && next->expired == r->expired && same_reply(r->reply, next->reply))
			continue;
		put_cause(p, in, r, i < BOUNCE_RCPTS_FULL || r->reply->code == 0);
		put(p, b, "\r\n");
	}
	const struct attempt *a = in->attempt;
	if (a != NULL && a->path_count != 0) {
		put(p, b, "What was tried last, on %s:\r\n", clock_date(a->when_ms, date));
		for (unsigned i = 0; i < a->path_count; i++)
			put_path(p, &a->paths[i]);
	} else {
		put(p, b, "No connection was tried: the reason above came before that.\r\n");
	}
	if (a != NULL)
		put_other_replies(p, in);
	put(p, b, "\r\nThe message came to this relay on %s;\r\n", clock_date(in->arrival_ms, date));
	put(p, b, "its queue ID here is %s. Its header is attached.\r\n", id_format(in->id, id));
}

/* ---- for programs ---- */

/* Digits and two dots, RFC 3463 §2. */
static bool is_status(const char *s)
{
	unsigned dots = 0;
	if (!isdigit((unsigned char)s[0]) || s[1] != '.')
		return false;
	for (const char *at = s; *at != '\0'; at++) {
		if (*at == '.' && isdigit((unsigned char)at[1]))
			dots++;
		else if (!isdigit((unsigned char)*at))
			return false;
	}
	return dots == 2;
}

static const char *status_of(char out[REPLY_ENHANCED], const struct bounce_rcpt *r)
{
	if (r->expired)
		snprintf(out, REPLY_ENHANCED, "4.4.7");
	else if (is_status(r->reply->enhanced))
		snprintf(out, REPLY_ENHANCED, "5%s", r->reply->enhanced + 1);
	else
		snprintf(out, REPLY_ENHANCED, "5.0.0");
	return out;
}

/* RFC 3464 §2.2 and §2.3 */
static void write_status(struct parts *p, const struct bounce_input *in)
{
	struct buf *b = &p->status;
	char date[CLOCK_DATE], id[ID_TEXT], status[REPLY_ENHANCED], words[CLEAN_MAX], at[IP_TEXT];
	put_wrapped(p, b, "Reporting-MTA: dns; ", " ", in->hostname);
	put(p, b, "Arrival-Date: %s\r\n", clock_date(in->arrival_ms, date));
	put(p, b, "X-relay64-Queue-ID: %s\r\n", id_format(in->id, id));
	const struct path_try *used = used_path(in);
	clock_date(in->attempt != NULL ? in->attempt->when_ms : in->now_ms, date);
	for (unsigned i = 0; i < in->rcpt_count; i++) {
		const struct bounce_rcpt *r = &in->rcpts[i];
		put(p, b, "\r\n");
		put_wrapped(p, b, "Final-Recipient: rfc822; ", " ", r->address);
		put(p, b, "Action: failed\r\nStatus: %s\r\n", status_of(status, r));
		if (i >= BOUNCE_RCPTS_FULL)
			continue;
		bool remote = used != NULL && r->reply->code != 0;
		if (remote && used->host[0] != '\0')
			put_wrapped(p, b, "Remote-MTA: dns; ", " ", used->host);
		else if (remote)
			put(p, b, "Remote-MTA: dns; [%s%s]\r\n", used->to.ip.family == FAMILY_IPV6 ? "IPv6:" : "",
				ip_format(&used->to.ip, at));
		put_wrapped(p, b, remote ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-relay64; ", " ",
			reply_words(words, r->reply));
		put(p, b, "Last-Attempt-Date: %s\r\n", date);
	}
}

/* ---- the header of the message that failed ---- */

/* Where the header ends: before its empty line, or before the field that is not whole within the limit. */
static size_t header_end(const uint8_t *h, size_t len)
{
	size_t most = len < BOUNCE_HEADERS_MAX ? len : BOUNCE_HEADERS_MAX;
	size_t field = 0; /* beginning of the last field seen */
	for (size_t at = 0; at < most;) {
		if (h[at] == '\n' || (h[at] == '\r' && at + 1 < len && h[at + 1] == '\n'))
			return at;
		if (h[at] != ' ' && h[at] != '\t')
			field = at;
		const uint8_t *nl = memchr(h + at, '\n', most - at);
		if (nl == NULL)
			return len < BOUNCE_HEADERS_MAX ? len : field;
		at = (size_t)(nl - h) + 1;
	}
	return len < BOUNCE_HEADERS_MAX ? len : field;
}

/* One line, without its end. Lines over the limit go on as a folded field would; NUL and bare CR cannot stand in
 * mail. */
static void put_header_line(struct parts *p, const uint8_t *line, size_t n)
{
	struct buf *b = &p->headers;
	while (n > LINE_MAX_) {
		size_t cut = LINE_MAX_;
		while (cut > LINE_MAX_ - 3 && (line[cut] & 0xc0) == 0x80) /* not inside a UTF-8 character */
			cut--;
		put_bytes(p, b, line, cut);
		put(p, b, "\r\n ");
		line += cut;
		n -= cut;
	}
	put_bytes(p, b, line, n);
	put(p, b, "\r\n");
}

static void write_headers(struct parts *p, const struct bounce_input *in)
{
	const uint8_t *at = in->headers;
	size_t left = at != NULL ? header_end(at, in->headers_len) : 0;
	while (left != 0 && p->err == 0) {
		const uint8_t *nl = memchr(at, '\n', left);
		size_t n = nl != NULL ? (size_t)(nl - at) : left;
		size_t line = n != 0 && at[n - 1] == '\r' ? n - 1 : n;
		put_header_line(p, at, line);
		at += nl != NULL ? n + 1 : n;
		left -= nl != NULL ? n + 1 : n;
	}
	for (size_t i = 0; i < p->headers.len; i++) {
		uint8_t *c = &p->headers.data[i];
		if (*c == '\0' || (*c == '\r' && p->headers.data[i + 1] != '\n'))
			*c = '?';
		if (*c > 127)
			p->eight_bit = true;
	}
}

/* ---- together ---- */

static bool occurs(const struct buf *b, const char *text)
{
	return b->len != 0 && memmem(b->data, b->len, text, strlen(text)) != NULL;
}

/* The bounce's own ID and the first number with which it occurs nowhere (RFC 2046 §5.1.1). It ends: every number that
 * is taken has its place in the parts. */
static void choose_boundary(const struct parts *p, uint64_t bounce_id, char out[BOUNDARY])
{
	char id[ID_TEXT];
	unsigned number = 0;
	id_format(bounce_id, id);
	do
		snprintf(out, BOUNDARY, "=_relay64_%s_%u_", id, number++);
	while (occurs(&p->human, out) || occurs(&p->status, out) || occurs(&p->headers, out));
}

static void put_envelope_fields(struct parts *p, const struct bounce_input *in, struct buf *out, const char *boundary)
{
	char date[CLOCK_DATE], id[ID_TEXT], address[CLEAN_MAX];
	put(p, out, "Date: %s\r\n", clock_date(in->now_ms, date));
	if (in->postmaster != NULL)
		put(p, out, "From: Mail relay <%.900s>\r\n", clean(address, in->postmaster));
	else
		put(p, out, "From: Mail relay <MAILER-DAEMON@%.900s>\r\n", clean(address, in->hostname));
	put(p, out, "To: <%.900s>\r\n", clean(address, in->sender));
	put(p, out, "Subject: Undelivered mail returned to sender\r\n");
	put(p, out, "Message-ID: <%s@%.900s>\r\n", id_format(in->bounce_id, id), clean(address, in->hostname));
	put(p, out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
	put(p, out, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n", boundary);
	put(p, out, "Content-Transfer-Encoding: %s\r\n\r\n", p->eight_bit ? "8bit" : "7bit");
	put(p, out, "This is a delivery status notification in MIME format (RFC 3464).\r\n");
}

static void put_part(struct parts *p, struct buf *out, const char *boundary, const char *fields, const struct buf *part)
{
	put(p, out, "\r\n--%s\r\n%s\r\n", boundary, fields);
	put_bytes(p, out, part->data, part->len);
}

int bounce_write(const struct bounce_input *in, struct buf *out, unsigned *flags)
{
	if (in->sender[0] == '\0' || in->rcpt_count == 0)
		return -EINVAL;
	struct parts p = {0};
	buf_init(&p.human, BOUNCE_MAX);
	buf_init(&p.status, BOUNCE_MAX);
	buf_init(&p.headers, BOUNCE_HEADERS_MAX * 3); /* a bare LF grows by a CR */
	write_human(&p, in);
	write_status(&p, in);
	write_headers(&p, in);
	size_t before = out->len;
	if (p.err == 0) {
		char boundary[BOUNDARY];
		choose_boundary(&p, in->bounce_id, boundary);
		put_envelope_fields(&p, in, out, boundary);
		put_part(&p, out, boundary,
			"Content-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n",
			&p.human);
		put_part(&p, out, boundary,
			"Content-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n", &p.status);
		put_part(&p, out, boundary,
			p.eight_bit ? "Content-Description: Header of the undelivered message\r\n"
				      "Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: "
				      "8bit\r\n"
				    : "Content-Description: Header of the undelivered message\r\n"
				      "Content-Type: text/rfc822-headers\r\n",
			&p.headers);
		put(&p, out, "\r\n--%s--\r\n", boundary);
	}
	buf_fini(&p.human);
	buf_fini(&p.status);
	buf_fini(&p.headers);
	if (p.err != 0) {
		if (out->data != NULL) {
			out->len = before;
			out->data[before] = '\0';
		}
		return p.err;
	}
	*flags = ENVELOPE_BOUNCE | (p.eight_bit ? ENVELOPE_8BIT : 0u);
	return 0;
}
