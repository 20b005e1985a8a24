/* smtpd/census.c: state. */
#include "smtpd/census.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	COUNT_BITS = 20,
	COUNT_MASK = (1 << COUNT_BITS) - 1,
	WINDOW = 32,	    /* places where a key may stand */
	PLACES_PER_KEY = 4, /* at a quarter full, a full window is as good as impossible */
	LEAST_PLACES = 1024,
	MOST_PLACES = 1 << 24,
};

struct census {
	uint64_t seed;
	size_t mask;
	_Atomic uint64_t all;
	_Atomic uint64_t places[];
};

struct census *census_new(size_t sessions, uint64_t seed)
{
	size_t places = LEAST_PLACES;
	while (places < MOST_PLACES && places / PLACES_PER_KEY < sessions)
		places *= 2;
	struct census *c = calloc(1, sizeof *c + places * sizeof c->places[0]);
	if (c == NULL)
		return NULL;
	c->seed = seed;
	c->mask = places - 1;
	return c;
}

void census_free(struct census *c)
{
	free(c);
}

static uint64_t hash_of(const struct census *c, const struct ip *client, unsigned bits)
{
	uint8_t key[17] = {client->family};
	size_t n = client->family == FAMILY_IPV4 ? 4 : bits / 8;
	memcpy(key + 1, client->bytes, n);
	return XXH3_64bits_withSeed(key, sizeof key, c->seed);
}

/* Sessions of the client, wherever in its window they are counted. */
static uint64_t sum(struct census *c, size_t home, uint64_t tag)
{
	uint64_t total = 0;
	for (size_t i = 0; i < WINDOW; i++) {
		uint64_t word = atomic_load(&c->places[(home + i) & c->mask]);
		if (word != 0 && word >> COUNT_BITS == tag)
			total += word & COUNT_MASK;
	}
	return total;
}

/* Adds one to the client's place, or takes a free one. False: no place. */
static bool add(struct census *c, size_t home, uint64_t tag, uint32_t *place)
{
	for (int may_take = 0; may_take < 2; may_take++) {
		for (size_t i = 0; i < WINDOW; i++) {
			size_t at = (home + i) & c->mask;
			uint64_t word = atomic_load(&c->places[at]);
			while ((word == 0 && may_take) ||
				(word != 0 && word >> COUNT_BITS == tag && (word & COUNT_MASK) < COUNT_MASK)) {
				uint64_t next = word == 0 ? tag << COUNT_BITS | 1 : word + 1;
				if (atomic_compare_exchange_weak(&c->places[at], &word, next)) {
					*place = (uint32_t)at;
					return true;
				}
			}
		}
	}
	return false;
}

static void take_one(struct census *c, uint32_t place)
{
	uint64_t word = atomic_load(&c->places[place]), next;
	do {
		next = (word & COUNT_MASK) == 1 ? 0 : word - 1;
	} while (!atomic_compare_exchange_weak(&c->places[place], &word, next));
}

enum census_result census_enter(struct census *c, const struct ip *client, unsigned bits, uint64_t limit_client,
	uint64_t limit_all, uint32_t *place)
{
	if (atomic_fetch_add(&c->all, 1) >= limit_all) {
		atomic_fetch_sub(&c->all, 1);
		return CENSUS_ALL;
	}
	uint64_t hash = hash_of(c, client, bits), tag = hash >> COUNT_BITS;
	size_t home = (size_t)hash & c->mask;
	uint32_t at = 0;
	enum census_result result = CENSUS_OK;
	if (sum(c, home, tag) >= limit_client) {
		result = CENSUS_CLIENT;
	} else if (!add(c, home, tag, &at)) {
		result = CENSUS_ALL;
	} else if (sum(c, home, tag) > limit_client) { /* another thread was as fast */
		take_one(c, at);
		result = CENSUS_CLIENT;
	}
	if (result == CENSUS_OK)
		*place = at;
	else
		atomic_fetch_sub(&c->all, 1);
	return result;
}

void census_leave(struct census *c, uint32_t place)
{
	take_one(c, place);
	atomic_fetch_sub(&c->all, 1);
}

uint64_t census_count(const struct census *c)
{
	return atomic_load(&c->all);
}
