/* queue/survey/tally.c: protocol. */
#include "queue/survey/tally.h"

#include <stdio.h>

static void count(struct survey_count *c, const struct survey_domain *d)
{
	c->domains++;
	c->mail += survey_domain_weight(d);
	c->implicit += survey_domain_implicit(d);
}

void survey_tally_list(struct survey_tally *t, const struct survey_list *l)
{
	*t = (struct survey_tally){0};
	for (size_t i = 0; i < l->count; i++) {
		const struct survey_domain *d = l->items[i];
		enum survey_kind k = survey_domain_kind(d);
		count(&t->kinds[k], d);
		count(&t->all, d);
		if (k == SURVEY_BOTH || k == SURVEY_IPV4 || k == SURVEY_IPV6)
			count(&t->taking, d);
		if (k == SURVEY_IPV6)
			count(&t->lost[0], d);
		if (k == SURVEY_IPV4)
			count(&t->lost[1], d);
	}
}

const char *survey_share(uint64_t part, uint64_t whole, char out[SURVEY_SHARE])
{
	double percent = whole != 0 ? 100.0 * (double)part / (double)whole : 0;
	if (whole == 0)
		snprintf(out, SURVEY_SHARE, "-");
	else if (part != 0 && percent < 0.1)
		snprintf(out, SURVEY_SHARE, "<0.1%%");
	else if (part != whole && percent > 99.9)
		snprintf(out, SURVEY_SHARE, ">99.9%%");
	else
		snprintf(out, SURVEY_SHARE, "%.1f%%", percent);
	return out;
}
