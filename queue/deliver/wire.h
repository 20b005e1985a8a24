/* queue/deliver/wire.h: the content of a message on its way to the wire: with its dots doubled behind DATA (RFC 5321
 * §4.5.2), or in chunks behind BDAT (RFC 3030). Protocol: pure.
 *
 * Nothing is copied: slices point into the pieces that were given. A piece with a CR or LF that is not part of a CRLF
 * is refused before any of it goes out, unless the content is binary: a server that takes such a byte for a line's end
 * would find the end of the message, and commands, where the sender of the mail wants it to (SMTP smuggling). */
#ifndef QUEUE_DELIVER_WIRE_H
#define QUEUE_DELIVER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_SLICES = 16, WIRE_CHUNK_MOST = 1 << 20 };

enum wire_form {
	WIRE_DATA,
	WIRE_BDAT,   /* lines, in chunks */
	WIRE_BINARY, /* any bytes, in chunks */
};

struct wire_slice {
	const void *p;
	size_t n;
	bool text; /* in the client's own buffer; else in the content */
};

struct wire {
	enum wire_form form;
	uint64_t size;	/* of all content */
	uint64_t given; /* bytes that came so far */
	/* private */
	const uint8_t *piece; /* the rest of the piece given that is not cut into slices */
	size_t piece_left;
	size_t chunk_left; /* bytes of the chunk that was opened, likewise */
	bool line_start, doubled, after_cr, ends_crlf;
	struct wire_slice slices[WIRE_SLICES];
	unsigned first, count;
};

void wire_init(struct wire *w, enum wire_form form, uint64_t size);
/* Is all that was given on its way? Then the next piece may come. */
bool wire_idle(const struct wire *w);
/* Lent until wire_idle(). n > 0. 0; -EBADMSG: more than `size`; -EILSEQ: a CR or LF alone. */
int wire_give(struct wire *w, const void *p, size_t n);
/* No more comes. The same codes: -EBADMSG is less than `size`, -EILSEQ a CR at the very end. */
int wire_end(const struct wire *w);
/* Is a line's end missing at the end of lines? Then it is added to the content. */
bool wire_lacks_crlf(const struct wire *w);
/* How many bytes the next chunk has, once the one before is out and more content is there; 0: none now. */
size_t wire_next_chunk(const struct wire *w);
/* Its BDAT was written. */
void wire_open_chunk(struct wire *w, size_t n);
/* Cuts what can go out now into w->slices, from w->first on, w->count of them. */
void wire_cut(struct wire *w);
/* So many bytes of them were taken. */
void wire_sent(struct wire *w, size_t n);
/* Forgets what is not sent. */
void wire_drop(struct wire *w);

#endif
