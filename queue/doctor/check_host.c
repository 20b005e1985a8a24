/* queue/doctor/check_host.c: protocol. */
#include "queue/doctor/check_host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/doctor/scope.h"

static const char *const family_words[FAMILIES] = {"IPv4", "IPv6"};

static bool is_usable(const struct fact_address *a)
{
	return a->global && !a->tentative && !a->duplicate && !ip_is_loopback(&a->ip);
}

/* The address that speaks best for the family: public before private, lasting before temporary. NULL: none. */
static const struct fact_address *best_address(const struct facts *f, enum family family)
{
	const struct fact_address *best = NULL;
	int best_rank = -1;
	for (size_t i = 0; i < f->address_count; i++) {
		const struct fact_address *a = &f->addresses[i];
		if (a->ip.family != family || !is_usable(a))
			continue;
		int rank = !scope_is_private(&a->ip) * 4 + !a->deprecated * 2 + !a->temporary;
		if (rank > best_rank) {
			best = a;
			best_rank = rank;
		}
	}
	return best;
}

static const struct fact_address *find_address(const struct facts *f, const struct ip *ip)
{
	for (size_t i = 0; i < f->address_count; i++)
		if (ip_equal(&f->addresses[i].ip, ip))
			return &f->addresses[i];
	return NULL;
}

/* Why the addresses that are there are none. */
static const char *why_none(const struct facts *f, enum family family)
{
	for (size_t i = 0; i < f->address_count; i++) {
		const struct fact_address *a = &f->addresses[i];
		if (a->ip.family != family || !a->global)
			continue;
		if (a->duplicate)
			return ": another host on the link has its address (duplicate address detection failed)";
		if (a->tentative)
			return ": its address is tentative, duplicate address detection is not through";
	}
	return ": there are local ones alone, or none";
}

void check_families(const struct facts *f, struct names *n, struct findings *out)
{
	(void)n;
	if (f->host_err != 0) {
		findings_add(
			out, FINDING_UNKNOWN, "the kernel does not tell its addresses: %s", strerror(-f->host_err));
		return;
	}
	for (unsigned i = 0; i < FAMILIES; i++) {
		const struct fact_address *a = best_address(f, family_at(i));
		char text[IP_TEXT];
		if (a == NULL) {
			findings_add(out, FINDING_ERROR, "%s: no usable global address%s", family_words[i],
				why_none(f, family_at(i)));
			findings_mend(out,
				"Give the host an %s address. Until then mail to hosts that have %s alone waits.",
				family_words[i], family_words[i]);
		} else if (scope_is_private(&a->ip)) {
			findings_add(out, FINDING_WARNING,
				"%s: only private addresses, such as %s on %s: a translator stands between this host "
				"and the Internet",
				family_words[i], ip_format(&a->ip, text), a->interface);
			findings_mend(out,
				"Give the host a public address; or see that the translator's address has a PTR "
				"record and is in the SPF records, for that cannot be checked from here.");
		} else {
			findings_add(out, FINDING_OK, "%s: %s on %s", family_words[i], ip_format(&a->ip, text),
				a->interface);
		}
	}
}

static const struct fact_route *find_route(const struct facts *f, enum family family)
{
	const struct fact_route *found = NULL;
	for (size_t i = 0; i < f->route_count; i++) /* one that stays before one that lapses */
		if (f->routes[i].family == family && (found == NULL || found->lapses))
			found = &f->routes[i];
	return found;
}

