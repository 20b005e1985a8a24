/* queue/survey/list.c: state. */
#include "queue/survey/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* no memory: the entry is not in the table, and exit() is not called */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

struct survey_domain {
	uint64_t weight;
	char *reason; /* NULL: none */
	enum survey_kind kind;
	bool implicit, lost;
	UT_hash_handle hh;
	char name[];
};

const char *survey_domain_name(const struct survey_domain *d)
{
	return d->name;
}

uint64_t survey_domain_weight(const struct survey_domain *d)
{
	return d->weight;
}

enum survey_kind survey_domain_kind(const struct survey_domain *d)
{
	return d->kind;
}

bool survey_domain_implicit(const struct survey_domain *d)
{
	return d->implicit;
}

const char *survey_domain_reason(const struct survey_domain *d)
{
	return d->reason != NULL ? d->reason : "";
}

struct survey_domain *survey_list_find(const struct survey_list *l, const char *domain)
{
	struct survey_domain *d;
	HASH_FIND_STR(l->by_name, domain, d);
	return d;
}

static int make_room(struct survey_list *l)
{
	if (l->count == SURVEY_DOMAINS_MAX)
		return -E2BIG;
	if (l->count < l->capacity)
		return 0;
	size_t capacity = l->capacity != 0 ? l->capacity * 2 : 256;
	struct survey_domain **grown = reallocarray(l->items, capacity, sizeof(struct survey_domain *));
	if (grown == NULL)
		return -ENOMEM;
	l->items = grown;
	l->capacity = capacity;
	return 0;
}

int survey_list_add(struct survey_list *l, const char *domain, uint64_t weight)
{
	size_t n = strlen(domain);
	struct survey_domain *d = survey_list_find(l, domain);
	if (d != NULL) {
		d->weight += weight;
		return 0;
	}
	int err = make_room(l);
	if (err != 0)
		return err;
	d = calloc(1, sizeof *d + n + 1);
	if (d == NULL)
		return -ENOMEM;
	memcpy(d->name, domain, n + 1);
	d->weight = weight;
	HASH_ADD_KEYPTR(hh, l->by_name, d->name, n, d);
	if (d->lost) {
		free(d);
		return -ENOMEM;
	}
	l->items[l->count++] = d;
	return 0;
}

int survey_list_put(
	struct survey_list *l, struct survey_domain *d, enum survey_kind kind, bool implicit, const char *reason)
{
	char *copy = NULL;
	if (reason[0] != '\0') {
		copy = strndup(reason, SURVEY_REASON_MAX);
		if (copy == NULL)
			return -ENOMEM;
		for (char *c = copy; *c != '\0'; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
	}
	free(d->reason);
	l->answered += d->kind == SURVEY_UNASKED;
	d->reason = copy;
	d->kind = kind;
	d->implicit = implicit;
	return 0;
}

void survey_list_free(struct survey_list *l)
{
	HASH_CLEAR(hh, l->by_name);
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i]->reason);
		free(l->items[i]);
	}
	free(l->items);
	*l = (struct survey_list){0};
}
