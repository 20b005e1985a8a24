/* tests/unit/wire_test.c: content on the wire: what a server that follows the RFCs reads out of it is what was given,
 * and nothing of it can be taken for the end of the message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/buf.h"
#include "queue/deliver/wire.h"

enum { ROUNDS = 3000, MOST = 200 };

/* What stands on the wire; chunks are opened with at most `chunk` bytes. Stops at the first error. */
static int send_all(
	struct wire *w, const uint8_t *content, size_t n, struct buf *out, unsigned *random, unsigned *chunks)
{
	size_t given = 0;
	for (;;) {
		size_t chunk = wire_next_chunk(w);
		if (chunk > 0) {
			wire_open_chunk(w, chunk);
			++*chunks;
		}
		if (wire_idle(w)) {
			size_t part = (size_t)rand_r(random) % 40 + 1;
			if (n > 2 * MOST)
				part *= 5000;
			part = part < n - given ? part : n - given;
			int err = part > 0 ? wire_give(w, content + given, part) : wire_end(w);
			if (err != 0 || part == 0)
				return err;
			given += part;
			continue;
		}
		wire_cut(w);
		assert_true(w->count > 0);
		const struct wire_slice *s = &w->slices[w->first];
		size_t part = (size_t)rand_r(random) % s->n + 1;
		assert_int_equal(buf_append(out, s->p, part), 0);
		wire_sent(w, part);
	}
}

static bool has_lone(const uint8_t *p, size_t n, bool at_end)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
			return true;
		if (p[i] == '\r' && (i + 1 < n ? p[i + 1] != '\n' : at_end))
			return true;
	}
	return false;
}

/* Any bytes, bare CR and LF among them: either all goes out, or it ends before the piece with the first one that is
 * alone. No server, however it takes line ends, finds a line of one dot in it. */
static void test_nothing_alone_goes_out(void **state)
{
	(void)state;
	static const char letters[] = "..\r\n\r\n\r\nab.";
	unsigned random = 7, refused = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint8_t content[MOST];
		size_t n = (size_t)rand_r(&random) % (round % 2 ? 12 : MOST) + 1;
		for (size_t i = 0; i < n; i++) {
			content[i] = (uint8_t)letters[(size_t)rand_r(&random) % (sizeof letters - 1)];
			/* mostly whole lines */
			if (strchr("\r\n", content[i]) != NULL && i + 1 < n && rand_r(&random) % 16 != 0) {
				content[i++] = '\r';
				content[i] = '\n';
			}
		}
		struct wire w;
		struct buf out;
		unsigned chunks = 0;
		enum wire_form form = round % 3 ? WIRE_DATA : WIRE_BDAT;
		buf_init(&out, 1 << 20);
		wire_init(&w, form, n);
		int err = send_all(&w, content, n, &out, &random, &chunks);
		assert_int_equal(err, has_lone(content, n, true) ? -EILSEQ : 0);
		refused += err != 0;
		assert_false(has_lone(out.data, out.len, false));
		for (size_t i = 0; form == WIRE_DATA && i + 1 < out.len; i++)
			if (out.data[i] == '.' && (i == 0 || out.data[i - 1] == '\n'))
				assert_int_equal(out.data[i + 1], '.');
		buf_fini(&out);
	}
	assert_in_range(refused, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

/* The known forms of smuggling, each as the content of a mail: none of them leaves. */
static void test_smuggling(void **state)
{
	(void)state;
	static const char *const ends[] = {"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r",
		"\r.\n", "\r\r\n.\r\r\n", "\r\n.\r\r\n", "\n\n.\n\n"};
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		for (size_t cut = 1; cut < 30; cut++) {
			char content[100];
			struct wire w;
			size_t n = (size_t)snprintf(content, sizeof content, "hi%sMAIL FROM:<evil@x>\r\n", ends[i]);
			cut = cut < n ? cut : n;
			wire_init(&w, WIRE_DATA, n);
			int err = wire_give(&w, content, cut);
			while (err == 0 && w.count == 0 && w.piece_left > 0) {
				wire_cut(&w);
				while (w.count > 0)
					wire_sent(&w, w.slices[w.first].n);
			}
			if (err == 0)
				err = wire_give(&w, content + cut, n - cut);
			assert_int_equal(err, -EILSEQ);
			if (cut == n)
				break;
		}
}

/* Binary content in chunks: all of it, none longer than the limit; the bytes of a chunk are there before the next. */
static void test_chunks(void **state)
{
	(void)state;
	static const size_t sizes[] = {
		1, 100, WIRE_CHUNK_MOST - 1, WIRE_CHUNK_MOST, WIRE_CHUNK_MOST + 1, 3 * WIRE_CHUNK_MOST + 5};
	uint8_t *content = malloc(4 * WIRE_CHUNK_MOST);
	unsigned random = 3;
	assert_non_null(content);
	for (size_t i = 0; i < 4 * WIRE_CHUNK_MOST; i++)
		content[i] = (uint8_t)rand_r(&random);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct wire w;
		struct buf out;
		unsigned chunks = 0;
		buf_init(&out, 8u << 20);
		wire_init(&w, WIRE_BINARY, sizes[i]);
		assert_int_equal(send_all(&w, content, sizes[i], &out, &random, &chunks), 0);
		assert_int_equal(out.len, sizes[i]);
		assert_memory_equal(out.data, content, sizes[i]);
		assert_int_equal(chunks, (sizes[i] + WIRE_CHUNK_MOST - 1) / WIRE_CHUNK_MOST);
		assert_false(wire_lacks_crlf(&w));
		buf_fini(&out);
	}
	free(content);
}

static void test_size(void **state)
{
	(void)state;
	struct wire w;
	wire_init(&w, WIRE_DATA, 4);
	assert_int_equal(wire_give(&w, "hi\r\n!", 5), -EBADMSG); /* more than it should be */
	assert_int_equal(wire_give(&w, "hi", 2), 0);
	assert_int_equal(wire_end(&w), -EBADMSG); /* less */
	wire_cut(&w);
	wire_sent(&w, 2);
	assert_true(wire_idle(&w));
	assert_int_equal(wire_give(&w, "\r\n", 2), 0);
	assert_int_equal(wire_end(&w), 0);
	assert_false(wire_lacks_crlf(&w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_alone_goes_out),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
