/* queue/spool/recovery.c: plumbing. */
#include "queue/spool/recovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/id.h"
#include "queue/spool/batch.h"
#include "queue/spool/checkpoint.h"
#include "queue/spool/segment.h"

enum { WINDOW = 256 << 10, PAGE = 4096, LINE = 256 };

struct ids {
	uint64_t *items;
	size_t count, cap;
};

struct recovery {
	struct recovery_setup setup;
	const struct store_replay *replay;
	struct recovery_found found;
	struct ids in_file, gone;

	uint32_t *segments; /* that are there, rising */
	uint32_t *bytes;    /* of records in each */
	size_t segment_count;

	struct checkpoint_head mark; /* scan from here; zeros without a checkpoint */
	uint32_t oldest;	     /* as the last COMMIT says */
	struct recovery_end end;

	struct segment segment; /* is being scanned */
	uint64_t window_at;
	size_t window_len;
	uint8_t *window;
	struct segment other; /* bodies are checked in it */

	/* The batch that is being read; before it, while it may yet turn out not to count, the one that it stands in
	 * for. */
	struct batch slots[2];
	struct batch *current, *held;
	uint64_t applied; /* number of the newest batch that was replayed; 0: none is known */
	struct recovery_record *last;
	size_t last_count;
	bool judging_last;
	/* a scanned segment is shorter than it was made or than the checkpoint has it, or a record stands in it that
	 * no batch has */
	bool unsound;
};

static int ids_add(struct ids *s, uint64_t id)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 256;
		uint64_t *more = reallocarray(s->items, cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->items = more;
		s->cap = cap;
	}
	s->items[s->count++] = id;
	return 0;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static void ids_sort(struct ids *s)
{
	if (s->count)
		qsort(s->items, s->count, sizeof(*s->items), compare_u64);
}

static void damaged(struct recovery *r, uint64_t id, struct place where, const char *what)
{
	r->found.damaged++;
	if (id == 0 ||
		ids_add(&r->in_file, id)) /* the message may have a body file: nobody may take it for an orphan */
		r->found.in_file_complete = false;
	r->replay->damaged(r->replay->arg, id, where, what);
}

/* ---- segments ---- */

static ssize_t find_segment(const struct recovery *r, uint32_t number)
{
	const uint32_t *at =
		r->segment_count ? bsearch(&number, r->segments, r->segment_count, sizeof(number), compare_u32) : NULL;
	return at ? at - r->segments : -1;
}

