/* tests/fuzz/attempt.c: attempts from the disk. What decodes encodes to the same bytes again, unless it is of an
 * earlier version, and relayq can show it.
 * Protocol. */
#include "queue/mail/attempt.h"
#include "queue/control/json.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(attempt)
{
	struct attempt *a = NULL;
	int err = attempt_decode(&a, in, len);
	MUST((err == 0) == (a != NULL));
	if (err != 0)
		return 0;
	struct buf out;
	buf_init(&out, 1 << 20);
	MUST(attempt_encode(a, &out) == 0);
	MUST(in[0] != out.data[0] || (out.len == len && memcmp(out.data, in, len) == 0));
	MUST(a->used >= -1 && a->used < (int)a->path_count);
	buf_reset(&out);
	MUST(control_put_attempt(&out, a, NULL) == 0);
	fuzz_must_be_answer(&out);
	buf_fini(&out);
	attempt_free(a);
	return 0;
}
