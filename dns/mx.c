/* dns/mx.c: state. */
#include "dns/mx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns/name.h"

/* The address question of one host and family. */
struct part {
	struct lookup *lookup;
	struct dns_question *question; /* NULL: none under way */
	size_t host;
	unsigned family;
};

struct lookup {
	struct mx mx; /* first: what callers see */
	struct resolver *resolver;
	mx_changed *changed;
	void *arg;
	char name[DNS_NAME_MAX];
	bool explicit_host; /* a literal or skip_mx */
	uint16_t port;
	enum family only;
	struct mx_self self;
	char *self_text; /* what the names above point into */
	uint64_t host_limit, address_limit, failure_ms, ttl_max_ms;

	struct dns_question *question; /* for MX */
	struct part *parts;	       /* two a host */
	bool *own;		       /* per host: an address was left out because it is this relay's */
	size_t pending;
	uint64_t least_ms; /* when the first of the answers runs out */
	bool answered;	   /* least_ms is set */
};

enum { SMTP_PORT = 25 };

static const enum dns_type types[2] = {DNS_A, DNS_AAAA};
static const char *const type_names[2] = {"A", "AAAA"};
static const uint8_t families[2] = {FAMILY_IPV4, FAMILY_IPV6};

/* ---- this relay ---- */

static int copy_self(struct lookup *l, const struct mx_self *self)
{
	size_t bytes = 1;
	for (size_t i = 0; i < self->name_count; i++)
		bytes += strlen(self->names[i]) + 1;
	const char **names = calloc(self->name_count + 1, sizeof *names);
	struct endpoint *addresses = calloc(self->address_count + 1, sizeof *addresses);
	char *at = malloc(bytes);
	l->self = (struct mx_self){.names = names, .addresses = addresses};
	l->self_text = at;
	if (names == NULL || addresses == NULL || at == NULL)
		return -1;
	for (size_t i = 0; i < self->name_count; i++) {
		size_t n = strlen(self->names[i]) + 1;
		memcpy(at, self->names[i], n);
		names[i] = at;
		at += n;
	}
	if (self->address_count != 0)
		memcpy(addresses, self->addresses, self->address_count * sizeof *addresses);
	l->self.name_count = self->name_count;
	l->self.address_count = self->address_count;
	return 0;
}

static bool own_name(const struct lookup *l, const char *name)
{
	for (size_t i = 0; i < l->self.name_count; i++)
		if (strcasecmp(l->self.names[i], name) == 0)
			return true;
	return false;
}

/* A loopback address that strangers name leads to this machine, whoever listens there. */
static bool own_address(const struct lookup *l, const struct ip *ip)
{
	if (!l->explicit_host && ip_is_loopback(ip))
		return true;
	for (size_t i = 0; i < l->self.address_count; i++)
		if (l->self.addresses[i].port == l->port && ip_equal(&l->self.addresses[i].ip, ip))
			return true;
	return false;
}

/* Does this relay listen at that port, wherever? */
static bool own_port(const struct lookup *l)
{
	for (size_t i = 0; i < l->self.address_count; i++)
		if (l->self.addresses[i].port == l->port)
			return true;
	return false;
}

/* ---- results ---- */

static void note_ttl(struct lookup *l, const struct dns_answer *a, uint64_t now_ms)
{
	uint64_t until = now_ms + (uint64_t)a->ttl * 1000;
	if (!l->answered || until < l->least_ms)
		l->least_ms = until;
	l->answered = true;
}

/* No question is under way any more. */
static void complete(struct lookup *l, uint64_t now_ms)
{
	uint64_t least = now_ms + l->failure_ms, most = now_ms + l->ttl_max_ms;
	uint64_t until = l->answered && l->least_ms > least ? l->least_ms : least;
	l->mx.expires_ms = until < most || most < least ? until : most;
	l->mx.complete = true;
}

__attribute__((format(printf, 5, 6))) static void conclude(
	struct lookup *l, enum mx_state state, int code, const char *enhanced, const char *format, ...)
{
	va_list args;
	l->mx.state = state;
	l->mx.code = code;
	snprintf(l->mx.enhanced, sizeof l->mx.enhanced, "%s", enhanced);
	va_start(args, format);
	vsnprintf(l->mx.reason, sizeof l->mx.reason, format, args);
	va_end(args);
}

