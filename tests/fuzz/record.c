/* tests/fuzz/record.c: a run of bytes of the journal. Headers get their checksum first, or nothing would be believed.
 * What decodes encodes to the same bytes again. Protocol. */
#include "queue/mail/attempt.h"
#include "queue/mail/envelope.h"
#include "queue/spool/record.h"
#include "tests/fuzz/fuzz.h"

#define SEED UINT64_C(0x5eed)
enum { SUM_AT = 56 };

static void seal(uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at + RECORD_HEADER <= n; at += RECORD_ALIGN) {
		if (memcmp(bytes + at, "r64j", 4) != 0)
			continue;
		uint64_t sum = record_sum(record_seed(SEED, (uint32_t)at), bytes + at, SUM_AT);
		for (int i = 0; i < 8; i++)
			bytes[at + SUM_AT + i] = (uint8_t)(sum >> (56 - 8 * i));
	}
}

static void check_commit(const uint8_t *p, size_t n)
{
	struct record_commit c;
	uint8_t fixed[RECORD_COMMIT_FIXED], row[RECORD_LISTED];
	if (record_commit_decode(&c, p, n) != 0)
		return;
	record_commit_encode(&c, fixed);
	MUST(memcmp(fixed, p, sizeof fixed) == 0 && n == sizeof fixed + (size_t)c.count * RECORD_LISTED);
	for (uint32_t i = 0; i < c.count; i++) {
		struct record_listed l = record_commit_at(&c, i);
		record_listed_encode(&l, row);
		MUST(memcmp(row, p + sizeof fixed + (size_t)i * RECORD_LISTED, sizeof row) == 0);
	}
}

static void check_void(const uint8_t *p, size_t n, struct buf *out)
{
	struct record_void v;
	if (record_void_decode(&v, p, n) != 0)
		return;
	uint64_t *ids = calloc(v.count + 1, sizeof *ids);
	MUST(ids != NULL && v.from <= v.to);
	for (uint32_t i = 0; i < v.count; i++)
		ids[i] = record_void_at(&v, i);
	MUST(record_void_encode(v.from, v.to, ids, v.count, out) == 0);
	MUST(out->len == n && memcmp(out->data, p, n) == 0);
	free(ids);
}

static void check_moved(const uint8_t *p, size_t n, struct buf *out)
{
	struct record_moved m;
	if (record_moved_decode(&m, p, n) != 0)
		return;
	unsigned count = 0;
	size_t len;
	MUST(record_moved_begin(out, m.envelope, m.envelope_len, m.attempts) == 0);
	for (const uint8_t *one; (one = record_moved_next(&m, &len)) != NULL; count++)
		MUST(record_moved_add(out, one, len) == 0);
	MUST(count == m.attempts && out->len == n && memcmp(out->data, p, n) == 0);
}

static void check_meta(enum record_type type, const uint8_t *p, size_t n)
{
	struct buf out;
	struct record_reference ref;
	uint8_t again[RECORD_REFERENCE];
	buf_init(&out, RECORD_META_MAX);
	if (type == RECORD_COMMIT)
		check_commit(p, n);
	else if (type == RECORD_VOID)
		check_void(p, n, &out);
	else if (type == RECORD_MOVED)
		check_moved(p, n, &out);
	else if (record_reference_decode(&ref, p, n) == 0) {
		record_reference_encode(&ref, again);
		MUST(memcmp(again, p, n) == 0);
	}
	buf_fini(&out);
}

FUZZ_TARGET(record)
{
	struct record r;
	uint8_t *bytes = malloc(len ? len : 1), again[RECORD_HEADER];
	MUST(bytes != NULL);
	memcpy(bytes, in, len);
	seal(bytes, len);
	uint32_t end = (uint32_t)(len / RECORD_ALIGN * RECORD_ALIGN), from = 0;
	while (from < end) {
		uint32_t at = record_scan(bytes, len, 0, from, SEED, &r);
		MUST(at >= from && at <= end && at % RECORD_ALIGN == 0);
		if (at == end)
			break;
		uint64_t span = record_span(r.meta_len, r.body_len);
		MUST(span >= RECORD_HEADER && span % RECORD_ALIGN == 0 && record_type_name(r.type)[0] != '?');
		record_encode(&r, record_seed(SEED, at), again);
		MUST(memcmp(again, bytes + at, sizeof again) == 0);
		MUST(record_decode(&r, record_seed(SEED, at) + RECORD_ALIGN, bytes + at) != 0); /* not its place */
		size_t left = len - at - RECORD_HEADER;
		if (r.meta_len <= left)
			check_meta(r.type, bytes + at + RECORD_HEADER, r.meta_len);
		from = at + RECORD_ALIGN;
	}
	free(bytes);
	return 0;
}
