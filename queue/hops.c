/* queue/hops.c: state. */
#include "queue/hops.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"

enum { SMTP_PORT = 25, NAME_MAX_BYTES = HOST_TEXT, KEY_MAX = 4096 };

/* ---- one list out of all ---- */

/* The hosts of one hop, behind those of the hops before it. */
static void take_hosts(struct hops *h, size_t item)
{
	const struct mx *mx = h->items[item].mx;
	unsigned order = 0;
	for (size_t i = 0; i < mx->count; i++) {
		order += i > 0 && mx->hosts[i].preference != mx->hosts[i - 1].preference;
		h->hosts[h->count++] = (struct hop_host){
			.host = &mx->hosts[i],
			.preference = h->item_count == 1 ? mx->hosts[i].preference
							 : (uint16_t)(item * HOP_PREFERENCES + order),
			.port = h->items[item].port,
		};
	}
}

__attribute__((format(printf, 4, 5))) static void say(
	struct hops *h, int code, const char *enhanced, const char *format, ...)
{
	va_list args;
	h->code = code;
	snprintf(h->enhanced, sizeof h->enhanced, "%s", enhanced);
	va_start(args, format);
	vsnprintf(h->reason, sizeof h->reason, format, args);
	va_end(args);
}

/* No hop has a host: the first that may have one later tells why, else the first of all. */
static void conclude(struct hops *h)
{
	const struct mx *mx = NULL;
	for (size_t i = 0; i < h->item_count && h->items[i].mx != NULL; i++)
		if (mx == NULL || (mx->state != MX_DEFERRED && h->items[i].mx->state == MX_DEFERRED))
			mx = h->items[i].mx;
	if (mx == NULL) {
		h->state = MX_DEFERRED;
		say(h, 451, "4.3.5", "no next hop is named");
		return;
	}
	h->state = mx->state;
	if (h->policy.only != FAMILY_NONE && strcmp(mx->enhanced, "4.4.4") == 0) {
		say(h, mx->code, mx->enhanced, "route %s uses only %s: %s", h->route,
			h->policy.only == FAMILY_IPV6 ? "IPv6" : "IPv4", mx->reason);
	} else if (h->named && mx->state == MX_FAILED && !mx->cut) {
		h->state = MX_DEFERRED;
		say(h, 451, "4.3.5", "the next hop named here is not found: %s", mx->reason);
	} else {
		say(h, mx->code, mx->enhanced, "%s", mx->reason);
	}
}

/* A hop that is this relay itself ends the list. */
static void cut(struct hops *h)
{
	for (size_t i = 0; i < h->item_count; i++)
		if (i > 0 && (h->items[i - 1].mx == NULL || h->items[i - 1].mx->cut)) {
			mx_free(h->items[i].mx);
			h->items[i].mx = NULL;
		}
}

static void update(struct hops *h)
{
	bool pending = false;
	h->count = 0;
	h->complete = true;
	h->expires_ms = UINT64_MAX;
	cut(h);
	for (size_t i = 0; i < h->item_count && h->items[i].mx != NULL; i++) {
		const struct mx *mx = h->items[i].mx;
		pending |= mx->state == MX_PENDING;
		h->complete &= mx->complete;
		if (mx->expires_ms < h->expires_ms)
			h->expires_ms = mx->expires_ms;
		if (mx->state == MX_HOSTS)
			take_hosts(h, i);
	}
	if (h->count > 0)
		h->state = MX_HOSTS;
	else if (pending)
		h->state = MX_PENDING;
	else
		conclude(h);
}

static void on_mx(void *arg, struct mx *mx)
{
	struct hops *h = ((struct hop_lookup *)arg)->hops;
	(void)mx;
	update(h);
	h->changed(h->arg, h);
}

/* ---- start and end ---- */

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3) */
static int literal_address(const char *domain, struct ip *out)
{
	char text[IP_TEXT + 8];
	size_t n = strlen(domain);
	if (n < 3 || n - 2 >= sizeof text || domain[n - 1] != ']')
		return -EINVAL;
	memcpy(text, domain + 1, n - 2);
	text[n - 2] = '\0';
	return ip_parse(out, strncasecmp(text, "IPv6:", 5) == 0 ? text + 5 : text);
}

static int start(struct hops *h, struct queue *q, struct mx_wanted *wanted)
{
	size_t i = h->item_count;
	wanted->only = h->policy.only;
	wanted->prefer = h->policy.prefer;
	h->items[i].hops = h;
	h->items[i].port = wanted->port;
	h->items[i].mx = mx_start(q->resolver, q->conf, wanted, &q->self, q->clock(), on_mx, &h->items[i]);
	if (h->items[i].mx == NULL)
		return -ENOMEM;
	h->item_count++;
	return 0;
}

