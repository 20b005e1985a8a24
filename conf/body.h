/* conf/body.h: a message's content: collected once, then immutable and shared by reference count. State.
 *
 * One thread builds it with body_append(); after that it only is read, by any thread that holds a reference.
 * Content is the message as it is stored and sent: lines end in CRLF, no dot-stuffing, our Received field first.
 * A body is either in memory (`first` is its chunks) or in a spool file of its own (`file` is its number, no chunks).
 * All bodies in memory share one budget, which callers ask about; it is counted here. */
#ifndef CONF_BODY_H
#define CONF_BODY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct body_chunk {
	struct body_chunk *next;
	uint32_t len;
	uint32_t cap;
	uint8_t data[];
};

struct body {
	atomic_uint refs;
	uint64_t size; /* bytes in all */
	struct body_chunk *first;
	struct body_chunk *last;
	uint64_t file;	   /* number of the spool file; 0: in memory */
	uint64_t checksum; /* XXH3-64 of all bytes, seed 0; only with `file` */
};

/* One reference, no bytes. NULL without memory. */
struct body *body_new(void);
/* 0, or -ENOMEM (then what was appended so far stays). Only before the body is shared, only in memory. */
int body_append(struct body *b, const void *p, size_t n);
/* Moves all chunks out: the body is then empty and in memory no more. Free them with body_chunks_free(). */
struct body_chunk *body_take_chunks(struct body *b);
void body_chunks_free(struct body_chunk *first);
struct body *body_ref(struct body *b);
void body_unref(struct body *b); /* NULL is fine */

/* Bytes that all bodies in memory and all chunks taken out of them hold now, in the whole process. */
size_t body_memory_used(void);

#endif
