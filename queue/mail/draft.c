/* queue/mail/draft.c: protocol. */
#include "queue/mail/draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/utf8.h"

enum { COLUMNS = 76 };

void draft_init(struct draft *d, size_t limit, bool utf8)
{
	*d = (struct draft){.utf8 = utf8};
	buf_init(&d->text, limit);
}

void draft_fini(struct draft *d)
{
	buf_fini(&d->text);
}

void draft_put(struct draft *d, const char *format, ...)
{
	if (d->err != 0)
		return;
	va_list args;
	va_start(args, format);
	d->err = buf_vprintf(&d->text, format, args);
	va_end(args);
}

void draft_bytes(struct draft *d, const void *bytes, size_t n)
{
	if (d->err == 0)
		d->err = buf_append(&d->text, bytes, n);
}

/* May the character stand in a text for people: none that ends a line or turns its direction. */
static bool is_plain(uint32_t code)
{
	return code >= 0xa0 && code != 0x2028 && code != 0x2029 && (code < 0x200e || code > 0x200f) &&
	       (code < 0x202a || code > 0x202e) && (code < 0x2066 || code > 0x2069) && code != 0xfeff;
}

const char *draft_clean(const struct draft *d, char out[DRAFT_CLEAN], const char *text)
{
	size_t n = 0, left = strlen(text);
	for (const uint8_t *at = (const uint8_t *)text; left > 0 && n + 5 < DRAFT_CLEAN;) {
		uint32_t code = 0;
		size_t used = *at < 0x80 ? 1 : d->utf8 ? utf8_read(at, left, &code) : 0;
		if (*at >= 0x80 && used > 0 && is_plain(code)) {
			memcpy(out + n, at, used);
			n += used;
		} else {
			used = 1;
			if (*at >= 0x20 && *at < 0x7f)
				out[n++] = (char)*at;
			else if (*at == '\t' || *at == '\r' || *at == '\n')
				out[n++] = ' ';
			else
				n += (size_t)snprintf(out + n, DRAFT_CLEAN - n, "\\x%02x", *at);
		}
		at += used;
		left -= used;
	}
	out[n] = '\0';
	return out;
}

void draft_wrapped(struct draft *d, const char *lead, const char *indent, const char *text)
{
	char cleaned[DRAFT_CLEAN];
	const char *at = draft_clean(d, cleaned, text);
	draft_put(d, "%s", lead);
	size_t column = strlen(lead), margin = strlen(indent);
	bool fresh = true; /* nothing of the text on this line yet */
	for (;;) {
		at += strspn(at, " ");
		size_t n = strcspn(at, " ");
		if (n == 0)
			break;
		if (n > DRAFT_LINE - COLUMNS) {
			n = DRAFT_LINE - COLUMNS;
			while ((at[n] & 0xc0) == 0x80) /* not inside a character */
				n--;
		}
		if (column + 1 + n > COLUMNS && !(fresh && column <= margin)) {
			draft_put(d, "\r\n%s", indent);
			column = margin;
			fresh = true;
		}
		if (!fresh) {
			draft_put(d, " ");
			column++;
		}
		draft_bytes(d, at, n);
		column += n;
		at += n;
		fresh = false;
	}
	draft_put(d, "\r\n");
}

void draft_address(struct draft *d, const char *lead, const char *address)
{
	char cleaned[DRAFT_CLEAN];
	draft_clean(d, cleaned, address);
	if (strlen(lead) + strlen(cleaned) <= DRAFT_LINE)
		draft_put(d, "%s%s\r\n", lead, cleaned);
	else
		draft_wrapped(d, lead, " ", address);
}

void draft_quoted(struct draft *d, const uint8_t *p, size_t n)
{
	char line[COLUMNS + 8];
	size_t have = 0;
	for (size_t i = 0; i < n && d->err == 0; i++) {
		if (p[i] == '\n' || (p[i] == '\r' && i + 1 < n && p[i + 1] == '\n')) {
			i += p[i] == '\r';
			draft_bytes(d, line, have);
			draft_put(d, "\r\n");
			have = 0;
			continue;
		}
		bool ends = i + 1 == n || p[i + 1] == '\n' || p[i + 1] == '\r';
		bool raw = (p[i] > ' ' && p[i] <= '~' && p[i] != '=') || ((p[i] == ' ' || p[i] == '\t') && !ends);
		if (have + (raw ? 1 : 3) > COLUMNS - 1) {
			draft_bytes(d, line, have);
			draft_put(d, "=\r\n");
			have = 0;
		}
		if (raw)
			line[have++] = (char)p[i];
		else
			have += (size_t)snprintf(line + have, sizeof line - have, "=%02X", p[i]);
	}
	if (have > 0) {
		draft_bytes(d, line, have);
		draft_put(d, "\r\n");
	}
}

bool draft_is_8bit(const struct draft *d)
{
	for (size_t i = 0; i < d->text.len; i++)
		if (d->text.data[i] > 127)
			return true;
	return false;
}
