/* conf/id.c: protocol. */
#include "conf/id.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum { MS_SHIFT = 22, GIVER_SHIFT = 16, DIGITS = ID_TEXT - 1 };

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void id_giver_init(struct id_giver *g, unsigned number, uint64_t floor_ms, const _Atomic uint64_t *ceiling_ms)
{
	g->number = number;
	g->last = floor_ms << MS_SHIFT | (uint64_t)number << GIVER_SHIFT | 0xffff;
	g->ceiling_ms = ceiling_ms;
}

uint64_t id_next(struct id_giver *g, uint64_t wall_ms)
{
	uint64_t last_ms = g->last >> MS_SHIFT;
	uint64_t ms = wall_ms, counter = 0;
	uint64_t ceiling = g->ceiling_ms ? atomic_load_explicit(g->ceiling_ms, memory_order_acquire) : UINT64_MAX;
	if (ceiling != UINT64_MAX && ms >= ceiling)
		ms = ceiling ? ceiling - 1 : 0;
	if (ms <= last_ms) {
		ms = last_ms;
		counter = (g->last & 0xffff) + 1;
		if (counter > 0xffff) {
			ms++;
			counter = 0;
		}
	}
	if (ms >= ceiling)
		return 0;
	g->last = ms << MS_SHIFT | (uint64_t)g->number << GIVER_SHIFT | counter;
	return g->last;
}

uint64_t id_time_ms(uint64_t id)
{
	return id >> MS_SHIFT;
}

const char *id_format(uint64_t id, char out[ID_TEXT])
{
	for (int i = DIGITS - 1; i >= 0; i--) {
		out[i] = alphabet[id & 31];
		id >>= 5;
	}
	out[DIGITS] = '\0';
	return out;
}

static int digit(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

int id_parse_prefix(uint64_t *first, uint64_t *last, const char *text)
{
	size_t length = strlen(text);
	if (length == 0 || length > DIGITS)
		return -EINVAL;
	uint64_t value = 0;
	for (size_t i = 0; i < length; i++) {
		int d = digit(text[i]);
		if (d < 0 || (i == 0 && d > 15)) /* 13 digits are 65 bits: the first has 4 */
			return -EINVAL;
		value = value << 5 | (uint64_t)d;
	}
	unsigned rest = 5 * (unsigned)(DIGITS - length);
	*first = value << rest;
	*last = *first | ((UINT64_C(1) << rest) - 1);
	return 0;
}

int id_parse(uint64_t *out, const char *text)
{
	uint64_t last;
	return strlen(text) == DIGITS ? id_parse_prefix(out, &last, text) : -EINVAL;
}
