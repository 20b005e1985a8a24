/* queue/path/tally.c: state. */
#include "queue/path/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTES = 60, HOURS = 24, SLOTS = MINUTES + HOURS, NUMBERS = sizeof(struct tally_row) / sizeof(uint64_t) };
#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)

struct slot {
	uint64_t number; /* of the minute or hour since 1970, and one; 0: never used */
	struct tally_sum sum;
};

struct tally {
	struct slot slots[SLOTS]; /* minutes, then hours */
};

struct tally *tally_new(void)
{
	return calloc(1, sizeof(struct tally));
}

void tally_free(struct tally *t)
{
	free(t);
}

/* The row of the minute, or of the hour, that runs. */
static struct tally_row *row_at(struct tally *t, enum tally_over over, enum tally_family f, uint64_t wall_ms)
{
	uint64_t number = wall_ms / (over == TALLY_HOUR ? MINUTE_MS : HOUR_MS) + 1;
	struct slot *s = &t->slots[over == TALLY_HOUR ? number % MINUTES : MINUTES + number % HOURS];
	if (s->number != number) {
		memset(s, 0, sizeof *s);
		s->number = number;
	}
	return &s->sum.family[f];
}

void tally_add(struct tally *t, enum tally_family f, enum tally_count c, uint64_t n, uint64_t wall_ms)
{
	row_at(t, TALLY_HOUR, f, wall_ms)->count[c] += n;
	row_at(t, TALLY_DAY, f, wall_ms)->count[c] += n;
}

void tally_failover(struct tally *t, enum tally_family from, enum tally_why why, enum tally_step step, uint64_t wall_ms)
{
	row_at(t, TALLY_HOUR, from, wall_ms)->failover[why][step]++;
	row_at(t, TALLY_DAY, from, wall_ms)->failover[why][step]++;
}

/* Bin 0 is 0 ms, bin 1 is 1 ms; from there 2, 3, 4, 6, 8, 12, 16 … begin the bins. */
static uint64_t begin_of(unsigned bin)
{
	if (bin < 2)
		return bin;
	return bin % 2 == 0 ? UINT64_C(1) << bin / 2 : UINT64_C(3) << (bin / 2 - 1);
}

static unsigned bin_of(uint64_t ms)
{
	unsigned bin = 0;
	while (bin + 1 < TALLY_BINS && begin_of(bin + 1) <= ms)
		bin++;
	return bin;
}

static void spread_add(struct tally_spread *s, uint64_t ms)
{
	s->bins[bin_of(ms)]++;
	if (ms > s->most)
		s->most = ms;
}

void tally_note_span(struct tally *t, enum tally_family f, enum tally_span s, uint64_t ms, uint64_t wall_ms)
{
	spread_add(&row_at(t, TALLY_HOUR, f, wall_ms)->span[s], ms);
	spread_add(&row_at(t, TALLY_DAY, f, wall_ms)->span[s], ms);
}

uint64_t tally_spread_count(const struct tally_spread *s)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < TALLY_BINS; i++)
		n += s->bins[i];
	return n;
}

uint64_t tally_spread_at(const struct tally_spread *s, unsigned percent)
{
	uint64_t all = tally_spread_count(s), seen = 0;
	uint64_t wanted = all / 100 * percent + (all % 100 * percent + 99) / 100;
	for (unsigned i = 0; i < TALLY_BINS && all > 0; i++) {
		seen += s->bins[i];
		if (seen == 0 || seen < wanted)
			continue;
		uint64_t begin = begin_of(i), end = i + 1 < TALLY_BINS ? begin_of(i + 1) - 1 : s->most;
		uint64_t middle = begin + (end - begin) / 2;
		return middle < s->most ? middle : s->most;
	}
	return 0;
}

/* ---- looking ---- */

