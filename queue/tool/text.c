/* queue/tool/text.c: protocol. */
#include "queue/tool/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "conf/utf8.h"

int text_clean(struct buf *out, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	int err = 0;
	for (size_t i = 0; i < n && err == 0;) {
		uint32_t code;
		size_t length = utf8_read(p + i, n - i, &code);
		if (length == 0 || code < 0x20 || code == 0x7f) {
			err = buf_printf(out, "\\x%02x", p[i]);
			length = 1;
		} else if (code < 0x7f || wcwidth((wchar_t)code) > 0) {
			err = buf_append(out, p + i, length);
		} else {
			err = buf_printf(out, "\\u%04x", code);
		}
		i += length;
	}
	return err;
}

static int clean_string(json_t *v)
{
	struct buf out;
	buf_init(&out, json_string_length(v) * 6 + 1);
	int err = text_clean(&out, json_string_value(v), json_string_length(v));
	if (err == 0 && out.len != 0)
		err = json_string_setn(v, (char *)out.data, out.len) == 0 ? 0 : -ENOMEM;
	buf_fini(&out);
	return err;
}

int text_clean_json(json_t *v)
{
	int err = 0;
	if (json_is_string(v))
		return clean_string(v);
	size_t i;
	json_t *item;
	json_array_foreach(v, i, item)
	{
		if (err == 0)
			err = text_clean_json(item);
	}
	const char *name;
	json_object_foreach(v, name, item)
	{
		if (err == 0)
			err = text_clean_json(item);
	}
	return err;
}

/* One character of cleaned text: its columns, and in `length` its bytes. */
static size_t character(const char *s, size_t *length)
{
	uint32_t code;
	*length = utf8_read((const uint8_t *)s, strlen(s) < 4 ? strlen(s) : 4, &code);
	if (*length == 0) {
		*length = 1;
		return 1;
	}
	int width = code < 0x7f ? 1 : wcwidth((wchar_t)code);
	return width > 0 ? (size_t)width : 1;
}

size_t text_columns(const char *s)
{
	size_t columns = 0, length;
	for (; *s != '\0'; s += length)
		columns += character(s, &length);
	return columns;
}

static int blanks(struct buf *out, size_t n)
{
	return buf_printf(out, "%*s", (int)n, "");
}

int text_fit(struct buf *out, const char *s, size_t columns, int pad)
{
	size_t all = text_columns(s);
	int err = 0;
	if (all <= columns) {
		if (pad < 0)
			err = blanks(out, columns - all);
		if (err == 0)
			err = buf_append_str(out, s);
		if (pad > 0 && err == 0)
			err = blanks(out, columns - all);
		return err;
	}
	size_t most = columns > 3 ? columns - 3 : columns, at = 0, length, width;
	for (; *s != '\0' && err == 0; s += length, at += width) {
		width = character(s, &length);
		if (at + width > most)
			break;
		err = buf_append(out, s, length);
	}
	for (; at < columns && err == 0; at++)
		err = buf_append_str(out, at < most ? " " : ".");
	return err;
}

const char *text_size(uint64_t bytes, char out[TEXT_SIZE])
{
	static const char units[] = "KMGT";
	if (bytes < 1024) {
		snprintf(out, TEXT_SIZE, "%u", (unsigned)bytes);
		return out;
	}
	unsigned unit = 0;
	uint64_t tenths = bytes * 10 / 1024; /* no size comes near 2^60 */
	for (; tenths >= 10240 && unit + 2 < sizeof units; unit++)
		tenths /= 1024;
	if (tenths < 100)
		snprintf(out, TEXT_SIZE, "%u.%u%c", (unsigned)(tenths / 10), (unsigned)(tenths % 10), units[unit]);
	else
		snprintf(out, TEXT_SIZE, "%u%c", (unsigned)(tenths / 10), units[unit]);
	return out;
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int text_base64(struct buf *out, const char *s, size_t n)
{
	while (n != 0 && s[n - 1] == '=')
		n--;
	uint8_t *to = buf_room(out, n / 4 * 3 + 3);
	if (to == NULL)
		return -E2BIG;
	uint32_t bits = 0;
	unsigned held = 0;
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		int d = digit(s[i]);
		if (d < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)d;
		held += 6;
		if (held >= 8) {
			held -= 8;
			to[at++] = (uint8_t)(bits >> held);
		}
	}
	buf_grow(out, at);
	return 0;
}
