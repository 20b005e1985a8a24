/* conf/buf.h: a growing run of bytes that cannot be made without its ceiling. Protocol: pure.
 *
 * Invariants: len <= limit; data[len] is 0 whenever data is not NULL; an error leaves the buffer as it was.
 * No memory is held until the first byte is appended. */
#ifndef CONF_BUF_H
#define CONF_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t limit;
};

/* `limit` is the most bytes that the buffer ever holds. */
void buf_init(struct buf *b, size_t limit);
void buf_fini(struct buf *b); /* may be used again afterwards, with the same limit */
/* 0; -E2BIG past the limit; -ENOMEM. `p` may be NULL if `n` is 0. */
int buf_append(struct buf *b, const void *p, size_t n);
int buf_append_str(struct buf *b, const char *text);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Makes room for `n` more bytes and returns where they go; then buf_grow() says how many came. NULL past the limit. */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_grow(struct buf *b, size_t n);
/* Drops the first `n` bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
void buf_reset(struct buf *b); /* len = 0, keeps the memory */
/* Hands the bytes over to the caller, who frees them; the buffer is empty afterwards. NULL if it never held any. */
uint8_t *buf_detach(struct buf *b, size_t *len);

/* Big-endian numbers, for what is kept on disk. */
int buf_append_u8(struct buf *b, uint8_t v);
int buf_append_u16(struct buf *b, uint16_t v);
int buf_append_u32(struct buf *b, uint32_t v);
int buf_append_u64(struct buf *b, uint64_t v);
/* u32 length, then the bytes. */
int buf_append_block(struct buf *b, const void *p, size_t n);

/* A checked reader over bytes that somebody else owns: after the first read past the end `bad` is set and all further
 * reads give 0. Look at `bad` once, at the end. */
struct reader {
	const uint8_t *at;
	size_t left;
	int bad;
};
void reader_init(struct reader *r, const void *p, size_t n);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
/* Returns where `n` bytes stand, or NULL. */
const uint8_t *reader_bytes(struct reader *r, size_t n);
/* Reads a block of at most `max` bytes; NULL (and bad) if it is longer or cut off. An empty block is not NULL. */
const uint8_t *reader_block(struct reader *r, size_t max, size_t *n);

#endif
