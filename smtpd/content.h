/* smtpd/content.h: the bytes of a message as they come in, behind DATA or inside BDAT. Protocol: pure.
 *
 * Only CRLF ends a line and only CRLF.CRLF what DATA brings, so nothing can hide a second message in one (smuggling). A
 * bare LF or CR is a fault of the whole message; after it the real end is looked for all the same. With
 * CONTENT_NORMALIZE, for old devices, a bare LF is handed out as CRLF and a bare CR as a blank instead; the end stays
 * CRLF.CRLF. Dots are unstuffed (RFC 5321 §4.5.2); else no byte is changed. Nothing is kept: content is handed out as
 * slices of the input, or of constant text. */
#ifndef SMTPD_CONTENT_H
#define SMTPD_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONTENT_DOTTED = 1, /* DATA: dots are stuffed, and one alone is the end; else the caller knows the end (BDAT) */
	CONTENT_NORMALIZE = 2, /* bare CR and LF are mended */
	CONTENT_BINARY = 4,    /* BINARYMIME (RFC 3030): CR and LF may stand anywhere; not with the others */
};

struct content {
	uint64_t size;	   /* bytes handed out */
	uint32_t received; /* Received fields in the header */
	bool bare;	   /* a bare CR or LF was seen */
	bool veiled;	   /* a line was NULs, a dot and NULs: a server that drops NULs takes it for the end */
	bool eight;	   /* a byte over 127 was seen … */
	bool header_eight; /* … in the header */
	/* private */
	uint8_t how;
	uint8_t at;
	uint8_t veil;	 /* what this line is so far: see watch() */
	uint8_t matched; /* of the field name "received:" at the beginning of this line */
	bool header;	 /* no empty line yet */
	bool line_empty;
	bool after_lf;	     /* the line before ended in a bare LF */
	const char *instead; /* text to be handed out next, in place of what was read */
};

enum content_event { CONTENT_MORE, CONTENT_SLICE, CONTENT_END };

/* `how`: CONTENT_* */
void content_init(struct content *c, unsigned how);
/* Reads on. `*used`: bytes taken. MORE: all were, none to store. SLICE: store *slice, `*slice_len` > 0 bytes within
 * `in` or of constant text, and call again with the rest. END: the final dot was read. After a fault the slices are of
 * no use. */
enum content_event content_scan(
	struct content *c, const uint8_t *in, size_t len, size_t *used, const uint8_t **slice, size_t *slice_len);
/* Without CONTENT_DOTTED: no byte comes any more. SLICE: store that and call again; END: that was all. */
enum content_event content_finish(struct content *c, const uint8_t **slice, size_t *slice_len);

#endif
