/* tests/fuzz/checkpoint.c: a checkpoint. Its checksums are made to fit, or nothing would be believed, unless the first
 * byte of one is 0xff. It is told whole or not at all; what is told and written again is told in the same way.
 * Plumbing. */
#include <errno.h>

#include <xxhash.h>

#include "queue/spool/checkpoint.h"
#include "queue/spool/segment.h"
#include "tests/fuzz/folder.h"

enum { HEAD = 64, HEAD_SUM = 56, AT_NONCE = 48, BLOCK_HEAD = 16, BLOCK_SUM = 8, TAIL = 8, TOLD_MAX = 1 << 20 };

struct told {
	struct buf text; /* what was told, in its order */
	unsigned heads;
	struct checkpoint *to; /* not NULL: it is written there */
	const struct files *files;
	int spool;
	bool write;
};

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void seal(uint8_t *bytes, size_t len)
{
	if (len < HEAD)
		return;
	if (bytes[HEAD_SUM] != 0xff)
		fuzz_put64(bytes + HEAD_SUM, XXH3_64bits(bytes, HEAD_SUM));
	uint64_t nonce = fuzz_get64(bytes + AT_NONCE);
	for (size_t at = HEAD; len - at >= BLOCK_HEAD;) {
		uint8_t *block = bytes + at;
		size_t n = get32(block) ? get32(block) : TAIL;
		uint64_t seed = nonce + at;
		if (n > len - at - BLOCK_HEAD)
			return;
		if (block[BLOCK_SUM] != 0xff)
			fuzz_put64(block + BLOCK_SUM, XXH3_64bits_withSeed(block + BLOCK_HEAD, n,
							      seed ^ XXH3_64bits_withSeed(block, 8, seed)));
		at += BLOCK_HEAD + n;
	}
}

static int on_head(void *arg, const struct checkpoint_head *h)
{
	struct told *t = arg;
	MUST(t->heads++ == 0);
	/* the scan of the journal begins there */
	MUST(h->at.segment > 0 && h->at.offset >= SEGMENT_FIRST && h->at.offset % RECORD_ALIGN == 0);
	MUST(buf_printf(&t->text, "%u %u %llu %llu %llu %u\n", h->at.segment, h->at.offset,
		     (unsigned long long)h->batch, (unsigned long long)h->ceiling_ms, (unsigned long long)h->newest_ms,
		     h->oldest) == 0);
	return t->write ? checkpoint_begin(&t->to, t->files, t->spool, h) : 0;
}

static int on_entry(void *arg, const struct envelope *e, struct place content, struct place newest, bool in_file)
{
	struct told *t = arg;
	MUST(t->heads == 1);
	MUST(buf_printf(&t->text, "%u %u %u %u %d ", content.segment, content.offset, newest.segment, newest.offset,
		     in_file) == 0);
	MUST(envelope_encode(e, &t->text) == 0);
	if (t->to != NULL)
		MUST(checkpoint_add(t->to, e, content, newest, in_file) >= 0);
	return 0;
}

FUZZ_TARGET(checkpoint)
{
	const struct files files = fuzz_files();
	int spool = fuzz_folder();
	struct told first = {.files = &files, .spool = spool, .write = true}, second = {.files = &files};
	uint8_t *bytes = malloc(len + 1);
	MUST(bytes != NULL);
	memcpy(bytes, in, len);
	seal(bytes, len);
	fuzz_write(spool, "index.1", bytes, len);
	buf_init(&first.text, TOLD_MAX);
	buf_init(&second.text, TOLD_MAX);
	int err = checkpoint_load(&files, spool, &first, on_head, on_entry);
	MUST(err == 0 || err == -ENOENT);
	MUST((err == 0) == (first.heads == 1));
	if (err == 0) {
		MUST(checkpoint_finish(first.to) == 0 && faccessat(spool, "index.1", F_OK, 0) != 0);
		MUST(checkpoint_load(&files, spool, &second, on_head, on_entry) == 0);
		MUST(fuzz_same(&first.text, &second.text));
	}
	MUST(checkpoint_drop(&files, spool) == 0);
	buf_fini(&first.text);
	buf_fini(&second.text);
	free(bytes);
	return 0;
}
