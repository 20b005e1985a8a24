/* tests/fuzz/mime.c: content made fit for a next hop that cannot take it. Byte 0: what it can take (bit 0), and bytes
 * at a time (0: all). Whatever comes: the survey is the same in pieces of any size, what is written is as long as it
 * said, holds nothing that the hop cannot take, and needs no change a second time. Protocol. */
#include <errno.h>

#include "queue/mime/convert.h"
#include "tests/fuzz/fuzz.h"

static struct mime *survey(enum mime_target target, const uint8_t *in, size_t len, size_t piece, int *err)
{
	struct mime *m = mime_new(target);
	MUST(m != NULL);
	for (size_t at = 0; at < len; at += piece)
		MUST(mime_survey(m, in + at, len - at < piece ? len - at : piece) == 0);
	*err = mime_survey_end(m);
	MUST((*err == 0) == (*mime_reason(m) == '\0') && (*err == 0 || *err == -EILSEQ));
	return m;
}

static void convert(struct mime *m, const uint8_t *in, size_t len, size_t piece, struct buf *out)
{
	for (size_t at = 0; at < len; at += piece) {
		size_t before = out->len;
		MUST(mime_convert(m, in + at, len - at < piece ? len - at : piece, out) == 0);
		MUST(out->len - before <= MIME_OUT_MAX);
	}
	MUST(mime_convert_end(m, out) == 0);
	MUST(out->len == mime_size(m));
}

FUZZ_TARGET(mime)
{
	if (len < 1)
		return 0;
	enum mime_target target = in[0] & 1 ? MIME_TO_7BIT : MIME_TO_8BIT;
	size_t piece = in[0] >> 1 ? in[0] >> 1 : MIME_PIECE_MAX;
	struct buf out, other;
	int err, again;
	in++;
	len--;
	buf_init(&out, 1 << 24);
	buf_init(&other, 1 << 24);
	struct mime *m = survey(target, in, len, piece, &err);
	struct mime *n = survey(target, in, len, 1, &again);
	MUST(err == again && mime_size(m) == mime_size(n) && mime_changed(m) == mime_changed(n));
	if (err == 0) {
		convert(m, in, len, piece, &out);
		convert(n, in, len, 1, &other);
		MUST(out.len == other.len && (out.len == 0 || memcmp(out.data, other.data, out.len) == 0));
		for (size_t i = 0; i < out.len; i++)
			MUST(out.data[i] != 0 && (target == MIME_TO_8BIT || out.data[i] < 128));
		mime_free(n);
		n = survey(target, out.data ? out.data : in, out.len, piece, &again);
		MUST(again == 0 && mime_changed(n) == 0 && mime_size(n) == out.len);
	}
	mime_free(m);
	mime_free(n);
	buf_fini(&out);
	buf_fini(&other);
	return 0;
}
