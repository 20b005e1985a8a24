/* queue/survey/list.h: the domains of a survey, each once, and what is known of them. State. */
#ifndef QUEUE_SURVEY_LIST_H
#define QUEUE_SURVEY_LIST_H

#include "queue/survey/kind.h"

enum { SURVEY_DOMAINS_MAX = 1000000, SURVEY_REASON_MAX = 255 };

struct survey_domain; /* its hash is private */

struct survey_list {
	struct survey_domain **items; /* in the order in which they came */
	size_t count, capacity;
	struct survey_domain *by_name;
	size_t answered;
	bool weighted; /* one of them came with a weight */
};

/* Adds a domain (lower-case A-labels), or its weight to that of the same one. 0; -ENOMEM; -E2BIG past
 * SURVEY_DOMAINS_MAX. Weights of at most 12 digits: their sum does not overflow. */
int survey_list_add(struct survey_list *l, const char *domain, uint64_t weight);
struct survey_domain *survey_list_find(const struct survey_list *l, const char *domain);
void survey_list_free(struct survey_list *l);

const char *survey_domain_name(const struct survey_domain *d);
uint64_t survey_domain_weight(const struct survey_domain *d);
enum survey_kind survey_domain_kind(const struct survey_domain *d);
bool survey_domain_implicit(const struct survey_domain *d); /* without MX: it is itself the host */
const char *survey_domain_reason(const struct survey_domain *d);
/* What was found, once for each domain. The reason (printable ASCII, at most SURVEY_REASON_MAX bytes of it; others
 * become '?') may be "". 0 or -ENOMEM: it is still unasked. */
int survey_list_put(
	struct survey_list *l, struct survey_domain *d, enum survey_kind kind, bool implicit, const char *reason);

#endif
