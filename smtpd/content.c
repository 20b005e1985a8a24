/* smtpd/content.c: protocol. */
#include "smtpd/content.h"

#include <string.h>

/* What was read last. */
enum { LINE_START, LINE, CR, DOT, DOT_CR };

enum { NO_MATCH = 255 };
static const char field[] = "received:";

void content_init(struct content *c)
{
	*c = (struct content){.at = LINE_START, .header = true, .line_empty = true};
}

/* Compares the line with the name of the field. "Received :" is an obsolete form (RFC 5322 §4.5.7). */
static void inspect(struct content *c, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len && c->matched < sizeof field - 1; i++) {
		uint8_t ch = p[i] >= 'A' && p[i] <= 'Z' ? (uint8_t)(p[i] - 'A' + 'a') : p[i];
		if (ch == (uint8_t)field[c->matched]) {
			c->matched++;
			if (c->matched == sizeof field - 1)
				c->received++;
		} else if (c->matched != sizeof field - 2 || (ch != ' ' && ch != '\t')) {
			c->matched = NO_MATCH;
		}
	}
}

static void begin_line(struct content *c)
{
	c->at = LINE_START;
	c->matched = 0;
	c->line_empty = true;
}

static bool has_high_byte(const uint8_t *p, size_t len)
{
	uint64_t word, all = 0;
	while (len >= sizeof word) {
		memcpy(&word, p, sizeof word);
		all |= word;
		p += sizeof word;
		len -= sizeof word;
	}
	uint8_t rest = 0;
	while (len-- > 0)
		rest |= *p++;
	return (all & UINT64_C(0x8080808080808080)) != 0 || (rest & 0x80) != 0;
}

/* Within a line: goes to its next CR or to the end of the input. LF is looked for only up to there and only until the
 * first fault, so the work stays linear whatever the peer sends. */
static const uint8_t *scan_line(struct content *c, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *cr = memchr(p, '\r', (size_t)(end - p));
	const uint8_t *stop = cr != NULL ? cr : end;
	size_t run = (size_t)(stop - p);
	if (!c->bare && memchr(p, '\n', run) != NULL)
		c->bare = true;
	if (run > 0)
		c->line_empty = false;
	if (c->header)
		inspect(c, p, run);
	if (cr == NULL)
		return end;
	c->at = CR;
	return cr + 1;
}

static enum content_event hand_out(
	struct content *c, const uint8_t *from, const uint8_t *to, const uint8_t **slice, size_t *slice_len)
{
	if (from == to)
		return CONTENT_MORE;
	*slice = from;
	*slice_len = (size_t)(to - from);
	c->size += *slice_len;
	if (!c->eight)
		c->eight = has_high_byte(from, *slice_len);
	return CONTENT_SLICE;
}

enum content_event content_scan(
	struct content *c, const uint8_t *in, size_t len, size_t *used, const uint8_t **slice, size_t *slice_len)
{
	const uint8_t *p = in, *end = in + len, *from = in;
	while (p < end) {
		switch (c->at) {
		case LINE_START:
			if (*p != '.') {
				c->at = LINE;
				break;
			}
			/* The dot goes in any case: as stuffing, or as the end. */
			c->at = DOT;
			*used = (size_t)(p + 1 - in);
			if (hand_out(c, from, p, slice, slice_len) == CONTENT_SLICE)
				return CONTENT_SLICE;
			from = ++p;
			break;
		case DOT:
			c->line_empty = false;
			c->at = LINE;
			if (*p == '\r') { /* held back: either the end, or a fault that makes it worthless */
				c->at = DOT_CR;
				from = ++p;
			}
			break;
		case DOT_CR:
			if (*p == '\n') {
				*used = (size_t)(p + 1 - in);
				return CONTENT_END;
			}
			c->bare = true;
			c->at = LINE;
			break;
		case CR:
			if (*p != '\n') {
				c->bare = true;
				c->at = LINE;
				break;
			}
			p++;
			if (c->line_empty)
				c->header = false;
			begin_line(c);
			break;
		default:
			p = scan_line(c, p, end);
			break;
		}
	}
	*used = len;
	return hand_out(c, from, end, slice, slice_len);
}