static bool any_host(const struct mx *mx, enum mx_part state)
{
	for (size_t i = 0; i < mx->count; i++)
		for (unsigned f = 0; f < 2; f++)
			if (mx->hosts[i].family[f].state == state)
				return true;
	return false;
}

/* The names of the hosts, as many as fit, for `reason`. */
static const char *host_names(const struct mx *mx, char out[128])
{
	size_t n = 0;
	out[0] = 0;
	for (size_t i = 0; i < mx->count && n < 128; i++)
		n += (size_t)snprintf(out + n, 128 - n, "%s%s", i ? ", " : "", mx->hosts[i].name);
	return out;
}

/* The hosts may have addresses, but none of the one family that is wanted. */
static void conclude_without_family(struct lookup *l)
{
	const char *family = l->only == FAMILY_IPV6 ? "IPv6" : "IPv4";
	char names[128];
	if (l->explicit_host || l->mx.implicit)
		conclude(l, MX_DEFERRED, 451, "4.4.4", "%.110s has no %s address", l->name, family);
	else
		conclude(l, MX_DEFERRED, 451, "4.4.4", "no MX host of %.110s has an %s address: %s", l->name, family,
			host_names(&l->mx, names));
}

/* All is known and there is no address. A failed look-up has said why already. */
static void conclude_without_address(struct lookup *l)
{
	char names[128];
	if (any_host(&l->mx, MX_PART_FAILED)) {
		l->mx.state = MX_DEFERRED;
		l->mx.code = 451;
		snprintf(l->mx.enhanced, sizeof l->mx.enhanced, "4.4.3");
	} else if (l->only != FAMILY_NONE) {
		conclude_without_family(l);
	} else if (l->explicit_host) {
		conclude(l, MX_FAILED, 550, "5.4.4", "%s has no address", l->name);
	} else if (l->mx.implicit) {
		conclude(l, MX_FAILED, 550, "5.1.2", "%s has neither MX nor A nor AAAA records", l->name);
	} else {
		conclude(l, MX_FAILED, 550, "5.4.4", "no MX host of %s has an address: %s", l->name,
			host_names(&l->mx, names));
	}
}

/* Looks whether everything is known now. */
static void settle(struct lookup *l, uint64_t now_ms)
{
	if (l->pending != 0 || l->mx.complete)
		return;
	if (l->mx.state == MX_HOSTS) {
		if (!any_host(&l->mx, MX_PART_HAVE))
			conclude_without_address(l);
		else
			l->mx.reason[0] = 0;
	}
	complete(l, now_ms);
}

/* ---- hosts ---- */

static void drop_host(struct lookup *l, size_t i)
{
	for (unsigned f = 0; f < 2; f++) {
		struct part *p = &l->parts[2 * i + f];
		if (p->question != NULL) {
			dns_cancel(p->question);
			p->question = NULL;
			l->pending--;
		}
		free(l->mx.hosts[i].family[f].items);
		l->mx.hosts[i].family[f].items = NULL;
		l->mx.hosts[i].family[f].count = 0;
	}
}

/* Host `at` is this relay: it and all that is not better goes (RFC 5321 §5.1), or mail would run in circles. */
static void cut(struct lookup *l, size_t at)
{
	char name[DNS_NAME_MAX];
	memcpy(name, l->mx.hosts[at].name, sizeof name);
	l->mx.cut = true;
	while (at > 0 && l->mx.hosts[at - 1].preference == l->mx.hosts[at].preference)
		at--;
	while (l->mx.count > at)
		drop_host(l, --l->mx.count);
	if (at == 0 && l->explicit_host)
		conclude(l, MX_FAILED, 550, "5.4.6", "next hop %.110s leads back to this relay", l->name);
	else if (at == 0)
		conclude(l, MX_FAILED, 550, "5.4.6", "mail for %.80s loops back to this relay (%.80s)", l->name, name);
}

static bool host_is_own(const struct lookup *l, size_t i)
{
	const struct mx_host *h = &l->mx.hosts[i];
	if (!l->own[i])
		return false;
	for (unsigned f = 0; f < 2; f++)
		if (h->family[f].state != MX_PART_EMPTY)
			return false;
	return true;
}

