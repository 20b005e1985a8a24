/* queue/doctor/check_names.c: protocol. */
#include "queue/doctor/check_names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/sources.h"
#include "queue/doctor/outgoing.h"
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
static bool is_seen(const struct fact_source *s, const char *about, struct findings *out)
{
	const char *word = family_words[s->family == FAMILY_IPV6];
	char text[IP_TEXT];
	bool private = s->ip.family != FAMILY_NONE && scope_is_private(&s->ip);
	if (s->ip.family == FAMILY_NONE)
		findings_add(out, FINDING_UNKNOWN, "%s over %s: there is no source address (see source)", about, word);
	else if (private)
		findings_add(out, FINDING_UNKNOWN, "%s over %s: %s is private, receivers see another (see source)",
			about, word, ip_format(&s->ip, text));
	return s->ip.family != FAMILY_NONE && !private;
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
	for (size_t i = 0; i < f->source_count; i++)
		if (f->sources[i].used && is_seen(&f->sources[i], "mail", out))
			judge_ptr(f, n, &f->sources[i].ip, out);
}

/* ---- helo ---- */

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

/* The key by which this address gets another name. */
static void say_key(const struct facts *f, const struct fact_source *s, char out[96])
{
	static const struct ip any = {.family = FAMILY_NONE};
	char text[IP_TEXT];
	const char *common = sources_helo(f->conf.conf, &any, s->family);
	if (s->pool != NULL || strcmp(outgoing_helo(f, s), common) != 0)
		snprintf(out, 96, "identity %s { helo }", ip_format(&s->ip, text));
	else
		snprintf(out, 96, "source { helo_ipv%u }", s->family);
}

static void judge_helo(const struct facts *f, struct names *n, const struct fact_source *s, struct findings *out)
{
	const char *helo = outgoing_helo(f, s), *record = s->family == FAMILY_IPV4 ? "A" : "AAAA";
	char text[IP_TEXT], about[FACT_TEXT], others[IP_TEXT], key[96];
	bool same;
	ip_format(&s->ip, text);
	say_key(f, s, key);
	snprintf(about, sizeof about, "%s: %.255s", text, helo);
	if (strchr(helo, '.') == NULL) {
		findings_add(out, FINDING_ERROR, "%s is no full name: receivers cannot look it up", about);
		findings_mend(out, "Set hostname, or %s, to a full name with A and AAAA records.", key);
		return;
	}
	const char *confirmed = confirmed_name(n, &s->ip, helo, &same);
	const struct dns_answer *a = names_get(n, helo, names_type_of(s->family));
	if (a == NULL)
		return;
	if (has_failed(a)) {
		no_answer(f, out, about, helo, a);
	} else if (a->count == 0) {
		findings_add(out, FINDING_ERROR, "%s has no %s record", about, record);
		findings_mend(out, "Let %s have an %s record %s, or set %s.", helo, record, text, key);
	} else if (!names_has(a, &s->ip)) {
		findings_add(out, FINDING_WARNING, "%s leads to %s, and mail goes out from %s", about,
			ip_format(&a->records[0].ip, others), text);
		findings_mend(out, "Let %s have an %s record %s, or set %s.", helo, record, text, key);
	} else if (confirmed != NULL && !same) {
		findings_add(out, FINDING_WARNING, "%s leads back, but the PTR record says %s", about, confirmed);
		findings_mend(out, "Say that name in EHLO (%s), or have the PTR record say %s.", key, helo);
	} else {
		findings_add(out, FINDING_OK, "%s leads back%s", about,
			confirmed != NULL ? ", and the PTR record says the same" : "");
	}
}

void check_helo(const struct facts *f, struct names *n, struct findings *out)
{
	for (size_t i = 0; i < f->source_count; i++)
		if (f->sources[i].used && is_seen(&f->sources[i], outgoing_helo(f, &f->sources[i]), out))
			judge_helo(f, n, &f->sources[i], out);
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
	else if (v->result == SPF_UNTOLD)
		findings_mend(
			out, "If it is about the sender's local part, name a whole address: --sender LOCAL@%s", domain);
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
		const struct fact_sender *sender = &f->senders[k];
		for (size_t i = 0; i < f->source_count; i++) {
			const struct fact_source *s = &f->sources[i];
			const struct spf_sender from = {
				.domain = sender->domain, .local = sender->local, .helo = outgoing_helo(f, s)};
			struct spf_verdict v;
			if (!outgoing_may(f, i, sender->domain) || !is_seen(s, sender->domain, out))
				continue;
			spf_check(&v, &from, &s->ip, look, n);
			if (v.result != SPF_PENDING)
				judge_spf(f, sender->domain, &s->ip, &v, out);
		}
	}
}
