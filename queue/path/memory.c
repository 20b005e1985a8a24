/* queue/path/memory.c: state. */
#define HASH_NONFATAL_OOM 1
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t table_seed;
/* keys are addresses and names that strangers' DNS chooses: a seeded hash, so that nobody can fill one bucket */
#define HASH_FUNCTION(key, length, value) ((value) = (unsigned)XXH3_64bits_withSeed((key), (length), table_seed))
#include <uthash.h>

#include "queue/path/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "conf/clock.h"
#include "conf/counter.h"

struct address {
	struct address_memory a; /* first: what callers see */
	UT_hash_handle hh;
	TAILQ_ENTRY(address) used;
};

struct place {
	struct site_memory s; /* first: what callers see; the name stands behind */
	UT_hash_handle hh;
	TAILQ_ENTRY(place) used;
	char name[];
};

struct memory {
	struct address *addresses;
	struct place *sites;
	TAILQ_HEAD(, address) addresses_by_use; /* least recently used first */
	TAILQ_HEAD(, place) sites_by_use;
	uint64_t address_count, addresses_most;
	uint64_t site_count, sites_most;
	uint64_t head_start; /* race { attempt_delay } */
	unsigned pins;
	uint64_t changes;
	/* a walk's next ones: whoever moves or frees one of them moves the walk on */
	struct address *walk_address;
	struct place *walk_site;
	struct track_rules rules;
};

struct memory *memory_new(const struct conf *c, uint64_t seed)
{
	struct memory *m = calloc(1, sizeof *m);
	if (m == NULL)
		return NULL;
	table_seed = seed;
	TAILQ_INIT(&m->addresses_by_use);
	TAILQ_INIT(&m->sites_by_use);
	memory_configure(m, c);
	return m;
}

void memory_configure(struct memory *m, const struct conf *c)
{
	m->addresses_most = c->path.addresses;
	m->sites_most = c->path.sites;
	m->head_start = c->race.attempt_delay;
	m->rules = (struct track_rules){
		.probe_first = c->path.probe_first,
		.probe_max = c->path.probe_max,
		.refused_first = c->path.refused_first,
		.refused_max = c->path.refused_max,
		.half_life = c->path.half_life,
	};
}

static void step_over_address(struct memory *m, const struct address *a)
{
	if (m->walk_address == a)
		m->walk_address = TAILQ_NEXT(a, used);
}

static void step_over_site(struct memory *m, const struct place *p)
{
	if (m->walk_site == p)
		m->walk_site = TAILQ_NEXT(p, used);
}

static void forget_address(struct memory *m, struct address *a)
{
	step_over_address(m, a);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): an entry stands in the table */
	HASH_DEL(m->addresses, a);
	TAILQ_REMOVE(&m->addresses_by_use, a, used);
	m->address_count--;
	free(a);
}

static void forget_site(struct memory *m, struct place *p)
{
	step_over_site(m, p);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): likewise */
	HASH_DEL(m->sites, p);
	TAILQ_REMOVE(&m->sites_by_use, p, used);
	m->site_count--;
	free(p);
}

void memory_free(struct memory *m)
{
	if (m == NULL)
		return;
	for (struct address *a; (a = TAILQ_FIRST(&m->addresses_by_use)) != NULL;)
		forget_address(m, a);
	for (struct place *p; (p = TAILQ_FIRST(&m->sites_by_use)) != NULL;)
		forget_site(m, p);
	free(m);
}

/* ---- addresses ---- */

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

static struct address *find_address(const struct memory *m, const struct endpoint *to)
{
	struct endpoint key = key_of(to);
	struct address *a;
	HASH_FIND(hh, m->addresses, &key, sizeof key, a);
	return a;
}

/* Makes room: the least recently used one without open connections goes; looks at a few only. */
static bool address_room(struct memory *m)
{
	int looked = 0;
	struct address *a = TAILQ_FIRST(&m->addresses_by_use);
	if (m->address_count >= m->addresses_most)
		COUNT(path_limit_addresses);
	while (m->address_count >= m->addresses_most && a != NULL && looked++ < 16) {
		struct address *next = TAILQ_NEXT(a, used);
		if (a->a.open == 0)
			forget_address(m, a);
		a = next;
	}
	return m->address_count < m->addresses_most;
}