static int list_segments(struct recovery *r)
{
	int fd = openat(r->setup.journal, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	size_t cap = 0;
	int err = 0;
	for (struct dirent *e; err == 0 && (e = readdir(d));) {
		uint32_t number = segment_name_parse(e->d_name);
		if (number == 0)
			continue;
		if (r->segment_count == cap) {
			cap = cap ? cap * 2 : 64;
			uint32_t *more = reallocarray(r->segments, cap, sizeof(*more));
			if (!more) {
				err = -ENOMEM;
				break;
			}
			r->segments = more;
		}
		r->segments[r->segment_count++] = number;
	}
	closedir(d);
	if (err || r->segment_count == 0)
		return err;
	qsort(r->segments, r->segment_count, sizeof(*r->segments), compare_u32);
	r->bytes = calloc(r->segment_count, sizeof(*r->bytes));
	return r->bytes ? 0 : -ENOMEM;
}

/* The oldest files may be freed ones that were given new headers, but not yet a new name: they are not there. */
static int drop_stale(struct recovery *r)
{
	while (r->segment_count) {
		struct segment s;
		int err = segment_open(&s, r->setup.files, r->setup.journal, r->segments[0], false);
		if (err == 0)
			segment_close(&s);
		if (err != -ESTALE)
			return err == -ENOMEM || err == -EMFILE || err == -ENFILE ? err : 0;
		r->segment_count--;
		memmove(r->segments, r->segments + 1, r->segment_count * sizeof(*r->segments));
	}
	return 0;
}

/* ---- telling ---- */

static int tell_message(struct recovery *r, const struct batch_item *i, const uint8_t *meta, struct place at)
{
	const uint8_t *bytes = meta;
	size_t n = i->head.meta_len;
	struct record_moved moved;
	struct envelope *e = NULL;
	int err = 0;
	if (i->head.type == RECORD_MOVED) {
		err = record_moved_decode(&moved, meta, n);
		bytes = moved.envelope;
		n = err ? 0 : moved.envelope_len;
	}
	if (err == 0)
		err = envelope_decode(&e, bytes, n);
	if (err == 0 && e->id != i->head.id)
		err = -EBADMSG;
	if (err == -EBADMSG) {
		damaged(r, i->head.id, at, "its envelope cannot be read");
		err = 0;
	} else if (err == 0) {
		bool in_file = i->head.flags & RECORD_IN_FILE;
		r->found.messages++;
		if (in_file)
			err = ids_add(&r->in_file, i->head.id);
		if (err == 0)
			err = r->replay->message(r->replay->arg, i->head.type, e, at, at, in_file);
	}
	envelope_free(e);
	return err;
}

static int tell_outcome(struct recovery *r, const struct batch_item *i, const uint8_t *meta, struct place at)
{
	struct attempt *a = NULL;
	int err = attempt_decode(&a, meta, i->head.meta_len);
	if (err == -EBADMSG) {
		damaged(r, i->head.id, at, "its attempt cannot be read");
		return 0;
	}
	if (err == 0)
		err = r->replay->outcome(r->replay->arg, i->head.id, a, at);
	attempt_free(a);
	return err;
}

/* HOLD, RELEASE and RETURN */
static int tell_held(struct recovery *r, const struct batch_item *i, const uint8_t *meta, struct place at)
{
	char reason[RECORD_REASON_MAX + 1];
	size_t n = i->head.meta_len < RECORD_REASON_MAX ? i->head.meta_len : RECORD_REASON_MAX;
	memcpy(reason, meta, n);
	reason[n] = '\0';
	if (i->head.type == RECORD_RETURN)
		return r->replay->returned(r->replay->arg, i->head.id, reason, at);
	return r->replay->held(r->replay->arg, i->head.id, i->head.type == RECORD_HOLD, reason, at);
}

static int tell_redirected(struct recovery *r, const struct batch_item *i, const uint8_t *meta, struct place at)
{
	char relay[REDIRECT_MAX + 1];
	if (i->head.meta_len > REDIRECT_MAX || memchr(meta, 0, i->head.meta_len) != NULL) {
		damaged(r, i->head.id, at, "its next hop cannot be read");
		return 0;
	}
	memcpy(relay, meta, i->head.meta_len);
	relay[i->head.meta_len] = '\0';
	return r->replay->redirected(r->replay->arg, i->head.id, relay, at);
}

static int tell_removed(struct recovery *r, const struct batch_item *i, const uint8_t *meta, struct place at)
{
	(void)meta;
	(void)at;
	int err = ids_add(&r->gone, i->head.id);
	return err ? err : r->replay->removed(r->replay->arg, i->head.id);
}

static int tell_void(struct recovery *r, const struct batch_item *i, const uint8_t *meta, struct place at)
{
	struct record_void v;
	if (record_void_decode(&v, meta, i->head.meta_len)) {
		damaged(r, 0, at, "its list of messages cannot be read");
		return 0;
	}
	int err = 0;
	for (uint32_t n = 0; n < v.count && err == 0; n++) {
		err = ids_add(&r->gone, record_void_at(&v, n));
		if (err == 0)
			err = r->replay->removed(r->replay->arg, record_void_at(&v, n));
	}
	return err;
}

static int tell_nothing(struct recovery *r, const struct batch_item *i, const uint8_t *meta, struct place at)
{
	(void)r;
	(void)i;
	(void)meta;
	(void)at;
	return 0;
}

static int (*const tell[])(struct recovery *r, const struct batch_item *i, const uint8_t *meta, struct place at) = {
	[RECORD_MESSAGE] = tell_message,
	[RECORD_OUTCOME] = tell_outcome,
	[RECORD_HOLD] = tell_held,
	[RECORD_RELEASE] = tell_held,
	[RECORD_REMOVE] = tell_removed,
	[RECORD_MOVED] = tell_message,
	[RECORD_VOID] = tell_void,
	[RECORD_COMMIT] = tell_nothing,
	[RECORD_REDIRECT] = tell_redirected,
	[RECORD_RETURN] = tell_held,
};

/* ---- batches ---- */

static void on_broken(void *arg, unsigned type, uint64_t id, struct place at, const char *what)
{
	struct recovery *r = arg;
	char line[LINE], text[ID_TEXT];
	if (!r->judging_last) {
		snprintf(line, sizeof(line), "%s: %s", type ? record_type_name((enum record_type)type) : "batch", what);
		damaged(r, id, at, line);
		return;
	}
	r->found.torn++;
	if (r->setup.say) {
		snprintf(line, sizeof(line),
			"segment %u, offset %u: %s %s of the last batch was never durable, dropped: %s", at.segment,
			at.offset, type ? record_type_name((enum record_type)type) : "end",
			id ? id_format(id, text) : "-", what);
		r->setup.say(r->setup.arg, line);
	}
}

/* Bodies of the batch against their checksums. */
static int check_bodies(struct recovery *r, struct batch *b)
{
	if (r->other.number != b->segment || r->other.fd < 0) {
		segment_close(&r->other);
		int err = segment_open(&r->other, r->setup.files, r->setup.journal, b->segment, false);
		if (err) {
			r->other.fd = -1;
			return err;
		}
	}
	for (size_t i = 0; i < b->count; i++) {
		struct batch_item *item = &b->items[i];
		if (item->state != BATCH_WHOLE || (item->head.body_len == 0 && !(item->head.flags & RECORD_IN_FILE)))
			continue;
		int err = segment_check_body(&r->other, item->at.offset, &item->head);
		if (err == -ENOMEM)
			return err;
		if (err)
			item->state = BATCH_BAD_BODY;
	}
	return 0;
}

static void take_commit(struct recovery *r, const struct batch *b)
{
	struct record_commit c;
	if (batch_commit(b, &c))
		return;
	if (c.ceiling_ms > r->found.floor_ms)
		r->found.floor_ms = c.ceiling_ms;
	if (c.wall_ms > r->found.newest_ms)
		r->found.newest_ms = c.wall_ms;
	if (c.oldest > r->oldest)
		r->oldest = c.oldest;
}

/* Batches that are missing before this one. */
static void check_row(struct recovery *r, const struct batch *b)
{
	struct record_commit c;
	bool first = r->applied == 0 && b->segment == r->segments[0];
	if ((r->applied && !b->again && b->number > r->applied + 1) ||
		(first && batch_commit(b, &c) == 0 && c.first > SEGMENT_FIRST))
		damaged(r, 0, b->items[0].at, "batches before it are missing");
	r->applied = b->number;
}

static int apply(struct recovery *r, struct batch *b, const struct place *places)
{
	int err = 0;
	size_t n = 0;
	for (size_t i = 0; i < b->count && err == 0; i++) {
		const struct batch_item *item = &b->items[i];
		bool own = item->head.type == RECORD_VOID || item->head.type == RECORD_COMMIT;
		if (item->state != BATCH_WHOLE)
			continue;
		err = tell[item->head.type](r, item, batch_meta(b, item), places && !own ? places[n] : item->at);
		n += !own;
	}
	return err;
}

/* A batch that is not the last: replays it at once. */
static int apply_earlier(struct recovery *r, struct batch *b)
{
	check_row(r, b);
	int err = r->setup.everything ? check_bodies(r, b) : 0;
	if (err == -ENOMEM)
		return err;
	batch_judge(b, r, on_broken);
	take_commit(r, b);
	err = apply(r, b, NULL);
	b->count = 0;
	return err;
}

static struct batch *other_slot(struct recovery *r, const struct batch *b)
{
	return b == &r->slots[0] ? &r->slots[1] : &r->slots[0];
}

/* `b` counts and stands in for the held batch, unless its VOID names others. */
static int void_held(struct recovery *r, const struct batch *b)
{
	struct batch *held = r->held;
	struct record_void v;
	r->held = NULL;
	if (!held)
		return 0;
	if (batch_void(b, &v) == 0 && (held->number < v.from || held->number > v.to))
		return apply_earlier(r, held);
	r->found.voided += held->count;
	if (held->number > r->applied)
		r->applied = held->number;
	return 0;
}

/* Whether batch `b`, marked RECORD_AGAIN, counts although nothing proves that it was synced. */
static int stands(struct recovery *r, struct batch *b, bool *whole)
{
	int err = check_bodies(r, b);
	*whole = err == 0 && batch_whole(b);
	return err == -ENOMEM ? err : 0;
}

/* The current batch is over, one with `again` follows. */
static int close_batch(struct recovery *r, bool again)
{
	struct batch *b = r->current;
	bool whole = true;
	int err = 0;
	r->current = NULL;
	if (!b)
		return 0;
	if (!again) {
		if (b->again)
			err = void_held(r, b);
		return err ? err : apply_earlier(r, b);
	}
	if (b->again)
		err = stands(r, b, &whole);
	if (err || !whole) {
		b->count = 0; /* it never was: what follows stands in for the held one as well */
		return err;
	}
	if (b->again)
		err = void_held(r, b);
	r->held = b;
	return err;
}

static int open_batch(struct recovery *r, const struct record *head, uint32_t segment)
{
	int err = close_batch(r, head->flags & RECORD_AGAIN);
	if (err)
		return err;
	r->current = r->held ? other_slot(r, r->held) : &r->slots[0];
	batch_reset(r->current, head->batch, segment, head->flags & RECORD_AGAIN);
	return 0;
}

/* ---- scanning ---- */

/* `n` bytes of the segment at `at`, or NULL: its end, or (`bad`) an unreadable page. */
static const uint8_t *look(struct recovery *r, uint64_t at, size_t n, bool *bad)
{
	uint64_t end = segment_end(&r->segment);
	if (at + n > end)
		return NULL;
	if (at < r->window_at || at + n > r->window_at + r->window_len) {
		size_t want = end - at < WINDOW ? (size_t)(end - at) : WINDOW;
		ssize_t got = files_read(r->setup.files, r->segment.fd, r->window, want, at);
		if (got < 0) {
			size_t page = PAGE - at % PAGE;
			got = files_read(r->setup.files, r->segment.fd, r->window, page < want ? page : want, at);
		}
		*bad = got < 0;
		r->window_at = at;
		r->window_len = got > 0 ? (size_t)got : 0;
	}
	return r->window_len >= n + (at - r->window_at) ? r->window + (at - r->window_at) : NULL;
}

/* Reads the meta behind the header at `at` into the current batch. */
static int read_meta(struct recovery *r, struct batch_item *item)
{
	size_t n = item->head.meta_len;
	uint64_t at = (uint64_t)item->at.offset + RECORD_HEADER;
	struct buf *metas = &r->current->metas;
	item->meta_at = metas->len;
	item->state = BATCH_WHOLE;
	if (at + n + item->head.body_len > segment_end(&r->segment)) {
		item->state = n && at + n > segment_end(&r->segment) ? BATCH_BAD_META : BATCH_BAD_BODY;
		if (item->state == BATCH_BAD_META)
			return 0;
	}
	if (n == 0)
		return 0;
	uint8_t *p = buf_room(metas, n);
	if (!p)
		return -ENOMEM;
	if (at >= r->window_at && at + n <= r->window_at + r->window_len)
		memcpy(p, r->window + (at - r->window_at), n);
	else if (files_read(r->setup.files, r->segment.fd, p, n, at) != (ssize_t)n)
		item->state = BATCH_BAD_META;
	if (item->state != BATCH_BAD_META &&
		record_sum(record_seed(r->segment.seed, item->at.offset), p, n) != item->head.meta_sum)
		item->state = BATCH_BAD_META;
	buf_grow(metas, n);
	return 0;
}

static int take_record(struct recovery *r, const struct record *head, uint32_t offset)
{
	struct batch_item item = {.at = {r->segment.number, offset}, .head = *head};
	int err = 0;
	r->found.records++;
	if (head->batch > r->end.highest)
		r->end.highest = head->batch;
	if (!r->current || head->batch != r->current->number || r->current->segment != r->segment.number) {
		uint64_t before = r->current ? r->current->number : r->held ? r->held->number : r->applied;
		if (head->batch <= before) {
			damaged(r, 0, item.at, "a record of an older batch stands here");
			r->unsound = true;
			return 0;
		}
		err = open_batch(r, head, r->segment.number);
	}
	if (err == 0)
		err = read_meta(r, &item);
	return err ? err : batch_add(r->current, &item);
}

static int scan_segment(struct recovery *r, size_t index, uint32_t from)
{
	uint32_t number = r->segments[index];
	int err = segment_open(&r->segment, r->setup.files, r->setup.journal, number, false);
	if (err) {
		r->segment.fd = -1;
		if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
			return err;
		damaged(r, 0, (struct place){number, 0}, "the segment cannot be read");
		r->end.used = number;
		return 0;
	}
	if (r->segment.size != r->segment.made) {
		damaged(r, 0, (struct place){number, r->segment.size}, "the segment is cut short");
		r->unsound = true;
	}
	if (from > segment_end(&r->segment)) {
		damaged(r, 0, (struct place){number, from}, "the segment ends before the checkpoint's place");
		r->unsound = true;
	}
	r->found.segments++;
	r->window_at = r->window_len = 0;
	r->bytes[index] = from - SEGMENT_FIRST;
	for (uint64_t at = from; err == 0;) {
		struct record head;
		bool bad = false;
		const uint8_t *p = look(r, at, RECORD_HEADER, &bad);
		if (!p && !bad)
			break;
		if (!p) {
			at = (at / PAGE + 1) * PAGE;
			continue;
		}
		if (record_decode(&head, record_seed(r->segment.seed, (uint32_t)at), p)) {
			at += RECORD_ALIGN;
			continue;
		}
		uint64_t span = record_span(head.meta_len, head.body_len);
		err = take_record(r, &head, (uint32_t)at);
		at += span;
		r->bytes[index] = (uint32_t)(at - SEGMENT_FIRST < UINT32_MAX ? at - SEGMENT_FIRST : UINT32_MAX);
		r->end.used = number;
	}
	segment_close(&r->segment);
	return err;
}

static int scan_all(struct recovery *r)
{
	int err = 0;
	uint32_t before = 0;
	for (size_t i = 0; i < r->segment_count && err == 0; i++) {
		uint32_t number = r->segments[i], from = SEGMENT_FIRST;
		if (before && number != before + 1)
			damaged(r, 0, (struct place){before + 1, 0}, "segments are missing");
		before = number;
		if (number < r->mark.at.segment)
			continue;
		if (number == r->mark.at.segment)
			from = r->mark.at.offset;
		err = scan_segment(r, i, from);
	}
	return err;
}

/* ---- the checkpoint ---- */

static int on_head(void *arg, const struct checkpoint_head *head)
{
	struct recovery *r = arg;
	r->mark = *head;
	r->found.checkpoint_used = true;
	r->found.floor_ms = head->ceiling_ms;
	r->found.newest_ms = head->newest_ms;
	r->oldest = head->oldest;
	r->end.highest = head->batch;
	return 0;
}

static int on_entry(void *arg, const struct envelope *e, struct place content, struct place newest, bool in_file)
{
	struct recovery *r = arg;
	r->found.checkpoint_entries++;
	/* Its segment was freed later: the message ended, or was moved and is told of when its MOVED record comes. */
	if (r->segment_count && content.segment < r->segments[0] && r->segments[0] > r->mark.oldest)
		return 0;
	int err = in_file ? ids_add(&r->in_file, e->id) : 0;
	err = err ? err : r->replay->message(r->replay->arg, RECORD_MOVED, e, content, newest, in_file);
	if (err == 0 && find_segment(r, content.segment) < 0)
		damaged(r, e->id, content, "the segment with its content is missing");
	return err;
}

/* ---- from start to end ---- */

/* What the last batch is, after everything was read; it is judged, not yet replayed. */
static int close_last(struct recovery *r)
{
	struct batch *b = r->current;
	bool whole = true;
	int err = 0;
	if (b && b->again) {
		err = stands(r, b, &whole);
		if (err)
			return err;
		if (whole)
			err = void_held(r, b);
		else
			b = r->current = r->held;
	}
	if (err || !b) /* (a held batch without an unsure one behind it does not occur) */
		return err;
	r->held = NULL;
	r->current = b;
	err = check_bodies(r, b);
	if (err == -ENOMEM)
		return err;
	check_row(r, b);
	r->judging_last = true;
	batch_judge(b, r, on_broken);
	r->judging_last = false;
	take_commit(r, b);
	r->last = calloc(b->count, sizeof(*r->last));
	if (!r->last)
		return -ENOMEM;
	for (size_t i = 0; i < b->count; i++) {
		const struct batch_item *item = &b->items[i];
		if (item->state == BATCH_WHOLE && item->head.type != RECORD_VOID && item->head.type != RECORD_COMMIT)
			r->last[r->last_count++] = (struct recovery_record){item->at, item->head, batch_meta(b, item)};
	}
	return 0;
}

/* Where the journal ends; see recovery.h. */
static void find_end(struct recovery *r)
{
	struct recovery_end *e = &r->end;
	const struct batch *b = r->current;
	struct record_void v;
	if (r->segment_count) {
		e->oldest = r->segments[0];
		e->newest = r->segments[r->segment_count - 1];
	}
	if (r->oldest && e->oldest > r->oldest)
		damaged(r, 0, (struct place){r->oldest, 0}, "the oldest segments are missing");
	if (r->mark.at.segment > e->newest) {
		damaged(r, 0, r->mark.at, "the newest segments are missing");
		e->newest = r->mark.at.segment;
	}
	if (e->used < r->mark.at.segment)
		e->used = r->mark.at.segment;
	if (b) {
		const struct batch_item *last = &b->items[b->count - 1];
		e->current = b->segment;
		e->offset = last->at.offset + (uint32_t)record_span(last->head.meta_len, last->head.body_len);
		e->last_batch = b->number;
		e->settled = batch_empty(b) && batch_whole(b) && e->used == e->current && e->highest == b->number;
		e->void_from = batch_void(b, &v) ? b->number : v.from;
	} else if (r->mark.at.segment) {
		e->current = r->mark.at.segment;
		e->offset = r->mark.at.offset;
		e->last_batch = r->mark.batch;
		e->settled = find_segment(r, e->current) >= 0 && e->used == e->current && e->highest == r->mark.batch;
		e->void_from = e->highest > r->mark.batch ? r->mark.batch + 1 : 0;
	} else if (r->segment_count) {
		e->void_from = e->highest ? 1 : 0;
		e->current = e->oldest;
		e->offset = SEGMENT_FIRST;
		e->settled = e->used == 0;
		if (e->settled)
			e->used = e->current;
	}
	if (r->unsound)
		e->settled = false;
}

static void finish_ids(struct recovery *r)
{
	size_t out = 0, gone = 0;
	ids_sort(&r->in_file);
	ids_sort(&r->gone);
	for (size_t i = 0; i < r->in_file.count; i++) {
		uint64_t id = r->in_file.items[i];
		while (gone < r->gone.count && r->gone.items[gone] < id)
			gone++;
		if ((gone < r->gone.count && r->gone.items[gone] == id) || (out && r->in_file.items[out - 1] == id))
			continue;
		r->in_file.items[out++] = id;
	}
	r->found.in_file = r->in_file.items;
	r->found.in_file_count = out;
	r->in_file = (struct ids){0};
}

int recovery_run(struct recovery **out, const struct recovery_setup *setup, const struct store_replay *replay,
	struct buf *errors)
{
	struct recovery *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->setup = *setup;
	r->replay = replay;
	r->found.in_file_complete = true;
	r->segment.fd = r->other.fd = -1;
	batch_init(&r->slots[0]);
	batch_init(&r->slots[1]);
	r->window = malloc(WINDOW);
	int err = r->window ? list_segments(r) : -ENOMEM;
	if (err == 0)
		err = drop_stale(r);
	if (err == 0 && !setup->everything) {
		err = checkpoint_load(setup->files, setup->spool, r, on_head, on_entry);
		if (err == -ENOENT)
			err = 0;
	}
	r->applied = r->mark.batch;
	if (err == 0)
		err = scan_all(r);
	if (err == 0)
		err = close_last(r);
	if (err) {
		buf_printf(errors, "the spool's journal cannot be read: %s\n", strerror(-err));
		recovery_free(r, NULL);
		return err;
	}
	find_end(r);
	*out = r;
	return 0;
}

const struct recovery_record *recovery_last(const struct recovery *r, size_t *count)
{
	*count = r->last_count;
	return r->last;
}

int recovery_settle(struct recovery *r, const struct place *places)
{
	int err = r->current ? apply(r, r->current, places) : 0;
	if (err == 0)
		finish_ids(r);
	return err;
}

void recovery_end(const struct recovery *r, struct recovery_end *out)
{
	*out = r->end;
}

uint32_t recovery_segment_bytes(const struct recovery *r, uint32_t segment)
{
	ssize_t at = find_segment(r, segment);
	return at < 0 ? 0 : r->bytes[at];
}

const struct recovery_found *recovery_found(const struct recovery *r)
{
	return &r->found;
}

void recovery_free(struct recovery *r, struct recovery_found *found)
{
	if (!r)
		return;
	if (found)
		*found = r->found;
	else
		recovery_found_fini(&r->found);
	segment_close(&r->segment);
	segment_close(&r->other);
	batch_fini(&r->slots[0]);
	batch_fini(&r->slots[1]);
	free(r->in_file.items);
	free(r->gone.items);
	free(r->segments);
	free(r->bytes);
	free(r->window);
	free(r->last);
	free(r);
}

void recovery_found_fini(struct recovery_found *f)
{
	free(f->in_file);
	f->in_file = NULL;
	f->in_file_count = 0;
}