static int start_domain(struct hops *h, struct queue *q, const char *domain)
{
	struct mx_wanted wanted = {.name = domain, .port = SMTP_PORT};
	if (*domain == '[') {
		wanted.name = NULL;
		wanted.foreign = true;
		int err = literal_address(domain, &wanted.literal);
		if (err != 0)
			return err;
	}
	return start(h, q, &wanted);
}

/* "mx.example,gw.example:587": without blanks, so that it is one word of a command line. */
static int name_site(struct hops *h, const struct conf_relay *relay)
{
	struct buf key, name;
	size_t len;
	buf_init(&key, KEY_MAX);
	buf_init(&name, NAME_MAX_BYTES);
	int err = buf_append_str(&key, "hops ");
	if (err == 0)
		err = value_write_relay(relay, &key);
	for (size_t i = 0; err == 0 && i < relay->count; i++) {
		const struct conf_hop *hop = &relay->items[i];
		bool colons = hop->literal.family == FAMILY_IPV6;
		int full = buf_printf(&name, colons ? "%s[%s]" : "%s%s", i ? "," : "", hop->host);
		if (full == 0 && hop->port != SMTP_PORT)
			full = buf_printf(&name, ":%u", (unsigned)hop->port);
		if (full == -ENOMEM)
			err = full;
	}
	if (err == 0)
		err = buf_append(&key, "", 1);
	if (err == 0 && buf_append(&name, "", 1) == -ENOMEM)
		err = -ENOMEM;
	h->key = err == 0 ? (char *)buf_detach(&key, &len) : NULL;
	h->name = err == 0 && name.len > 0 ? strndup((char *)name.data, name.len) : NULL;
	buf_fini(&key);
	buf_fini(&name);
	return h->name != NULL ? 0 : -ENOMEM;
}

static int start_relay(struct hops *h, struct queue *q, const struct conf_relay *relay)
{
	int err = relay->count > 1 ? name_site(h, relay) : 0;
	h->named = true;
	for (size_t i = 0; err == 0 && i < relay->count; i++) {
		const struct conf_hop *hop = &relay->items[i];
		struct mx_wanted wanted = {.name = hop->literal.family != FAMILY_NONE ? NULL : hop->host,
			.literal = hop->literal,
			.skip_mx = hop->skip_mx,
			.port = hop->port};
		err = start(h, q, &wanted);
	}
	return err;
}

int hops_start(struct hops **out, struct queue *q, const struct hops_wanted *wanted,
	void (*changed)(void *arg, struct hops *h), void *arg)
{
	struct hops *h = calloc(1, sizeof *h);
	if (h == NULL)
		return -ENOMEM;
	const struct conf_route *route = wanted->redirect ? NULL : wanted->route;
	struct conf_relay redirect = {0};
	h->changed = changed;
	h->arg = arg;
	h->conf = conf_ref(q->conf);
	h->policy = policy_of(q->conf, route);
	h->route = route != NULL && h->policy.own_site ? route->pattern : NULL;
	h->hosts = calloc(CONF_HOPS_MAX * (size_t)q->conf->dns.hosts, sizeof *h->hosts);
	int err = h->hosts ? 0 : -ENOMEM;
	if (err == 0 && wanted->redirect != NULL)
		err = value_read_relay(&redirect, wanted->redirect) == 0 ? 0 : -EBADMSG;
	if (err == 0 && wanted->redirect != NULL)
		err = start_relay(h, q, &redirect);
	else if (err == 0 && wanted->relay != NULL)
		err = start_relay(h, q, wanted->relay);
	else if (err == 0 && route != NULL && route->relay.count > 0)
		err = start_relay(h, q, &route->relay);
	else if (err == 0)
		err = start_domain(h, q, wanted->domain);
	value_free_relay(&redirect);
	if (err != 0) {
		hops_free(h);
		return err;
	}
	update(h);
	*out = h;
	return 0;
}

void hops_free(struct hops *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->item_count; i++)
		mx_free(h->items[i].mx);
	conf_unref(h->conf);
	free(h->hosts);
	free(h->name);
	free(h->key);
	free(h);
}

uint64_t hops_ready_at(const struct hops *h, uint64_t now_ms)
{
	for (size_t i = 0; i < h->item_count && h->items[i].mx != NULL; i++) {
		const struct mx *mx = h->items[i].mx;
		if (mx->state == MX_PENDING || mx->state == MX_HOSTS)
			return mx_ready_at(mx, now_ms); /* UINT64_MAX while it is pending */
	}
	return UINT64_MAX;
}
