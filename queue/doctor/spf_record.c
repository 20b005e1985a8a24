/* queue/doctor/spf_record.c: protocol. */
#include "queue/doctor/spf_record.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "queue/doctor/spf_macro.h"

enum target { TARGET_NONE, TARGET_MAY, TARGET_MUST };

static const struct {
	const char *name;
	enum target domain;
	bool cidr;
} mechanisms[SPF_MECHANISMS] = {
	[SPF_ALL] = {"all", TARGET_NONE, false},
	[SPF_INCLUDE] = {"include", TARGET_MUST, false},
	[SPF_A] = {"a", TARGET_MAY, true},
	[SPF_MX] = {"mx", TARGET_MAY, true},
	[SPF_PTR] = {"ptr", TARGET_MAY, false},
	[SPF_IP4] = {"ip4", TARGET_MUST, false},
	[SPF_IP6] = {"ip6", TARGET_MUST, false},
	[SPF_EXISTS] = {"exists", TARGET_MUST, false},
};

static const char version[] = "v=spf1";

const char *spf_mechanism_name(enum spf_mechanism m)
{
	return mechanisms[m].name;
}

int spf_record_text(const struct dns_record *txt, char out[SPF_RECORD_MAX + 1])
{
	size_t n = 0, at = 0;
	while (at < txt->len) {
		size_t piece = txt->data[at++];
		if (piece > txt->len - at)
			piece = txt->len - at;
		if (n + piece > SPF_RECORD_MAX)
			return -E2BIG;
		memcpy(out + n, txt->data + at, piece);
		n += piece;
		at += piece;
	}
	for (char *zero; (zero = memchr(out, '\0', n)) != NULL;)
		*zero = '\1'; /* no more allowed in a term than a zero is, and ends no text */
	out[n] = '\0';
	size_t head = sizeof version - 1;
	if (n < head || strncasecmp(out, version, head) != 0 || (n > head && out[head] != ' '))
		return 0;
	return (int)n;
}

/* Is all of it a macro-string, with these letters at the most? `*tail`: what stands behind the last macro. */
static bool is_macro_string(const char *s, const char *letters, const char **tail)
{
	char letter;
	*tail = s;
	while (*s != '\0') {
		size_t n = *s < 0x21 || *s > 0x7e ? 0 : 1;
		if (*s == '%') {
			n = spf_macro_length(s, &letter);
			if (letter != '\0' && strchr(letters, letter) == NULL)
				n = 0;
			*tail = s + n;
		}
		if (n == 0)
			return false;
		s += n;
	}
	return true;
}

/* domain-end, §7.1: behind a dot a top label with something else than digits; or a macro ends it. */
static bool ends_well(const char *s, size_t n, bool macro)
{
	if (n == 0)
		return macro;
	if (s[n - 1] == '.')
		n--;
	size_t from = n;
	bool letter = false;
	while (from > 0 && s[from - 1] != '.') {
		from--;
		if (!isalnum((unsigned char)s[from]) && s[from] != '-')
			return false;
		letter = letter || !isdigit((unsigned char)s[from]);
	}
	return from > 0 && from < n && letter && s[from] != '-' && s[n - 1] != '-';
}

/* domain-spec, §7.1; c, r and t are for explanations alone (§7.2). */
static bool is_domain(const char *s)
{
	const char *tail;
	return *s != '\0' && is_macro_string(s, "slodiphv", &tail) && ends_well(tail, strlen(tail), tail != s);
}

/* A number of `most` at the most, without leading zeros, that ends at `end`. */
static bool read_length(const char *s, const char *end, unsigned most, uint8_t *out)
{
	unsigned n = 0;
	if (s == end || end - s > 3 || (*s == '0' && end - s > 1))
		return false;
	for (; s < end; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
		n = n * 10 + (unsigned)(*s - '0');
	}
	*out = (uint8_t)n;
	return n <= most;
}

/* Takes "/24", "//64" or "/24//64" off the end of `s`. */
static bool take_cidr(char *s, struct spf_term *t)
{
	t->bits4 = 32;
	t->bits6 = 128;
	char *end = s + strlen(s), *slash = strrchr(s, '/');
	if (slash != NULL && slash > s && slash[-1] == '/') {
		if (!read_length(slash + 1, end, 128, &t->bits6))
			return false;
		end = slash - 1;
		*end = '\0';
		slash = strrchr(s, '/');
	}
	/* a slash that no digits follow may be part of a macro */
	if (slash == NULL || (slash[1] != '\0' && strspn(slash + 1, "0123456789") != strlen(slash + 1)))
		return true;
	if (!read_length(slash + 1, end, 32, &t->bits4))
		return false;
	*slash = '\0';
	return true;
}

