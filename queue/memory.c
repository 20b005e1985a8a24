/* queue/memory.c: state. */
#define HASH_NONFATAL_OOM 1
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t table_seed;
/* keys are addresses that strangers' DNS chooses: a seeded hash, so that nobody can fill one bucket */
#define HASH_FUNCTION(key, length, value) ((value) = (unsigned)XXH3_64bits_withSeed((key), (length), table_seed))
#include <uthash.h>

#include "queue/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "conf/clock.h"

enum { DOUBT_FIRST_MS = 300000, DOUBT_MAX_MS = 3600000, DOUBT_LOAD_MS = 60000, PROBE_MS = 60000 };

struct known {
	struct endpoint to;
	uint32_t connect_ms, greeting_ms, ehlo_ms; /* smoothed; 0: not known */
	enum fault last_fault;
	uint64_t fault_at, good_at;
	uint64_t doubtful_until;
	uint64_t probe_until; /* somebody's dial is the probe */
	unsigned in_a_row;
	unsigned open;
	UT_hash_handle hh;
	TAILQ_ENTRY(known) used;
};

struct memory {
	struct known *table;
	TAILQ_HEAD(, known) by_use; /* least recently used first */
	unsigned count, most;
};

struct memory *memory_new(unsigned most, uint64_t seed)
{
	struct memory *m = calloc(1, sizeof *m);
	if (m == NULL)
		return NULL;
	table_seed = seed;
	TAILQ_INIT(&m->by_use);
	m->most = most;
	return m;
}

static void forget(struct memory *m, struct known *k)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): an entry stands in the table */
	HASH_DEL(m->table, k);
	TAILQ_REMOVE(&m->by_use, k, used);
	m->count--;
	free(k);
}

void memory_free(struct memory *m)
{
	if (m == NULL)
		return;
	for (struct known *k; (k = TAILQ_FIRST(&m->by_use)) != NULL;)
		forget(m, k);
	free(m);
}

/* The key with its padding in a known state. */
static struct endpoint key_of(const struct endpoint *to)
{
	struct endpoint key;
	memset(&key, 0, sizeof key);
	key.ip.family = to->ip.family;
	memcpy(key.ip.bytes, to->ip.bytes, sizeof key.ip.bytes);
	key.port = to->port;
	return key;
}

static struct known *find(const struct memory *m, const struct endpoint *to)
{
	struct endpoint key = key_of(to);
	struct known *k;
	HASH_FIND(hh, m->table, &key, sizeof key, k);
	return k;
}

/* Makes room: the least recently used one without open connections goes; looks at a few only. */
static void make_room(struct memory *m)
{
	int looked = 0;
	struct known *k = TAILQ_FIRST(&m->by_use);
	while (m->count >= m->most && k != NULL && looked++ < 16) {
		struct known *next = TAILQ_NEXT(k, used);
		if (k->open == 0)
			forget(m, k);
		k = next;
	}
}

/* NULL without memory or room: then nothing is remembered. */
static struct known *find_or_add(struct memory *m, const struct endpoint *to)
{
	struct known *k = find(m, to);
	if (k == NULL) {
		make_room(m);
		if (m->count >= m->most)
			return NULL;
		k = calloc(1, sizeof *k);
		if (k == NULL)
			return NULL;
		k->to = key_of(to);
		HASH_ADD(hh, m->table, to, sizeof k->to, k);
		if (k->hh.tbl == NULL) {
			free(k);
			return NULL;
		}
		m->count++;
	} else {
		TAILQ_REMOVE(&m->by_use, k, used);
	}
	TAILQ_INSERT_TAIL(&m->by_use, k, used);
	return k;
}

void memory_fill(struct memory *m, struct candidate *c, bool may_probe, uint64_t now_ms)
{
	struct known *k = find(m, &c->to);
	c->doubtful = false;
	c->usual_connect_ms = c->usual_greeting_ms = c->usual_ehlo_ms = 0;
	if (k == NULL)
		return;
	c->usual_connect_ms = k->connect_ms;
	c->usual_greeting_ms = k->greeting_ms;
	c->usual_ehlo_ms = k->ehlo_ms;
	if (k->doubtful_until == 0)
		return;
	c->doubtful = now_ms < k->doubtful_until || now_ms < k->probe_until || !may_probe;
	if (!c->doubtful)
		k->probe_until = now_ms + PROBE_MS;
}

static void smooth(uint32_t *known, uint32_t seen)
{
	if (seen == UINT32_MAX)
		return;
	if (seen == 0)
		seen = 1;
	*known = *known ? (uint32_t)(((uint64_t)*known * 3 + seen) / 4) : seen;
}

