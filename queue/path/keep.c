/* queue/path/keep.c: state. */
#include "queue/path/keep.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum {
	VERSION = 1,
	SAVE_MS = 60000,
	PINS_SLICE = 16 /* that end in one tick */,
	SLICE = 2000,
	HALF_LIVES = 7,
	TRACK_BYTES = 9 * 4 + 8 * 8,
	ENTRY_MOST = 2 * TRACK_BYTES + HOST_TEXT + 16
};

/* ---- out ---- */

/* Times become wall time; 0 stays 0. */
static uint64_t to_wall(const struct queue *q, uint64_t steady)
{
	return steady ? core_wall(q, steady) : 0;
}

static uint64_t to_steady(const struct queue *q, uint64_t wall)
{
	return wall ? core_steady(q, wall) : 0;
}

static int put_track(const struct queue *q, const struct track *t, struct buf *out)
{
	const uint64_t times[] = {t->fault_at, t->good_at, t->since, t->probe_at, t->rest_until, t->refused_at,
		t->refused_until, t->counted_at};
	int err = buf_append_u32(out, t->connect_ms);
	err = err ? err : buf_append_u32(out, t->greeting_ms);
	err = err ? err : buf_append_u32(out, t->ehlo_ms);
	err = err ? err : buf_append_u32(out, (uint32_t)t->last_fault);
	err = err ? err : buf_append_u32(out, t->in_a_row);
	err = err ? err : buf_append_u32(out, t->refused_in_a_row);
	err = err ? err : buf_append_u32(out, t->good);
	err = err ? err : buf_append_u32(out, t->bad);
	err = err ? err : buf_append_u32(out, t->refused);
	for (size_t i = 0; err == 0 && i < sizeof times / sizeof times[0]; i++)
		err = buf_append_u64(out, to_wall(q, times[i]));
	return err;
}

static bool stale(const struct queue *q, const struct track *t)
{
	uint64_t latest = track_latest(t), now = core_now(q);
	return latest + HALF_LIVES * q->conf->path.half_life < now && t->refused_until < now;
}

static int put_site(const struct queue *q, const struct site_memory *s, struct buf *out)
{
	int err = buf_append_u8(out, 's');
	err = err ? err : buf_append_block(out, s->name, strlen(s->name));
	err = err ? err : put_track(q, &s->family[0], out);
	return err ? err : put_track(q, &s->family[1], out);
}

static int put_address(const struct queue *q, const struct address_memory *a, struct buf *out)
{
	int err = buf_append_u8(out, 'a');
	err = err ? err : buf_append_u8(out, a->to.ip.family);
	err = err ? err : buf_append(out, a->to.ip.bytes, sizeof a->to.ip.bytes);
	err = err ? err : buf_append_u16(out, a->to.port);
	return err ? err : put_track(q, &a->track, out);
}

int keep_encode(const struct queue *q, struct buf *out, unsigned most)
{
	const struct site_memory *s;
	const struct address_memory *a;
	int err = 0;
	for (unsigned n = 0; n < most; n++) {
		if (out->len > SIDESTATE_MAX - ENTRY_MOST || !memory_walk_next(q->memory, &s, &a))
			return 0;
		if (s != NULL && !(stale(q, &s->family[0]) && stale(q, &s->family[1])))
			err = put_site(q, s, out);
		else if (a != NULL && !stale(q, &a->track))
			err = put_address(q, a, out);
		if (err != 0)
			return err;
	}
	return 1;
}

static void encode(struct queue *q, unsigned most)
{
	struct buf *out = &q->paths_making;
	int more = keep_encode(q, out, most);
	if (more == 1)
		return;
	q->paths_walking = false;
	if (more == 0) {
		buf_reset(&q->paths_file.content);
		more = buf_append(&q->paths_file.content, out->data, out->len);
	}
	if (more == 0)
		store_write_state(q->store, &q->paths_file);
	else
		LOG_ERR("no-memory", LF_STR("what", "what is known of paths could not be written"));
	buf_reset(out);
}

