/* queue/survey/kind.c: protocol. */
#include "queue/survey/kind.h"

#include <string.h>

static const char *const words[SURVEY_KIND_COUNT] = {
	[SURVEY_UNASKED] = "unasked",
	[SURVEY_BOTH] = "both",
	[SURVEY_IPV4] = "ipv4",
	[SURVEY_IPV6] = "ipv6",
	[SURVEY_NULL_MX] = "null-mx",
	[SURVEY_DANGLING] = "dangling",
	[SURVEY_NOWHERE] = "nowhere",
	[SURVEY_NO_ANSWER] = "no-answer",
};

const char *survey_word(enum survey_kind k)
{
	return words[k];
}

enum survey_kind survey_kind_of(const char *word, size_t len)
{
	for (unsigned k = SURVEY_UNASKED + 1; k < SURVEY_KIND_COUNT; k++)
		if (strlen(words[k]) == len && memcmp(words[k], word, len) == 0)
			return (enum survey_kind)k;
	return SURVEY_UNASKED;
}

static void add(struct survey_synthesis *s, const struct prefix *p)
{
	if (s->count < sizeof s->items / sizeof s->items[0])
		s->items[s->count++] = *p;
}

void survey_synthesis_init(struct survey_synthesis *s, const struct conf_nat64 *nat64)
{
	static const char *const set_aside[] = {"64:ff9b::/96", "64:ff9b:1::/48"};
	struct prefix p;
	*s = (struct survey_synthesis){0};
	for (size_t i = 0; i < sizeof set_aside / sizeof set_aside[0]; i++)
		if (prefix_parse(&p, set_aside[i]) == 0)
			add(s, &p);
	for (unsigned i = 0; i < nat64->count; i++)
		add(s, &nat64->items[i]);
}

void survey_synthesis_learn(struct survey_synthesis *s, const struct dns_answer *answer)
{
	struct nat64_prefix found[NAT64_PREFIXES_MAX];
	char text[PREFIX_TEXT];
	struct prefix p;
	size_t left_out, n = nat64_discover(answer, found, &left_out);
	for (size_t i = 0; i < n; i++)
		if (prefix_parse(&p, nat64_prefix_format(&found[i], text)) == 0)
			add(s, &p);
}

static bool is_made_up(const struct survey_synthesis *s, const struct ip *ip)
{
	for (size_t i = 0; i < s->count; i++)
		if (prefix_contains(&s->items[i], ip))
			return true;
	return false;
}

/* What is known of one family, of all hosts together. */
struct reach {
	bool have, failed;
};

static struct reach reach_of(const struct mx *mx, unsigned family, const struct survey_synthesis *s)
{
	struct reach r = {0};
	for (size_t i = 0; i < mx->count; i++) {
		const struct mx_host *h = &mx->hosts[i];
		r.failed = r.failed || h->family[family].state == MX_PART_FAILED;
		for (size_t k = 0; h->family[family].state == MX_PART_HAVE && k < h->family[family].count; k++)
			r.have = r.have || !is_made_up(s, &h->family[family].items[k]);
	}
	return r;
}

static enum survey_kind judge_hosts(const struct mx *mx, const struct survey_synthesis *s)
{
	const struct reach v4 = reach_of(mx, 0, s), v6 = reach_of(mx, 1, s);
	if (v4.have && v6.have)
		return SURVEY_BOTH;
	if ((v4.failed && !v4.have) || (v6.failed && !v6.have))
		return SURVEY_NO_ANSWER;
	if (v4.have || v6.have)
		return v4.have ? SURVEY_IPV4 : SURVEY_IPV6;
	return mx->implicit ? SURVEY_NOWHERE : SURVEY_DANGLING;
}

enum survey_kind survey_judge(const struct mx *mx, const struct survey_synthesis *s)
{
	if (mx->state == MX_HOSTS)
		return judge_hosts(mx, s);
	if (mx->state != MX_FAILED)
		return SURVEY_NO_ANSWER;
	if (strcmp(mx->enhanced, "5.1.10") == 0)
		return SURVEY_NULL_MX;
	return strcmp(mx->enhanced, "5.1.2") == 0 ? SURVEY_NOWHERE : SURVEY_DANGLING;
}
