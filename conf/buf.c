/* conf/buf.c: protocol. */
#include "conf/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){.limit = limit};
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.limit = b->limit};
}

/* Makes sure that `n` more bytes and the closing 0 fit. */
static int make_room(struct buf *b, size_t n)
{
	if (n > b->limit - b->len)
		return -E2BIG;
	size_t need = b->len + n + 1;
	if (need <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap *= 2;
	if (cap > b->limit + 1)
		cap = b->limit + 1;
	uint8_t *data = realloc(b->data, cap);
	if (data == NULL)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	b->data[b->len] = 0;
	return 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return 0;
	int err = make_room(b, n);
	if (err != 0)
		return err;
	memcpy(b->data + b->len, p, n);
	buf_grow(b, n);
	return 0;
}

int buf_append_str(struct buf *b, const char *text)
{
	return buf_append(b, text, strlen(text));
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0)
		return -EINVAL;
	int err = make_room(b, (size_t)n);
	if (err != 0)
		return err;
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, args);
	b->len += (size_t)n;
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int err = buf_vprintf(b, format, args);
	va_end(args);
	return err;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	return make_room(b, n) == 0 ? b->data + b->len : NULL;
}

void buf_grow(struct buf *b, size_t n)
{
	b->len += n;
	b->data[b->len] = 0;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
	b->data[b->len] = 0;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data != NULL)
		b->data[0] = 0;
}

uint8_t *buf_detach(struct buf *b, size_t *len)
{
	uint8_t *data = b->data;
	*len = b->len;
	b->data = NULL;
	buf_fini(b);
	return data;
}

/* The lowest `bytes` bytes of `v`, the highest of them first. */
static int append_number(struct buf *b, uint64_t v, unsigned bytes)
{
	uint8_t out[8];
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	return buf_append(b, out, bytes);
}

int buf_append_u8(struct buf *b, uint8_t v)
{
	return append_number(b, v, 1);
}

int buf_append_u16(struct buf *b, uint16_t v)
{
	return append_number(b, v, 2);
}

int buf_append_u32(struct buf *b, uint32_t v)
{
	return append_number(b, v, 4);
}

int buf_append_u64(struct buf *b, uint64_t v)
{
	return append_number(b, v, 8);
}

int buf_append_block(struct buf *b, const void *p, size_t n)
{
	if (n > UINT32_MAX || b->limit - b->len < 4 || n > b->limit - b->len - 4)
		return -E2BIG;
	int err = make_room(b, n + 4);
	if (err != 0)
		return err;
	buf_append_u32(b, (uint32_t)n);
	return buf_append(b, p, n);
}

void reader_init(struct reader *r, const void *p, size_t n)
{
	*r = (struct reader){.at = p, .left = n};
}

const uint8_t *reader_bytes(struct reader *r, size_t n)
{
	if (r->bad || n > r->left) {
		r->bad = 1;
		return NULL;
	}
	const uint8_t *at = r->at;
	r->at += n;
	r->left -= n;
	return at;
}

static uint64_t read_number(struct reader *r, unsigned bytes)
{
	const uint8_t *p = reader_bytes(r, bytes);
	uint64_t v = 0;
	for (unsigned i = 0; p != NULL && i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)read_number(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
	return (uint16_t)read_number(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
	return (uint32_t)read_number(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
	return read_number(r, 8);
}

const uint8_t *reader_block(struct reader *r, size_t max, size_t *n)
{
	uint32_t length = reader_u32(r);
	if (r->bad || length > max) {
		r->bad = 1;
		*n = 0;
		return NULL;
	}
	*n = length;
	return reader_bytes(r, length);
}
