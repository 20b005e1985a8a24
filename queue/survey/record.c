/* queue/survey/record.c: protocol. */
#include "queue/survey/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dns/name.h"

enum { FIELDS = 4 };

size_t survey_record_write(const struct survey_domain *d, char out[SURVEY_RECORD_MAX])
{
	int n = snprintf(out, SURVEY_RECORD_MAX, "%s\t%s\t%s\t%s\n", survey_domain_name(d),
		survey_word(survey_domain_kind(d)), survey_domain_implicit(d) ? "implicit" : "mx",
		survey_domain_reason(d));
	return (size_t)n;
}

static bool is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

static int copy(char *out, size_t size, const char *text, size_t len)
{
	if (len >= size)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return -EINVAL;
	memcpy(out, text, len);
	out[len] = '\0';
	return 0;
}

int survey_record_read(struct survey_record *out, const char *text, size_t len)
{
	const char *field[FIELDS], *end = text + len;
	size_t size[FIELDS];
	for (unsigned i = 0; i < FIELDS; i++) {
		const char *tab = i + 1 < FIELDS ? memchr(text, '\t', (size_t)(end - text)) : end;
		if (tab == NULL)
			return -EINVAL;
		field[i] = text;
		size[i] = (size_t)(tab - text);
		text = tab + (i + 1 < FIELDS);
	}
	out->kind = survey_kind_of(field[1], size[1]);
	out->implicit = is(field[2], size[2], "implicit");
	if (out->kind == SURVEY_UNASKED || (!out->implicit && !is(field[2], size[2], "mx")) ||
		copy(out->domain, sizeof out->domain, field[0], size[0]) != 0 || !dns_name_valid(out->domain))
		return -EINVAL;
	return copy(out->reason, sizeof out->reason, field[3], size[3]);
}
