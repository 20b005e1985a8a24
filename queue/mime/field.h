/* queue/mime/field.h: what MIME says in a header: Content-Type, Content-Transfer-Encoding. Protocol: pure.
 *
 * RFC 2045 §5 and §6, RFC 2046. Comments, folds and any case are let pass; what cannot be read counts as not there. */
#ifndef QUEUE_MIME_FIELD_H
#define QUEUE_MIME_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MIME_BOUNDARY_MAX = 70, MIME_WORD_MAX = 64 };

enum mime_encoding {
	MIME_UNLABELLED, /* no field */
	MIME_7BIT,
	MIME_8BIT,
	MIME_BINARY,
	MIME_ENCODED, /* quoted-printable or base64 */
	MIME_UNKNOWN, /* some other word */
};

struct mime_fields {
	bool version; /* MIME-Version */
	bool type;    /* Content-Type */
	bool dkim;    /* a signature over the message: DKIM-Signature */
	enum mime_encoding encoding;
	char main[MIME_WORD_MAX], sub[MIME_WORD_MAX]; /* lower case; "text" and "plain" if there is no type */
	char boundary[MIME_BOUNDARY_MAX + 1];	      /* "": none, or one that RFC 2046 does not allow */
};

/* One field of a header: from the beginning of its name to the end of its last line, with its CRLF. */
struct mime_field {
	const uint8_t *at;
	size_t len;
	size_t name; /* length of its name; 0: the line is no field */
};
/* The field at the beginning of `p` (n > 0). */
struct mime_field mime_field_at(const uint8_t *p, size_t n);
/* Without regard to case. */
bool mime_field_is(const struct mime_field *f, const char *name);

/* Reads a whole header. */
void mime_fields_read(struct mime_fields *out, const uint8_t *header, size_t len);

#endif
