/* queue/mime/convert.h: content made fit for a next hop that takes 7-bit lines only, or lines but nothing binary.
 * Protocol: pure.
 *
 * RFC 6152 §3, RFC 3030 §3, RFC 2045. Two passes over the same bytes. The survey finds out which parts must change,
 * how, and how long the result is; then the content is converted. Both take the content in pieces of any size. Only
 * parts whose bytes cannot pass as they are get encoded: text in quoted-printable or base64, whichever is shorter, the
 * rest in base64; labels are made true. Headers are otherwise left alone, so a header with bytes over 127 makes a
 * conversion to 7 bits impossible; so do parts that MIME forbids to encode, structures beyond the limits here, and
 * lines of which readers may differ whether they are boundaries. A message without any MIME field becomes text/plain of
 * an unknown 8-bit charset (RFC 1428). */
#ifndef QUEUE_MIME_CONVERT_H
#define QUEUE_MIME_CONVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/buf.h"

enum { MIME_PARTS_MAX = 10000, MIME_PIECE_MAX = 8192, MIME_OUT_MAX = 1 << 18 };

enum mime_target {
	MIME_TO_7BIT, /* no byte over 127 */
	MIME_TO_8BIT, /* lines of at most 998 bytes that end in CRLF, no NUL */
};

struct mime;

struct mime *mime_new(enum mime_target target); /* NULL without memory */
void mime_free(struct mime *m);			/* NULL is fine */

/* First pass. 0 or -ENOMEM. */
int mime_survey(struct mime *m, const uint8_t *p, size_t n);
/* Its end: 0; -ENOMEM; -EILSEQ: it cannot be converted, and mime_reason() says why. */
int mime_survey_end(struct mime *m);
const char *mime_reason(const struct mime *m); /* for people, no line end; "" */
uint64_t mime_size(const struct mime *m);      /* bytes of the converted content */
unsigned mime_changed(const struct mime *m);   /* parts that are encoded */
/* What is changed was signed (DKIM, multipart/signed), so the signature will not hold. */
bool mime_breaks_signature(const struct mime *m);

/* Second pass: appends to `out`; with n <= MIME_PIECE_MAX never more than MIME_OUT_MAX bytes. 0; -ENOMEM; -EBADMSG:
 * this is not the content that was surveyed. */
int mime_convert(struct mime *m, const uint8_t *p, size_t n, struct buf *out);
int mime_convert_end(struct mime *m, struct buf *out);

#endif
