/* queue/doctor/names.c: state. */
#include "queue/doctor/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct question {
	char name[DNS_NAME_MAX];
	enum dns_type type;
	bool asked, known;
	struct dns_answer answer;
};

struct names {
	struct question *items[NAMES_MAX];
	size_t count, handed;
	bool settled;
	struct dns_answer late, full;
};

struct names *names_new(void)
{
	struct names *n = calloc(1, sizeof *n);
	if (n == NULL)
		return NULL;
	n->late = (struct dns_answer){.status = DNS_TIMEOUT};
	n->full = (struct dns_answer){.status = DNS_SERVFAIL, .detail = "too many names to be asked for"};
	return n;
}

void names_free(struct names *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < n->count; i++) {
		dns_answer_fini(&n->items[i]->answer);
		free(n->items[i]);
	}
	free(n);
}

static struct question *find(const struct names *n, const char *name, enum dns_type type)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->items[i]->type == type && strcasecmp(n->items[i]->name, name) == 0)
			return n->items[i];
	return NULL;
}

const struct dns_answer *names_get(struct names *n, const char *name, enum dns_type type)
{
	struct question *q = find(n, name, type);
	if (q != NULL && q->known)
		return &q->answer;
	if (n->settled)
		return &n->late;
	if (q != NULL)
		return NULL;
	if (n->count == NAMES_MAX || (q = calloc(1, sizeof *q)) == NULL)
		return &n->full;
	snprintf(q->name, sizeof q->name, "%s", name);
	q->type = type;
	n->items[n->count++] = q;
	return NULL;
}

int names_wanted(struct names *n, const char **name, enum dns_type *type)
{
	if (n->handed == n->count)
		return -1;
	struct question *q = n->items[n->handed];
	q->asked = true;
	*name = q->name;
	*type = q->type;
	return (int)n->handed++;
}

/* As far as there is memory. */
static void copy_records(struct dns_answer *to, const struct dns_answer *from)
{
	to->count = 0;
	to->records = from->count != 0 ? calloc(from->count, sizeof *to->records) : NULL;
	for (size_t i = 0; to->records != NULL && i < from->count; i++) {
		struct dns_record *r = &to->records[to->count];
		*r = from->records[i];
		r->data = NULL;
		if (from->records[i].data != NULL && (r->data = malloc(r->len ? r->len : 1)) == NULL)
			break;
		if (r->data != NULL)
			memcpy(r->data, from->records[i].data, r->len);
		to->count++;
	}
	if (to->count != from->count) {
		to->status = DNS_SERVFAIL;
		snprintf(to->detail, sizeof to->detail, "out of memory");
	}
}

void names_put(struct names *n, int number, const struct dns_answer *answer)
{
	struct question *q = n->items[number];
	if (q->known)
		return;
	q->answer = *answer;
	copy_records(&q->answer, answer);
	q->known = true;
}

unsigned names_open(const struct names *n)
{
	unsigned open = 0;
	for (size_t i = 0; i < n->count; i++)
		open += n->items[i]->asked && !n->items[i]->known;
	return open;
}

void names_settle(struct names *n, const char *why)
{
	n->settled = true;
	snprintf(n->late.detail, sizeof n->late.detail, "%s", why);
}

const char *names_reverse(const struct ip *ip, char out[NAMES_REVERSE])
{
	const uint8_t *b = ip->bytes;
	if (ip->family == FAMILY_IPV4) {
		snprintf(out, NAMES_REVERSE, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
		return out;
	}
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;
	for (unsigned i = 16; i-- != 0;) {
		out[at++] = digits[b[i] & 15];
		out[at++] = '.';
		out[at++] = digits[b[i] >> 4];
		out[at++] = '.';
	}
	snprintf(out + at, NAMES_REVERSE - at, "ip6.arpa");
	return out;
}

enum dns_type names_type_of(enum family family)
{
	return family == FAMILY_IPV4 ? DNS_A : DNS_AAAA;
}

bool names_has(const struct dns_answer *a, const struct ip *ip)
{
	for (size_t i = 0; i < a->count; i++)
		if (ip_equal(&a->records[i].ip, ip))
			return true;
	return false;
}