/* Addresses that no host has: RFC 1122 §3.2.1.3, RFC 4291 §2.5.2 and §2.7. */
static bool is_nobodys(const struct ip *ip)
{
	static const uint8_t unspecified[16];
	if (ip->family == FAMILY_IPV4)
		return ip->bytes[0] == 0 || ip->bytes[0] >= 224;
	return ip->bytes[0] == 0xff || memcmp(ip->bytes, unspecified, 16) == 0;
}

/* Takes the usable addresses of an answer. */
static enum mx_part take_addresses(struct lookup *l, size_t i, unsigned f, const struct dns_answer *a)
{
	size_t most = a->count < l->address_limit ? a->count : (size_t)l->address_limit, count = 0;
	struct ip *items = calloc(most ? most : 1, sizeof *items);
	if (items == NULL) {
		snprintf(l->mx.reason, sizeof l->mx.reason, "out of memory");
		return MX_PART_FAILED;
	}
	for (size_t k = 0; k < a->count && count < most; k++) {
		const struct ip *ip = &a->records[k].ip;
		size_t same = 0;
		if (ip->family != families[f] || is_nobodys(ip))
			continue;
		if (own_address(l, ip)) {
			l->own[i] = true;
			continue;
		}
		while (same < count && !ip_equal(&items[same], ip))
			same++;
		if (same == count)
			items[count++] = *ip;
	}
	if (count == 0) {
		free(items);
		return MX_PART_EMPTY;
	}
	l->mx.hosts[i].family[f].items = items;
	l->mx.hosts[i].family[f].count = count;
	return MX_PART_HAVE;
}

static void on_address(void *arg, const struct dns_answer *a, uint64_t now_ms)
{
	struct part *p = arg;
	struct lookup *l = p->lookup;
	struct mx_host *h = &l->mx.hosts[p->host];
	bool first = h->family[!p->family].state == MX_PART_PENDING || h->family[!p->family].state == MX_PART_FAILED ||
		     l->only != FAMILY_NONE;
	p->question = NULL;
	l->pending--;
	note_ttl(l, a, now_ms);
	h->family[p->family].known_ms = now_ms;
	switch (a->status) {
	case DNS_OK:
		h->family[p->family].state = take_addresses(l, p->host, p->family, a);
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		h->family[p->family].state = MX_PART_EMPTY;
		break;
	case DNS_SERVFAIL:
	case DNS_TIMEOUT:
		h->family[p->family].state = MX_PART_FAILED;
		snprintf(l->mx.reason, sizeof l->mx.reason, "%s lookup of %.110s: %s", type_names[p->family], h->name,
			a->detail);
		break;
	}
	if (h->family[p->family].state != MX_PART_FAILED)
		h->secure = a->secure && (first || h->secure);
	if (host_is_own(l, p->host))
		cut(l, p->host);
	settle(l, now_ms);
	l->changed(l->arg, &l->mx);
}

/* Room for `count` hosts, none filled. */
static int make_room(struct lookup *l, size_t count)
{
	l->mx.hosts = calloc(count, sizeof *l->mx.hosts);
	l->parts = calloc(count, 2 * sizeof *l->parts);
	l->own = calloc(count, sizeof *l->own);
	return l->mx.hosts != NULL && l->parts != NULL && l->own != NULL ? 0 : -1;
}

/* Asks for both families of all hosts, AAAA first as it may start the race alone. */
static void ask_addresses(struct lookup *l)
{
	l->mx.state = MX_HOSTS;
	for (size_t i = 0; i < l->mx.count; i++) {
		for (unsigned f = 2; f-- > 0;) {
			struct part *p = &l->parts[2 * i + f];
			*p = (struct part){.lookup = l, .host = i, .family = f};
			if (l->only != FAMILY_NONE && l->only != families[f]) {
				l->mx.hosts[i].family[f].state = MX_PART_EMPTY;
				continue;
			}
			p->question = dns_ask(l->resolver, l->mx.hosts[i].name, types[f], on_address, p);
			if (p->question != NULL) {
				l->pending++;
				continue;
			}
			l->mx.hosts[i].family[f].state = MX_PART_FAILED;
			snprintf(l->mx.reason, sizeof l->mx.reason,
				"%s lookup of %.110s: too many DNS questions at once", type_names[f],
				l->mx.hosts[i].name);
		}
	}
}

