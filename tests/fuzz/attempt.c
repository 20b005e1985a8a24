/* tests/fuzz/attempt.c: attempts from the disk. What decodes encodes to the same bytes again (in its first version: to
 * what decodes to the same), and relayq can show it. Protocol. */
#include "queue/mail/attempt.h"
#include "queue/control/json.h"
#include "tests/fuzz/fuzz.h"

static void encode(const struct attempt *a, struct buf *out)
{
	buf_init(out, 1 << 20);
	MUST(attempt_encode(a, out) == 0);
}

static void must_be_alike(const struct attempt *a, const struct buf *out)
{
	struct attempt *again = NULL;
	struct buf twice;
	MUST(attempt_decode(&again, out->data, out->len) == 0);
	encode(again, &twice);
	MUST(twice.len == out->len && memcmp(twice.data, out->data, out->len) == 0);
	MUST(again->rcpt_count == a->rcpt_count && again->path_count == a->path_count);
	buf_fini(&twice);
	attempt_free(again);
}

FUZZ_TARGET(attempt)
{
	struct attempt *a = NULL;
	int err = attempt_decode(&a, in, len);
	MUST((err == 0) == (a != NULL));
	if (err != 0)
		return 0;
	struct buf out;
	encode(a, &out);
	if (in[0] == 1)
		must_be_alike(a, &out);
	else
		MUST(out.len == len && memcmp(out.data, in, len) == 0);
	MUST(a->used >= -1 && a->used < (int)a->path_count);
	for (unsigned i = 0; i < a->rcpt_count; i++)
		MUST(a->rcpts[i].path >= -1 && a->rcpts[i].path < (int)a->path_count);
	buf_reset(&out);
	MUST(control_put_attempt(&out, a, NULL) == 0);
	fuzz_must_be_answer(&out);
	buf_fini(&out);
	attempt_free(a);
	return 0;
}
