/* queue/oracle/request.c: protocol. */
#include "queue/oracle/request.h"

#include <string.h>

enum { DIGITS_MAX = 7 };

void oracle_request_init(struct oracle_request *r, size_t most)
{
	*r = (struct oracle_request){.map = "", .key = ""};
	buf_init(&r->text, most);
}

void oracle_request_fini(struct oracle_request *r)
{
	buf_fini(&r->text);
}

static enum oracle_event malformed(struct oracle_request *r, const char *why)
{
	r->stage = ORACLE_BROKEN;
	r->why = why;
	return ORACLE_MALFORMED;
}

static void add(struct oracle_request *r, const uint8_t *in, size_t n)
{
	if (!r->skipping && buf_append(&r->text, in, n) != 0)
		r->skipping = true;
}

/* ---- socketmap ---- */

static enum oracle_event take_digit(struct oracle_request *r, uint8_t c)
{
	static const char expected[] = "expected a netstring: LENGTH:NAME KEY,";
	if (c >= '0' && c <= '9') {
		if (r->digits == DIGITS_MAX || (r->digits > 0 && r->length == 0))
			return malformed(r, expected);
		r->length = r->length * 10 + (size_t)(c - '0');
		r->digits++;
		return ORACLE_MORE;
	}
	if (c != ':' || r->digits == 0)
		return malformed(r, expected);
	r->left = r->length;
	r->skipping = r->length > r->text.limit;
	r->stage = r->length > 0 ? ORACLE_BODY : ORACLE_COMMA;
	return ORACLE_MORE;
}

static size_t take_body(struct oracle_request *r, const uint8_t *in, size_t len)
{
	size_t n = len < r->left ? len : r->left;
	add(r, in, n);
	r->left -= n;
	if (r->left == 0)
		r->stage = ORACLE_COMMA;
	return n;
}

static enum oracle_event take_comma(struct oracle_request *r, uint8_t c)
{
	if (c != ',')
		return malformed(r, "expected ',' behind the netstring");
	r->complete = true;
	if (r->skipping)
		return ORACLE_OVERSIZED;
	const char *text = r->text.len > 0 ? (const char *)r->text.data : "";
	const char *blank = memchr(text, ' ', r->text.len);
	if (blank == NULL || blank == text)
		return malformed(r, "expected NAME KEY in the netstring");
	r->map = text;
	r->map_len = (size_t)(blank - text);
	r->key = blank + 1;
	r->key_len = r->text.len - r->map_len - 1;
	return ORACLE_ASKED;
}

/* ---- tcp_table ---- */

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX in place. The new length; SIZE_MAX: what stands there is not encoded. */
static size_t decode(uint8_t *text, size_t len)
{
	size_t to = 0;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = text[i];
		if (c <= ' ' || c == 0x7f)
			return SIZE_MAX;
		if (c == '%') {
			int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;
			if (high < 0 || low < 0)
				return SIZE_MAX;
			c = (uint8_t)(high * 16 + low);
			i += 2;
		}
		text[to++] = c;
	}
	return to;
}

static enum oracle_event end_line(struct oracle_request *r)
{
	static const char verb[] = "get ";
	const size_t verb_len = sizeof verb - 1;
	r->complete = true;
	if (r->skipping)
		return ORACLE_OVERSIZED;
	uint8_t *text = r->text.data;
	size_t len = r->text.len;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (len < verb_len || memcmp(text, verb, verb_len) != 0)
		return malformed(r, "expected: get KEY");
	r->key_len = decode(text + verb_len, len - verb_len);
	if (r->key_len == SIZE_MAX)
		return malformed(r, "expected %XX for '%', blanks and controls in the key");
	r->key = (const char *)text + verb_len;
	return ORACLE_ASKED;
}

static size_t take_line(struct oracle_request *r, const uint8_t *in, size_t len, enum oracle_event *event)
{
	const uint8_t *end = memchr(in, '\n', len);
	size_t n = end != NULL ? (size_t)(end - in) : len;
	add(r, in, n);
	if (end == NULL)
		return n;
	*event = end_line(r);
	return n + 1;
}

/* ---- both ---- */

static void begin(struct oracle_request *r)
{
	r->stage = r->protocol == ORACLE_SOCKETMAP ? ORACLE_LENGTH : ORACLE_LINE;
	r->length = r->left = r->map_len = r->key_len = 0;
	r->digits = 0;
	r->skipping = r->complete = false;
	r->map = r->key = "";
	buf_reset(&r->text);
}

size_t oracle_request_take(struct oracle_request *r, const uint8_t *in, size_t len, enum oracle_event *event)
{
	size_t at = 0;
	*event = r->stage == ORACLE_BROKEN ? ORACLE_MALFORMED : ORACLE_MORE;
	if (r->protocol == ORACLE_UNKNOWN && len > 0) {
		r->protocol = in[0] >= '0' && in[0] <= '9' ? ORACLE_SOCKETMAP : ORACLE_TCP_TABLE;
		begin(r);
	} else if (r->complete && r->stage != ORACLE_BROKEN && len > 0) {
		begin(r);
	}
	while (*event == ORACLE_MORE && at < len) {
		switch (r->stage) {
		case ORACLE_LENGTH:
			*event = take_digit(r, in[at++]);
			break;
		case ORACLE_BODY:
			at += take_body(r, in + at, len - at);
			break;
		case ORACLE_COMMA:
			*event = take_comma(r, in[at++]);
			break;
		case ORACLE_LINE:
			at += take_line(r, in + at, len - at, event);
			break;
		case ORACLE_BROKEN:
			break;
		}
	}
	return at;
}
