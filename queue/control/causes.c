/* queue/control/causes.c: state. */
#include "queue/control/causes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "queue/control/normalise.h"

enum { SITE_TEXT = 256, KEY = SITE_TEXT + NORMALISED };

struct group {
	struct cause cause;
	UT_hash_handle hh;
	uint64_t last; /* the message that was counted last */
	char key[];    /* site, a 0, reason, a 0 */
};

struct causes {
	struct group *groups;
	unsigned count;
	uint64_t beside; /* recipients in no group */
	struct group **sorted;
	/* most recipients wait for the same as the one before: by the places of its texts */
	const char *site, *reason;
	struct group *same;
};

struct causes *causes_new(void)
{
	return calloc(1, sizeof(struct causes));
}

void causes_free(struct causes *c)
{
	if (c == NULL)
		return;
	struct group *g, *next;
	HASH_ITER (hh, c->groups, g, next) {
		HASH_DEL(c->groups, g);
		free(g);
	}
	free(c->sorted);
	free(c);
}

static struct group *add_group(struct causes *c, const char *key, size_t n, size_t site_len)
{
	struct group *g = c->count < CAUSES_MAX ? calloc(1, sizeof *g + n) : NULL;
	if (g == NULL)
		return NULL;
	memcpy(g->key, key, n);
	HASH_ADD_KEYPTR(hh, c->groups, g->key, n, g);
	if (g->hh.tbl == NULL) {
		free(g);
		return NULL;
	}
	g->cause.site = g->key;
	g->cause.reason = g->key + site_len + 1;
	c->count++;
	return g;
}

/* NULL: there is no room for another one. */
static struct group *group_of(struct causes *c, const char *site, const char *reason)
{
	char key[KEY];
	int n = snprintf(key, SITE_TEXT, "%s", site);
	size_t site_len = n < SITE_TEXT ? (size_t)n : SITE_TEXT - 1;
	size_t len = site_len + 1 + normalise(reason, key + site_len + 1) + 1;
	struct group *g;
	HASH_FIND(hh, c->groups, key, len, g);
	return g != NULL ? g : add_group(c, key, len, site_len);
}

void causes_add(struct causes *c, const char *site, const char *reason, uint64_t id, uint64_t arrival_ms)
{
	if (site != c->site || reason != c->reason) {
		c->same = group_of(c, site, reason);
		c->site = site;
		c->reason = reason;
	}
	struct group *g = c->same;
	if (g == NULL) {
		c->beside++;
		return;
	}
	struct cause *cause = &g->cause;
	if (cause->recipients++ == 0) {
		cause->id = id;
		cause->oldest_ms = arrival_ms;
	}
	cause->messages += g->last != id;
	g->last = id;
	if (arrival_ms > cause->newest_ms)
		cause->newest_ms = arrival_ms;
}

void causes_forget_texts(struct causes *c)
{
	c->site = c->reason = NULL;
}

static int fuller_first(const void *a, const void *b)
{
	const struct cause *x = &(*(struct group *const *)a)->cause, *y = &(*(struct group *const *)b)->cause;
	if (x->recipients != y->recipients)
		return x->recipients < y->recipients ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

void causes_sort(struct causes *c)
{
	c->sorted = calloc(c->count ? c->count : 1, sizeof(struct group *));
	unsigned n = 0;
	for (struct group *g = c->groups; c->sorted != NULL && g != NULL; g = g->hh.next)
		c->sorted[n++] = g;
	if (n > 1)
		qsort(c->sorted, n, sizeof(struct group *), fuller_first);
}

const struct cause *causes_at(const struct causes *c, unsigned i)
{
	return c->sorted != NULL && i < c->count ? &c->sorted[i]->cause : NULL;
}

uint64_t causes_others(const struct causes *c, unsigned from)
{
	uint64_t n = c->beside;
	for (; from < c->count && c->sorted != NULL; from++)
		n += c->sorted[from]->cause.recipients;
	return n;
}