/* NULL without memory or room: then nothing is remembered. */
static struct address *take_address(struct memory *m, const struct endpoint *to)
{
	struct address *a = find_address(m, to);
	if (a == NULL) {
		a = address_room(m) ? calloc(1, sizeof *a) : NULL;
		if (a == NULL)
			return NULL;
		a->a.to = key_of(to);
		HASH_ADD(hh, m->addresses, a.to, sizeof a->a.to, a);
		if (a->hh.tbl == NULL) {
			free(a);
			return NULL;
		}
		m->address_count++;
	} else {
		step_over_address(m, a);
		TAILQ_REMOVE(&m->addresses_by_use, a, used);
	}
	TAILQ_INSERT_TAIL(&m->addresses_by_use, a, used);
	return a;
}

/* ---- sites ---- */

static struct place *find_site(const struct memory *m, const char *site)
{
	struct place *p;
	HASH_FIND(hh, m->sites, site, strlen(site), p);
	return p;
}

static bool site_room(struct memory *m)
{
	int looked = 0;
	struct place *p = TAILQ_FIRST(&m->sites_by_use);
	if (m->site_count >= m->sites_most)
		COUNT(path_limit_sites);
	while (m->site_count >= m->sites_most && p != NULL && looked++ < 16) {
		struct place *next = TAILQ_NEXT(p, used);
		if (p->s.pinned == FAMILY_NONE) {
			forget_site(m, p);
		} else { /* not to be met here again and again */
			TAILQ_REMOVE(&m->sites_by_use, p, used);
			TAILQ_INSERT_TAIL(&m->sites_by_use, p, used);
		}
		p = next;
	}
	return m->site_count < m->sites_most;
}

static struct place *take_site(struct memory *m, const char *site)
{
	struct place *p = find_site(m, site);
	size_t n = strlen(site);
	if (p == NULL) {
		p = site_room(m) ? calloc(1, sizeof *p + n + 1) : NULL;
		if (p == NULL)
			return NULL;
		memcpy(p->name, site, n + 1);
		p->s.name = p->name;
		HASH_ADD_KEYPTR(hh, m->sites, p->name, n, p);
		if (p->hh.tbl == NULL) {
			free(p);
			return NULL;
		}
		m->site_count++;
	} else {
		step_over_site(m, p);
		TAILQ_REMOVE(&m->sites_by_use, p, used);
	}
	TAILQ_INSERT_TAIL(&m->sites_by_use, p, used);
	return p;
}

static struct track *of_family(struct place *p, enum family family)
{
	return &p->s.family[family == FAMILY_IPV6];
}

/* ---- what goes first ---- */

void memory_fill(const struct memory *m, const char *site, struct candidate *c, uint64_t now_ms)
{
	const struct address *a = find_address(m, &c->to);
	const struct place *p = find_site(m, site);
	c->doubtful = false;
	c->usual_connect_ms = c->usual_greeting_ms = c->usual_ehlo_ms = 0;
	if (a != NULL) {
		c->usual_connect_ms = a->a.track.connect_ms;
		c->usual_greeting_ms = a->a.track.greeting_ms;
		c->usual_ehlo_ms = a->a.track.ehlo_ms;
		c->doubtful = track_doubtful(&a->a.track, now_ms);
	}
	if (p == NULL)
		return;
	if (p->s.pinned != FAMILY_NONE)
		c->doubtful = p->s.pinned != candidate_family(c);
	else
		c->doubtful |= track_doubtful(&p->s.family[candidate_family(c) == FAMILY_IPV6], now_ms);
}

enum family memory_quicker(const struct memory *m, const char *site)
{
	const struct place *p = find_site(m, site);
	uint64_t known[2];
	for (int f = 0; f < 2; f++) {
		/* the greeting decides the race, and its time is counted from the start as well */
		known[f] = p ? p->s.family[f].greeting_ms : 0;
		if (known[f] == 0)
			return FAMILY_NONE;
	}
	if (known[1] > known[0] + m->head_start)
		return FAMILY_IPV4;
	return known[0] > known[1] + m->head_start ? FAMILY_IPV6 : FAMILY_NONE;
}

bool memory_avoids(const struct memory *m, const char *site, enum family family, uint64_t now_ms)
{
	const struct place *p = find_site(m, site);
	if (p == NULL)
		return false;
	if (p->s.pinned != FAMILY_NONE)
		return p->s.pinned != family;
	return track_is_refused(&p->s.family[family == FAMILY_IPV6], now_ms);
}

/* ---- what was seen ---- */

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

static uint32_t ehlo_ms(const struct path_try *p)
{
	if (p->fault != FAULT_NONE)
		return UINT32_MAX;
	return p->total_ms >= p->greeting_ms ? p->total_ms - p->greeting_ms : 0;
}

