/* queue/mail/xtext.c: protocol. */
#include "queue/mail/xtext.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/utf8.h"

/* ---- decoding ---- */

/* RFC 3461 writes upper case; lower case is read as well. */
static int hex_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;
	return at != NULL ? (int)(at - digits) : -1;
}

int xtext_decode(char *out, size_t size, const char *text)
{
	size_t n = 0;
	for (const char *at = text; *at != '\0'; at++) {
		char c = *at;
		if (c < '!' || c > '~' || c == '=')
			return -EINVAL;
		if (c == '+') {
			int high = hex_of(at[1]), low = high < 0 ? -1 : hex_of(at[2]);
			if (low < 0)
				return -EINVAL;
			c = (char)(high << 4 | low);
			at += 2;
		}
		if (n + 1 >= size)
			return -E2BIG;
		out[n++] = c != '\0' ? c : '?';
	}
	if (size == 0)
		return -E2BIG;
	out[n] = '\0';
	return 0;
}

/* "x{3B4}" behind a backslash; its length, or 0. */
static size_t embedded(const char *at, uint32_t *code)
{
	size_t n = 2;
	if (at[0] != 'x' || at[1] != '{')
		return 0;
	*code = 0;
	for (; hex_of(at[n]) >= 0; n++) {
		if (n >= 8)
			return 0;
		*code = *code << 4 | (uint32_t)hex_of(at[n]);
	}
	return n > 2 && at[n] == '}' && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff) ? n + 1 : 0;
}

static size_t put_code(char *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = code != 0 ? (char)code : '?';
		return 1;
	}
	size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = length; i-- > 1; code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)((length == 2 ? 0xc0 : length == 3 ? 0xe0 : 0xf0) | code);
	return length;
}

/* No mailbox bears one, and terminals obey them. */
static bool is_control(uint32_t code)
{
	return code < ' ' || (code >= 0x7f && code < 0xa0);
}

static int unitext_decode(char *out, size_t size, const char *text, bool strict)
{
	size_t n = 0, left = strlen(text);
	while (left > 0) {
		uint32_t code;
		size_t used = utf8_read((const uint8_t *)text, left, &code);
		if (used == 0 || code <= ' ' || code == 0x7f || (strict && (code == '+' || code == '=')))
			return -EINVAL;
		if (code == '\\') {
			size_t more = embedded(text + 1, &code);
			if (more == 0)
				return -EINVAL;
			used += more;
		}
		if (strict && is_control(code))
			return -EINVAL;
		if (n + 5 > size)
			return -E2BIG;
		n += put_code(out + n, code);
		text += used;
		left -= used;
	}
	if (n >= size)
		return -E2BIG;
	out[n] = '\0';
	return 0;
}

static int decode(char type[ORCPT_TYPE], char *address, size_t size, const char *orcpt, bool strict)
{
	size_t n = strcspn(orcpt, ";");
	if (n == 0 || n >= ORCPT_TYPE || orcpt[n] != ';')
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		/* an atom of RFC 5322 */
		if (orcpt[i] <= ' ' || orcpt[i] >= 0x7f || strchr("()<>@,;:\\\".[]", orcpt[i]) != NULL)
			return -EINVAL;
		type[i] = (char)tolower((unsigned char)orcpt[i]);
	}
	type[n] = '\0';
	const char *value = orcpt + n + 1;
	return strcmp(type, "utf-8") == 0 ? unitext_decode(address, size, value, strict)
					  : xtext_decode(address, size, value);
}

int orcpt_decode(char type[ORCPT_TYPE], char *address, size_t size, const char *orcpt)
{
	return decode(type, address, size, orcpt, false);
}

int orcpt_read(char type[ORCPT_TYPE], char *address, size_t size, const char *orcpt)
{
	return decode(type, address, size, orcpt, true);
}

/* ---- encoding ---- */

struct form {
	const char *special; /* stands encoded, as blanks and controls do; NULL: it is encoded already */
	bool characters;     /* of UTF-8, as "\x{3B4}"; else bytes, as "+CE" */
	bool raw;	     /* what is over 127 may stand */
	bool lenient;	     /* what is no UTF-8 stands as '?' */
};

static bool may_stand(const struct form *form, uint32_t code)
{
	if (code > 0x7f)
		return form->raw;
	return code > ' ' && code < 0x7f && (form->special == NULL || strchr(form->special, (int)code) == NULL);
}

static int encode(const struct form *form, char *out, size_t size, const char *text)
{
	size_t n = 0, left = strlen(text);
	while (left > 0) {
		uint32_t code = (uint8_t)*text;
		size_t used = form->characters ? utf8_read((const uint8_t *)text, left, &code) : 1;
		bool stands = used > 0 && may_stand(form, code);
		if ((used == 0 && !form->lenient) || (!stands && code <= 0x7f && form->special == NULL))
			return -EINVAL;
		int wrote;
		if (used == 0)
			wrote = snprintf(out + n, size - n, "?");
		else if (stands)
			wrote = snprintf(out + n, size - n, "%.*s", (int)used, text);
		else
			wrote = snprintf(out + n, size - n, form->characters ? "\\x{%02X}" : "+%02X", (unsigned)code);
		n += (size_t)wrote;
		if (n >= size)
			return -E2BIG;
		text += used ? used : 1;
		left -= used ? used : 1;
	}
	if (size == 0)
		return -E2BIG;
	out[n] = '\0';
	return 0;
}

int xtext_encode(char *out, size_t size, const char *text)
{
	return encode(&(struct form){.special = "+="}, out, size, text);
}

int utf8_address_encode(char *out, size_t size, const char *address)
{
	return encode(&(struct form){.special = "+=\\", .characters = true, .lenient = true}, out, size, address);
}

int orcpt_encode(char *out, size_t size, const char *address, bool utf8)
{
	bool ascii = text_is_ascii(address);
	int n = snprintf(out, size, "%s;", ascii ? "rfc822" : "utf-8");
	if ((size_t)n >= size)
		return -E2BIG;
	if (ascii)
		return xtext_encode(out + n, size - (size_t)n, address);
	const struct form form = {.special = "+=\\", .characters = true, .raw = utf8};
	return encode(&form, out + n, size - (size_t)n, address);
}

int xtext_pass(char *out, size_t size, const char *text, bool utf8)
{
	return encode(&(struct form){.characters = true, .raw = utf8}, out, size, text);
}

bool text_is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text & 0x80)
			return false;
	return true;
}
