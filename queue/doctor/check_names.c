/* queue/doctor/check_names.c: protocol. */
#include "queue/doctor/check_names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "queue/doctor/scope.h"
#include "queue/doctor/spf.h"

static const char *const family_words[FAMILIES] = {"IPv4", "IPv6"};

enum { NAMES_SHOWN = 3 };

/* Has any DNS server answered? If none has, no other row needs to say it again. */
static bool dns_works(const struct facts *f)
{
	for (size_t i = 0; i < f->server_count; i++)
		if ((f->servers[i].udp.done && f->servers[i].udp.err == 0) ||
			(f->servers[i].tcp.done && f->servers[i].tcp.err == 0))
			return true;
	return false;
}

static bool has_failed(const struct dns_answer *a)
{
	return a->status == DNS_SERVFAIL || a->status == DNS_TIMEOUT;
}

static void no_answer(
	const struct facts *f, struct findings *out, const char *about, const char *name, const struct dns_answer *a)
{
	if (!dns_works(f)) {
		findings_add(out, FINDING_UNKNOWN, "%s: no DNS server answers (see resolver)", about);
		return;
	}
	findings_add(out, FINDING_WARNING, "%s: %s could not be looked up: %s", about, name, a->detail);
	findings_mend(out, "See that the name servers of that zone answer; receivers get no answer either.");
}

/* Is there an address that receivers see? If not, that is said. */
static bool has_source(const struct facts *f, unsigned i, const char *about, struct findings *out)
{
	const struct ip *ip = &f->source[i].ip;
	char text[IP_TEXT];
	if (ip->family == FAMILY_NONE)
		findings_add(out, FINDING_UNKNOWN, "%s over %s: there is no source address (see source)", about,
			family_words[i]);
	else if (scope_is_private(ip))
		findings_add(out, FINDING_UNKNOWN, "%s over %s: %s is private, receivers see another (see source)",
			about, family_words[i], ip_format(ip, text));
	return ip->family != FAMILY_NONE && !scope_is_private(ip);
}

/* Is the name one that the PTR record of `ip` gives, and that leads back to it? NULL in `*pending`: all is known. */
static bool is_confirmed(struct names *n, const struct ip *ip, const char *name, const char **pending)
{
	const struct dns_answer *a = names_get(n, name, names_type_of((enum family)ip->family));
	if (a == NULL)
		*pending = name;
	return a != NULL && names_has(a, ip);
}

