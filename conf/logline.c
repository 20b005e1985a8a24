/* conf/logline.c: how a log line looks, the pure part of conf/log.h. Protocol. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/clock.h"
#include "conf/id.h"
#include "conf/log.h"
#include "conf/utf8.h"

/* A line under way: what does not fit sets `full`, and the caller goes back to where the field began. */
struct line {
	char *out;
	size_t size; /* without the room for the line's end */
	size_t len;
	bool full;
	bool json;
};

enum { VALUE_MAX = 1024 };

static void add_bytes(struct line *l, const char *p, size_t n)
{
	if (n > l->size - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->out + l->len, p, n);
	l->len += n;
}

static void add(struct line *l, const char *text)
{
	add_bytes(l, text, strlen(text));
}

static void add_number(struct line *l, int64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRId64, number);
	add(l, text);
}

static void add_seconds(struct line *l, int64_t ms)
{
	char text[32];
	snprintf(text, sizeof text, "%s%" PRIu64 ".%03u", ms < 0 ? "-" : "", (uint64_t)llabs(ms) / 1000,
		(unsigned)((uint64_t)llabs(ms) % 1000));
	add(l, text);
}

/* Characters that would end a line, hide or reorder text on a screen: C0, DEL, C1, line and paragraph separators, and
 * the controls of writing direction. */
static bool is_hidden(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

/* How much of `n` bytes is shown: all, or up to the character that ends before VALUE_MAX. */
static size_t shown_length(const uint8_t *p, size_t n)
{
	if (n <= VALUE_MAX)
		return n;
	n = VALUE_MAX;
	while (n > VALUE_MAX - 3 && (p[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* Is a text value ambiguous without quotes? */
static bool needs_quotes(const uint8_t *p, size_t n)
{
	for (size_t i = 0, step; i < n; i += step) {
		uint32_t code;
		step = utf8_read(p + i, n - i, &code);
		if (step == 0 || is_hidden(code) || strchr(" \"\\=", (int)code) != NULL)
			return true;
	}
	return n == 0;
}

static void add_character(struct line *l, const uint8_t *p, size_t n, uint32_t code)
{
	char escape[16];
	static const char named[][3] = {
		['\t'] = "\\t", ['\n'] = "\\n", ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\"};
	if (code < sizeof named / sizeof named[0] && named[code][0] != '\0')
		add(l, named[code]);
	else if (!is_hidden(code))
		add_bytes(l, (const char *)p, n);
	else if (l->json || code > 0xff) {
		snprintf(escape, sizeof escape, "\\u%04x", (unsigned)code);
		add(l, escape);
	} else {
		snprintf(escape, sizeof escape, "\\x%02x", (unsigned)code);
		add(l, escape);
	}
}

/* The inside of a quoted value. A byte that is no UTF-8 becomes \xHH (in JSON with a backslash of its own). */
static void add_escaped(struct line *l, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && !l->full;) {
		uint32_t code;
		size_t step = utf8_read(p + i, n - i, &code);
		if (step > 0) {
			add_character(l, p + i, step, code);
			i += step;
		} else {
			char escape[8];
			snprintf(escape, sizeof escape, "%s\\x%02x", l->json ? "\\" : "", p[i]);
			add(l, escape);
			i++;
		}
	}
}

static void add_value(struct line *l, const char *before, const void *text, size_t len, const char *after)
{
	const uint8_t *p = text;
	size_t n = shown_length(p, len);
	bool quotes = l->json || (needs_quotes(p, n) && (n > 0 || *before == '\0'));
	add(l, quotes ? "\"" : "");
	add(l, before);
	add_escaped(l, p, n);
	add(l, n < len ? "…" : "");
	add(l, after);
	add(l, quotes ? "\"" : "");
}

static void add_plain(struct line *l, const char *text)
{
	add_value(l, "", text, strlen(text), "");
}

static void add_field_value(struct line *l, const struct log_field *f)
{
	char text[ENDPOINT_TEXT]; /* the longest of them */
	switch (f->kind) {
	case LOG_STR:
		add_plain(l, f->text);
		break;
	case LOG_BYTES:
		add_value(l, "", f->text, f->len, "");
		break;
	case LOG_ADDRESS:
		add_value(l, l->json ? "" : "<", f->text, strlen(f->text), l->json ? "" : ">");
		break;
	case LOG_NUM:
		add_number(l, f->number);
		break;
	case LOG_ID:
		add_plain(l, id_format((uint64_t)f->number, text));
		break;
	case LOG_MS:
		if (l->json)
			add_number(l, f->number);
		else
			add_seconds(l, f->number);
		break;
	case LOG_IP:
		add_plain(l, ip_format(f->text, text));
		break;
	case LOG_ENDPOINT:
		add_plain(l, endpoint_format(f->text, text));
		break;
	case LOG_FAMILY:
		add_plain(l, f->number == FAMILY_IPV4 ? "ipv4" : f->number == FAMILY_IPV6 ? "ipv6" : "none");
		break;
	}
}

static bool left_out(const struct log_field *f)
{
	bool by_number = f->kind == LOG_NUM || f->kind == LOG_ID || f->kind == LOG_MS || f->kind == LOG_FAMILY;
	return !by_number && f->text == NULL && !(f->kind == LOG_BYTES && f->len == 0);
}

static void add_fields(struct line *l, const struct log_field *fields)
{
	for (const struct log_field *f = fields; f->name != NULL; f++) {
		if (left_out(f))
			continue;
		size_t before = l->len;
		add(l, l->json ? ",\"" : " ");
		add(l, f->name);
		add(l, l->json ? "\":" : "=");
		add_field_value(l, f);
		if (l->full) {
			l->len = before;
			return;
		}
	}
}

size_t log_format_line(char *out, size_t size, enum log_format format, uint64_t wall_ms, enum log_level level,
	const char *event, const struct log_field *fields)
{
	static const char *const levels[] = {"error", "warning", "info", "debug"};
	char stamp[CLOCK_STAMP];
	bool json = format == LOG_FORMAT_JSON;
	/* the end of a line that was cut is the longest; room for it is kept back */
	const char *cut = json ? ",\"cut\":true}\n" : " cut\n", *whole = json ? "}\n" : "\n";
	if (size <= strlen(cut)) {
		memcpy(out, "\n", size > 0 ? 1 : 0);
		return size > 0 ? 1 : 0;
	}
	struct line l = {.out = out, .size = size - strlen(cut), .json = json};
	clock_stamp(wall_ms, stamp);
	add(&l, json ? "{\"time\":\"" : "");
	add(&l, stamp);
	add(&l, json ? "\",\"level\":\"" : " ");
	add(&l, levels[level]);
	add(&l, json ? "\",\"event\":\"" : " ");
	add(&l, event);
	add(&l, json ? "\"" : "");
	if (l.full) { /* not even that: no JSON object can begin */
		memcpy(out, "\n", 1);
		return 1;
	}
	add_fields(&l, fields);
	bool was_cut = l.full;
	l.full = false;
	l.size = size;
	add(&l, was_cut ? cut : whole);
	return l.len;
}
