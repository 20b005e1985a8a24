/* queue/path/track.c: state. */
#include "queue/path/track.h"

enum { LOAD_MS = 60000, PROBE_MS = 60000 };

static void smooth(uint32_t *known, uint32_t seen)
{
	if (seen == UINT32_MAX)
		return;
	if (seen == 0)
		seen = 1;
	*known = *known ? (uint32_t)(((uint64_t)*known * 3 + seen) / 4) : seen;
}

void track_times(struct track *t, uint32_t connect_ms, uint32_t greeting_ms, uint32_t ehlo_ms)
{
	smooth(&t->connect_ms, connect_ms);
	smooth(&t->greeting_ms, greeting_ms);
	smooth(&t->ehlo_ms, ehlo_ms);
}

void track_fade(struct track *t, const struct track_rules *r, uint64_t now)
{
	uint64_t halvings = r->half_life != 0 && now > t->counted_at ? (now - t->counted_at) / r->half_life : 0;
	if (halvings > 31) {
		t->good = t->bad = t->refused = 0;
		t->counted_at = now;
		return;
	}
	t->good >>= halvings;
	t->bad >>= halvings;
	t->refused >>= halvings;
	t->counted_at += halvings * r->half_life;
}

static void count(struct track *t, uint32_t *which, const struct track_rules *r, uint64_t now)
{
	if (t->good == 0 && t->bad == 0 && t->refused == 0)
		t->counted_at = now;
	track_fade(t, r, now);
	if (*which <= UINT32_MAX - TRACK_ONE)
		*which += TRACK_ONE;
}

/* first, 2 × first, 4 × first … most, for the first, second, third … in a row */
static uint64_t grown(uint64_t first, uint64_t most, unsigned in_a_row)
{
	uint64_t span = first;
	for (unsigned i = 0; i < in_a_row && span < most; i++)
		span *= 2;
	return span < most ? span : most;
}

void track_good(struct track *t, const struct track_rules *r, uint64_t now)
{
	count(t, &t->good, r, now);
	t->good_at = now;
	t->since = t->probe_at = t->rest_until = 0;
	t->in_a_row = 0;
	t->probing = false;
}

void track_fault(struct track *t, const struct track_rules *r, enum fault fault, uint64_t now)
{
	t->last_fault = fault;
	t->fault_at = now;
	if (t->since != 0 && now < t->probe_at && !t->probing)
		return;
	count(t, &t->bad, r, now);
	if (t->since == 0)
		t->since = now;
	t->probing = false;
	t->probe_at = now + grown(r->probe_first, r->probe_max, t->in_a_row);
	t->in_a_row++;
}

void track_turned_away(struct track *t, enum fault fault, uint64_t now)
{
	t->last_fault = fault;
	t->fault_at = now;
	t->probing = false;
	if (t->rest_until < now + LOAD_MS)
		t->rest_until = now + LOAD_MS;
}

void track_refused(struct track *t, const struct track_rules *r, uint64_t now)
{
	t->probing = false;
	if (now < t->refused_until) {
		t->refused_at = now;
		return; /* mail that was under way already */
	}
	count(t, &t->refused, r, now);
	/* what held long ago says nothing of how long it will hold now */
	if (t->refused_in_a_row > 0 && now > t->refused_until + r->refused_max)
		t->refused_in_a_row = 0;
	t->refused_at = now;
	t->refused_until = now + grown(r->refused_first, r->refused_max, t->refused_in_a_row);
	t->refused_in_a_row++;
}

void track_taken(struct track *t)
{
	t->refused_until = 0;
	t->refused_in_a_row = 0;
}

bool track_is_refused(const struct track *t, uint64_t now)
{
	return now < t->refused_until;
}

bool track_doubtful(const struct track *t, uint64_t now)
{
	return t->since != 0 || now < t->rest_until || track_is_refused(t, now);
}

uint64_t track_probe_at(const struct track *t)
{
	return t->since != 0 ? t->probe_at : UINT64_MAX;
}

void track_probe(struct track *t, uint64_t now)
{
	t->probing = true;
	t->probe_at = now + PROBE_MS;
}

void track_probe_void(struct track *t)
{
	t->probing = false;
}

uint64_t track_latest(const struct track *t)
{
	uint64_t latest = t->good_at > t->fault_at ? t->good_at : t->fault_at;
	return t->refused_at > latest ? t->refused_at : latest;
}