/* The names of the PTR records, separated by commas. */
static void list_names(const struct dns_answer *ptr, char *out, size_t size)
{
	size_t at = 0;
	out[0] = '\0';
	for (size_t i = 0; i < ptr->count && i < NAMES_SHOWN && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%.100s", i ? ", " : "", ptr->records[i].name);
}

static void judge_ptr(const struct facts *f, struct names *n, const struct ip *ip, struct findings *out)
{
	char reverse[NAMES_REVERSE], text[IP_TEXT], listed[FACT_TEXT];
	const char *pending = NULL, *confirmed = NULL;
	const struct dns_answer *ptr = names_get(n, names_reverse(ip, reverse), DNS_PTR), *failed = NULL;
	ip_format(ip, text);
	if (ptr == NULL)
		return;
	if (has_failed(ptr)) {
		no_answer(f, out, text, reverse, ptr);
		return;
	}
	if (ptr->count == 0) {
		findings_add(out, FINDING_ERROR, "%s has no PTR record: many receivers refuse it", text);
		findings_mend(out,
			"Ask whose the address is (the provider) for a PTR record %s with the name that EHLO says.",
			reverse);
		return;
	}
	for (size_t i = 0; i < ptr->count; i++) {
		const char *name = ptr->records[i].name;
		if (is_confirmed(n, ip, name, &pending))
			confirmed = confirmed != NULL ? confirmed : name;
		const struct dns_answer *a = names_get(n, name, names_type_of((enum family)ip->family));
		if (a != NULL && has_failed(a))
			failed = a;
	}
	list_names(ptr, listed, sizeof listed);
	if (confirmed != NULL)
		findings_add(out, FINDING_OK, "%s is %s, and that is %s", text, confirmed, text);
	else if (pending == NULL && failed != NULL)
		no_answer(f, out, text, listed, failed);
	else if (pending == NULL) {
		findings_add(out, FINDING_ERROR, "%s is %s by its PTR record, but %s no %s record with %s", text,
			listed, ptr->count > 1 ? "these have" : "that has", ip->family == FAMILY_IPV4 ? "A" : "AAAA",
			text);
		findings_mend(out, "Let %s have an %s record %s, or have the PTR record name one that has it.",
			ptr->records[0].name, ip->family == FAMILY_IPV4 ? "A" : "AAAA", text);
	}
}

void check_ptr(const struct facts *f, struct names *n, struct findings *out)
{
	for (unsigned i = 0; i < FAMILIES; i++)
		if (has_source(f, i, "mail", out))
			judge_ptr(f, n, &f->source[i].ip, out);
}

/* ---- helo ---- */

static const char *helo_of(const struct conf *c, unsigned i)
{
	const char *own = i == 0 ? c->source.helo_ipv4 : c->source.helo_ipv6;
	return own != NULL ? own : c->source.helo != NULL ? c->source.helo : c->hostname;
}

/* The first name of a PTR record that leads back, or NULL; `same`: one of them is `helo`. */
static const char *confirmed_name(struct names *n, const struct ip *ip, const char *helo, bool *same)
{
	char reverse[NAMES_REVERSE];
	const char *pending, *first = NULL;
	const struct dns_answer *ptr = names_get(n, names_reverse(ip, reverse), DNS_PTR);
	*same = false;
	for (size_t i = 0; ptr != NULL && i < ptr->count; i++) {
		if (!is_confirmed(n, ip, ptr->records[i].name, &pending))
			continue;
		first = first != NULL ? first : ptr->records[i].name;
		*same = *same || strcasecmp(ptr->records[i].name, helo) == 0;
	}
	return first;
}

static void judge_helo(const struct facts *f, struct names *n, unsigned i, struct findings *out)
{
	const char *helo = helo_of(f->conf.conf, i), *word = family_words[i], *record = i == 0 ? "A" : "AAAA";
	const struct ip *ip = &f->source[i].ip;
	char text[IP_TEXT], about[FACT_TEXT], others[IP_TEXT];
	bool same;
	ip_format(ip, text);
	snprintf(about, sizeof about, "%s: %.255s", word, helo);
	if (strchr(helo, '.') == NULL) {
		findings_add(out, FINDING_ERROR, "%s is no full name: receivers cannot look it up", about);
		findings_mend(out, "Set hostname, or source { helo }, to a full name with A and AAAA records.");
		return;
	}
	const char *confirmed = confirmed_name(n, ip, helo, &same);
	const struct dns_answer *a = names_get(n, helo, names_type_of(family_at(i)));
	if (a == NULL)
		return;
	if (has_failed(a)) {
		no_answer(f, out, about, helo, a);
	} else if (a->count == 0) {
		findings_add(out, FINDING_ERROR, "%s has no %s record", about, record);
		findings_mend(out, "Let %s have an %s record %s, or set source { helo_ipv%u }.", helo, record, text,
			family_at(i));
	} else if (!names_has(a, ip)) {
		findings_add(out, FINDING_WARNING, "%s is %s, and mail goes out from %s", about,
			ip_format(&a->records[0].ip, others), text);
		findings_mend(out, "Let %s have an %s record %s, or set source { helo_ipv%u }.", helo, record, text,
			family_at(i));
	} else if (confirmed != NULL && !same) {
		findings_add(out, FINDING_WARNING, "%s leads to %s, whose PTR record says %s", about, text, confirmed);
		findings_mend(out, "Say that name in EHLO (source { helo_ipv%u = %s }), or have the PTR record say %s.",
			family_at(i), confirmed, helo);
	} else {
		findings_add(out, FINDING_OK, "%s is %s%s", about, text,
			confirmed != NULL ? ", and its PTR record says the same" : "");
	}
}

void check_helo(const struct facts *f, struct names *n, struct findings *out)
{
	for (unsigned i = 0; i < FAMILIES; i++)
		if (has_source(f, i, helo_of(f->conf.conf, i), out))
			judge_helo(f, n, i, out);
}

/* ---- spf ---- */

static const struct dns_answer *look(void *arg, const char *name, enum dns_type type)
{
	return names_get(arg, name, type);
}

static void judge_spf(const struct facts *f, const char *domain, const struct ip *ip, const struct spf_verdict *v,
	struct findings *out)
{
	char text[IP_TEXT];
	const char *term = ip->family == FAMILY_IPV4 ? "ip4" : "ip6";
	ip_format(ip, text);
	if (v->result == SPF_TEMPERROR && !dns_works(f)) {
		findings_add(out, FINDING_UNKNOWN, "%s: no DNS server answers (see resolver)", domain);
		return;
	}
	static const enum finding_status statuses[] = {
		[SPF_NONE] = FINDING_WARNING,
		[SPF_NEUTRAL] = FINDING_ERROR,
		[SPF_PASS] = FINDING_OK,
		[SPF_FAIL] = FINDING_ERROR,
		[SPF_SOFTFAIL] = FINDING_ERROR,
		[SPF_TEMPERROR] = FINDING_WARNING,
		[SPF_PERMERROR] = FINDING_ERROR,
		[SPF_UNTOLD] = FINDING_UNKNOWN,
	};
	findings_add(out, statuses[v->result], "%s from %s: %s (%s)", domain, text, spf_result_word(v->result), v->why);
	if (v->result == SPF_NONE)
		findings_mend(out,
			"Publish one: a TXT record of %s with \"v=spf1 %s:%s\" and what else sends its mail.", domain,
			term, text);
	else if (v->result == SPF_NEUTRAL || v->result == SPF_FAIL || v->result == SPF_SOFTFAIL)
		findings_mend(out, "Add %s:%s to the SPF record of %s, before its \"all\".", term, text, domain);
	else if (v->result == SPF_PERMERROR)
		findings_mend(out, "Correct the SPF record: receivers treat it as broken, whatever it allows.");
	else if (v->result == SPF_TEMPERROR)
		findings_mend(out, "See that the name servers of that zone answer; receivers get no answer either.");
}

void check_spf(const struct facts *f, struct names *n, struct findings *out)
{
	if (f->sender_count == 0) {
		findings_add(out, FINDING_UNKNOWN, "no domain was given");
		findings_mend(out, "Name those for which mail is sent: relayq doctor --sender DOMAIN");
	}
	for (size_t k = 0; k < f->sender_count; k++) {
		for (unsigned i = 0; i < FAMILIES; i++) {
			struct spf_verdict v;
			if (!has_source(f, i, f->senders[k], out))
				continue;
			spf_check(&v, f->senders[k], &f->source[i].ip, look, n);
			if (v.result != SPF_PENDING)
				judge_spf(f, f->senders[k], &f->source[i].ip, &v, out);
		}
	}
}
