/* queue/mail/reply.c: protocol. */
#include "queue/mail/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

void reply_set(struct reply *r, unsigned code, const char *enhanced, const char *format, ...)
{
	va_list args;
	r->own = true;
	r->code = (uint16_t)code;
	snprintf(r->enhanced, sizeof r->enhanced, "%s", enhanced);
	va_start(args, format);
	int n = vsnprintf(r->text, sizeof r->text, format, args);
	va_end(args);
	if (n >= (int)sizeof r->text)
		memcpy(r->text + sizeof r->text - 4, "...", 4);
	for (char *c = r->text; *c != 0; c++)
		if (*c < 32 || *c > 126)
			*c = '?';
}

bool reply_equal(const struct reply *a, const struct reply *b)
{
	return a == b || (a->code == b->code && a->own == b->own && strcmp(a->enhanced, b->enhanced) == 0 &&
				 strcmp(a->text, b->text) == 0);
}

const char *reply_format(const struct reply *r, char *out, size_t size)
{
	if (r->code == 0)
		snprintf(out, size, "%s", r->text);
	else
		snprintf(out, size, "%03u%s%s%s%s", r->code, r->enhanced[0] ? " " : "", r->enhanced,
			r->text[0] ? " " : "", r->text);
	return out;
}

unsigned reply_class(const struct reply *r)
{
	return r->code / 100;
}

bool reply_is_greylisting(const struct reply *r)
{
	static const char *const words[] = {"greylist", "graylist", "grey-list", "gray-list", "grey list", "gray list",
		"try again in ", "come back in ", "come back later"};
	if (r->code != 450 && r->code != 451)
		return false;
	if (strcmp(r->enhanced, "4.7.1") == 0)
		return true;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcasestr(r->text, words[i]) != NULL)
			return true;
	return false;
}

bool reply_is_too_many(const struct reply *r)
{
	if (r->code == 421 || (reply_class(r) != 4 && r->code != 552))
		return false;
	if (strcmp(r->enhanced, "4.5.3") == 0 || strcmp(r->enhanced, "5.5.3") == 0)
		return true;
	if (r->code != 452 && r->code != 552)
		return false;
	return strcasestr(r->text, "too many recipients") != NULL || strcasestr(r->text, "too many rcpt") != NULL ||
	       (r->code == 452 && r->enhanced[0] == 0 && strcasestr(r->text, "storage") == NULL &&
		       strcasestr(r->text, "space") == NULL);
}

/* Length of an enhanced status code of the reply's class at the beginning of `text` (RFC 3463 §2), or 0. */
static size_t enhanced_length(const char *text, unsigned code)
{
	if (text[0] != (char)('0' + code / 100) || text[0] == '3' || text[1] != '.')
		return 0;
	size_t at = 2;
	for (unsigned part = 0; part < 2; part++) {
		size_t digits = 0;
		while (digits < 4 && is_digit(text[at + digits]))
			digits++;
		if (digits == 0 || digits > 3)
			return 0;
		at += digits;
		if (part == 0 && text[at++] != '.')
			return 0;
	}
	if (text[at] != ' ' && text[at] != 0)
		return 0;
	return at < REPLY_ENHANCED ? at : 0;
}

/* Joins one line's text to what is there: bytes that no terminal should see become '?'. */
static void add_text(struct reply *r, const char *text)
{
	text += strspn(text, " ");
	size_t skip = enhanced_length(text, r->code);
	if (skip != 0 && r->enhanced[0] == 0 && r->text[0] == 0) {
		memcpy(r->enhanced, text, skip);
		r->enhanced[skip] = 0;
	}
	if (skip != 0 && strncmp(r->enhanced, text, skip) == 0 && r->enhanced[skip] == 0)
		text += skip + strspn(text + skip, " ");
	size_t have = strlen(r->text);
	if (*text != 0 && have > 0 && have < REPLY_TEXT_MAX - 1)
		r->text[have++] = ' ';
	for (; *text != 0 && have < REPLY_TEXT_MAX - 1; text++)
		r->text[have++] = *text < 32 || *text > 126 ? '?' : *text;
	r->text[have] = 0;
	if (*text != 0)
		memcpy(r->text + REPLY_TEXT_MAX - 4, "...", 4);
}

void reply_parser_init(struct reply_parser *p, unsigned max_lines, size_t max_bytes)
{
	p->reply = (struct reply){0};
	p->lines_left = max_lines;
	p->bytes_left = max_bytes;
	p->line_length = 0;
	p->line[0] = 0;
	p->started = false;
	p->cut = false;
}

/* A whole line stands in p->line. */
static enum reply_event end_line(struct reply_parser *p)
{
	size_t n = p->line_length < sizeof p->line - 1 ? p->line_length : sizeof p->line - 1;
	if (n == p->line_length && n > 0 && p->line[n - 1] == '\r')
		n--;
	p->line[n] = 0;
	p->cut = p->line_length > sizeof p->line - 1;
	p->line_length = 0;
	if (memchr(p->line, 0, n) != NULL)
		return REPLY_BAD;
	if (n < 3 || p->line[0] < '2' || p->line[0] > '5' || !is_digit(p->line[1]) || !is_digit(p->line[2]))
		return REPLY_BAD;
	if (n > 3 && p->line[3] != ' ' && p->line[3] != '-')
		return REPLY_BAD;
	unsigned code =
		(unsigned)(p->line[0] - '0') * 100 + (unsigned)(p->line[1] - '0') * 10 + (unsigned)(p->line[2] - '0');
	if (p->started && code != p->reply.code)
		return REPLY_BAD;
	bool last = n == 3 || p->line[3] == ' ';
	p->started = true;
	p->reply.code = (uint16_t)code;
	size_t skip = n > 3 ? 4 : 3;
	memmove(p->line, p->line + skip, n - skip + 1);
	add_text(&p->reply, p->line);
	return last ? REPLY_COMPLETE : REPLY_LINE;
}

enum reply_event reply_parser_feed(struct reply_parser *p, const uint8_t *in, size_t len, size_t *used)
{
	const uint8_t *end = memchr(in, '\n', len);
	size_t take = end != NULL ? (size_t)(end - in) + 1 : len;
	*used = take;
	if (take > p->bytes_left || p->lines_left == 0)
		return len == 0 ? REPLY_MORE : REPLY_TOO_LONG;
	p->bytes_left -= take;
	size_t text = end != NULL ? take - 1 : take;
	if (p->line_length < sizeof p->line - 1) {
		size_t room = sizeof p->line - 1 - p->line_length;
		memcpy(p->line + p->line_length, in, text < room ? text : room);
	}
	p->line_length += text;
	if (end == NULL)
		return REPLY_MORE;
	p->lines_left--;
	return end_line(p);
}