static void single_host(struct lookup *l)
{
	if (make_room(l, 1) != 0) {
		conclude(l, MX_DEFERRED, 451, "4.3.0", "out of memory");
		return;
	}
	memcpy(l->mx.hosts[0].name, l->name, sizeof l->name);
	l->mx.count = 1;
	if (own_name(l, l->name) && (!l->explicit_host || own_port(l))) {
		cut(l, 0);
		return;
	}
	ask_addresses(l);
}

/* ---- MX ---- */

/* Puts a host at its place behind those of the same preference; a name that is there already keeps its better one. */
static void insert(struct mx *mx, const struct dns_record *r, size_t limit)
{
	size_t at = mx->count;
	for (size_t i = 0; i < mx->count; i++) {
		if (strcmp(mx->hosts[i].name, r->name) != 0)
			continue;
		if (mx->hosts[i].preference <= r->preference)
			return;
		memmove(&mx->hosts[i], &mx->hosts[i + 1], (mx->count - i - 1) * sizeof mx->hosts[0]);
		at = --mx->count;
		break;
	}
	while (at > 0 && mx->hosts[at - 1].preference > r->preference)
		at--;
	if (at >= limit)
		return;
	if (mx->count == limit)
		mx->count--;
	memmove(&mx->hosts[at + 1], &mx->hosts[at], (mx->count - at) * sizeof mx->hosts[0]);
	mx->hosts[at] = (struct mx_host){.preference = r->preference};
	memcpy(mx->hosts[at].name, r->name, sizeof r->name);
	mx->count++;
}

static bool usable_name(const char *name)
{
	struct ip ip;
	return dns_name_valid(name) && ip_parse(&ip, name) != 0;
}

static void take_hosts(struct lookup *l, const struct dns_answer *a)
{
	if (a->count == 1 && a->records[0].name[0] == 0) {
		conclude(l, MX_FAILED, 556, "5.1.10", "%s accepts no mail (null MX)", l->name);
		return;
	}
	size_t limit = a->count < l->host_limit ? a->count : (size_t)l->host_limit;
	if (make_room(l, limit ? limit : 1) != 0) {
		conclude(l, MX_DEFERRED, 451, "4.3.0", "out of memory");
		return;
	}
	for (size_t i = 0; i < a->count; i++)
		if (usable_name(a->records[i].name))
			insert(&l->mx, &a->records[i], limit);
	if (l->mx.count == 0) {
		conclude(l, MX_FAILED, 550, "5.4.4", "no MX of %.110s is a host name: \"%.100s\"", l->name,
			a->records[0].name);
		return;
	}
	for (size_t i = 0; i < l->mx.count; i++) {
		if (own_name(l, l->mx.hosts[i].name)) {
			cut(l, i);
			break;
		}
	}
	if (l->mx.count != 0)
		ask_addresses(l);
}

static void on_mx(void *arg, const struct dns_answer *a, uint64_t now_ms)
{
	struct lookup *l = arg;
	l->question = NULL;
	l->pending--;
	note_ttl(l, a, now_ms);
	l->mx.secure = a->secure;
	switch (a->status) {
	case DNS_OK:
		take_hosts(l, a);
		break;
	case DNS_NODATA:
		l->mx.implicit = true;
		single_host(l);
		break;
	case DNS_NXDOMAIN:
		conclude(l, MX_FAILED, 550, "5.1.2", "no such domain: %s", l->name);
		break;
	case DNS_SERVFAIL:
	case DNS_TIMEOUT:
		conclude(l, MX_DEFERRED, 451, "4.4.3", "MX lookup of %.110s: %s", l->name, a->detail);
		break;
	}
	settle(l, now_ms);
	l->changed(l->arg, &l->mx);
}

/* ---- start and end ---- */

static void start_literal(struct lookup *l, const struct ip *ip, bool foreign)
{
	char text[IP_TEXT];
	unsigned f = ip->family == FAMILY_IPV6;
	struct ip *items = calloc(1, sizeof *items);
	if (items == NULL || make_room(l, 1) != 0) {
		free(items);
		conclude(l, MX_DEFERRED, 451, "4.3.0", "out of memory");
		return;
	}
	snprintf(l->name, sizeof l->name, "%s", ip_format(ip, text));
	if ((foreign && is_nobodys(ip)) || own_address(l, ip)) {
		free(items);
		l->mx.cut = true;
		conclude(l, MX_FAILED, 550, "5.4.6", "%s[%s] leads back to this relay", foreign ? "" : "next hop ",
			l->name);
		return;
	}
	if (l->only != FAMILY_NONE && l->only != (enum family)ip->family) {
		free(items);
		conclude_without_address(l);
		return;
	}
	*items = *ip;
	l->mx.state = MX_HOSTS;
	l->mx.count = 1;
	l->mx.hosts[0].family[f].state = MX_PART_HAVE;
	l->mx.hosts[0].family[f].items = items;
	l->mx.hosts[0].family[f].count = 1;
	l->mx.hosts[0].family[!f].state = MX_PART_EMPTY;
	l->least_ms = UINT64_MAX;
	l->answered = true;
}