static void begin(struct queue *q)
{
	buf_reset(&q->paths_making);
	memory_walk(q->memory);
	q->paths_walking = true;
	q->paths_kept = memory_changes(q->memory);
	q->paths_kept_at = core_now(q);
}

void keep_all(struct queue *q)
{
	begin(q);
	encode(q, UINT_MAX);
}

void keep_tick(struct queue *q)
{
	const struct site_memory *over;
	bool any = false;
	for (unsigned n = 0; n < PINS_SLICE && (over = memory_pin_over(q->memory, core_wall(q, core_now(q)))) != NULL;
		n++) {
		LOG_INFO("unpin", LF_STR("site", over->name), LF_STR("why", "its time is over"));
		any = true;
	}
	if (any)
		keep_pins(q);
	if (!q->paths_walking && memory_changes(q->memory) != q->paths_kept &&
		core_now(q) >= q->paths_kept_at + SAVE_MS)
		begin(q);
	if (q->paths_walking)
		encode(q, SLICE);
}

void keep_pins(struct queue *q)
{
	struct buf *out = &q->pins_file.content;
	const struct site_memory *s = NULL;
	int err = 0;
	buf_reset(out);
	while (err == 0 && (s = memory_next_site(q->memory, s)) != NULL) {
		if (s->pinned == FAMILY_NONE)
			continue;
		err = buf_append_block(out, s->name, strlen(s->name));
		err = err ? err : buf_append_u8(out, (uint8_t)s->pinned);
		err = err ? err : buf_append_u64(out, s->pinned_until);
		err = err ? err : buf_append_block(out, s->pinned_by, strlen(s->pinned_by));
	}
	if (err == 0)
		store_write_state(q->store, &q->pins_file);
	else
		LOG_ERR("no-memory", LF_STR("what", "pins could not be written"));
}

/* ---- in ---- */

static void get_track(const struct queue *q, struct reader *r, struct track *t)
{
	uint64_t *const times[] = {&t->fault_at, &t->good_at, &t->since, &t->probe_at, &t->rest_until, &t->refused_at,
		&t->refused_until, &t->counted_at};
	t->connect_ms = reader_u32(r);
	t->greeting_ms = reader_u32(r);
	t->ehlo_ms = reader_u32(r);
	uint32_t fault = reader_u32(r);
	t->in_a_row = reader_u32(r);
	t->refused_in_a_row = reader_u32(r);
	t->good = reader_u32(r);
	t->bad = reader_u32(r);
	t->refused = reader_u32(r);
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
		*times[i] = to_steady(q, reader_u64(r));
	if (fault >= FAULT_COUNT || t->in_a_row > 1000000 || t->refused_in_a_row > 1000000)
		r->bad = 1;
	t->last_fault = fault < FAULT_COUNT ? (enum fault)fault : FAULT_NONE;
}

/* A clock that went back must not make a doubt or a refusal last for years. */
static void bound_track(const struct queue *q, struct track *t)
{
	uint64_t now = core_now(q);
	if (t->probe_at > now + q->conf->path.probe_max)
		t->probe_at = now + q->conf->path.probe_max;
	if (t->refused_until > now + q->conf->path.refused_max)
		t->refused_until = now + q->conf->path.refused_max;
	uint64_t *const past[] = {&t->fault_at, &t->good_at, &t->since, &t->refused_at, &t->counted_at};
	for (size_t i = 0; i < sizeof past / sizeof past[0]; i++)
		if (*past[i] > now)
			*past[i] = now;
	if (t->rest_until > now)
		t->rest_until = 0;
}

static void get_text(struct reader *r, char *out, size_t most)
{
	size_t n;
	const uint8_t *p = reader_block(r, most, &n);
	if (p == NULL || memchr(p, 0, n) != NULL) {
		r->bad = 1;
		return;
	}
	memcpy(out, p, n);
	out[n] = '\0';
}

