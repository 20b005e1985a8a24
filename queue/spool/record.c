/* queue/spool/record.c: protocol. */
#include "queue/spool/record.h"

#include <errno.h>
#include <string.h>

#include <xxhash.h>

enum { MAGIC = 0x7236346a, VERSION = 1, KNOWN_FLAGS = 15 };

/* Offsets in the header, see record.h. */
enum {
	AT_VERSION = 4,
	AT_TYPE = 5,
	AT_FLAGS = 6,
	AT_ID = 8,
	AT_META_LEN = 16,
	AT_BODY_LEN = 20,
	AT_BATCH = 24,
	AT_SEGMENT = 32,
	AT_OFFSET = 36,
	AT_META_SUM = 40,
	AT_BODY_SUM = 48,
	AT_SUM = 56
};

static void put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static const char *const names[RECORD_TYPE_END] = {
	[RECORD_MESSAGE] = "message",
	[RECORD_OUTCOME] = "outcome",
	[RECORD_HOLD] = "hold",
	[RECORD_RELEASE] = "release",
	[RECORD_REMOVE] = "remove",
	[RECORD_MOVED] = "moved",
	[RECORD_VOID] = "void",
	[RECORD_COMMIT] = "commit",
	[RECORD_REDIRECT] = "redirect",
	[RECORD_RETURN] = "return",
};

const char *record_type_name(enum record_type t)
{
	return (unsigned)t < RECORD_TYPE_END && names[t] ? names[t] : "?";
}

uint64_t record_seed(uint64_t segment_seed, uint32_t offset)
{
	return segment_seed + offset;
}

uint64_t record_sum(uint64_t seed, const void *p, size_t n)
{
	return XXH3_64bits_withSeed(n ? p : "", n, seed);
}

