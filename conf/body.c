/* conf/body.c: state. */
#include "conf/body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first chunk is small because most mail is; the later ones fit a read from a socket. */
enum { SMALLEST_CHUNK = 4096, LARGEST_CHUNK = 65536, OVERHEAD = sizeof(struct body_chunk) };

static atomic_size_t memory_used;

struct body *body_new(void)
{
	struct body *b = calloc(1, sizeof *b);
	if (b != NULL)
		atomic_init(&b->refs, 1);
	return b;
}

static struct body_chunk *add_chunk(struct body *b, size_t wanted)
{
	size_t size = b->last ? ((size_t)b->last->cap + OVERHEAD) * 2 : SMALLEST_CHUNK;
	while (size < wanted + OVERHEAD && size < LARGEST_CHUNK)
		size *= 2;
	if (size > LARGEST_CHUNK)
		size = LARGEST_CHUNK;
	struct body_chunk *c = malloc(size);
	if (c == NULL)
		return NULL;
	c->next = NULL;
	c->len = 0;
	c->cap = (uint32_t)(size - OVERHEAD);
	atomic_fetch_add_explicit(&memory_used, size, memory_order_relaxed);
	if (b->last != NULL)
		b->last->next = c;
	else
		b->first = c;
	b->last = c;
	return c;
}

int body_append(struct body *b, const void *p, size_t n)
{
	const uint8_t *at = p;
	while (n > 0) {
		struct body_chunk *c = b->last;
		if (c == NULL || c->len == c->cap) {
			c = add_chunk(b, n);
			if (c == NULL)
				return -ENOMEM;
		}
		size_t part = c->cap - c->len;
		if (part > n)
			part = n;
		memcpy(c->data + c->len, at, part);
		c->len += (uint32_t)part;
		b->size += part;
		at += part;
		n -= part;
	}
	return 0;
}

struct body_chunk *body_take_chunks(struct body *b)
{
	struct body_chunk *first = b->first;
	b->first = b->last = NULL;
	return first;
}

void body_chunks_free(struct body_chunk *first)
{
	while (first != NULL) {
		struct body_chunk *next = first->next;
		atomic_fetch_sub_explicit(&memory_used, (size_t)first->cap + OVERHEAD, memory_order_relaxed);
		free(first);
		first = next;
	}
}

struct body *body_ref(struct body *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void body_unref(struct body *b)
{
	if (b == NULL || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	body_chunks_free(b->first);
	free(b);
}

size_t body_memory_used(void)
{
	return atomic_load_explicit(&memory_used, memory_order_relaxed);
}
