/* queue/survey/line.c: protocol. */
#include "queue/survey/line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dns/name.h"
#include "queue/mail/address.h"
#include "queue/mail/idn.h"

enum { WEIGHT_DIGITS = 12, SHOWN = 40 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t skip_blanks(const char *text, size_t len, size_t at)
{
	while (at < len && is_blank(text[at]))
		at++;
	return at;
}

/* The words of others, short and in ASCII. */
static const char *shown(const char *text, size_t len, char out[SHOWN + 4])
{
	size_t n = len < SHOWN ? len : SHOWN;
	for (size_t i = 0; i < n; i++)
		out[i] = text[i];
	for (size_t i = 0; i < n; i++)
		if (out[i] < ' ' || out[i] > '~' || out[i] == '"')
			out[i] = '?';
	snprintf(out + n, 4, "%s", len > SHOWN ? "..." : "");
	return out;
}

static int refuse(char why[SURVEY_WHY], const char *text, size_t len, const char *expected)
{
	char head[SHOWN + 4];
	snprintf(why, SURVEY_WHY, "\"%s\" %s", shown(text, len, head), expected);
	return -EINVAL;
}

static int read_domain(char out[DNS_NAME_MAX], const char *text, size_t len, char why[SURVEY_WHY])
{
	static const char no_domain[] = "is no domain; expected one such as example.com";
	bool ascii = true;
	struct ip ip;
	if (memchr(text, '@', len) != NULL)
		return refuse(why, text, len, "is a mail address; expected its domain alone");
	if (len > 0 && text[0] == '[')
		return refuse(why, text, len, "is an address; expected a domain such as example.com");
	size_t named = len > 1 && text[len - 1] == '.' ? len - 1 : len;
	for (size_t i = 0; i < named; i++)
		ascii = ascii && (unsigned char)text[i] < 128;
	if (!ascii) {
		int err = idn_to_ascii(out, DNS_NAME_MAX, text, named);
		if (err == -ENOMEM)
			return err;
		if (err != 0)
			return refuse(why, text, len, "is no internationalised domain (IDNA 2008, in UTF-8)");
	} else {
		if (named >= DNS_NAME_MAX || memchr(text, 0, named) != NULL)
			return refuse(why, text, len, no_domain);
		for (size_t i = 0; i < named; i++)
			out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
		out[named] = '\0';
	}
	if (ip_parse(&ip, out) == 0)
		return refuse(why, text, len, "is an address; expected a domain such as example.com");
	return domain_is_valid(out, strlen(out)) && dns_name_valid(out) ? 0 : refuse(why, text, len, no_domain);
}

static int read_weight(struct survey_line *out, const char *text, size_t len, char why[SURVEY_WHY])
{
	uint64_t n = 0;
	bool number = len > 0 && len <= WEIGHT_DIGITS;
	for (size_t i = 0; i < len && number; i++) {
		number = text[i] >= '0' && text[i] <= '9';
		n = n * 10 + (uint64_t)(text[i] - '0');
	}
	if (!number)
		return refuse(why, text, len, "is no weight; expected a number of at most 12 digits behind the domain");
	out->weight = n;
	out->weighted = true;
	return 0;
}

/* Cuts off the line's end, a comment, and blanks before them. */
static size_t content(const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\r')
		len--;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '#' && (i == 0 || is_blank(text[i - 1]))) {
			len = i;
			break;
		}
	while (len > 0 && is_blank(text[len - 1]))
		len--;
	return len;
}

int survey_line_read(struct survey_line *out, const char *text, size_t len, char why[SURVEY_WHY])
{
	*out = (struct survey_line){.weight = 1};
	len = content(text, len);
	size_t at = skip_blanks(text, len, 0), end = at;
	if (at == len)
		return 0;
	while (end < len && !is_blank(text[end]) && text[end] != ',')
		end++;
	int err = read_domain(out->domain, text + at, end - at, why);
	if (err == 0 && end < len) {
		at = skip_blanks(text, len, end);
		if (at < len && text[at] == ',')
			at = skip_blanks(text, len, at + 1);
		err = read_weight(out, text + at, len - at, why);
	}
	if (err != 0)
		out->domain[0] = '\0';
	return err;
}
