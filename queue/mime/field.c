/* queue/mime/field.c: protocol. */
#include "queue/mime/field.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is left to read of a field's body. */
struct scan {
	const uint8_t *at, *end;
};

struct mime_field mime_field_at(const uint8_t *p, size_t n)
{
	struct mime_field f = {.at = p};
	do {
		const uint8_t *lf = memchr(p + f.len, '\n', n - f.len);
		f.len = lf != NULL ? (size_t)(lf + 1 - p) : n;
	} while (f.len < n && (p[f.len] == ' ' || p[f.len] == '\t'));
	const uint8_t *colon = memchr(p, ':', f.len);
	if (colon == NULL)
		return f;
	f.name = (size_t)(colon - p);
	while (f.name > 0 && (p[f.name - 1] == ' ' || p[f.name - 1] == '\t'))
		f.name--;
	for (size_t i = 0; i < f.name; i++)
		if (p[i] <= ' ' || p[i] > '~')
			f.name = 0;
	return f;
}

bool mime_field_is(const struct mime_field *f, const char *name)
{
	return strlen(name) == f->name && strncasecmp((const char *)f->at, name, f->name) == 0;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Blanks, folds and comments, which may hold comments and quoted pairs. */
static void skip_blanks(struct scan *s)
{
	unsigned depth = 0;
	for (; s->at < s->end && (depth > 0 || is_blank(*s->at) || *s->at == '('); s->at++) {
		if (*s->at == '(')
			depth++;
		else if (*s->at == ')')
			depth--;
		else if (*s->at == '\\' && depth > 0 && s->at + 1 < s->end)
			s->at++;
	}
}

static bool take(struct scan *s, uint8_t c)
{
	skip_blanks(s);
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	skip_blanks(s);
	return true;
}

/* RFC 2045 §5.1 */
static bool is_token(uint8_t c)
{
	return c > ' ' && c < 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* A token as text in lower case; false if there is none, or it is too long. */
static bool read_token(struct scan *s, char *out, size_t size)
{
	size_t n = 0;
	skip_blanks(s);
	for (; s->at < s->end && is_token(*s->at); s->at++, n++)
		if (n + 1 < size)
			out[n] = (char)(*s->at >= 'A' && *s->at <= 'Z' ? *s->at - 'A' + 'a' : *s->at);
	bool fits = n > 0 && n < size;
	out[fits ? n : 0] = '\0';
	return fits;
}

/* A token or a quoted string, as it is. */
static bool read_value(struct scan *s, char *out, size_t size)
{
	size_t n = 0;
	skip_blanks(s);
	bool quoted = s->at < s->end && *s->at == '"';
	s->at += quoted;
	for (; s->at < s->end && (quoted ? *s->at != '"' : is_token(*s->at)); s->at++) {
		if (quoted && *s->at == '\\' && s->at + 1 < s->end)
			s->at++;
		if (*s->at == '\r' || *s->at == '\n')
			continue;
		if (n + 1 < size)
			out[n] = (char)*s->at;
		n++;
	}
	bool fits = n > 0 && n < size && (!quoted || s->at < s->end);
	s->at += quoted && s->at < s->end;
	out[fits ? n : 0] = '\0';
	return fits;
}

/* RFC 2046 §5.1.1: bchars, the last one no blank */
static bool is_boundary(const char *text)
{
	static const char allowed[] = "'()+_,-./:=? ";
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		/* other printable characters are not allowed there, and widespread */
		if (!plain && strchr(allowed, c) == NULL && (c < '!' || c > '~'))
			return false;
	}
	return n > 0 && text[n - 1] != ' ';
}

static void read_type(struct mime_fields *out, struct scan s)
{
	char name[MIME_WORD_MAX] = "", value[MIME_BOUNDARY_MAX + 1] = "";
	char main[MIME_WORD_MAX] = "", sub[MIME_WORD_MAX] = "";
	out->type = true;
	if (!read_token(&s, main, sizeof main) || !take(&s, '/') || !read_token(&s, sub, sizeof sub))
		return; /* RFC 2045 §5.2: as if it were text/plain */
	memcpy(out->main, main, sizeof main);
	memcpy(out->sub, sub, sizeof sub);
	while (take(&s, ';')) {
		if (!read_token(&s, name, sizeof name))
			continue;
		if (!take(&s, '='))
			return;
		bool fits = read_value(&s, value, sizeof value);
		skip_blanks(&s);
		/* an unquoted value that goes on with what no token has was meant otherwise */
		fits = fits && (s.at == s.end || *s.at == ';');
		if (strcmp(name, "boundary") == 0 && out->boundary[0] == '\0' && fits && is_boundary(value))
			memcpy(out->boundary, value, sizeof value);
		skip_blanks(&s);
	}
}

static void read_encoding(struct mime_fields *out, struct scan s)
{
	static const struct {
		const char *word;
		enum mime_encoding encoding;
	} words[] = {{"7bit", MIME_7BIT}, {"8bit", MIME_8BIT}, {"binary", MIME_BINARY},
		{"quoted-printable", MIME_ENCODED}, {"base64", MIME_ENCODED}};
	char word[MIME_WORD_MAX];
	out->encoding = MIME_UNKNOWN;
	if (!read_token(&s, word, sizeof word))
		return;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i].word, word) == 0)
			out->encoding = words[i].encoding;
}

void mime_fields_read(struct mime_fields *out, const uint8_t *header, size_t len)
{
	*out = (struct mime_fields){.main = "text", .sub = "plain"};
	while (len > 0) {
		struct mime_field f = mime_field_at(header, len);
		const uint8_t *colon = f.name > 0 ? memchr(f.at, ':', f.len) : NULL;
		struct scan body = {colon ? colon + 1 : f.at + f.len, f.at + f.len};
		if (mime_field_is(&f, "Content-Type") && !out->type)
			read_type(out, body);
		else if (mime_field_is(&f, "Content-Transfer-Encoding") && out->encoding == MIME_UNLABELLED)
			read_encoding(out, body);
		else if (mime_field_is(&f, "MIME-Version"))
			out->version = true;
		else if (mime_field_is(&f, "DKIM-Signature"))
			out->dkim = true;
		header += f.len;
		len -= f.len;
	}
}
