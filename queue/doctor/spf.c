/* queue/doctor/spf.c: protocol. */
#include "queue/doctor/spf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"
#include "queue/doctor/names.h"
#include "queue/doctor/spf_macro.h"
#include "queue/doctor/spf_record.h"

enum { HOSTS_MAX = 10 };

struct walk {
	const struct spf_sender *from;
	const struct ip *ip;
	spf_look *look;
	void *arg;
	struct spf_verdict *out;
};

enum match { MATCH_NO, MATCH_YES, MATCH_ENDS /* the whole check, with `out` */ };

static enum spf_result check_host(struct walk *w, const char *domain);

const char *spf_result_word(enum spf_result r)
{
	static const char *const words[] = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror",
		"cannot tell", "not known yet"};
	return words[r];
}

static enum match end_with(struct walk *w, enum spf_result r, const char *why, const char *what)
{
	w->out->result = r;
	snprintf(w->out->why, sizeof w->out->why, "%.60s%.170s", why, what);
	return MATCH_ENDS;
}

static bool in_network(const struct ip *ip, const struct ip *network, unsigned bits)
{
	if (ip->family != network->family)
		return false;
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(ip->bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || (ip->bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}

static bool is_void(const struct dns_answer *a)
{
	return a->status == DNS_NODATA || a->status == DNS_NXDOMAIN;
}

/* Labels that are empty or too long: there is no such name, so nobody asks for it (§4.8). */
static bool is_impossible(const char *name)
{
	for (size_t n = strcspn(name, "."); n > 0 && n < 64; n = strcspn(name, ".")) {
		if (name[n] == '\0')
			return false;
		name += n + 1;
	}
	return true;
}

/* The answer that a term needs; NULL: `out` says how the check ends. */
static const struct dns_answer *need(struct walk *w, const char *name, enum dns_type type)
{
	static const struct dns_answer nothing = {.status = DNS_NXDOMAIN};
	if (is_impossible(name))
		return &nothing;
	const struct dns_answer *a = dns_name_valid(name) ? w->look(w->arg, name, type) : NULL;
	if (!dns_name_valid(name))
		end_with(w, SPF_UNTOLD, "a name that is not asked for from here: ", name);
	else if (a == NULL)
		end_with(w, SPF_PENDING, "", name);
	else if (a->status == DNS_SERVFAIL || a->status == DNS_TIMEOUT)
		end_with(w, SPF_TEMPERROR, "no answer on ", name);
	else
		return a;
	return NULL;
}

static enum match count_void(struct walk *w, bool is, const char *name)
{
	if (is && ++w->out->voids > SPF_VOIDS_MAX)
		return end_with(w, SPF_PERMERROR, "more than 2 look-ups of what is not there, the last: ", name);
	return MATCH_NO;
}

static bool any_within(const struct walk *w, const struct dns_answer *a, const struct spf_term *t)
{
	unsigned bits = w->ip->family == FAMILY_IPV4 ? t->bits4 : t->bits6;
	for (size_t i = 0; i < a->count; i++)
		if (in_network(w->ip, &a->records[i].ip, bits))
			return true;
	return false;
}

static enum match match_a(struct walk *w, const struct spf_term *t, const char *name)
{
	const struct dns_answer *a = need(w, name, names_type_of(w->ip->family));
	if (a == NULL)
		return MATCH_ENDS;
	return any_within(w, a, t) ? MATCH_YES : count_void(w, is_void(a), name);
}

static enum match match_mx(struct walk *w, const struct spf_term *t, const char *name)
{
	const struct dns_answer *mx = need(w, name, DNS_MX);
	if (mx == NULL)
		return MATCH_ENDS;
	if (mx->count > HOSTS_MAX)
		return end_with(w, SPF_PERMERROR, "more than 10 MX hosts of ", name);
	bool all_void = true;
	for (size_t i = 0; i < mx->count; i++) {
		const struct dns_answer *a = need(w, mx->records[i].name, names_type_of(w->ip->family));
		if (a == NULL)
			return MATCH_ENDS;
		if (any_within(w, a, t))
			return MATCH_YES;
		all_void = all_void && is_void(a);
	}
	return count_void(w, all_void, name);
}

static bool is_below(const char *name, const char *domain)
{
	size_t n = strlen(name), m = strlen(domain);
	return n >= m && strcmp(name + n - m, domain) == 0 && (n == m || name[n - m - 1] == '.');
}

/* The names of the PTR record that lead back to the address, §5.5: is there one within `domain`? `*best`: the domain
 * itself, else one below it, else any one, else NULL. Failed look-ups are no match. */
static enum match validate(struct walk *w, const char *domain, const char **best)
{
	char reverse[NAMES_REVERSE];
	int best_rank = 0;
	const struct dns_answer *ptr = w->look(w->arg, names_reverse(w->ip, reverse), DNS_PTR);
	*best = NULL;
	if (ptr == NULL)
		return end_with(w, SPF_PENDING, "", reverse);
	for (size_t i = 0; i < ptr->count && i < HOSTS_MAX; i++) {
		const char *host = ptr->records[i].name;
		int rank = strcmp(host, domain) == 0 ? 3 : is_below(host, domain) ? 2 : 1;
		if (!dns_name_valid(host))
			continue;
		const struct dns_answer *a = w->look(w->arg, host, names_type_of(w->ip->family));
		if (a == NULL)
			return end_with(w, SPF_PENDING, "", host);
		if (!names_has(a, w->ip) || rank <= best_rank)
			continue;
		best_rank = rank;
		*best = host;
	}
	return best_rank > 1 ? MATCH_YES : MATCH_NO;
}

static enum match match_ptr(struct walk *w, const struct spf_term *t, const char *name)
{
	char reverse[NAMES_REVERSE];
	const char *best;
	(void)t;
	enum match m = validate(w, name, &best);
	if (m != MATCH_NO)
		return m;
	return count_void(w, is_void(w->look(w->arg, names_reverse(w->ip, reverse), DNS_PTR)), reverse);
}

static enum match match_exists(struct walk *w, const struct spf_term *t, const char *name)
{
	(void)t;
	const struct dns_answer *a = need(w, name, DNS_A);
	if (a == NULL)
		return MATCH_ENDS;
	return a->status == DNS_OK ? MATCH_YES : count_void(w, true, name);
}

static enum match match_include(struct walk *w, const struct spf_term *t, const char *name)
{
	(void)t;
	switch (check_host(w, name)) {
	case SPF_PASS:
		return MATCH_YES;
	case SPF_FAIL:
	case SPF_SOFTFAIL:
	case SPF_NEUTRAL:
		return MATCH_NO;
	case SPF_NONE:
		return end_with(w, SPF_PERMERROR, "include of a domain without an SPF record: ", name);
	case SPF_TEMPERROR:
	case SPF_PERMERROR:
	case SPF_UNTOLD:
	case SPF_PENDING:
		break;
	}
	return MATCH_ENDS;
}

static enum match match_all(struct walk *w, const struct spf_term *t, const char *name)
{
	(void)w, (void)t, (void)name;
	return MATCH_YES;
}

static enum match match_network(struct walk *w, const struct spf_term *t, const char *name)
{
	(void)name;
	return in_network(w->ip, &t->network.ip, t->network.bits) ? MATCH_YES : MATCH_NO;
}

static const struct {
	enum match (*run)(struct walk *w, const struct spf_term *t, const char *name);
	bool looks_up;
} matchers[SPF_MECHANISMS] = {
	[SPF_ALL] = {match_all, false},
	[SPF_INCLUDE] = {match_include, true},
	[SPF_A] = {match_a, true},
	[SPF_MX] = {match_mx, true},
	[SPF_PTR] = {match_ptr, true},
	[SPF_IP4] = {match_network, false},
	[SPF_IP6] = {match_network, false},
	[SPF_EXISTS] = {match_exists, true},
};

static bool past_limit(struct walk *w, const char *what)
{
	if (++w->out->lookups <= SPF_LOOKUPS_MAX)
		return false;
	end_with(w, SPF_PERMERROR, "more than 10 terms that need the DNS, the last: ", what);
	return true;
}

/* The name of a domain-spec in the record of `domain`; false: `out` says how the check ends. */
static bool expand(struct walk *w, char out[DNS_NAME_MAX], const char *spec, const char *domain)
{
	const char *validated = NULL;
	char letter;
	if (spf_macro_uses(spec, 'p') && validate(w, domain, &validated) == MATCH_ENDS)
		return false;
	const struct spf_macros known = {
		.local = w->from->local,
		.sender = w->from->domain,
		.domain = domain,
		.helo = w->from->helo,
		.ip = w->ip,
		.validated = validated != NULL ? validated : "unknown",
	};
	int err = spf_macro_expand(out, spec, &known, &letter);
	if (err != 0)
		end_with(w, SPF_UNTOLD, err == -ENODATA ? "the message decides: " : "too long: ", spec);
	return err == 0;
}

static enum match match_term(struct walk *w, const struct spf_term *t, const char *domain)
{
	char name[DNS_NAME_MAX];
	const char *kind = spf_mechanism_name(t->mechanism);
	if (matchers[t->mechanism].looks_up && past_limit(w, kind))
		return MATCH_ENDS;
	if (*t->name != '\0' && !expand(w, name, t->name, domain))
		return MATCH_ENDS;
	return matchers[t->mechanism].run(w, t, *t->name != '\0' ? name : domain);
}

static enum spf_result result_of(char qualifier)
{
	return qualifier == '-'	  ? SPF_FAIL
	       : qualifier == '~' ? SPF_SOFTFAIL
	       : qualifier == '?' ? SPF_NEUTRAL
				  : SPF_PASS;
}

static void describe(struct walk *w, const struct spf_term *t, const char *domain)
{
	char network[IP_TEXT] = "";
	bool is_network = t->mechanism == SPF_IP4 || t->mechanism == SPF_IP6;
	const char *about = is_network ? ip_format(&t->network.ip, network) : t->name;
	snprintf(w->out->why, sizeof w->out->why, "%.1s%s%s%.80s of %.120s", t->qualifier == '+' ? "" : &t->qualifier,
		spf_mechanism_name(t->mechanism), *about ? ":" : "", about, domain);
}

static enum spf_result redirect(struct walk *w, const struct spf_record *r, const char *domain)
{
	char name[DNS_NAME_MAX];
	if (past_limit(w, "redirect") || !expand(w, name, r->redirect, domain))
		return w->out->result;
	if (check_host(w, name) == SPF_NONE)
		end_with(w, SPF_PERMERROR, "redirect to a domain without an SPF record: ", name);
	return w->out->result;
}

static enum spf_result walk_record(struct walk *w, const struct spf_record *r, const char *domain)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct spf_term *t = &r->terms[i];
		enum match m = match_term(w, t, domain);
		if (m == MATCH_ENDS)
			return w->out->result;
		if (m == MATCH_YES) {
			describe(w, t, domain);
			return w->out->result = result_of(t->qualifier);
		}
	}
	if (r->redirect[0] != '\0') /* an `all` always matches: it never comes to this (§6.1) */
		return redirect(w, r, domain);
	end_with(w, SPF_NEUTRAL, "no term matches in the record of ", domain);
	return SPF_NEUTRAL;
}

