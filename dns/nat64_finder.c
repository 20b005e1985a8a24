/* dns/nat64_finder.c: state. */
#include "dns/nat64_finder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/counter.h"
#include "conf/log.h"

enum { SECOND_MS = 1000, EARLIER_MS = 10 * SECOND_MS };

struct set {
	struct nat64_prefix items[NAT64_PREFIXES_MAX];
	size_t count;
};

struct nat64_finder {
	struct resolver *resolver;
	nat64_changed *changed;
	void *arg;

	enum conf_nat64_mode mode;
	bool named; /* the operator chose the resolvers */
	uint64_t min_ms, max_ms, failure_ms;

	struct set known;
	struct set doubted; /* offered and not believed, by the last answer */

	struct dns_question *question; /* NULL: none under way */
	uint64_t due_ms;	       /* CONF_NAT64_AUTO: when to ask */
	unsigned failures;	       /* in a row */
};

/* ---- sets ---- */

static bool has(const struct set *s, const struct nat64_prefix *p)
{
	for (size_t i = 0; i < s->count; i++)
		if (nat64_prefix_equal(&s->items[i], p))
			return true;
	return false;
}

/* The same ones, in any order: DNS servers turn it round. */
static bool same_members(const struct set *a, const struct set *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (!has(b, &a->items[i]))
			return false;
	return a->count == b->count;
}

static bool same_order(const struct set *a, const struct set *b)
{
	for (size_t i = 0; a->count == b->count && i < a->count; i++)
		if (!nat64_prefix_equal(&a->items[i], &b->items[i]))
			return false;
	return a->count == b->count;
}

enum { SET_TEXT = NAT64_PREFIXES_MAX * (PREFIX_TEXT + 1) };

static const char *set_text(const struct set *s, char out[SET_TEXT])
{
	int n = snprintf(out, SET_TEXT, "%s", s->count == 0 ? "none" : "");
	for (size_t i = 0; i < s->count; i++) {
		char text[PREFIX_TEXT];
		n += snprintf(
			out + n, SET_TEXT - (size_t)n, "%s%s", i ? "," : "", nat64_prefix_format(&s->items[i], text));
	}
	return out;
}

/* ---- what is in use ---- */

/* The last thing that its callers do: `changed` may call anything. */
static void use(struct nat64_finder *f, const struct set *fresh)
{
	char now[SET_TEXT], before[SET_TEXT];
	LOG_INFO("nat64-prefixes", LF_STR("prefixes", set_text(fresh, now)),
		LF_STR("before", set_text(&f->known, before)),
		LF_STR("from", f->mode == CONF_NAT64_GIVEN ? "configuration"
			       : f->mode == CONF_NAT64_OFF ? "nat64 = off"
							   : NAT64_NAME));
	f->known = *fresh;
	COUNT_SET(nat64_prefixes, f->known.count);
	if (f->changed != NULL)
		f->changed(f->arg);
}

static struct set given(const struct conf *conf)
{
	struct set s = {0};
	for (unsigned i = 0; i < conf->nat64.count; i++)
		s.count += nat64_prefix_check(&conf->nat64.items[i], &s.items[s.count]) == 0;
	return s;
}

/* ---- answers ---- */

/* Moves what is not to be believed out of `found`. */
static void doubt(struct nat64_finder *f, struct set *found, bool local)
{
	struct set believed = {0}, doubted = {0};
	char text[SET_TEXT];
	for (size_t i = 0; i < found->count; i++) {
		struct set *to = local || f->named || nat64_is_set_aside(&found->items[i]) ? &believed : &doubted;
		to->items[to->count++] = found->items[i];
	}
	if (doubted.count != 0 && !same_members(&doubted, &f->doubted))
		LOG_WARN("nat64-not-believed", LF_STR("prefixes", set_text(&doubted, text)),
			LF_STR("why", "the resolvers come from /etc/resolv.conf and are not on this machine"),
			LF_STR("expected", "nat64 = PREFIX, or dns { servers }"));
	COUNT_N(nat64_not_believed, doubted.count);
	f->doubted = doubted;
	*found = believed;
}

static void ask_again(struct nat64_finder *f, uint64_t now_ms, uint64_t wait_ms)
{
	f->due_ms = now_ms + (wait_ms < f->min_ms ? f->min_ms : wait_ms > f->max_ms ? f->max_ms : wait_ms);
}

