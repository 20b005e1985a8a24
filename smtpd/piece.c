/* smtpd/piece.c: protocol. */
#include "smtpd/piece.h"

#include <string.h>
#include <strings.h>

bool piece_is(const struct piece *p, const char *word)
{
	return strlen(word) == p->len && (p->len == 0 || strncasecmp((const char *)p->at, word, p->len) == 0);
}

bool piece_copy(const struct piece *p, char *out, size_t size)
{
	if (p->len >= size || (p->len > 0 && memchr(p->at, 0, p->len) != NULL))
		return false;
	if (p->len > 0)
		memcpy(out, p->at, p->len);
	out[p->len] = '\0';
	return true;
}

bool piece_number(const struct piece *p, uint64_t *out)
{
	uint64_t value = 0;
	for (size_t i = 0; i < p->len; i++) {
		unsigned digit = (unsigned)p->at[i] - '0';
		if (digit > 9)
			return false;
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*out = value;
	return p->len > 0;
}

bool piece_cut(struct piece *p, uint8_t mark, struct piece *before)
{
	*before = *p;
	if (p->len == 0)
		return false;
	const uint8_t *at = memchr(p->at, mark, p->len);
	size_t n = at != NULL ? (size_t)(at - p->at) : p->len;
	*before = (struct piece){p->at, n};
	n += at != NULL;
	p->at += n;
	p->len -= n;
	return at != NULL;
}

void piece_skip_blanks(struct piece *p)
{
	while (p->len > 0 && (p->at[0] == ' ' || p->at[0] == '\t')) {
		p->at++;
		p->len--;
	}
}
