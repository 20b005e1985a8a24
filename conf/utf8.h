/* conf/utf8.h: one character of UTF-8 (RFC 3629). Protocol: pure. */
#ifndef CONF_UTF8_H
#define CONF_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length, 1 to 4, of the well-formed character at `p` (`n` bytes are there) and, in `code`, its number. 0 if there
 * is none: nothing left, a stray or cut sequence, an overlong form, a surrogate, a number past U+10FFFF. */
size_t utf8_read(const uint8_t *p, size_t n, uint32_t *code);

#endif
