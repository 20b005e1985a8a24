/* tests/fuzz/envelope.c: envelopes from the disk. What decodes encodes to the same bytes again; an older version
 * becomes today's, and stays so. Protocol. */
#include "queue/mail/envelope.h"
#include "tests/fuzz/fuzz.h"

FUZZ_TARGET(envelope)
{
	struct envelope *e = NULL;
	int err = envelope_decode(&e, in, len);
	MUST((err == 0) == (e != NULL));
	if (err != 0)
		return 0;
	struct buf out;
	buf_init(&out, ENVELOPE_ENCODED_MAX);
	MUST(envelope_encode(e, &out) == 0);
	if (in[0] == out.data[0]) {
		MUST(out.len == len && memcmp(out.data, in, len) == 0);
	} else {
		struct envelope *again = NULL;
		struct buf twice;
		buf_init(&twice, ENVELOPE_ENCODED_MAX);
		MUST(envelope_decode(&again, out.data, out.len) == 0);
		MUST(envelope_encode(again, &twice) == 0);
		MUST(twice.len == out.len && memcmp(twice.data, out.data, out.len) == 0);
		buf_fini(&twice);
		envelope_free(again);
	}
	for (unsigned i = 0; i < e->rcpt_count; i++)
		MUST(e->rcpts[i].address[0] != 0 && e->rcpts[i].status <= RCPT_FAILED);
	buf_fini(&out);
	envelope_free(e);
	return 0;
}
