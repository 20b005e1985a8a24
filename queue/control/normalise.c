/* queue/control/normalise.c: protocol. */
#include "queue/control/normalise.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "conf/ip.h"

enum { ID_LEAST = 6, ID_DIGITS = 4, ID_LONG = 24, URL_SCHEME_MAX = 8 };

struct folding {
	const char *begin, *at;
	char *out;
	size_t len;
	bool full;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
	return is_digit(c) || is_letter(c) || c == '_' || c == '-';
}

/* RFC 5322 atext and the dot, and what is no ASCII. */
static bool is_local(char c)
{
	return (unsigned char)c >= 0x80 || is_digit(c) || is_letter(c) ||
	       (c != '\0' && strchr(".!#$%&'*+-/=?^_`{|}~", c));
}

static void put(struct folding *f, const char *text, size_t n)
{
	if (f->full || n > NORMALISED - 1 - f->len) {
		f->full = true;
		return;
	}
	memcpy(f->out + f->len, text, n);
	f->len += n;
}

static void put_text(struct folding *f, const char *text)
{
	put(f, text, strlen(text));
}

/* In place of what stands between these brackets, if it does. */
static void put_folded(struct folding *f, const char *word, char open, char close, size_t n)
{
	f->at += n;
	if (f->len > 0 && f->out[f->len - 1] == open && *f->at == close) {
		f->len--;
		f->at++;
	}
	put_text(f, word);
}

/* ---- what is folded; each takes its text and says so, or leaves all as it is ---- */

static size_t digits_at(const char *s)
{
	size_t n = 0;
	while (is_digit(s[n]))
		n++;
	return n;
}

/* "450", "450 4.2.0", "450-4.2.0" */
static bool take_code(struct folding *f)
{
	const char *s = f->at;
	bool place = s == f->begin || s[-1] == '(';
	if (!place || s[0] < '2' || s[0] > '5' || digits_at(s) != 3 || (s[3] != ' ' && s[3] != '-' && s[3] != '\0'))
		return false;
	size_t n = 3;
	if (s[3] != '\0' && s[4] >= '2' && s[4] <= '5' && s[5] == '.') {
		size_t subject = digits_at(s + 6);
		size_t detail = subject && s[6 + subject] == '.' ? digits_at(s + 7 + subject) : 0;
		if (detail > 0 && subject <= 3 && detail <= 3)
			n = 7 + subject + detail;
	}
	put(f, s, n);
	f->at += n;
	return true;
}

static bool take_blanks(struct folding *f)
{
	if (!isspace((unsigned char)*f->at))
		return false;
	while (isspace((unsigned char)*f->at))
		f->at++;
	if (f->len > 0 && *f->at != '\0')
		put_text(f, " ");
	return true;
}

static bool take_url(struct folding *f)
{
	if (strncasecmp(f->at, "http://", 7) != 0 && strncasecmp(f->at, "https://", URL_SCHEME_MAX) != 0)
		return false;
	size_t n = strcspn(f->at, " \t\r\n<>\"()[]");
	while (n > 0 && strchr(".,;:", f->at[n - 1]) != NULL)
		n--;
	put_folded(f, "<url>", '<', '>', n);
	return true;
}

static bool take_address(struct folding *f)
{
	size_t n = 0, domain = 0;
	while (is_local(f->at[n]))
		n++;
	if (n == 0 || f->at[n] != '@')
		return false;
	for (n++; is_word(f->at[n + domain]) || f->at[n + domain] == '.' || (unsigned char)f->at[n + domain] >= 0x80;)
		domain++;
	while (domain > 0 && f->at[n + domain - 1] == '.')
		domain--;
	if (domain == 0)
		return false;
	put_folded(f, "<address>", '<', '>', n + domain);
	return true;
}

static bool is_ip(const char *s, size_t n)
{
	char text[IP_TEXT];
	struct ip ip;
	if (n == 0 || n >= sizeof text)
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return ip_parse(&ip, text) == 0;
}

