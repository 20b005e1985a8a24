/* queue/path/memory.h: what is known of paths: of each remote address, and of each family at each site. State; time is
 * an argument (steady milliseconds).
 *
 * It decides which addresses go first: one that is doubtful (queue/path/track.h), or whose family is at its site, goes
 * behind the others. A doubt ends when a connection was greeted again; single connections look for that
 * (queue/path/prober.h), mail does not while it has another path. An operator's pin overrules all of it.
 *
 * Bounded by path { addresses } and path { sites }: the least recently used is forgotten, though no pin. It is kept
 * across restarts: queue/path/keep.h. */
#ifndef QUEUE_PATH_MEMORY_H
#define QUEUE_PATH_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "queue/deliver/path.h"
#include "queue/path/track.h"

struct memory;

enum { MEMORY_PINS_MAX = 1000, MEMORY_WHO_MAX = 64 };

/* What is known of a site. */
struct site_memory {
	const char *name;
	struct track family[2]; /* [0] IPv4, [1] IPv6 */
	enum family pinned;	/* FAMILY_NONE: no pin */
	uint64_t pinned_until;	/* wall milliseconds; 0: until it is unpinned */
	char pinned_by[MEMORY_WHO_MAX + 1];
};

/* What is known of an address. */
struct address_memory {
	struct endpoint to;
	struct track track;
	unsigned open; /* connections, and dials that may come to it */
};

/* `seed`: random, keys the tables. NULL without memory. */
struct memory *memory_new(const struct conf *c, uint64_t seed);
void memory_configure(struct memory *m, const struct conf *c);
void memory_free(struct memory *m);

/* ---- what goes first ---- */

/* Fills the candidate's history: usual times; doubtful: by itself, by its family at `site`, or because the other one is
 * pinned there. */
void memory_fill(const struct memory *m, const char *site, struct candidate *c, uint64_t now_ms);
/* Where no path is doubtful: the family whose times are so much better that it wins against the head start of the other
 * one; FAMILY_NONE: neither is. */
enum family memory_quicker(const struct memory *m, const char *site);
/* Is mail refused there for the family, as far as is known, or the other one pinned? */
bool memory_avoids(const struct memory *m, const char *site, enum family family, uint64_t now_ms);

/* ---- what was seen ---- */

/* Does what a race saw speak against the path? Its own fault does, and being beaten by one that began later although
 * there was time enough: 100 ms to connect, or a second to greet once connected. Being turned away for now (load, 4yz)
 * does not. */
bool memory_doubts(const struct path_try *p);
/* What a race learned: of its addresses, and of the families at its site. */
void memory_note(struct memory *m, const char *site, const struct path_try *paths, unsigned count, uint64_t now_ms);
/* A connection that was ready failed later. */
void memory_note_fault(struct memory *m, const char *site, const struct endpoint *to, enum family family,
	enum fault fault, uint64_t now_ms);
/* The path was slow, as all of the site are, and no worse than these. */
void memory_forgive(struct memory *m, const char *site, const struct endpoint *to, enum family family, uint64_t now_ms);
/* Mail was refused for its family; mail was taken. */
void memory_note_refused(
	struct memory *m, const char *site, const struct endpoint *to, enum family family, uint64_t now_ms);
/* Mail was refused for this source address alone: the pool has others. It rests there as long as a family would. */
void memory_note_source_refused(struct memory *m, const char *site, const struct ip *source, uint64_t now_ms);
bool memory_source_rests(const struct memory *m, const char *site, const struct ip *source, uint64_t now_ms);
void memory_note_taken(struct memory *m, const char *site, enum family family, uint64_t now_ms);

/* ---- probes ---- */

/* When a connection may try the candidate, which is doubtful; UINT64_MAX: it needs none. */
uint64_t memory_probe_at(const struct memory *m, const char *site, const struct candidate *c, uint64_t now_ms);
void memory_probe(struct memory *m, const char *site, const struct candidate *c, uint64_t now_ms);
/* What it learned. */
void memory_note_probe(struct memory *m, const char *site, const struct path_try *path, uint64_t now_ms);

/* ---- pins ---- */

/* Mail to the site goes over this family first, and over the other one only if no path of this works; `for_ms` 0:
 * until it is unpinned. 0; -EINVAL: name or `who` too long; -ENOSPC: MEMORY_PINS_MAX are there; -ENOMEM. */
int memory_pin(
	struct memory *m, const char *site, enum family family, uint64_t for_ms, const char *who, uint64_t wall_ms);
/* 0, or -ENOENT: there is none. */
int memory_unpin(struct memory *m, const char *site);
/* Ends one pin whose time is over, and tells its site (lent until the next call); NULL: none. */
const struct site_memory *memory_pin_over(struct memory *m, uint64_t wall_ms);

/* ---- looking ---- */

/* NULL: not known. */
const struct site_memory *memory_site(const struct memory *m, const char *site);
const struct address_memory *memory_address(const struct memory *m, const struct endpoint *to);
/* All sites, the least recently used first: the one after `s` (NULL: the first); nothing may be noted meanwhile. */
const struct site_memory *memory_next_site(const struct memory *m, const struct site_memory *s);
/* One walk at a time over all sites and then all addresses, in as many slices as one likes: what is noted meanwhile
 * comes, or comes again. False at the end; else one of the two is set. */
void memory_walk(struct memory *m);
bool memory_walk_next(struct memory *m, const struct site_memory **s, const struct address_memory **a);
/* Grows with each change worth keeping. */
uint64_t memory_changes(const struct memory *m);
/* Puts back what was kept, without pins: the least recently used first. 0, -ENOMEM, -ENOSPC. */
int memory_put_site(struct memory *m, const struct site_memory *s);
int memory_put_address(struct memory *m, const struct address_memory *a);
/* One line for people: "connect 12 ms, greeting 30 ms, last fault refused 5m ago, doubtful for 2m"; "no history". */
const char *memory_describe(const struct memory *m, const struct endpoint *to, uint64_t now_ms, char *out, size_t size);
/* The same of a family at a site. */
const char *track_describe(const struct track *t, uint64_t now_ms, char *out, size_t size);

/* ---- counting ---- */

/* Connections open to the address now, and dials that may come to it, all sites together. */
void memory_opened(struct memory *m, const struct endpoint *to, int change);
unsigned memory_open(const struct memory *m, const struct endpoint *to);

#endif
