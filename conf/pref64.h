/* conf/pref64.h: what can be the prefix of a NAT64 translator (Pref64::/n), and the value of the key `nat64`. Protocol:
 * pure. */
#ifndef CONF_PREF64_H
#define CONF_PREF64_H

#include "conf/conf.h"
#include "conf/grammar.h"

/* Can IPv4 addresses be embedded behind it? NULL: yes; else what is wrong with it and what is expected, for people, to
 * stand behind the prefix: "has 33 bits; expected …". RFC 6052 §2.2: 32, 40, 48, 56, 64 or 96 bits, nothing set behind
 * them, bits 64 to 71 zero. Prefixes in which no translator can be are refused as well: ::/32 (loopback and IPv4 in its
 * mapped and compatible forms), fe80::/10, ff00::/8. */
const char *pref64_fault(const struct prefix *p);

/* Reads `auto`, `off`, or a list of at most CONF_NAT64_MAX prefixes. 0; -EINVAL: `bad` is the value that is wrong and
 * `why` says what was expected (may be empty: neither a word nor a prefix); `out` is then untouched. */
int pref64_read(
	const struct grammar_value *values, struct conf_nat64 *out, const struct grammar_value **bad, struct buf *why);
/* Appends the text that reads back as the same. 0 or buf_append()'s errors. */
int pref64_write(const struct conf_nat64 *from, struct buf *out);
bool pref64_equal(const struct conf_nat64 *a, const struct conf_nat64 *b);

#endif