uint64_t record_span(uint32_t meta_len, uint32_t body_len)
{
	uint64_t n = (uint64_t)RECORD_HEADER + meta_len + body_len;
	return (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

void record_encode(const struct record *r, uint64_t seed, uint8_t out[RECORD_HEADER])
{
	put32(out, MAGIC);
	out[AT_VERSION] = VERSION;
	out[AT_TYPE] = (uint8_t)r->type;
	out[AT_FLAGS] = r->flags;
	out[AT_FLAGS + 1] = 0;
	put64(out + AT_ID, r->id);
	put32(out + AT_META_LEN, r->meta_len);
	put32(out + AT_BODY_LEN, r->body_len);
	put64(out + AT_BATCH, r->batch);
	put32(out + AT_SEGMENT, r->previous.segment);
	put32(out + AT_OFFSET, r->previous.offset);
	put64(out + AT_META_SUM, r->meta_sum);
	put64(out + AT_BODY_SUM, r->body_sum);
	put64(out + AT_SUM, record_sum(seed, out, AT_SUM));
}

int record_decode(struct record *r, uint64_t seed, const uint8_t in[RECORD_HEADER])
{
	if (get32(in) != MAGIC || get64(in + AT_SUM) != record_sum(seed, in, AT_SUM))
		return -EBADMSG;
	struct record got = {
		.type = in[AT_TYPE],
		.flags = in[AT_FLAGS],
		.id = get64(in + AT_ID),
		.meta_len = get32(in + AT_META_LEN),
		.body_len = get32(in + AT_BODY_LEN),
		.batch = get64(in + AT_BATCH),
		.previous = {get32(in + AT_SEGMENT), get32(in + AT_OFFSET)},
		.meta_sum = get64(in + AT_META_SUM),
		.body_sum = get64(in + AT_BODY_SUM),
	};
	if (in[AT_VERSION] != VERSION || in[AT_FLAGS + 1] != 0 || got.type < RECORD_MESSAGE ||
		in[AT_TYPE] >= RECORD_TYPE_END || (got.flags & ~KNOWN_FLAGS) || got.meta_len > RECORD_META_MAX)
		return -EBADMSG;
	*r = got;
	return 0;
}

uint32_t record_scan(
	const uint8_t *bytes, size_t n, uint32_t base, uint32_t from, uint64_t segment_seed, struct record *out)
{
	uint64_t end = (uint64_t)base + n / RECORD_ALIGN * RECORD_ALIGN;
	uint64_t at = ((uint64_t)from + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
	for (; at + RECORD_HEADER <= end; at += RECORD_ALIGN)
		if (record_decode(out, record_seed(segment_seed, (uint32_t)at), bytes + (at - base)) == 0)
			return (uint32_t)at;
	return (uint32_t)end;
}

void record_reference_encode(const struct record_reference *r, uint8_t out[RECORD_REFERENCE])
{
	put64(out, r->file);
	put64(out + 8, r->size);
	put64(out + 16, r->checksum);
}

int record_reference_decode(struct record_reference *r, const uint8_t *p, size_t n)
{
	if (n != RECORD_REFERENCE || get64(p) == 0)
		return -EBADMSG;
	*r = (struct record_reference){get64(p), get64(p + 8), get64(p + 16)};
	return 0;
}

void record_commit_encode(const struct record_commit *c, uint8_t out[RECORD_COMMIT_FIXED])
{
	put32(out, c->first);
	put64(out + 4, c->ceiling_ms);
	put64(out + 12, c->wall_ms);
	put32(out + 20, c->oldest);
	put32(out + 24, c->count);
}

void record_listed_encode(const struct record_listed *l, uint8_t out[RECORD_LISTED])
{
	out[0] = l->type;
	put32(out + 1, l->offset);
	put64(out + 5, l->id);
}

int record_commit_decode(struct record_commit *c, const void *p, size_t n)
{
	struct reader r;
	reader_init(&r, p, n);
	struct record_commit got = {.first = reader_u32(&r)};
	got.ceiling_ms = reader_u64(&r);
	got.wall_ms = reader_u64(&r);
	got.oldest = reader_u32(&r);
	got.count = reader_u32(&r);
	if (r.bad || got.count > RECORD_BATCH_MAX || r.left != (size_t)got.count * RECORD_LISTED)
		return -EBADMSG;
	got.list = reader_bytes(&r, r.left);
	*c = got;
	return 0;
}

struct record_listed record_commit_at(const struct record_commit *c, uint32_t i)
{
	const uint8_t *p = c->list + (size_t)i * RECORD_LISTED;
	return (struct record_listed){.type = p[0], .offset = get32(p + 1), .id = get64(p + 5)};
}

int record_void_encode(uint64_t from, uint64_t to, const uint64_t *ids, uint32_t count, struct buf *out)
{
	size_t size = 20 + (size_t)count * 8;
	uint8_t *p = buf_room(out, size);
	if (!p)
		return out->limit - out->len < size ? -E2BIG : -ENOMEM;
	put64(p, from);
	put64(p + 8, to);
	put32(p + 16, count);
	for (uint32_t i = 0; i < count; i++)
		put64(p + 20 + (size_t)i * 8, ids[i]);
	buf_grow(out, size);
	return 0;
}

int record_void_decode(struct record_void *v, const void *p, size_t n)
{
	struct reader r;
	reader_init(&r, p, n);
	struct record_void got = {.from = reader_u64(&r)};
	got.to = reader_u64(&r);
	got.count = reader_u32(&r);
	if (r.bad || got.from > got.to || r.left % 8 || r.left / 8 != got.count)
		return -EBADMSG;
	got.ids = reader_bytes(&r, r.left);
	*v = got;
	return 0;
}

uint64_t record_void_at(const struct record_void *v, uint32_t i)
{
	return get64(v->ids + (size_t)i * 8);
}

int record_moved_begin(struct buf *out, const void *envelope, size_t n, unsigned attempts)
{
	if (attempts > UINT8_MAX)
		return -E2BIG;
	int err = buf_append_block(out, envelope, n);
	return err ? err : buf_append_u8(out, (uint8_t)attempts);
}

int record_moved_add(struct buf *out, const void *attempt, size_t n)
{
	return buf_append_block(out, attempt, n);
}

int record_moved_decode(struct record_moved *m, const void *p, size_t n)
{
	struct record_moved got = {0};
	reader_init(&got.rest, p, n);
	got.envelope = reader_block(&got.rest, RECORD_META_MAX, &got.envelope_len);
	got.attempts = reader_u8(&got.rest);
	struct reader walk = got.rest;
	for (unsigned i = 0; i < got.attempts; i++) {
		size_t len;
		reader_block(&walk, RECORD_META_MAX, &len);
	}
	if (walk.bad || walk.left)
		return -EBADMSG;
	*m = got;
	return 0;
}

const uint8_t *record_moved_next(struct record_moved *m, size_t *n)
{
	return m->rest.left ? reader_block(&m->rest, RECORD_META_MAX, n) : NULL;
}
