/* queue/spool/batch.c: state. */
#include "queue/spool/batch.h"

#include <errno.h>
#include <stdlib.h>

void batch_init(struct batch *b)
{
	*b = (struct batch){.commit = SIZE_MAX};
	buf_init(&b->metas, UINT32_MAX);
}

void batch_fini(struct batch *b)
{
	free(b->items);
	buf_fini(&b->metas);
	batch_init(b);
}

void batch_reset(struct batch *b, uint64_t number, uint32_t segment, bool again)
{
	buf_reset(&b->metas);
	b->number = number;
	b->segment = segment;
	b->again = again;
	b->count = 0;
	b->commit = SIZE_MAX;
}

int batch_add(struct batch *b, const struct batch_item *item)
{
	if (b->count == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 64;
		struct batch_item *more = reallocarray(b->items, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		b->items = more;
		b->cap = cap;
	}
	struct record_commit commit;
	b->items[b->count] = *item;
	if (item->head.type == RECORD_COMMIT && item->state == BATCH_WHOLE &&
		record_commit_decode(&commit, batch_meta(b, item), item->head.meta_len) == 0)
		b->commit = b->count;
	b->count++;
	return 0;
}

const uint8_t *batch_meta(const struct batch *b, const struct batch_item *item)
{
	return item->head.meta_len ? b->metas.data + item->meta_at : (const uint8_t *)"";
}

int batch_void(const struct batch *b, struct record_void *out)
{
	const struct batch_item *i = b->items;
	if (b->count == 0 || i->head.type != RECORD_VOID || i->state != BATCH_WHOLE)
		return -ENOENT;
	return record_void_decode(out, batch_meta(b, i), i->head.meta_len) ? -ENOENT : 0;
}

int batch_commit(const struct batch *b, struct record_commit *out)
{
	if (b->commit == SIZE_MAX)
		return -ENOENT;
	const struct batch_item *i = &b->items[b->commit];
	return record_commit_decode(out, batch_meta(b, i), i->head.meta_len) ? -ENOENT : 0;
}

bool batch_empty(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->items[i].head.type != RECORD_VOID && b->items[i].head.type != RECORD_COMMIT)
			return false;
	return true;
}

/* Calls `missing` for each record that the COMMIT lists and the scan did not see; how many there are. */
static size_t listed_missing(const struct batch *b, void *arg,
	void (*missing)(void *arg, unsigned type, uint64_t id, struct place at, const char *what))
{
	struct record_commit c;
	size_t lost = 0, at = 0;
	if (batch_commit(b, &c))
		return 0;
	for (uint32_t i = 0; i < c.count; i++) {
		struct record_listed l = record_commit_at(&c, i);
		while (at < b->count && b->items[at].at.offset < l.offset)
			at++;
		if (at < b->count && b->items[at].at.offset == l.offset)
			continue;
		lost++;
		if (missing)
			missing(arg, l.type, l.id, (struct place){b->segment, l.offset}, "its header is broken");
	}
	return lost;
}

bool batch_whole(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->items[i].state != BATCH_WHOLE)
			return false;
	return b->commit != SIZE_MAX && listed_missing(b, NULL, NULL) == 0;
}

/* The end (index past the last record) of the group that begins at `from`; `whole`: does it count? */
static size_t group_end(const struct batch *b, size_t from, bool *whole)
{
	uint64_t next = b->items[from].at.offset;
	*whole = b->items[from].head.flags & RECORD_GROUP_FIRST;
	for (size_t i = from; i < b->count; i++) {
		const struct batch_item *item = &b->items[i];
		if (i > from && (item->head.flags & RECORD_GROUP_FIRST)) {
			*whole = false;
			return i;
		}
		if (item->at.offset != next || item->state != BATCH_WHOLE)
			*whole = false;
		if (item->head.flags & RECORD_GROUP_LAST)
			return i + 1;
		next += record_span(item->head.meta_len, item->head.body_len);
	}
	*whole = false;
	return b->count;
}

void batch_judge(struct batch *b, void *arg,
	void (*broken)(void *arg, unsigned type, uint64_t id, struct place at, const char *what))
{
	static const char *const why[] = {
		[BATCH_BAD_META] = "its envelope or attempt is broken",
		[BATCH_BAD_BODY] = "its content is broken",
		[BATCH_BAD_GROUP] = "a record of its group is broken",
	};
	for (size_t i = 0; i < b->count;) {
		bool whole;
		size_t end = group_end(b, i, &whole);
		for (; i < end; i++)
			if (!whole && b->items[i].state == BATCH_WHOLE)
				b->items[i].state = BATCH_BAD_GROUP;
	}
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_item *item = &b->items[i];
		if (item->state != BATCH_WHOLE)
			broken(arg, item->head.type, item->head.id, item->at, why[item->state]);
	}
	listed_missing(b, arg, broken);
	if (b->commit == SIZE_MAX)
		broken(arg, 0, 0, (struct place){b->segment, b->count ? b->items[0].at.offset : 0},
			"the end of its batch is broken");
}