static void start(struct lookup *l, const struct mx_wanted *wanted)
{
	if (wanted->name == NULL) {
		start_literal(l, &wanted->literal, wanted->foreign);
		return;
	}
	if (snprintf(l->name, sizeof l->name, "%s", wanted->name) >= (int)sizeof l->name) {
		conclude(l, MX_FAILED, 550, "5.1.2", "no such domain: %s", l->name);
		return;
	}
	if (wanted->skip_mx) {
		single_host(l);
		return;
	}
	l->question = dns_ask(l->resolver, l->name, DNS_MX, on_mx, l);
	if (l->question != NULL)
		l->pending++;
	else
		conclude(l, MX_DEFERRED, 451, "4.4.3", "MX lookup of %.110s: too many DNS questions at once", l->name);
}

struct mx *mx_start(struct resolver *r, const struct conf *conf, const struct mx_wanted *wanted,
	const struct mx_self *self, uint64_t now_ms, mx_changed *changed, void *arg)
{
	static const struct mx_self nobody;
	struct lookup *l = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	if (copy_self(l, self != NULL ? self : &nobody) != 0) {
		mx_free(&l->mx);
		return NULL;
	}
	l->resolver = r;
	l->changed = changed;
	l->arg = arg;
	l->explicit_host = (wanted->name == NULL && !wanted->foreign) || wanted->skip_mx;
	l->port = wanted->port ? wanted->port : SMTP_PORT;
	l->only = wanted->only;
	l->mx.prefer = wanted->prefer;
	l->host_limit = conf->dns.hosts;
	l->address_limit = conf->dns.addresses;
	l->failure_ms = conf->dns.failure;
	l->ttl_max_ms = conf->dns.ttl_max;
	l->mx.resolution_delay = conf->race.resolution_delay;
	start(l, wanted);
	settle(l, now_ms);
	return &l->mx;
}

void mx_free(struct mx *mx)
{
	struct lookup *l = (struct lookup *)mx;
	if (l == NULL)
		return;
	if (l->question != NULL)
		dns_cancel(l->question);
	while (l->mx.count > 0)
		drop_host(l, --l->mx.count);
	free(l->mx.hosts);
	free(l->parts);
	free(l->own);
	free((void *)l->self.names);
	free((void *)l->self.addresses);
	free(l->self_text);
	free(l);
}

/* ---- when to start ---- */

/* When this host may start a race; `open`: what it has not answered yet could still matter. */
static uint64_t host_ready_at(const struct mx *mx, const struct mx_host *h, bool *open)
{
	unsigned better = mx->prefer != FAMILY_IPV4, other = !better;
	bool have_better = h->family[better].state == MX_PART_HAVE, have_other = h->family[other].state == MX_PART_HAVE;
	bool wait_better = h->family[better].state == MX_PART_PENDING;
	*open = wait_better || h->family[other].state == MX_PART_PENDING;
	if (have_better || (have_other && !wait_better))
		return 0;
	return have_other ? h->family[other].known_ms + mx->resolution_delay : UINT64_MAX;
}

uint64_t mx_ready_at(const struct mx *mx, uint64_t now_ms)
{
	if (mx->state != MX_HOSTS)
		return UINT64_MAX;
	bool waiting = false;
	uint64_t at = UINT64_MAX;
	for (size_t i = 0; i < mx->count; i++) {
		if (i > 0 && mx->hosts[i].preference != mx->hosts[i - 1].preference && (waiting || at != UINT64_MAX))
			break;
		bool open;
		uint64_t host_at = host_ready_at(mx, &mx->hosts[i], &open);
		waiting = waiting || open;
		if (host_at < at)
			at = host_at;
	}
	return at <= now_ms ? 0 : at;
}