void check_routes(const struct facts *f, struct names *n, struct findings *out)
{
	(void)n;
	if (f->host_err != 0) {
		findings_add(out, FINDING_UNKNOWN, "the kernel does not tell its routes: %s", strerror(-f->host_err));
		return;
	}
	for (unsigned i = 0; i < FAMILIES; i++) {
		const struct fact_route *r = find_route(f, family_at(i));
		if (r == NULL) {
			findings_add(out, FINDING_ERROR, "%s: no default route", family_words[i]);
			findings_mend(out, "%s",
				i == 0 ? "Set one, as in: ip route add default via ADDRESS-OF-THE-ROUTER"
				       : "Let the router advertise itself, or set one, as in: ip -6 route add default "
					 "via "
					 "ADDRESS-OF-THE-ROUTER dev INTERFACE");
		} else if (r->lapses) {
			findings_add(out, FINDING_WARNING,
				"%s: the default route by %s comes from router advertisements, and is not renewed as "
				"this host forwards packets",
				family_words[i], r->interface);
			findings_mend(out,
				"sysctl -w net.ipv6.conf.%s.accept_ra=2, and keep it in /etc/sysctl.d; or set a "
				"static route.",
				r->interface);
		} else {
			findings_add(out, FINDING_OK, "%s: default route by %s%s", family_words[i], r->interface,
				r->advertised ? " (advertised by a router)" : "");
		}
	}
}

static void judge_source(const struct fact_source *s, const struct fact_address *a, struct findings *out)
{
	char text[IP_TEXT], how[80];
	const char *word = family_words[s->family == FAMILY_IPV6];
	ip_format(&s->ip, text);
	snprintf(how, sizeof how, s->pool != NULL ? "pool %s says so" : "%s",
		s->pool != NULL ? s->pool
		: s->configured ? "source { } says so"
				: "the kernel's choice");
	if (a != NULL && (a->tentative || a->duplicate)) {
		findings_add(out, FINDING_ERROR, "%s: %s (%s) cannot be used: duplicate address detection %s", word,
			text, how, a->duplicate ? "failed" : "is not through");
		findings_mend(out, "%s",
			a->duplicate ? "Another host on the link has it: give one of the two another address."
				     : "Look again in a few seconds.");
	} else if (s->err != 0) {
		findings_add(out, FINDING_ERROR, "%s: %s (%s) cannot be used: %s", word, text, how,
			s->err == -EADDRNOTAVAIL ? "it is no address of this host" : strerror(-s->err));
		findings_mend(out, "Add the address to an interface, or correct the configuration.");
	} else if (a != NULL && a->temporary) {
		findings_add(out, FINDING_WARNING,
			"%s: %s (%s) is temporary: it changes, and PTR and SPF records cannot follow", word, text, how);
		findings_mend(out,
			"Set source { ipv6 } to the lasting address, or sysctl -w net.ipv6.conf.%s.use_tempaddr=0.",
			a->interface);
	} else if (a != NULL && a->deprecated) {
		findings_add(out, FINDING_WARNING, "%s: %s (%s) is deprecated: it is about to go", word, text, how);
		findings_mend(out, "Renew it, or set source { ipv%u } to one that stays.", s->family);
	} else if (scope_is_private(&s->ip)) {
		findings_add(
			out, FINDING_WARNING, "%s: %s (%s) is private: receivers see another address", word, text, how);
		findings_mend(out,
			"Send from a public address; else PTR and SPF are those of the translator's address, and "
			"not checked here.");
	} else {
		findings_add(out, FINDING_OK, "%s: %s (%s)", word, text, how);
	}
}

void check_source(const struct facts *f, struct names *n, struct findings *out)
{
	(void)n;
	for (size_t i = 0; i < f->source_count; i++) {
		const struct fact_source *s = &f->sources[i];
		if (s->used && s->ip.family == FAMILY_NONE)
			findings_add(out, FINDING_UNKNOWN, "%s: the kernel chooses none: %s (see families, routes)",
				family_words[s->family == FAMILY_IPV6], strerror(-s->err));
		else if (s->used)
			judge_source(s, find_address(f, &s->ip), out);
	}
	if (f->sources_left)
		findings_add(
			out, FINDING_UNKNOWN, "more than %d addresses: the others were not looked at", FACT_SOURCES);
}
