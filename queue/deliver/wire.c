/* queue/deliver/wire.c: protocol. */
#include "queue/deliver/wire.h"

#include <errno.h>
#include <string.h>

void wire_init(struct wire *w, enum wire_form form, uint64_t size)
{
	*w = (struct wire){.form = form, .size = size, .line_start = true};
}

bool wire_idle(const struct wire *w)
{
	return w->piece_left == 0 && w->count == 0;
}

/* Is each CR followed by LF, and each LF behind a CR? Over the bounds of pieces. */
static bool has_whole_lines(bool *after_cr, const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	if (*after_cr && *p++ != '\n')
		return false;
	*after_cr = false;
	while (p < end) {
		const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));
		const uint8_t *to = lf != NULL ? lf : end;
		const uint8_t *cr = memchr(p, '\r', (size_t)(to - p));
		if (lf == NULL) {
			*after_cr = cr != NULL;
			return cr == NULL || cr == end - 1;
		}
		if (cr == NULL || cr != lf - 1)
			return false;
		p = lf + 1;
	}
	return true;
}

int wire_give(struct wire *w, const void *p, size_t n)
{
	const uint8_t *in = p;
	if (n > w->size - w->given)
		return -EBADMSG;
	if (w->form != WIRE_BINARY && !has_whole_lines(&w->after_cr, in, n))
		return -EILSEQ;
	w->ends_crlf = in[n - 1] == '\n';
	w->given += n;
	w->piece = in;
	w->piece_left = n;
	return 0;
}

int wire_end(const struct wire *w)
{
	if (w->given != w->size)
		return -EBADMSG;
	return w->after_cr ? -EILSEQ : 0;
}

bool wire_lacks_crlf(const struct wire *w)
{
	return w->form != WIRE_BINARY && w->size > 0 && !w->ends_crlf;
}

size_t wire_next_chunk(const struct wire *w)
{
	if (w->form == WIRE_DATA || w->piece_left == 0 || w->chunk_left > 0 || w->count > 0)
		return 0;
	uint64_t left = w->size - w->given + w->piece_left;
	return left < WIRE_CHUNK_MOST ? (size_t)left : WIRE_CHUNK_MOST;
}

void wire_open_chunk(struct wire *w, size_t n)
{
	w->chunk_left = n;
}

static void add_slice(struct wire *w, const uint8_t *p, size_t n)
{
	w->slices[w->count++] = (struct wire_slice){p, n, false};
}

static void cut_chunk(struct wire *w)
{
	size_t n = w->piece_left < w->chunk_left ? w->piece_left : w->chunk_left;
	if (n == 0)
		return;
	add_slice(w, w->piece, n);
	w->piece += n;
	w->piece_left -= n;
	w->chunk_left -= n;
}

/* A line that begins with a dot begins with it twice. The second dot is the same byte sent again. */
static void cut_lines(struct wire *w)
{
	while (w->piece_left > 0 && w->count < WIRE_SLICES) {
		const uint8_t *from = w->piece, *end = from + w->piece_left;
		if (w->line_start && !w->doubled && *from == '.') {
			add_slice(w, from, 1);
			w->doubled = true;
			continue;
		}
		const uint8_t *newline = from;
		while ((newline = memchr(newline, '\n', (size_t)(end - newline))) != NULL) {
			newline++;
			if (newline == end || *newline == '.')
				break;
		}
		if (newline == NULL || newline == end) {
			add_slice(w, from, w->piece_left);
			w->piece_left = 0;
			w->line_start = newline != NULL;
			w->doubled = false;
			return;
		}
		add_slice(w, from, (size_t)(newline + 1 - from));
		w->piece = newline;
		w->piece_left = (size_t)(end - newline);
		w->line_start = w->doubled = true;
	}
}

void wire_cut(struct wire *w)
{
	if (w->count > 0)
		return;
	w->first = 0;
	if (w->form == WIRE_DATA)
		cut_lines(w);
	else
		cut_chunk(w);
}

void wire_sent(struct wire *w, size_t n)
{
	while (n > 0 && w->count > 0) {
		struct wire_slice *s = &w->slices[w->first];
		size_t part = n < s->n ? n : s->n;
		s->p = (const uint8_t *)s->p + part;
		s->n -= part;
		n -= part;
		if (s->n == 0) {
			w->first++;
			w->count--;
		}
	}
}

void wire_drop(struct wire *w)
{
	w->piece_left = 0;
	w->count = 0;
}
