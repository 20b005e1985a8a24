/* queue/mime/encode.c: protocol. */
#include "queue/mime/encode.h"

#include <string.h>

enum { QP_COLUMNS = 75 /* and the "=" of a soft line end */ };

void mime_put(struct mime_sink *s, const void *p, size_t n)
{
	s->size += n;
	if (s->out != NULL && s->err == 0)
		s->err = buf_append(s->out, p, n);
}

/* ---- quoted-printable ---- */

static void end_line(struct mime_qp *q, struct mime_sink *s, const char *end)
{
	mime_put(s, q->line, q->n);
	mime_put(s, end, strlen(end));
	q->n = 0;
}

static void put_plain(struct mime_qp *q, struct mime_sink *s, uint8_t c)
{
	if (q->n + 1 > QP_COLUMNS)
		end_line(q, s, "=\r\n");
	q->line[q->n++] = (char)c;
}

static void put_coded(struct mime_qp *q, struct mime_sink *s, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";
	if (q->n + 3 > QP_COLUMNS)
		end_line(q, s, "=\r\n");
	q->line[q->n++] = '=';
	q->line[q->n++] = digits[c >> 4];
	q->line[q->n++] = digits[c & 15];
}

/* What was held is no part of a line's end. */
static void put_held(struct mime_qp *q, struct mime_sink *s)
{
	if (q->held == '\r')
		put_coded(q, s, '\r');
	else if (q->held != 0)
		put_plain(q, s, q->held);
	q->held = 0;
}

static void put_byte(struct mime_qp *q, struct mime_sink *s, uint8_t c)
{
	if (c == '\n' && q->held == '\r') {
		q->held = 0;
		end_line(q, s, "\r\n");
		return;
	}
	if (c == '\r' && (q->held == ' ' || q->held == '\t')) {
		/* it stands at the end of a line, if that is one: encoded it is right in any case */
		put_coded(q, s, q->held);
		q->held = '\r';
		return;
	}
	put_held(q, s);
	if (c == ' ' || c == '\t' || c == '\r')
		q->held = c;
	else if (c < '!' || c > '~' || c == '=' || (c == '.' && (q->n == 0 || q->n == QP_COLUMNS)))
		put_coded(q, s, c);
	else
		put_plain(q, s, c);
}

void mime_qp_put(struct mime_qp *q, struct mime_sink *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_byte(q, s, p[i]);
}

void mime_qp_end(struct mime_qp *q, struct mime_sink *s, bool last)
{
	if (q->held != 0)
		put_coded(q, s, q->held);
	q->held = 0;
	if (q->n > 0)
		end_line(q, s, last ? "=\r\n" : "");
}

/* ---- base64 ---- */

static void put_line(struct mime_base64 *b, struct mime_sink *s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char line[80];
	unsigned n = 0;
	if (b->any)
		mime_put(s, "\r\n", 2);
	for (unsigned i = 0; i < b->n; i += 3) {
		unsigned left = b->n - i;
		uint32_t word = (uint32_t)b->in[i] << 16;
		word |= left > 1 ? (uint32_t)b->in[i + 1] << 8 : 0;
		word |= left > 2 ? b->in[i + 2] : 0;
		line[n++] = digits[word >> 18];
		line[n++] = digits[word >> 12 & 63];
		line[n++] = left > 1 ? digits[word >> 6 & 63] : '=';
		line[n++] = left > 2 ? digits[word & 63] : '=';
	}
	mime_put(s, line, n);
	b->any = true;
	b->n = 0;
}

void mime_base64_put(struct mime_base64 *b, struct mime_sink *s, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t part = sizeof b->in - b->n;
		part = n < part ? n : part;
		memcpy(b->in + b->n, p, part);
		b->n += (unsigned)part;
		p += part;
		n -= part;
		if (b->n == sizeof b->in)
			put_line(b, s);
	}
}

void mime_base64_end(struct mime_base64 *b, struct mime_sink *s, bool last)
{
	if (b->n > 0)
		put_line(b, s);
	if (last && b->any)
		mime_put(s, "\r\n", 2);
}
