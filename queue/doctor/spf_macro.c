/* queue/doctor/spf_macro.c: protocol. */
#include "queue/doctor/spf_macro.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/doctor/names.h"

enum { EXPANDED_MAX = 4096, VALUE_MAX = 512, PARTS_MAX = 128 };

static const char delimiters[] = ".-+,/_=";

struct macro {
	char letter;   /* lower case */
	bool escaped;  /* it was a capital: in URL form */
	unsigned keep; /* parts from the right; 0: all */
	bool reversed;
	char splits[sizeof delimiters];
	size_t length;
};

/* "%{" letter digits "r" delimiters "}" */
static bool read_macro(const char *text, struct macro *m)
{
	size_t at = 3, split = 0;
	*m = (struct macro){0};
	if (text[1] != '{' || text[2] == '\0' || strchr("slodiphcrtvSLODIPHCRTV", text[2]) == NULL)
		return false;
	m->letter = (char)tolower((unsigned char)text[2]);
	m->escaped = isupper((unsigned char)text[2]) != 0;
	bool counted = isdigit((unsigned char)text[at]) != 0;
	for (; isdigit((unsigned char)text[at]); at++)
		m->keep = m->keep < PARTS_MAX ? m->keep * 10 + (unsigned)(text[at] - '0') : m->keep;
	if (counted && m->keep == 0)
		return false;
	m->reversed = text[at] == 'r' || text[at] == 'R';
	at += m->reversed;
	for (; text[at] != '\0' && strchr(delimiters, text[at]) != NULL; at++)
		if (strchr(m->splits, text[at]) == NULL)
			m->splits[split++] = text[at];
	if (split == 0)
		m->splits[0] = '.';
	m->length = at + 1;
	return text[at] == '}';
}

size_t spf_macro_length(const char *text, char *letter)
{
	struct macro m;
	*letter = '\0';
	if (text[1] == '%' || text[1] == '_' || text[1] == '-')
		return 2;
	if (!read_macro(text, &m))
		return 0;
	*letter = m.letter;
	return m.length;
}

bool spf_macro_uses(const char *text, char letter)
{
	char found;
	for (const char *at = text; (at = strchr(at, '%')) != NULL; at += spf_macro_length(at, &found))
		if (spf_macro_length(at, &found) == 0 || found == letter)
			return found == letter;
	return false;
}

/* "192.0.2.3", or the 32 digits of an IPv6 address with dots between them. */
static void write_address(const struct ip *ip, char out[VALUE_MAX])
{
	size_t at = 0;
	if (ip->family == FAMILY_IPV4) {
		ip_format(ip, out);
		return;
	}
	for (unsigned i = 0; i < 16; i++)
		at += (size_t)snprintf(
			out + at, VALUE_MAX - at, "%s%x.%x", i ? "." : "", ip->bytes[i] >> 4, ip->bytes[i] & 15u);
}

static bool read_value(const struct spf_macros *m, char letter, char out[VALUE_MAX])
{
	const char *text = letter == 'o'   ? m->sender
			   : letter == 'd' ? m->domain
			   : letter == 'h' ? m->helo
			   : letter == 'p' ? m->validated
			   : letter == 'v' ? (m->ip->family == FAMILY_IPV4 ? "in-addr" : "ip6")
					   : m->local;
	if (letter == 'i')
		write_address(m->ip, out);
	else if (letter == 's' && text != NULL && m->sender != NULL)
		snprintf(out, VALUE_MAX, "%s@%s", text, m->sender);
	else if (letter != 's' && text != NULL)
		snprintf(out, VALUE_MAX, "%s", text);
	else
		return false;
	return true;
}

struct text {
	char bytes[EXPANDED_MAX];
	size_t len;
	bool full;
};

static void add(struct text *t, const char *bytes, size_t n, bool escaped)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];
		bool plain = !escaped || isalnum(c) || strchr("-._~", c) != NULL;
		if (t->len + 4 > sizeof t->bytes)
			t->full = true;
		else if (plain)
			t->bytes[t->len++] = (char)tolower(c);
		else
			t->len += (size_t)snprintf(t->bytes + t->len, 4, "%%%02x", c);
	}
}

/* The parts of the value, turned round and cut as the macro says, with dots between them. */
static void add_value(struct text *t, const struct macro *m, const char *value)
{
	struct {
		const char *at;
		size_t n;
	} parts[PARTS_MAX];
	size_t count = 0;
	for (const char *at = value; count < PARTS_MAX; at++) {
		size_t n = strcspn(at, m->splits);
		parts[count].at = at;
		parts[count++].n = n;
		at += n;
		if (*at == '\0')
			break;
	}
	t->full = t->full || count == PARTS_MAX;
	size_t first = m->keep != 0 && m->keep < count ? count - m->keep : 0;
	for (size_t i = first; i < count; i++) {
		size_t k = m->reversed ? count - 1 - i : i;
		if (i != first)
			add(t, ".", 1, false);
		add(t, parts[k].at, parts[k].n, m->escaped);
	}
}

static void add_macro(struct text *t, const char *at, const char *value)
{
	struct macro m;
	if (at[1] == '%')
		add(t, "%", 1, false);
	else if (at[1] == '_')
		add(t, " ", 1, false);
	else if (at[1] == '-')
		add(t, "%20", 3, false);
	else if (read_macro(at, &m))
		add_value(t, &m, value);
}

int spf_macro_expand(char out[DNS_NAME_MAX], const char *text, const struct spf_macros *m, char *letter)
{
	struct text t = {.len = 0};
	char value[VALUE_MAX] = "";
	size_t n;
	for (const char *at = text; *at != '\0'; at += n) {
		n = strcspn(at, "%");
		if (n != 0) {
			add(&t, at, n, false);
			continue;
		}
		n = spf_macro_length(at, letter);
		if (n == 0 || (*letter != '\0' && !read_value(m, *letter, value)))
			return -ENODATA;
		add_macro(&t, at, value);
	}
	if (t.len != 0 && t.bytes[t.len - 1] == '.')
		t.len--;
	t.bytes[t.len] = '\0';
	const char *from = t.bytes;
	while (from != NULL && strlen(from) >= DNS_NAME_MAX)
		from = (from = strchr(from, '.')) != NULL ? from + 1 : NULL;
	if (t.full || from == NULL)
		return -E2BIG;
	memcpy(out, from, strlen(from) + 1); /* shorter than DNS_NAME_MAX, as was just seen to */
	return 0;
}