static bool take_ip(struct folding *f)
{
	static const char four[] = "0123456789.", six[] = "0123456789abcdefABCDEF:.";
	size_t n = strspn(f->at, four);
	while (n > 0 && f->at[n - 1] == '.')
		n--;
	if (is_word(f->at[n]) || !is_ip(f->at, n)) {
		n = strspn(f->at, six);
		while (n > 1 && (f->at[n - 1] == '.' || (f->at[n - 1] == ':' && f->at[n - 2] != ':')))
			n--;
		if (is_word(f->at[n]) || memchr(f->at, ':', n) == NULL || !is_ip(f->at, n))
			return false;
	}
	put_folded(f, "<ip>", '[', ']', n);
	if (f->at[0] == ':' && is_digit(f->at[1])) /* its port */
		f->at += 1 + digits_at(f->at + 1);
	return true;
}

/* "Wed," and "Nov 25", "25 Nov" */
static bool take_date(struct folding *f, size_t n)
{
	static const char days[] = "MonTueWedThuFriSatSun", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *next = f->at + n;
	bool is_day = false, is_month = false;
	for (size_t i = 0; n == 3 && i < sizeof days - 1; i += 3)
		is_day = is_day || memcmp(days + i, f->at, 3) == 0;
	for (size_t i = 0; n == 3 && i < sizeof months - 1; i += 3)
		is_month = is_month || memcmp(months + i, f->at, 3) == 0;
	bool before = f->len >= 2 && memcmp(f->out + f->len - 2, "# ", 2) == 0;
	bool behind = next[0] == ' ' && (is_digit(next[1]) || next[1] == ' ');
	if (!(is_day && (*next == ',' || behind)) && !(is_month && (before || behind)))
		return false;
	put_text(f, is_day ? "<day>" : "<month>");
	f->at += n;
	return true;
}

static bool looks_like_id(const char *s, size_t n)
{
	unsigned digits = 0, runs = 0, letters = 0;
	for (size_t i = 0; i < n; i++) {
		letters += is_letter(s[i]);
		digits += is_digit(s[i]);
		runs += is_digit(s[i]) && (i == 0 || !is_digit(s[i - 1]));
	}
	return n >= ID_LONG || (n >= ID_LEAST && letters > 0 && (runs >= 2 || digits >= ID_DIGITS));
}

static bool take_word(struct folding *f)
{
	size_t n = 0;
	while (is_word(f->at[n]))
		n++;
	if (n == 0)
		return false;
	if (take_date(f, n))
		return true;
	if (looks_like_id(f->at, n)) {
		put_text(f, "<id>");
		f->at += n;
		return true;
	}
	bool family = n == 4 && strncasecmp(f->at, "ipv", 3) == 0;
	for (const char *end = f->at + n; f->at < end;) {
		size_t digits = family ? 0 : digits_at(f->at);
		put(f, digits ? "#" : f->at, 1);
		f->at += digits ? digits : 1;
	}
	return true;
}

size_t normalise(const char *text, char out[NORMALISED])
{
	while (isspace((unsigned char)*text))
		text++;
	struct folding f = {.begin = text, .at = text, .out = out};
	while (*f.at != '\0' && !f.full) {
		bool inside = f.at > f.begin && is_word(f.at[-1]);
		if (take_code(&f) || take_blanks(&f))
			continue;
		if (!inside && (take_url(&f) || take_address(&f) || take_ip(&f)))
			continue;
		if (take_word(&f))
			continue;
		put(&f, f.at, 1);
		f.at++;
	}
	/* no half of a character at the end */
	while (f.full && f.len > 0 && ((unsigned char)out[f.len - 1] & 0xc0) == 0x80)
		f.len--;
	if (f.full && f.len > 0 && (unsigned char)out[f.len - 1] >= 0xc0)
		f.len--;
	while (f.len > 0 && out[f.len - 1] == ' ')
		f.len--;
	out[f.len] = '\0';
	return f.len;
}