static void take_answer(struct nat64_finder *f, const struct dns_answer *answer, uint64_t now_ms)
{
	uint64_t ttl_ms = (uint64_t)answer->ttl * SECOND_MS;
	struct set found = {0};
	size_t left_out = 0;
	f->failures = 0;
	if (answer->status == DNS_OK) {
		found.count = nat64_discover(answer, found.items, &left_out);
		ttl_ms -= ttl_ms < EARLIER_MS ? ttl_ms : EARLIER_MS;
	}
	ask_again(f, now_ms, ttl_ms);
	if (left_out != 0)
		LOG_WARN("nat64-too-many", LF_NUM("most", NAT64_PREFIXES_MAX), LF_NUM("left_out", left_out));
	doubt(f, &found, answer->local);
	if (!same_members(&found, &f->known))
		use(f, &found);
}

static void fail(struct nat64_finder *f, const char *why, uint64_t now_ms)
{
	char text[SET_TEXT];
	uint64_t wait = f->failure_ms < SECOND_MS ? SECOND_MS : f->failure_ms;
	for (unsigned i = 0; i < f->failures && wait < f->min_ms; i++)
		wait *= 2;
	f->due_ms = now_ms + (wait < f->min_ms ? wait : f->min_ms);
	COUNT(nat64_failures);
	if (f->failures++ == 0)
		LOG_WARN("nat64-check-failed", LF_STR("why", why), LF_STR("kept", set_text(&f->known, text)));
}

static void on_answer(void *arg, const struct dns_answer *answer, uint64_t now_ms)
{
	struct nat64_finder *f = arg;
	f->question = NULL;
	switch (answer->status) {
	case DNS_OK:
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		take_answer(f, answer, now_ms);
		break;
	case DNS_SERVFAIL:
	case DNS_TIMEOUT:
		fail(f, answer->detail, now_ms);
		break;
	}
}

/* ---- for callers ---- */

static void take_conf(struct nat64_finder *f, const struct conf *conf)
{
	f->mode = conf->nat64.mode;
	f->named = conf->dns.servers.count != 0;
	f->min_ms = conf->dns.nat64_min;
	f->max_ms = conf->dns.nat64_max;
	f->failure_ms = conf->dns.failure;
	f->doubted.count = 0;
	f->due_ms = 0;
	f->failures = 0;
}

int nat64_finder_open(struct nat64_finder **out, struct resolver *resolver, const struct conf *conf,
	nat64_changed *changed, void *arg)
{
	struct nat64_finder *f = calloc(1, sizeof *f);
	if (f == NULL)
		return -ENOMEM;
	f->resolver = resolver;
	take_conf(f, conf);
	struct set fresh = given(conf);
	if (fresh.count != 0)
		use(f, &fresh);
	f->changed = changed;
	f->arg = arg;
	*out = f;
	return 0;
}

void nat64_finder_tick(struct nat64_finder *f, uint64_t now_ms)
{
	if (f->mode != CONF_NAT64_AUTO || f->question != NULL || now_ms < f->due_ms)
		return;
	f->question = dns_ask(f->resolver, NAT64_NAME, DNS_AAAA, on_answer, f);
	if (f->question == NULL)
		fail(f, "no memory, or dns { queries } was reached", now_ms);
}

static void cancel(struct nat64_finder *f)
{
	if (f->question != NULL)
		dns_cancel(f->question);
	f->question = NULL;
}

void nat64_finder_configure(struct nat64_finder *f, const struct conf *conf)
{
	bool found = f->mode == CONF_NAT64_AUTO && conf->nat64.mode == CONF_NAT64_AUTO;
	cancel(f);
	take_conf(f, conf);
	struct set fresh = found ? f->known : given(conf);
	if (!same_order(&fresh, &f->known))
		use(f, &fresh);
}

void nat64_finder_close(struct nat64_finder *f)
{
	if (f == NULL)
		return;
	cancel(f);
	free(f);
}

const struct nat64_prefix *nat64_prefixes(const struct nat64_finder *f, size_t *count)
{
	*count = f->known.count;
	return f->known.items;
}

bool nat64_is_synthesised(const struct nat64_finder *f, const struct ip *ipv6, struct ip *ipv4)
{
	const struct nat64_prefix *longest = NULL;
	struct ip behind, found = {0};
	for (size_t i = 0; i < f->known.count; i++) {
		const struct nat64_prefix *p = &f->known.items[i];
		if ((longest == NULL || p->bits > longest->bits) && nat64_extract(p, ipv6, &behind) == 0) {
			longest = p;
			found = behind;
		}
	}
	if (longest != NULL && ipv4 != NULL)
		*ipv4 = found;
	return longest != NULL;
}
