/* smtpd/content.h: the bytes between 354 and CRLF.CRLF. Protocol: pure.
 *
 * Strict: only CRLF ends a line and only CRLF.CRLF the content, so nothing can hide a second message in one
 * (smuggling). A bare LF or CR is a fault of the whole message; after it the real end is looked for all the same. Dots
 * are unstuffed (RFC 5321 §4.5.2); else no byte is changed. Nothing is kept: content is handed out as slices of the
 * input. */
#ifndef SMTPD_CONTENT_H
#define SMTPD_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content {
	uint64_t size;	   /* bytes handed out */
	uint32_t received; /* Received fields in the header */
	bool bare;	   /* a bare CR or LF was seen */
	bool eight;	   /* a byte over 127 was seen */
	/* private */
	uint8_t at;
	uint8_t matched; /* of the field name "received:" at the beginning of this line */
	bool header;	 /* no empty line yet */
	bool line_empty;
};

enum content_event { CONTENT_MORE, CONTENT_SLICE, CONTENT_END };

void content_init(struct content *c);
/* Reads on. `*used`: bytes taken. MORE: all were, none to store. SLICE: store *slice, `*slice_len` > 0 bytes within
 * `in`, and call again with the rest. END: the final dot was read. After a fault the slices are of no use. */
enum content_event content_scan(
	struct content *c, const uint8_t *in, size_t len, size_t *used, const uint8_t **slice, size_t *slice_len);

#endif