/* ADDRESS or ADDRESS/BITS; what lies outside of the bits is ignored. */
static bool read_network(char *s, enum family family, struct prefix *out)
{
	unsigned most = family == FAMILY_IPV4 ? 32 : 128;
	char *slash = strchr(s, '/');
	out->bits = (uint8_t)most;
	if (slash != NULL) {
		if (!read_length(slash + 1, slash + strlen(slash), most, &out->bits))
			return false;
		*slash = '\0';
	}
	if (ip_parse(&out->ip, s) != 0 || (strchr(s, ':') != NULL) != (family == FAMILY_IPV6))
		return false;
	if (out->ip.family != family) /* ip6:::ffff:192.0.2.1 is well formed, and no address of a sender is in it */
		out->ip.family = FAMILY_NONE;
	return true;
}

static bool read_mechanism(char *s, struct spf_term *t)
{
	*t = (struct spf_term){.qualifier = '+', .name = ""};
	if (strchr("+-~?", *s) != NULL)
		t->qualifier = *s++;
	size_t n = strcspn(s, ":/");
	unsigned m = 0;
	while (m < SPF_MECHANISMS && (strlen(mechanisms[m].name) != n || strncasecmp(mechanisms[m].name, s, n) != 0))
		m++;
	if (m == SPF_MECHANISMS)
		return false;
	t->mechanism = (enum spf_mechanism)m;
	char *rest = s + n;
	if (m == SPF_IP4 || m == SPF_IP6)
		return *rest == ':' && read_network(rest + 1, m == SPF_IP4 ? FAMILY_IPV4 : FAMILY_IPV6, &t->network);
	if (mechanisms[m].cidr && !take_cidr(rest, t))
		return false;
	if (*rest == '\0')
		return mechanisms[m].domain != TARGET_MUST;
	t->name = rest + 1;
	return *rest == ':' && mechanisms[m].domain != TARGET_NONE && is_domain(t->name);
}

/* NAME "=" macro-string; `equals` is where its = stands. */
static bool read_modifier(const char *s, const char *equals, struct spf_record *r, unsigned *explained)
{
	size_t n = (size_t)(equals - s);
	const char *tail, *value = equals + 1;
	if (n == 8 && strncasecmp(s, "redirect", n) == 0) {
		bool first = r->redirect[0] == '\0';
		r->redirect = value;
		return first && is_domain(value);
	}
	if (n == 3 && strncasecmp(s, "exp", n) == 0)
		return ++*explained == 1 && is_domain(value);
	return is_macro_string(value, "slodiphvcrt", &tail);
}

/* The = of a modifier: only its name stands before it. NULL: it is a mechanism. */
static const char *find_equals(const char *s)
{
	size_t n = isalpha((unsigned char)*s) ? 1 : 0;
	while (n != 0 && (isalnum((unsigned char)s[n]) || (s[n] != '\0' && strchr("-_.", s[n]) != NULL)))
		n++;
	return n != 0 && s[n] == '=' ? s + n : NULL;
}

static bool read_term(char *s, struct spf_record *r, unsigned *explained)
{
	const char *equals = find_equals(s);
	if (equals != NULL)
		return read_modifier(s, equals, r, explained);
	if (r->count == SPF_TERMS_MAX || !read_mechanism(s, &r->terms[r->count]))
		return false;
	r->count++;
	return true;
}

int spf_record_parse(struct spf_record *out, const char *text, char why[160])
{
	char *rest = NULL;
	unsigned explained = 0;
	*out = (struct spf_record){
		.text = strdup(text), .terms = calloc(SPF_TERMS_MAX, sizeof *out->terms), .redirect = ""};
	int err = out->text != NULL && out->terms != NULL ? 0 : -ENOMEM;
	char *term = err == 0 ? strtok_r(out->text + sizeof version - 1, " ", &rest) : NULL;
	for (; term != NULL && err == 0; term = strtok_r(NULL, " ", &rest)) {
		snprintf(why, 160, "%.120s", term);
		if (!read_term(term, out, &explained))
			err = -EINVAL;
	}
	if (err != 0)
		spf_record_fini(out);
	return err;
}

void spf_record_fini(struct spf_record *r)
{
	free(r->text);
	free(r->terms);
	*r = (struct spf_record){0};
}
