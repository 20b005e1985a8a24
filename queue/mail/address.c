/* queue/mail/address.c: protocol. */
#include "queue/mail/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/utf8.h"
#include "queue/mail/idn.h"

/* What is left to read. */
struct scan {
	const uint8_t *at, *end;
	bool utf8;
};

static bool is_letter_or_digit(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 5322 §3.2.3 */
static bool is_atext(uint8_t c)
{
	return is_letter_or_digit(c) || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static char lower(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool take(struct scan *s, uint8_t c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

/* One character of UTF-8 past ASCII (RFC 6531 §3.3), but for the controls up to U+009F: no mailbox bears one, and
 * terminals obey them. */
static bool skip_utf8(struct scan *s)
{
	uint32_t code;
	size_t left = (size_t)(s->end - s->at),
	       n = s->utf8 && left > 0 && *s->at > 127 ? utf8_read(s->at, left, &code) : 0;
	if (n == 0 || code < 0xa0)
		return false;
	s->at += n;
	return true;
}

static bool skip_atom_character(struct scan *s)
{
	if (s->at == s->end || !is_atext(*s->at))
		return skip_utf8(s);
	s->at++;
	return true;
}

/* Dot-string: atoms with single dots between them. */
static bool skip_dot_string(struct scan *s)
{
	do {
		const uint8_t *atom = s->at;
		while (skip_atom_character(s))
			;
		if (s->at == atom)
			return false;
	} while (take(s, '.'));
	return true;
}

/* Quoted-string; the opening quote stands at s->at. */
static bool skip_quoted(struct scan *s)
{
	s->at++;
	while (s->at < s->end) {
		if (skip_utf8(s))
			continue;
		uint8_t c = *s->at++;
		if (c < ' ' || c > '~')
			return false;
		if (c == '"')
			return true;
		if (c == '\\' && (s->at == s->end || *s->at < ' ' || *s->at > '~'))
			return false;
		if (c == '\\')
			s->at++;
	}
	return false;
}

static enum address_result check_domain(const uint8_t *p, size_t len)
{
	if (len > DOMAIN_MAX)
		return ADDRESS_TOO_LONG;
	size_t label = 0;
	for (size_t i = 0; i <= len; i++) {
		if (i == len || p[i] == '.') {
			if (label == 0 || p[i - 1] == '-')
				return ADDRESS_SYNTAX;
			if (label > DOMAIN_LABEL_MAX)
				return ADDRESS_TOO_LONG;
			label = 0;
		} else if (is_letter_or_digit(p[i]) || p[i] == '_' || (p[i] == '-' && label > 0)) {
			label++;
		} else {
			return ADDRESS_SYNTAX;
		}
	}
	return ADDRESS_OK;
}

bool domain_is_valid(const char *text, size_t len)
{
	return check_domain((const uint8_t *)text, len) == ADDRESS_OK;
}

int literal_read(struct ip *out, const char *text, size_t len)
{
	static const char tag[] = "IPv6:";
	const size_t tag_len = sizeof tag - 1;
	char inner[LITERAL_TEXT];
	if (len < 2 || text[0] != '[' || text[len - 1] != ']' || len - 2 >= sizeof inner)
		return -EINVAL;
	memcpy(inner, text + 1, len - 2);
	inner[len - 2] = '\0';
	bool tagged = strncasecmp(inner, tag, tag_len) == 0;
	const char *address = tagged ? inner + tag_len : inner;
	bool colon = strchr(address, ':') != NULL;
	struct ip ip;
	if (strlen(inner) != len - 2 || tagged != colon || ip_parse(&ip, address) != 0)
		return -EINVAL;
	*out = ip;
	return 0;
}

const char *literal_format(const struct ip *ip, char out[LITERAL_TEXT])
{
	char text[IP_TEXT];
	snprintf(out, LITERAL_TEXT, ip->family == FAMILY_IPV6 ? "[IPv6:%s]" : "[%s]", ip_format(ip, text));
	return out;
}

/* Reads a domain or a literal up to `stop` characters. Writes its canonical form to `out` (if not NULL). */
static enum address_result read_domain(struct scan *s, const char *stops, char out[DOMAIN_MAX + 1])
{
	const uint8_t *start = s->at;
	if (s->at < s->end && *s->at == '[') {
		const uint8_t *close = memchr(s->at, ']', (size_t)(s->end - s->at));
		struct ip ip;
		if (close == NULL || literal_read(&ip, (const char *)start, (size_t)(close + 1 - start)) != 0)
			return ADDRESS_SYNTAX;
		s->at = close + 1;
		if (out != NULL)
			literal_format(&ip, out);
		return ADDRESS_OK;
	}
	bool eight = false;
	while (s->at < s->end && (*s->at == 0 || strchr(stops, *s->at) == NULL))
		eight |= *s->at++ > 127;
	size_t len = (size_t)(s->at - start);
	char ascii[DOMAIN_MAX + 1];
	if (eight && s->utf8) {
		if (idn_to_ascii(ascii, sizeof ascii, (const char *)start, len) != 0)
			return ADDRESS_SYNTAX;
		start = (const uint8_t *)ascii;
		len = strlen(ascii);
	}
	enum address_result result = check_domain(start, len);
	if (result != ADDRESS_OK || out == NULL)
		return result;
	for (size_t i = 0; i < len; i++)
		out[i] = lower(start[i]);
	out[len] = '\0';
	return ADDRESS_OK;
}

/* A-d-l ":" of RFC 5321 §4.1.2, to be read and dropped (appendix C). */
static enum address_result skip_source_route(struct scan *s)
{
	if (s->at == s->end || *s->at != '@')
		return ADDRESS_OK;
	do {
		if (!take(s, '@'))
			return ADDRESS_SYNTAX;
		enum address_result result = read_domain(s, ",:>", NULL);
		if (result != ADDRESS_OK)
			return result;
	} while (take(s, ','));
	return take(s, ':') ? ADDRESS_OK : ADDRESS_SYNTAX;
}

/* Finds fault with what is no path: 8-bit bytes are named before anything else, since they explain the rest. */
static enum address_result blame(const struct scan *s, const uint8_t *in, enum address_result otherwise)
{
	for (size_t i = 0; !s->utf8 && in + i < s->end && in[i] != '>'; i++)
		if (in[i] > 127)
			return ADDRESS_8BIT;
	return otherwise;
}

static enum address_result read_mailbox(struct scan *s, unsigned allowed, char out[ADDRESS_TEXT])
{
	const uint8_t *local = s->at;
	bool whole = s->at < s->end && *s->at == '"' ? skip_quoted(s) : skip_dot_string(s);
	size_t local_len = (size_t)(s->at - local);
	if (!whole)
		return ADDRESS_SYNTAX;
	if (local_len > ADDRESS_LOCAL_MAX)
		return ADDRESS_TOO_LONG;
	char domain[DOMAIN_MAX + 1];
	if (take(s, '@')) {
		enum address_result result = read_domain(s, ">", domain);
		if (result != ADDRESS_OK)
			return result;
	} else if ((allowed & ADDRESS_POSTMASTER) && local_len == 10 &&
		   strncasecmp((const char *)local, "postmaster", 10) == 0) {
		domain[0] = '\0';
	} else {
		return ADDRESS_SYNTAX;
	}
	int n = snprintf(
		out, ADDRESS_TEXT, "%.*s%s%s", (int)local_len, (const char *)local, domain[0] ? "@" : "", domain);
	return n < ADDRESS_TEXT ? ADDRESS_OK : ADDRESS_TOO_LONG;
}

enum address_result address_read_path(
	char out[ADDRESS_TEXT], const uint8_t *in, size_t len, size_t *used, unsigned allowed)
{
	struct scan s = {in, in + len, (allowed & ADDRESS_UTF8) != 0};
	char address[ADDRESS_TEXT] = "";
	if (!take(&s, '<'))
		return blame(&s, in, ADDRESS_SYNTAX);
	if (!(allowed & ADDRESS_NULL) || !take(&s, '>')) {
		enum address_result result = skip_source_route(&s);
		if (result == ADDRESS_OK)
			result = read_mailbox(&s, allowed, address);
		if (result == ADDRESS_OK && !take(&s, '>'))
			result = ADDRESS_SYNTAX;
		if (result == ADDRESS_OK && s.at - in > ADDRESS_PATH_MAX)
			result = ADDRESS_TOO_LONG;
		if (result != ADDRESS_OK)
			return blame(&s, in, result);
	}
	memcpy(out, address, sizeof address);
	*used = (size_t)(s.at - in);
	return ADDRESS_OK;
}

const char *address_domain(const char *address)
{
	const char *at = strrchr(address, '@');
	return at != NULL ? at + 1 : "";
}

const char *address_unquoted(const char *address, char out[ADDRESS_TEXT])
{
	if (address[0] != '"')
		return address;
	const char *at = address + 1;
	size_t n = 0;
	for (; *at != '\0' && *at != '"' && n < ADDRESS_TEXT - 1; at++) {
		if (*at == '\\' && at[1] != '\0')
			at++;
		out[n++] = *at;
	}
	snprintf(out + n, ADDRESS_TEXT - n, "%s", *at == '"' ? at + 1 : at);
	return out;
}

bool domain_is_literal(const char *domain)
{
	return domain[0] == '[';
}
