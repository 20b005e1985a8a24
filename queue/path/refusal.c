/* queue/path/refusal.c: protocol. */
#include "queue/path/refusal.h"

#include <string.h>
#include <strings.h>

#include "conf/refusals.h"

static bool code_matches(const struct conf_texts *codes, unsigned code)
{
	const char digits[] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10)};
	for (size_t i = 0; i < codes->count; i++) {
		const char *want = codes->items[i];
		size_t same = 0;
		while (same < 3 && (want[same] == 'x' || want[same] == digits[same]))
			same++;
		if (same == 3)
			return true;
	}
	return codes->count == 0;
}

static bool status_matches(const struct conf_texts *statuses, const char *enhanced)
{
	for (size_t i = 0; i < statuses->count; i++) {
		const char *want = statuses->items[i];
		size_t n = strlen(want);
		if (strcmp(want, "none") == 0 ? *enhanced == '\0'
			: want[n - 1] == '*'  ? strncmp(want, enhanced, n - 1) == 0
					      : strcmp(want, enhanced) == 0)
			return true;
	}
	return statuses->count == 0;
}

/* The place behind the first `n` bytes of `part` in `text`, whatever their case; NULL: they are not there. */
static const char *behind(const char *text, const char *part, size_t n)
{
	for (;; text++) {
		bool maybe =
			n == 0 || ((*text ^ *part) & ~('a' ^ 'A')) == 0; /* most places fall here, without a call */
		if (maybe && strncasecmp(text, part, n) == 0)
			return text + n;
		if (*text == '\0')
			return NULL;
	}
}

/* Do the parts of the pattern between its stars stand in the text, one behind the other? The first place of each part
 * leaves the most text to the next. */
static bool pattern_matches(const char *pattern, const char *text)
{
	while (text != NULL && *pattern != '\0') {
		size_t n = strcspn(pattern, "*");
		text = behind(text, pattern, n);
		pattern += n + (pattern[n] == '*');
	}
	return text != NULL;
}

static bool text_matches(const struct conf_texts *texts, const char *text)
{
	for (size_t i = 0; i < texts->count; i++)
		if (pattern_matches(texts->items[i], text))
			return true;
	return texts->count == 0;
}

static bool family_matches(enum conf_family over, enum family via)
{
	return over == CONF_FAMILY_ANY || via == (over == CONF_FAMILY_IPV6 ? FAMILY_IPV6 : FAMILY_IPV4);
}

struct refusal_match refusal_of(const struct conf *c, const struct reply *r, enum family via)
{
	static const enum refusal kinds[] = {
		[KIND_NONE] = REFUSAL_NONE, [KIND_FAMILY] = REFUSAL_FAMILY, [KIND_LISTED] = REFUSAL_LISTED};
	if (reply_class(r) != 4 && reply_class(r) != 5)
		return (struct refusal_match){.kind = REFUSAL_NONE};
	for (size_t i = 0; i < c->refusal_count; i++) {
		const struct conf_refusal *row = &c->refusals[i];
		if (!refusals_is_off(row) && family_matches(row->over, via) && code_matches(&row->codes, r->code) &&
			status_matches(&row->statuses, r->enhanced) && text_matches(&row->texts, r->text))
			return (struct refusal_match){.kind = kinds[row->kind], .row = row->name};
	}
	return (struct refusal_match){.kind = REFUSAL_NONE};
}