static void learn(struct memory *m, struct track *t, const struct path_try *p, uint64_t now_ms)
{
	track_times(t, p->connect_ms, p->greeting_ms, ehlo_ms(p));
	if (p->fault == FAULT_NONE)
		track_good(t, &m->rules, now_ms);
	else if (p->fault == FAULT_FAMILY_REFUSED)
		track_refused(t, &m->rules, now_ms);
	else if (memory_doubts(p))
		track_fault(t, &m->rules, presumed(p), now_ms);
	else if (p->fault == FAULT_SUPERSEDED)
		track_probe_void(t);
	else
		track_turned_away(t, p->fault, now_ms);
}

static void note_address(struct memory *m, const struct path_try *p, uint64_t now_ms)
{
	bool lasting = p->fault != FAULT_LOCAL && p->fault != FAULT_SOURCE_REFUSED &&
		       (p->fault != FAULT_SUPERSEDED || memory_doubts(p));
	struct address *a = lasting ? take_address(m, &p->to) : find_address(m, &p->to);
	if (a == NULL)
		return;
	if (lasting)
		learn(m, &a->a.track, p, now_ms);
	else
		track_probe_void(&a->a.track);
}

/* Of all paths of one family: one that worked, else one that was refused, else one that failed. */
static int telling(const struct path_try *p)
{
	if (p->fault == FAULT_NONE)
		return 3;
	if (p->fault == FAULT_FAMILY_REFUSED)
		return 2;
	return p->fault != FAULT_LOCAL && memory_doubts(p) ? 1 : 0;
}

static void note_family(struct memory *m, const char *site, const struct path_try *paths, unsigned count,
	enum family family, uint64_t now_ms)
{
	const struct path_try *most = NULL;
	bool any = false;
	for (unsigned i = 0; i < count; i++) {
		if (path_family(&paths[i]) != family)
			continue;
		any = true;
		if (telling(&paths[i]) > (most ? telling(most) : 0))
			most = &paths[i];
	}
	if (!any)
		return;
	struct place *p = most ? take_site(m, site) : find_site(m, site);
	if (p == NULL)
		return;
	if (most != NULL)
		learn(m, of_family(p, family), most, now_ms);
	else
		track_probe_void(of_family(p, family));
}

void memory_note(struct memory *m, const char *site, const struct path_try *paths, unsigned count, uint64_t now_ms)
{
	if (count == 0)
		return;
	for (unsigned i = 0; i < count; i++)
		note_address(m, &paths[i], now_ms);
	note_family(m, site, paths, count, FAMILY_IPV4, now_ms);
	note_family(m, site, paths, count, FAMILY_IPV6, now_ms);
	m->changes++;
}

void memory_note_probe(struct memory *m, const char *site, const struct path_try *path, uint64_t now_ms)
{
	struct address *a = find_address(m, &path->to);
	struct place *p = find_site(m, site);
	/* mail that tried the path meanwhile may have ended that */
	if (a != NULL && a->a.track.since != 0)
		a->a.track.probing = true;
	if (p != NULL && of_family(p, path_family(path))->since != 0)
		of_family(p, path_family(path))->probing = true;
	memory_note(m, site, path, 1, now_ms);
}

void memory_note_fault(struct memory *m, const char *site, const struct endpoint *to, enum family family,
	enum fault fault, uint64_t now_ms)
{
	if (fault == FAULT_NONE || fault == FAULT_LOCAL || fault == FAULT_SUPERSEDED)
		return;
	struct address *a = take_address(m, to);
	if (!fault_is_path(fault)) {
		if (a != NULL)
			track_turned_away(&a->a.track, fault, now_ms);
		return;
	}
	struct place *p = take_site(m, site);
	if (a != NULL)
		track_fault(&a->a.track, &m->rules, fault, now_ms);
	if (p != NULL)
		track_fault(of_family(p, family), &m->rules, fault, now_ms);
	m->changes++;
}

void memory_forgive(struct memory *m, const char *site, const struct endpoint *to, enum family family, uint64_t now_ms)
{
	struct address *a = find_address(m, to);
	struct place *p = find_site(m, site);
	if (a != NULL)
		track_good(&a->a.track, &m->rules, now_ms);
	if (p != NULL)
		track_good(of_family(p, family), &m->rules, now_ms);
	m->changes++;
}

