/* tests/fuzz/envelope.c: envelopes from the disk. What decodes encodes to the same bytes again. Protocol. */
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
	MUST(out.len == len && memcmp(out.data, in, len) == 0);
	for (unsigned i = 0; i < e->rcpt_count; i++)
		MUST(e->rcpts[i].address[0] != 0 && e->rcpts[i].status <= RCPT_FAILED);
	buf_fini(&out);
	envelope_free(e);
	return 0;
}
