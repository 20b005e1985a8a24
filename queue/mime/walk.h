/* queue/mime/walk.h: the structure of a message: headers, bodies, boundaries, as its bytes come. Protocol: pure.
 *
 * RFC 2046 §5.1: a boundary is one wherever a line begins with it; that of an outer multipart ends the inner ones. The
 * CRLF before it is its own. If more than blanks follows in the line that is noted: see `doubt`. Only CRLF ends a line.
 * Every byte of the message is handed out once, in order: in `header`, `body` or `copy`. Memory is bounded: one header
 * at a time, boundaries up to MIME_DEPTH. */
#ifndef QUEUE_MIME_WALK_H
#define QUEUE_MIME_WALK_H

#include "conf/buf.h"
#include "queue/mime/field.h"

enum { MIME_DEPTH = 32, MIME_HEADER_MAX = 65536 };

enum mime_kind {
	MIME_LEAF,	/* its bytes come in `body`, then `end` */
	MIME_MULTIPART, /* its parts follow */
	MIME_MESSAGE,	/* another header follows: message/rfc822, message/global */
};

struct mime_entity {
	enum mime_kind kind;
	bool top;	/* of a message, not of a part of one */
	unsigned depth; /* multiparts around it */
	const struct mime_fields *fields;
	const uint8_t *header; /* with the empty line behind it, if there is one */
	size_t header_len;
};

struct mime_walk_calls {
	void (*header)(void *arg, const struct mime_entity *e);
	void (*body)(void *arg, const uint8_t *p, size_t n);
	/* The leaf has ended. `last`: no boundary follows. */
	void (*end)(void *arg, bool last);
	/* Boundary lines, and what stands before the first and behind the last. */
	void (*copy)(void *arg, const uint8_t *p, size_t n);
};

struct mime_level {
	char boundary[MIME_BOUNDARY_MAX + 1];
	unsigned len;
	bool digest; /* its parts are messages if they say nothing */
};

struct mime_walk {
	const struct mime_walk_calls *calls;
	void *arg;
	uint8_t at;
	bool top;
	bool line_start;
	uint8_t end_held; /* of a line's end: nothing, CR, CRLF */
	bool doubt;	  /* a line so far is a boundary to some readers, and to others not, or another one */
	unsigned held;	  /* bytes of a line that may become a boundary */
	uint8_t line[MIME_BOUNDARY_MAX + 8];
	unsigned depth;
	struct mime_level levels[MIME_DEPTH];
	struct buf header;
};

void mime_walk_init(struct mime_walk *w, const struct mime_walk_calls *calls, void *arg);
void mime_walk_fini(struct mime_walk *w);
/* 0; -E2BIG: a header is longer than MIME_HEADER_MAX; -ENOMEM. */
int mime_walk(struct mime_walk *w, const uint8_t *p, size_t n);
int mime_walk_end(struct mime_walk *w);

#endif