/* The one SPF record of the domain, §4.5. SPF_PASS: it is in `text`. */
static enum spf_result find_record(struct walk *w, const char *domain, char text[SPF_RECORD_MAX + 1])
{
	const struct dns_answer *txt = need(w, domain, DNS_TXT);
	if (txt == NULL)
		return w->out->result;
	unsigned found = 0;
	char other[SPF_RECORD_MAX + 1];
	for (size_t i = 0; i < txt->count; i++) {
		int n = spf_record_text(&txt->records[i], found == 0 ? text : other);
		found += n > 0;
	}
	if (found > 1)
		end_with(w, SPF_PERMERROR, "more than one SPF record: ", domain);
	else if (found == 0)
		end_with(w, SPF_NONE, txt->status == DNS_NXDOMAIN ? "there is no domain " : "no SPF record: ", domain);
	else
		w->out->result = SPF_PASS;
	return w->out->result;
}

static enum spf_result check_host(struct walk *w, const char *domain)
{
	char text[SPF_RECORD_MAX + 1], wrong[160] = "";
	struct spf_record r;
	if (!dns_name_valid(domain) || strchr(domain, '.') == NULL) { /* §4.3 */
		end_with(w, SPF_NONE, "no domain: ", domain);
		return SPF_NONE;
	}
	if (find_record(w, domain, text) != SPF_PASS)
		return w->out->result;
	int err = spf_record_parse(&r, text, wrong);
	if (err != 0) {
		end_with(w, err == -ENOMEM ? SPF_TEMPERROR : SPF_PERMERROR,
			err == -ENOMEM ? "out of memory" : "not to be understood: ", wrong);
		return w->out->result;
	}
	walk_record(w, &r, domain);
	spf_record_fini(&r);
	return w->out->result;
}

void spf_check(struct spf_verdict *out, const struct spf_sender *from, const struct ip *ip, spf_look *look, void *arg)
{
	struct walk w = {.from = from, .ip = ip, .look = look, .arg = arg, .out = out};
	*out = (struct spf_verdict){0};
	check_host(&w, from->domain);
}