void memory_note_refused(
	struct memory *m, const char *site, const struct endpoint *to, enum family family, uint64_t now_ms)
{
	struct address *a = take_address(m, to);
	struct place *p = take_site(m, site);
	if (a != NULL)
		track_refused(&a->a.track, &m->rules, now_ms);
	if (p != NULL)
		track_refused(of_family(p, family), &m->rules, now_ms);
	m->changes++;
}

/* "mx.example from 192.0.2.1" stands among the sites. False: it is too long to be remembered. */
static bool source_name(const char *site, const struct ip *source, char out[HOST_TEXT])
{
	char text[IP_TEXT];
	return snprintf(out, HOST_TEXT, "%s from %s", site, ip_format(source, text)) < HOST_TEXT;
}

void memory_note_source_refused(struct memory *m, const char *site, const struct ip *source, uint64_t now_ms)
{
	char name[HOST_TEXT];
	struct place *p = source_name(site, source, name) ? take_site(m, name) : NULL;
	if (p == NULL)
		return;
	track_refused(of_family(p, (enum family)source->family), &m->rules, now_ms);
	m->changes++;
}

bool memory_source_rests(const struct memory *m, const char *site, const struct ip *source, uint64_t now_ms)
{
	char name[HOST_TEXT];
	const struct place *p = source_name(site, source, name) ? find_site(m, name) : NULL;
	return p != NULL && track_is_refused(&p->s.family[source->family == FAMILY_IPV6], now_ms);
}

void memory_note_taken(struct memory *m, const char *site, enum family family, uint64_t now_ms)
{
	struct place *p = find_site(m, site);
	struct track *t = p ? of_family(p, family) : NULL;
	/* it may be another's mail, which was under way when this one was refused */
	if (t == NULL || t->refused_until == 0 || track_is_refused(t, now_ms))
		return;
	track_taken(t);
	m->changes++;
}

/* ---- probes ---- */

uint64_t memory_probe_at(const struct memory *m, const char *site, const struct candidate *c, uint64_t now_ms)
{
	const struct address *a = find_address(m, &c->to);
	const struct place *p = find_site(m, site);
	const struct track *family = p ? &p->s.family[candidate_family(c) == FAMILY_IPV6] : NULL;
	if (p != NULL && p->s.pinned != FAMILY_NONE)
		return UINT64_MAX;
	/* the family's schedule is that of all its addresses together */
	if (family != NULL && family->since != 0)
		return family->probing && now_ms < family->probe_at ? UINT64_MAX : family->probe_at;
	if (a == NULL || a->a.track.since == 0)
		return UINT64_MAX;
	return a->a.track.probing && now_ms < a->a.track.probe_at ? UINT64_MAX : a->a.track.probe_at;
}

void memory_probe(struct memory *m, const char *site, const struct candidate *c, uint64_t now_ms)
{
	struct address *a = find_address(m, &c->to);
	struct place *p = find_site(m, site);
	if (a != NULL && a->a.track.since != 0)
		track_probe(&a->a.track, now_ms);
	if (p != NULL && of_family(p, candidate_family(c))->since != 0)
		track_probe(of_family(p, candidate_family(c)), now_ms);
}

/* ---- pins ---- */

int memory_pin(
	struct memory *m, const char *site, enum family family, uint64_t for_ms, const char *who, uint64_t wall_ms)
{
	if (*site == '\0' || strlen(site) >= HOST_TEXT || strlen(who) > MEMORY_WHO_MAX || family == FAMILY_NONE)
		return -EINVAL;
	const struct place *known = find_site(m, site);
	bool replaces = known != NULL && known->s.pinned != FAMILY_NONE;
	if (!replaces && m->pins >= MEMORY_PINS_MAX)
		return -ENOSPC;
	struct place *p = take_site(m, site);
	if (p == NULL)
		return -ENOMEM;
	m->pins += !replaces;
	p->s.pinned = family;
	p->s.pinned_until = for_ms ? wall_ms + for_ms : 0;
	snprintf(p->s.pinned_by, sizeof p->s.pinned_by, "%s", who);
	COUNT_SET(pins, m->pins);
	m->changes++;
	return 0;
}

static void unpin(struct memory *m, struct place *p)
{
	p->s.pinned = FAMILY_NONE;
	p->s.pinned_until = 0;
	p->s.pinned_by[0] = '\0';
	COUNT_SET(pins, --m->pins);
	m->changes++;
}

int memory_unpin(struct memory *m, const char *site)
{
	struct place *p = find_site(m, site);
	if (p == NULL || p->s.pinned == FAMILY_NONE)
		return -ENOENT;
	unpin(m, p);
	return 0;
}

