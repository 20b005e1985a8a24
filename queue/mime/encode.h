/* queue/mime/encode.h: quoted-printable and base64 (RFC 2045 §6.7, §6.8), piece by piece. Protocol: pure.
 *
 * What is written goes to a sink, which counts; without a buffer it only counts. */
#ifndef QUEUE_MIME_ENCODE_H
#define QUEUE_MIME_ENCODE_H

#include <stdbool.h>

#include "conf/buf.h"

struct mime_sink {
	struct buf *out; /* NULL: only counted */
	uint64_t size;
	int err; /* the first one of buf_append() */
};
void mime_put(struct mime_sink *s, const void *p, size_t n);

/* CRLF stays a line's end; CR and LF alone are encoded. So is a dot at a line's beginning, for the sake of servers that
 * forget it. */
struct mime_qp {
	char line[80];
	unsigned n;   /* bytes in it */
	uint8_t held; /* a blank, or a CR, of which the next byte decides; 0: none */
};
void mime_qp_put(struct mime_qp *q, struct mime_sink *s, const uint8_t *p, size_t n);
/* `last`: nothing follows, not even the CRLF before a boundary: a last line without its end gets a soft one. */
void mime_qp_end(struct mime_qp *q, struct mime_sink *s, bool last);

struct mime_base64 {
	uint8_t in[57]; /* a line of 76 */
	unsigned n;
	bool any; /* a line was written */
};
void mime_base64_put(struct mime_base64 *b, struct mime_sink *s, const uint8_t *p, size_t n);
/* `last`: as above: the last line gets its end. */
void mime_base64_end(struct mime_base64 *b, struct mime_sink *s, bool last);

#endif
