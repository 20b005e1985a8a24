/* queue/tool/text.h: words of others made fit for a terminal. Protocol: pure but for the locale's character widths.
 *
 * Everything that relayq prints and did not make itself has gone through here: control bytes and what is no printable
 * character become `\x1b` or `\u202e`. Characters beyond ASCII stay if the locale can print them. */
#ifndef QUEUE_TOOL_TEXT_H
#define QUEUE_TOOL_TEXT_H

#include <jansson.h>

#include "conf/buf.h"

/* Appends; 0 or buf_append()'s errors. */
int text_clean(struct buf *out, const void *bytes, size_t n);
/* Cleans every string in `v`, however deep, in place. 0 or -ENOMEM. */
int text_clean_json(json_t *v);
/* Columns that cleaned text takes. */
size_t text_columns(const char *cleaned);
/* Appends at most `columns` columns of cleaned text, "..." at its end if it was cut; pads with blanks up to `columns`
 * if `pad` is not 0: > 0 behind, < 0 before. */
int text_fit(struct buf *out, const char *cleaned, size_t columns, int pad);

enum { TEXT_SIZE = 16 };
/* "512", "9.8K", "50M" */
const char *text_size(uint64_t bytes, char out[TEXT_SIZE]);

/* Base64 to bytes. 0; -EINVAL; or buf_append()'s errors. */
int text_base64(struct buf *out, const char *s, size_t n);

#endif
