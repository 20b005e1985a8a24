/* dns/cache.c: state. */
#include "dns/cache.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <xxhash.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>

#include "conf/counter.h"

struct entry {
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) used; /* the last used one first */
	struct dns_shared *shared;
	bool lost; /* there was no memory for it in the table */
	struct dns_key key;
};

struct dns_cache {
	struct entry *table;
	TAILQ_HEAD(recency, entry) used;
	size_t count;
	struct dns_cache_limits limits;
};

int dns_key_make(struct dns_key *out, const char *name, enum dns_type type, uint64_t seed)
{
	size_t n = strlen(name);
	if (n >= DNS_NAME_MAX)
		return -EINVAL;
	out->bytes[0] = (char)((unsigned)type >> 8);
	out->bytes[1] = (char)type;
	for (size_t i = 0; i <= n; i++)
		out->bytes[2 + i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
	out->len = 2 + n;
	out->hash = (uint32_t)XXH3_64bits_withSeed(out->bytes, out->len, seed);
	return 0;
}

const char *dns_key_name(const struct dns_key *k)
{
	return k->bytes + 2;
}

struct dns_shared *dns_shared_new(struct dns_answer *answer)
{
	struct dns_shared *s = calloc(1, sizeof *s);
	if (s == NULL) {
		dns_answer_fini(answer);
		return NULL;
	}
	s->refs = 1;
	s->answer = *answer;
	*answer = (struct dns_answer){0};
	return s;
}

struct dns_shared *dns_shared_ref(struct dns_shared *s)
{
	s->refs++;
	return s;
}

void dns_shared_unref(struct dns_shared *s)
{
	if (s == NULL || --s->refs != 0)
		return;
	dns_answer_fini(&s->answer);
	free(s);
}

struct dns_cache *dns_cache_new(const struct dns_cache_limits *limits)
{
	struct dns_cache *c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	TAILQ_INIT(&c->used);
	c->limits = *limits;
	return c;
}

static void drop(struct dns_cache *c, struct entry *e)
{
	/* NOLINTNEXTLINE(clang-analyzer-*): an entry of the list stands in the table */
	HASH_DEL(c->table, e);
	TAILQ_REMOVE(&c->used, e, used);
	c->count--;
	dns_shared_unref(e->shared);
	free(e);
}

static void shrink(struct dns_cache *c, uint64_t entries)
{
	while (c->count > entries) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): drop() took the freed one out */
		drop(c, TAILQ_LAST(&c->used, recency));
		COUNT(dns_limit_cache);
	}
}

void dns_cache_free(struct dns_cache *c)
{
	if (c == NULL)
		return;
	while (!TAILQ_EMPTY(&c->used))
		drop(c, TAILQ_FIRST(&c->used));
	free(c);
}

void dns_cache_limit(struct dns_cache *c, const struct dns_cache_limits *limits)
{
	c->limits = *limits;
	shrink(c, limits->entries);
}

static struct entry *find(struct dns_cache *c, const struct dns_key *key)
{
	struct entry *e;
	HASH_FIND_BYHASHVALUE(hh, c->table, key->bytes, key->len, key->hash, e);
	return e;
}

struct dns_shared *dns_cache_find(struct dns_cache *c, const struct dns_key *key, uint64_t now_ms)
{
	struct entry *e = find(c, key);
	if (e == NULL)
		return NULL;
	if (e->shared->expires_ms <= now_ms) {
		drop(c, e);
		return NULL;
	}
	TAILQ_REMOVE(&c->used, e, used);
	TAILQ_INSERT_HEAD(&c->used, e, used);
	return e->shared;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t lifetime(const struct dns_cache_limits *limits, const struct dns_answer *a)
{
	uint64_t ttl = at_most((uint64_t)a->ttl * 1000, limits->ttl_max);
	switch (a->status) {
	case DNS_OK:
		return ttl;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return at_most(ttl, limits->negative_max);
	case DNS_SERVFAIL:
	case DNS_TIMEOUT:
		break;
	}
	return limits->failure;
}

void dns_cache_stamp(const struct dns_cache *c, struct dns_shared *s, uint64_t now_ms)
{
	s->expires_ms = now_ms + lifetime(&c->limits, &s->answer);
}

void dns_cache_put(struct dns_cache *c, const struct dns_key *key, struct dns_shared *s, uint64_t now_ms)
{
	dns_cache_stamp(c, s, now_ms);
	struct entry *e = find(c, key);
	if (e != NULL)
		drop(c, e);
	if (s->expires_ms == now_ms || c->limits.entries == 0)
		return;
	e = calloc(1, sizeof *e);
	if (e == NULL)
		return;
	e->key = *key;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->table, e->key.bytes, e->key.len, e->key.hash, e);
	if (e->lost) {
		free(e);
		return;
	}
	e->shared = dns_shared_ref(s);
	TAILQ_INSERT_HEAD(&c->used, e, used);
	c->count++;
	shrink(c, c->limits.entries);
}

size_t dns_cache_count(const struct dns_cache *c)
{
	return c->count;
}
