/* queue/mail/returned.c: protocol. */
#include "queue/mail/returned.h"

#include <string.h>

#include "conf/utf8.h"
#include "queue/mail/envelope.h"
#include "queue/mime/walk.h"

enum { LINE_MAX_ = 998 };

/* Where the header ends: before its empty line, or before the field that is not whole within the limit. */
static size_t header_end(const struct notice *in)
{
	const uint8_t *h = in->content;
	size_t len = in->content_len, most = len < NOTICE_HEADERS_MAX ? len : NOTICE_HEADERS_MAX;
	size_t field = 0; /* beginning of the last field seen */
	for (size_t at = 0; at < most;) {
		if (h[at] == '\n' || (h[at] == '\r' && at + 1 < len && h[at + 1] == '\n'))
			return at;
		if (h[at] != ' ' && h[at] != '\t')
			field = at;
		const uint8_t *nl = memchr(h + at, '\n', most - at);
		if (nl == NULL)
			return len < NOTICE_HEADERS_MAX ? len : field;
		at = (size_t)(nl - h) + 1;
	}
	return len < NOTICE_HEADERS_MAX ? len : field;
}

static bool is_8bit(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] > 127)
			return true;
	return false;
}

static bool is_utf8(const uint8_t *p, size_t n)
{
	uint32_t code;
	for (size_t used; n > 0; p += used, n -= used)
		if ((used = utf8_read(p, n, &code)) == 0)
			return false;
	return true;
}

/* Is the content made of lines as mail has them? */
static bool has_mail_lines(const uint8_t *p, size_t n)
{
	size_t line = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\r' && i + 1 < n && p[i + 1] == '\n') {
			line = 0;
			i++;
		} else if (p[i] == '\0' || p[i] == '\r' || p[i] == '\n' || ++line > LINE_MAX_) {
			return false;
		}
	}
	return line == 0;
}

/* What headers that are not ASCII are made of. */
struct headers {
	unsigned seen;
	bool eight; /* one of them, behind the first, holds bytes over 127 */
	bool utf8;  /* … which are UTF-8 in each */
};

static void on_header(void *arg, const struct mime_entity *e)
{
	struct headers *h = arg;
	if (h->seen++ == 0 || !is_8bit(e->header, e->header_len))
		return;
	h->eight = true;
	h->utf8 = h->utf8 && is_utf8(e->header, e->header_len);
}

static void pass_by(void *arg, const uint8_t *p, size_t n)
{
	(void)arg, (void)p, (void)n;
}

static void pass_end(void *arg, bool last)
{
	(void)arg, (void)last;
}

/* The headers of parts, which make mail internationalised as its own header does (RFC 6532 §3.2). 0; negative: they
 * cannot be known. */
static int look_at_parts(const struct notice *in, struct headers *h)
{
	static const struct mime_walk_calls calls = {on_header, pass_by, pass_end, pass_by};
	struct mime_walk w;
	*h = (struct headers){.utf8 = true};
	mime_walk_init(&w, &calls, h);
	int err = mime_walk(&w, in->content, in->content_len);
	if (err == 0)
		err = mime_walk_end(&w);
	mime_walk_fini(&w);
	return err;
}

static bool goes_whole(const struct notice *in)
{
	return in->kind == NOTICE_FAILED && in->whole && in->content_len > 0 && in->content_len <= in->full_max &&
	       (in->flags & (ENVELOPE_RET_HDRS | ENVELOPE_BINARY)) == 0 && has_mail_lines(in->content, in->content_len);
}

/* One line, without its end. Lines over the limit go on as a folded field would. */
static void put_header_line(struct draft *d, const uint8_t *line, size_t n)
{
	while (n > DRAFT_LINE) {
		size_t cut = DRAFT_LINE;
		while (cut > DRAFT_LINE - 3 && (line[cut] & 0xc0) == 0x80) /* not inside a UTF-8 character */
			cut--;
		draft_bytes(d, line, cut);
		draft_put(d, "\r\n ");
		line += cut;
		n -= cut;
	}
	draft_bytes(d, line, n);
	draft_put(d, "\r\n");
}

/* NUL and bare CR cannot stand in mail. */
static void put_headers(struct draft *d, const struct notice *in, size_t left)
{
	const uint8_t *at = in->content;
	while (left != 0 && d->err == 0) {
		const uint8_t *nl = memchr(at, '\n', left);
		size_t n = nl != NULL ? (size_t)(nl - at) : left;
		put_header_line(d, at, n != 0 && at[n - 1] == '\r' ? n - 1 : n);
		at += nl != NULL ? n + 1 : n;
		left -= nl != NULL ? n + 1 : n;
	}
	for (size_t i = 0; i < d->text.len; i++) {
		uint8_t *c = &d->text.data[i];
		if (*c == '\0' || (*c == '\r' && d->text.data[i + 1] != '\n'))
			*c = '?';
	}
}

/* The draft's text in quoted-printable. */
static void quote(struct draft *d)
{
	struct draft plain = *d;
	draft_init(d, plain.text.limit, plain.utf8);
	d->err = plain.err;
	draft_quoted(d, plain.text.data, plain.text.len);
	draft_fini(&plain);
}

struct returned returned_write(struct draft *d, const struct notice *in)
{
	struct returned r = {RETURNED_HEADERS, "7bit"};
	size_t header = in->content_len != 0 ? header_end(in) : 0;
	bool eight = is_8bit(in->content, header), utf8 = eight && is_utf8(in->content, header);
	struct headers parts = {.utf8 = true};
	bool whole = goes_whole(in) && (!eight || utf8); /* message/rfc822 cannot be encoded */
	if (whole && is_8bit(in->content, in->content_len))
		whole = look_at_parts(in, &parts) == 0 && parts.utf8;
	if (whole) {
		/* in either case it is for SMTPUTF8, or, encoded, for servers without (RFC 6533 §4) */
		eight |= parts.eight;
		utf8 |= parts.eight;
		draft_bytes(d, in->content, in->content_len);
		r.type = utf8 ? RETURNED_GLOBAL : RETURNED_MESSAGE;
	} else {
		put_headers(d, in, header);
		r.type = utf8 ? RETURNED_GLOBAL_HEADERS : RETURNED_HEADERS;
	}
	if (!draft_is_8bit(d))
		return r;
	r.encoding = "8bit";
	if (eight && !(d->utf8 && utf8)) {
		quote(d);
		r.encoding = "quoted-printable";
	}
	return r;
}

const char *returned_content_type(const struct returned *r)
{
	static const char *const types[] = {
		[RETURNED_HEADERS] = "text/rfc822-headers",
		[RETURNED_MESSAGE] = "message/rfc822",
		[RETURNED_GLOBAL_HEADERS] = "message/global-headers",
		[RETURNED_GLOBAL] = "message/global",
	};
	bool unknown = r->type == RETURNED_HEADERS && strcmp(r->encoding, "7bit") != 0;
	return unknown ? "text/rfc822-headers; charset=unknown-8bit" : types[r->type];
}