/* `take`: put it into the memory; else it is only checked. */
static int get_site(struct queue *q, struct reader *r, bool take)
{
	char name[HOST_TEXT] = "";
	struct site_memory s = {.name = name};
	get_text(r, name, HOST_TEXT - 1);
	get_track(q, r, &s.family[0]);
	get_track(q, r, &s.family[1]);
	if (r->bad || name[0] == '\0')
		return -EBADMSG;
	bound_track(q, &s.family[0]);
	bound_track(q, &s.family[1]);
	int err = take ? memory_put_site(q->memory, &s) : 0;
	return err == -ENOSPC ? 0 : err;
}

static int get_address(struct queue *q, struct reader *r, bool take)
{
	struct address_memory a = {.open = 0};
	a.to.ip.family = reader_u8(r);
	const uint8_t *bytes = reader_bytes(r, sizeof a.to.ip.bytes);
	a.to.port = reader_u16(r);
	get_track(q, r, &a.track);
	if (r->bad || bytes == NULL || (a.to.ip.family != FAMILY_IPV4 && a.to.ip.family != FAMILY_IPV6))
		return -EBADMSG;
	memcpy(a.to.ip.bytes, bytes, sizeof a.to.ip.bytes);
	bound_track(q, &a.track);
	int err = take ? memory_put_address(q->memory, &a) : 0;
	return err == -ENOSPC ? 0 : err;
}

static int walk(struct queue *q, const struct buf *b, bool take)
{
	struct reader r;
	int err = 0;
	reader_init(&r, b->data, b->len);
	while (err == 0 && r.left > 0) {
		uint8_t kind = reader_u8(&r);
		err = kind == 's' ? get_site(q, &r, take) : kind == 'a' ? get_address(q, &r, take) : -EBADMSG;
	}
	return err;
}

int keep_decode(struct queue *q, const struct buf *b)
{
	int err = walk(q, b, false);
	return err ? err : walk(q, b, true);
}

static int get_pins(struct queue *q, const struct buf *b)
{
	struct reader r;
	int err = 0;
	reader_init(&r, b->data, b->len);
	while (err == 0 && r.left > 0) {
		char name[HOST_TEXT] = "", who[MEMORY_WHO_MAX + 1] = "";
		uint64_t wall = core_wall(q, core_now(q));
		get_text(&r, name, HOST_TEXT - 1);
		uint8_t family = reader_u8(&r);
		uint64_t until = reader_u64(&r);
		get_text(&r, who, MEMORY_WHO_MAX);
		if (r.bad || (family != FAMILY_IPV4 && family != FAMILY_IPV6))
			return -EBADMSG;
		/* one that is over ends at the next tick, and is logged */
		uint64_t left = until == 0 ? 0 : until > wall ? until - wall : 1;
		err = memory_pin(q->memory, name, (enum family)family, left, who, wall);
		LOG_INFO("pinned", LF_STR("site", name), LF_FAMILY("family", family), LF_STR("by", who));
	}
	return err;
}

static void load(
	struct queue *q, struct sidestate *f, int (*take)(struct queue *q, const struct buf *b), const char *what)
{
	struct buf content;
	buf_init(&content, SIDESTATE_MAX + 1);
	f->home = q->mailbox;
	buf_init(&f->content, SIDESTATE_MAX);
	buf_init(&f->writing, SIDESTATE_MAX);
	int err = store_read_state(q->store, f->name, f->version, &content);
	if (err == 0)
		err = take(q, &content);
	if (err != 0 && err != -ENOENT)
		LOG_ERR("state-unreadable", LF_STR("file", f->name), LF_STR("error", strerror(-err)),
			LF_STR("what", what));
	buf_fini(&content);
}

void keep_load(struct queue *q)
{
	q->paths_file = (struct sidestate){.name = "paths", .version = VERSION};
	q->pins_file = (struct sidestate){.name = "pins", .version = VERSION};
	buf_init(&q->paths_making, SIDESTATE_MAX);
	load(q, &q->paths_file, keep_decode, "what was known of paths is lost");
	load(q, &q->pins_file, get_pins, "no site is pinned to a family any more");
	q->paths_kept = memory_changes(q->memory);
}

void keep_free(struct queue *q)
{
	buf_fini(&q->paths_making);
	sidestate_fini(&q->paths_file);
	sidestate_fini(&q->pins_file);
}