static void doubt(struct known *k, enum fault fault, uint64_t now_ms)
{
	k->last_fault = fault;
	k->fault_at = now_ms;
	k->probe_until = 0;
	if (!fault_is_path(fault)) {
		/* turned away for now: give it a rest, learn nothing bad about the path */
		if (k->doubtful_until < now_ms + DOUBT_LOAD_MS)
			k->doubtful_until = now_ms + DOUBT_LOAD_MS;
		return;
	}
	if (k->in_a_row > 0 && now_ms < k->doubtful_until)
		return; /* of dials that fail together, or beside the probe, one counts */
	uint64_t span = DOUBT_FIRST_MS;
	for (unsigned i = 0; i < k->in_a_row && span < DOUBT_MAX_MS; i++)
		span *= 2;
	k->in_a_row++;
	k->doubtful_until = now_ms + (span < DOUBT_MAX_MS ? span : DOUBT_MAX_MS);
}

static void trust(struct known *k, uint64_t now_ms)
{
	k->good_at = now_ms;
	k->in_a_row = 0;
	k->doubtful_until = 0;
	k->probe_until = 0;
}

bool memory_doubts(const struct path_try *p)
{
	enum { TIME_TO_CONNECT = 100, TIME_TO_GREET = 1000 };
	if (p->fault != FAULT_SUPERSEDED)
		return fault_is_path(p->fault);
	if (p->connect_ms == UINT32_MAX)
		return p->total_ms >= TIME_TO_CONNECT;
	return p->greeting_ms == UINT32_MAX && p->total_ms - p->connect_ms >= TIME_TO_GREET;
}

/* What a beaten path is taken to have. */
static enum fault presumed(const struct path_try *p)
{
	if (p->fault != FAULT_SUPERSEDED)
		return p->fault;
	return p->connect_ms == UINT32_MAX ? FAULT_CONNECT_TIMEOUT : FAULT_SILENT_GREETING;
}

void memory_note(struct memory *m, const struct path_try *p, uint64_t now_ms)
{
	if (p->fault == FAULT_LOCAL)
		return;
	if (p->fault == FAULT_SUPERSEDED && !memory_doubts(p)) {
		struct known *k = find(m, &p->to);
		if (k != NULL)
			k->probe_until = 0;
		return;
	}
	struct known *k = find_or_add(m, &p->to);
	if (k == NULL)
		return;
	smooth(&k->connect_ms, p->connect_ms);
	smooth(&k->greeting_ms, p->greeting_ms);
	if (p->fault == FAULT_NONE) {
		smooth(&k->ehlo_ms, p->total_ms >= p->greeting_ms ? p->total_ms - p->greeting_ms : 0);
		trust(k, now_ms);
	} else {
		doubt(k, presumed(p), now_ms);
	}
}

void memory_note_fault(struct memory *m, const struct endpoint *to, enum fault fault, uint64_t now_ms)
{
	if (fault == FAULT_NONE || fault == FAULT_LOCAL || fault == FAULT_SUPERSEDED)
		return;
	struct known *k = find_or_add(m, to);
	if (k != NULL)
		doubt(k, fault, now_ms);
}

void memory_opened(struct memory *m, const struct endpoint *to, int change)
{
	struct known *k = find_or_add(m, to);
	if (k == NULL)
		return;
	if (change > 0)
		k->open++;
	else if (k->open > 0)
		k->open--;
}

unsigned memory_open(const struct memory *m, const struct endpoint *to)
{
	const struct known *k = find(m, to);
	return k ? k->open : 0;
}

const char *memory_describe(const struct memory *m, const struct endpoint *to, uint64_t now_ms, char *out, size_t size)
{
	const struct known *k = find(m, to);
	if (k == NULL) {
		snprintf(out, size, "no history");
		return out;
	}
	char ago[CLOCK_SPAN], left[CLOCK_SPAN];
	int n = snprintf(out, size, "connect %u ms, greeting %u ms", k->connect_ms, k->greeting_ms);
	if (k->last_fault != FAULT_NONE && n > 0 && (size_t)n < size)
		n += snprintf(out + n, size - (size_t)n, ", last fault %s %s ago", fault_word(k->last_fault),
			clock_span(now_ms - k->fault_at, ago));
	if (k->doubtful_until > now_ms && n > 0 && (size_t)n < size)
		snprintf(out + n, size - (size_t)n, ", doubtful for %s", clock_span(k->doubtful_until - now_ms, left));
	return out;
}
