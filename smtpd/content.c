/* smtpd/content.c: protocol. */
#include "smtpd/content.h"

#include <string.h>

/* What was read last. CR_HELD: a CR at the end of the input that is not handed out before its LF is there. */
enum { LINE_START, LINE, CR, CR_HELD, DOT, DOT_CR };

enum { NO_MATCH = 255 };
static const char field[] = "received:";

void content_init(struct content *c, unsigned how)
{
	*c = (struct content){.how = (uint8_t)how, .at = LINE_START, .header = true, .line_empty = true};
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

/* A line that is a dot behind NULs: content for us and for the RFC, but the end of DATA for a server that drops NULs.
 * Of an ordinary line one byte is looked at. */
enum { VEIL_NONE, VEIL_NULS, VEIL_DOT, VEIL_NO };

static void watch(struct content *c, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len && c->veil != VEIL_NO; i++)
		if (p[i] == '.' && c->veil == VEIL_NULS)
			c->veil = VEIL_DOT;
		else if (p[i] != '\0')
			c->veil = VEIL_NO;
		else if (c->veil == VEIL_NONE)
			c->veil = VEIL_NULS;
}

static void end_veil(struct content *c)
{
	c->veiled |= c->veil == VEIL_DOT && !(c->how & CONTENT_BINARY);
	c->veil = VEIL_NONE;
}

/* The line has ended. */
static void begin_line(struct content *c, bool after_lf)
{
	if (c->line_empty)
		c->header = false;
	end_veil(c);
	c->at = LINE_START;
	c->matched = 0;
	c->line_empty = true;
	c->after_lf = after_lf;
}

/* Bytes of one line, without its end. */
static void see(struct content *c, const uint8_t *p, size_t len)
{
	if (len == 0)
		return;
	c->line_empty = false;
	watch(c, p, len);
	if (!c->header)
		return;
	inspect(c, p, len);
	if (!c->header_eight)
		c->header_eight = has_high_byte(p, len);
}

/* Within a line: goes to its next CR or to the end of the input. LF is looked for only up to there and only until the
 * first fault, so the work stays linear whatever the peer sends. */
static const uint8_t *scan_line(struct content *c, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *cr = memchr(p, '\r', (size_t)(end - p));
	const uint8_t *stop = cr != NULL ? cr : end;
	size_t run = (size_t)(stop - p);
	if (!c->bare && !(c->how & CONTENT_BINARY) && memchr(p, '\n', run) != NULL)
		c->bare = true;
	see(c, p, run);
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

/* Hands out the text that stands for what was read, if any. */
static enum content_event hand_instead(struct content *c, const uint8_t **slice, size_t *slice_len)
{
	const uint8_t *text = (const uint8_t *)c->instead;
	if (text == NULL)
		return CONTENT_MORE;
	c->instead = NULL;
	return hand_out(c, text, text + strlen((const char *)text), slice, slice_len);
}

/* The same within a line whose bare CR and LF are mended. Goes to the line's end, to what must be replaced (`instead`
 * then is set, and the bytes up to `*keep` are to be handed out before it), or to the end of the input. LF is looked
 * for first, then CR up to there: each byte is looked at twice at the most. */
static const uint8_t *mend_line(struct content *c, const uint8_t *p, const uint8_t *end, const uint8_t **keep)
{
	const uint8_t *lf = memchr(p, '\n', (size_t)(end - p));
	const uint8_t *stop = lf != NULL ? lf : end;
	const uint8_t *cr = memchr(p, '\r', (size_t)(stop - p));
	const uint8_t *text = cr != NULL ? cr : stop;
	see(c, p, (size_t)(text - p));
	*keep = text;
	if (cr != NULL && cr + 1 == end) {
		c->at = CR_HELD;
		return end;
	}
	if (cr != NULL && cr + 1 != lf) {
		c->line_empty = false;
		c->veil = VEIL_NO;
		c->instead = " ";
		return cr + 1;
	}
	if (lf == NULL)
		return end;
	if (cr == NULL)
		c->instead = "\r\n";
	else
		*keep = lf + 1;
	begin_line(c, cr == NULL);
	return lf + 1;
}

/* One step of what only CONTENT_NORMALIZE knows; `p` < end. Returns how far it came; `*keep` is the end of what may be
 * handed out as it is. */
static const uint8_t *mend(struct content *c, const uint8_t *p, const uint8_t *end, const uint8_t **keep)
{
	*keep = p;
	switch (c->at) {
	case CR_HELD:
		if (*p != '\n') {
			c->line_empty = false;
			c->veil = VEIL_NO;
			c->instead = " ";
			c->at = LINE;
			return p;
		}
		c->instead = "\r\n";
		begin_line(c, false);
		return p + 1;
	case DOT: /* ".LF": a line of one dot, and no end */
		c->line_empty = false;
		c->veil = VEIL_NO;
		c->instead = ".";
		c->at = LINE;
		return p;
	case DOT_CR: /* "LF.CRLF" or ".CR" and something else: as above */
		c->line_empty = false;
		if (*p == '\n') {
			c->instead = ".\r\n";
			begin_line(c, false);
			return p + 1;
		}
		c->instead = " ";
		c->at = LINE;
		return p;
	default:
		return mend_line(c, p, end, keep);
	}
}

/* Is this a place at which bare CR and LF are mended? */
static bool wants_mending(const struct content *c, uint8_t next)
{
	if (!(c->how & CONTENT_NORMALIZE))
		return false;
	switch (c->at) {
	case LINE:
	case CR_HELD:
		return true;
	case DOT:
		return next == '\n';
	case DOT_CR:
		return next != '\n' || c->after_lf;
	default:
		return false;
	}
}

enum content_event content_scan(
	struct content *c, const uint8_t *in, size_t len, size_t *used, const uint8_t **slice, size_t *slice_len)
{
	const uint8_t *p = in, *end = in + len, *from = in, *keep;
	*used = 0;
	if (hand_instead(c, slice, slice_len) == CONTENT_SLICE)
		return CONTENT_SLICE;
	while (p < end) {
		if (wants_mending(c, *p)) {
			p = mend(c, p, end, &keep);
			if (c->instead == NULL && c->at != CR_HELD)
				continue;
			*used = (size_t)(p - in);
			if (hand_out(c, from, keep, slice, slice_len) == CONTENT_SLICE)
				return CONTENT_SLICE;
			if (hand_instead(c, slice, slice_len) == CONTENT_SLICE)
				return CONTENT_SLICE;
			return CONTENT_MORE;
		}
		switch (c->at) {
		case LINE_START:
			if (*p != '.' || !(c->how & CONTENT_DOTTED)) {
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
				c->bare |= !(c->how & CONTENT_BINARY);
				c->line_empty = false;
				c->at = LINE;
				break;
			}
			p++;
			begin_line(c, false);
			break;
		default:
			p = scan_line(c, p, end);
			break;
		}
	}
	*used = len;
	return hand_out(c, from, end, slice, slice_len);
}

enum content_event content_finish(struct content *c, const uint8_t **slice, size_t *slice_len)
{
	if (hand_instead(c, slice, slice_len) == CONTENT_SLICE)
		return CONTENT_SLICE;
	if (c->at == CR_HELD) {
		c->instead = " ";
		c->at = LINE;
		return hand_instead(c, slice, slice_len);
	}
	if (c->at == CR)
		c->bare |= !(c->how & CONTENT_BINARY);
	end_veil(c); /* whoever passes it on ends the line */
	return CONTENT_END;
}
