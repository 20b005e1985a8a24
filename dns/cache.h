/* dns/cache.h: answers by name and type, for as long as they may be used. State: the queue thread's; time is an
 * argument.
 *
 * Clients choose the names, so the hash is keyed. Past `entries` the one that was not used for the longest time
 * goes. */
#ifndef DNS_CACHE_H
#define DNS_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "dns/answer.h"

struct dns_key {
	uint32_t hash;
	size_t len;
	char bytes[2 + DNS_NAME_MAX]; /* the type, then the name in lower case */
};

/* 0, or -EINVAL if the name is too long. */
int dns_key_make(struct dns_key *out, const char *name, enum dns_type type, uint64_t seed);
const char *dns_key_name(const struct dns_key *k); /* lower case */

/* An answer with several holders. */
struct dns_shared {
	unsigned refs;
	uint64_t expires_ms; /* monotonic */
	struct dns_answer answer;
};

/* Takes over what `answer` holds (also if it fails); one reference, the caller's. NULL without memory. */
struct dns_shared *dns_shared_new(struct dns_answer *answer);
struct dns_shared *dns_shared_ref(struct dns_shared *s);
void dns_shared_unref(struct dns_shared *s); /* NULL is fine */

/* The keys of dns { } in the configuration; times in milliseconds. */
struct dns_cache_limits {
	uint64_t entries;
	uint64_t ttl_max;      /* of every answer */
	uint64_t negative_max; /* of NXDOMAIN and NODATA */
	uint64_t failure;      /* how long SERVFAIL and time-outs are remembered */
};

struct dns_cache;

struct dns_cache *dns_cache_new(const struct dns_cache_limits *limits);
void dns_cache_free(struct dns_cache *c); /* NULL is fine */
/* Answers that are kept already keep their times. */
void dns_cache_limit(struct dns_cache *c, const struct dns_cache_limits *limits);
/* Lent until the next call; NULL if nothing is known (any more). */
struct dns_shared *dns_cache_find(struct dns_cache *c, const struct dns_key *key, uint64_t now_ms);
/* Sets `expires_ms` of an answer that is not to be kept. */
void dns_cache_stamp(const struct dns_cache *c, struct dns_shared *s, uint64_t now_ms);
/* Sets `expires_ms` of the answer and keeps a reference, unless it may not be kept (TTL 0) or memory is short. */
void dns_cache_put(struct dns_cache *c, const struct dns_key *key, struct dns_shared *s, uint64_t now_ms);
size_t dns_cache_count(const struct dns_cache *c);

#endif
