/* tests/fuzz/fuzz.h: what the fuzz targets share. Protocol.
 *
 * A target is one function of bytes, FUZZ_TARGET(name), in name.c. libFuzzer calls it as LLVMFuzzerTestOneInput
 * (`make fuzz`); the unit test fuzz_corpus_test calls all of them by their names with each file of
 * tests/fuzz/corpus/NAME/. A broken invariant ends the program, as a crash would. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "conf/buf.h"

#define FUZZ_TARGETS(X)                                                                                                \
	X(address)                                                                                                     \
	X(attempt)                                                                                                     \
	X(client)                                                                                                      \
	X(conf)                                                                                                        \
	X(control)                                                                                                     \
	X(dns)                                                                                                         \
	X(envelope)                                                                                                    \
	X(logline)                                                                                                     \
	X(normalise)                                                                                                   \
	X(notice)                                                                                                      \
	X(oracle)                                                                                                      \
	X(proxy)                                                                                                       \
	X(record)                                                                                                      \
	X(mime)                                                                                                        \
	X(nat64)                                                                                                       \
	X(reply)                                                                                                       \
	X(spf)                                                                                                         \
	X(server)                                                                                                      \
	X(xclient)

#ifdef FUZZ_ALONE
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
#define FUZZ_TARGET(name) int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
#else
#define X(name) int fuzz_##name(const uint8_t *in, size_t len);
FUZZ_TARGETS(X)
#undef X
#define FUZZ_TARGET(name) int fuzz_##name(const uint8_t *in, size_t len)
#endif

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* Takes up to `most` - 1 bytes off the input, up to a 0 (which is eaten), as a text. */
static inline const char *fuzz_text(struct reader *r, char *out, size_t most)
{
	size_t n = 0;
	while (n < most - 1 && r->left > 0) {
		char c = (char)reader_u8(r);
		if (c == '\0')
			break;
		out[n++] = c;
	}
	out[n] = '\0';
	return out;
}

static inline bool fuzz_is_printable(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

static inline bool fuzz_same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* An answer of the control socket: one JSON object in ASCII on one line. Empties `b`. */
static inline void fuzz_must_be_answer(struct buf *b)
{
	MUST(b->len > 0 && b->data[b->len - 1] == '\n');
	b->data[b->len - 1] = 0;
	MUST(strlen((const char *)b->data) == b->len - 1 && fuzz_is_printable((const char *)b->data));
	json_t *v = json_loads((const char *)b->data, JSON_REJECT_DUPLICATES, NULL);
	MUST(json_is_object(v));
	json_decref(v);
	buf_reset(b);
}

#endif