static void add_row(struct tally_row *to, const struct tally_row *from)
{
	uint64_t a[NUMBERS], b[NUMBERS], most[TALLY_SPAN_COUNT];
	for (unsigned s = 0; s < TALLY_SPAN_COUNT; s++)
		most[s] = to->span[s].most > from->span[s].most ? to->span[s].most : from->span[s].most;
	memcpy(a, to, sizeof a);
	memcpy(b, from, sizeof b);
	for (unsigned i = 0; i < NUMBERS; i++)
		a[i] += b[i];
	memcpy(to, a, sizeof a);
	for (unsigned s = 0; s < TALLY_SPAN_COUNT; s++)
		to->span[s].most = most[s];
}

void tally_sum_up(const struct tally *t, enum tally_over over, uint64_t wall_ms, struct tally_sum *out)
{
	uint64_t now = wall_ms / (over == TALLY_HOUR ? MINUTE_MS : HOUR_MS) + 1;
	unsigned first = over == TALLY_HOUR ? 0 : MINUTES, count = over == TALLY_HOUR ? MINUTES : HOURS;
	memset(out, 0, sizeof *out);
	for (unsigned i = first; i < first + count; i++) {
		const struct slot *s = &t->slots[i];
		if (s->number == 0 || s->number > now || now - s->number >= count)
			continue;
		for (unsigned f = 0; f < TALLY_FAMILIES; f++)
			add_row(&out->family[f], &s->sum.family[f]);
	}
}

/* ---- kept across restarts: of each slot its place, its number, and what is not 0: family, place in the row, value;
 * family 255 ends it ---- */

enum { END = 255 };

static int put_slot(const struct slot *s, unsigned place, struct buf *out)
{
	int err = buf_append_u8(out, (uint8_t)place);
	err = err ? err : buf_append_u64(out, s->number);
	for (unsigned f = 0; f < TALLY_FAMILIES; f++) {
		uint64_t n[NUMBERS];
		memcpy(n, &s->sum.family[f], sizeof n);
		for (unsigned i = 0; err == 0 && i < NUMBERS; i++) {
			if (n[i] == 0)
				continue;
			err = buf_append_u8(out, (uint8_t)f);
			err = err ? err : buf_append_u16(out, (uint16_t)i);
			err = err ? err : buf_append_u64(out, n[i]);
		}
	}
	return err ? err : buf_append_u8(out, END);
}

int tally_encode(const struct tally *t, struct buf *out)
{
	int err = buf_append_u16(out, NUMBERS);
	for (unsigned i = 0; err == 0 && i < SLOTS; i++)
		if (t->slots[i].number != 0)
			err = put_slot(&t->slots[i], i, out);
	return err;
}

static void get_slot(struct tally *t, struct reader *r)
{
	/* no sum of sums goes over */
	const uint64_t greatest = UINT64_MAX / (2 * SLOTS);
	uint8_t place = reader_u8(r), f;
	uint64_t number = reader_u64(r);
	unsigned belongs = place < MINUTES ? (unsigned)(number % MINUTES) : MINUTES + (unsigned)(number % HOURS);
	if (r->bad || place >= SLOTS || number == 0 || belongs != place || t->slots[place].number != 0) {
		r->bad = 1;
		return;
	}
	struct slot *s = &t->slots[place];
	s->number = number;
	while ((f = reader_u8(r)) != END && !r->bad) {
		uint16_t at = reader_u16(r);
		uint64_t value = reader_u64(r), n[NUMBERS];
		if (r->bad || at >= NUMBERS || value > greatest) {
			r->bad = 1;
			return;
		}
		if (f >= TALLY_FAMILIES)
			continue;
		memcpy(n, &s->sum.family[f], sizeof n);
		n[at] = value;
		memcpy(&s->sum.family[f], n, sizeof n);
	}
}

int tally_decode(struct tally *t, const struct buf *b)
{
	struct tally *fresh = tally_new();
	struct reader r;
	if (fresh == NULL)
		return -ENOMEM;
	reader_init(&r, b->data, b->len);
	if (reader_u16(&r) != NUMBERS)
		r.bad = 1;
	while (!r.bad && r.left > 0)
		get_slot(fresh, &r);
	int err = r.bad ? -EBADMSG : 0;
	if (err == 0)
		*t = *fresh;
	tally_free(fresh);
	return err;
}