const struct site_memory *memory_pin_over(struct memory *m, uint64_t wall_ms)
{
	struct place *p = m->pins > 0 ? m->sites : NULL;
	for (; p != NULL; p = p->hh.next)
		if (p->s.pinned != FAMILY_NONE && p->s.pinned_until != 0 && p->s.pinned_until <= wall_ms)
			break;
	if (p == NULL)
		return NULL;
	unpin(m, p);
	return &p->s;
}

/* ---- looking ---- */

const struct site_memory *memory_site(const struct memory *m, const char *site)
{
	const struct place *p = find_site(m, site);
	return p ? &p->s : NULL;
}

const struct site_memory *memory_next_site(const struct memory *m, const struct site_memory *s)
{
	const struct place *p = s ? ((const struct place *)s)->used.tqe_next : TAILQ_FIRST(&m->sites_by_use);
	return p ? &p->s : NULL;
}

const struct address_memory *memory_address(const struct memory *m, const struct endpoint *to)
{
	const struct address *a = find_address(m, to);
	return a ? &a->a : NULL;
}

void memory_walk(struct memory *m)
{
	m->walk_site = TAILQ_FIRST(&m->sites_by_use);
	m->walk_address = TAILQ_FIRST(&m->addresses_by_use);
}

bool memory_walk_next(struct memory *m, const struct site_memory **s, const struct address_memory **a)
{
	*s = NULL;
	*a = NULL;
	if (m->walk_site != NULL) {
		*s = &m->walk_site->s;
		step_over_site(m, m->walk_site);
	} else if (m->walk_address != NULL) {
		*a = &m->walk_address->a;
		step_over_address(m, m->walk_address);
	}
	return *s != NULL || *a != NULL;
}

uint64_t memory_changes(const struct memory *m)
{
	return m->changes;
}

int memory_put_site(struct memory *m, const struct site_memory *s)
{
	struct place *p = take_site(m, s->name);
	if (p == NULL)
		return m->site_count >= m->sites_most ? -ENOSPC : -ENOMEM;
	memcpy(p->s.family, s->family, sizeof p->s.family);
	return 0;
}

int memory_put_address(struct memory *m, const struct address_memory *a)
{
	struct address *known = take_address(m, &a->to);
	if (known == NULL)
		return m->address_count >= m->addresses_most ? -ENOSPC : -ENOMEM;
	known->a.track = a->track;
	return 0;
}

static void add(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(char *out, size_t size, const char *format, ...)
{
	size_t n = strlen(out);
	va_list args;
	va_start(args, format);
	vsnprintf(out + n, size - n, format, args);
	va_end(args);
}

const char *track_describe(const struct track *t, uint64_t now_ms, char *out, size_t size)
{
	char span[CLOCK_SPAN];
	snprintf(out, size, "connect %u ms, greeting %u ms", t->connect_ms, t->greeting_ms);
	if (t->last_fault != FAULT_NONE)
		add(out, size, ", last fault %s %s ago", fault_word(t->last_fault),
			clock_span(now_ms - t->fault_at, span));
	if (t->since != 0)
		add(out, size, ", doubtful since %s", clock_span(now_ms - t->since, span));
	if (t->since != 0 && t->probe_at > now_ms)
		add(out, size, ", tried again in %s", clock_span(t->probe_at - now_ms, span));
	if (t->rest_until > now_ms)
		add(out, size, ", rests for %s", clock_span(t->rest_until - now_ms, span));
	if (t->refused_until > now_ms)
		add(out, size, ", refused for its family, avoided for %s", clock_span(t->refused_until - now_ms, span));
	return out;
}

const char *memory_describe(const struct memory *m, const struct endpoint *to, uint64_t now_ms, char *out, size_t size)
{
	const struct address *a = find_address(m, to);
	if (a == NULL || track_latest(&a->a.track) == 0)
		snprintf(out, size, "no history");
	else
		track_describe(&a->a.track, now_ms, out, size);
	return out;
}

/* ---- counting ---- */

void memory_opened(struct memory *m, const struct endpoint *to, int change)
{
	struct address *a = take_address(m, to);
	if (a == NULL)
		return;
	if (change > 0)
		a->a.open++;
	else if (a->a.open > 0)
		a->a.open--;
}

unsigned memory_open(const struct memory *m, const struct endpoint *to)
{
	const struct address *a = find_address(m, to);
	return a ? a->a.open : 0;
}
