/* conf/blocks.c: state. */
#include "conf/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "conf/keys.h"
#include "conf/openrelay.h"
#include "conf/policy.h"
#include "conf/refusals.h"
#include "conf/sources.h"

const char *apply_why(struct apply *a)
{
	return a->why.data ? (const char *)a->why.data : "";
}

static int read_listen(struct apply *a, void *item, const struct grammar_value *title)
{
	char shown[GRAMMAR_SHOWN];
	if (value_read_endpoint(&((struct conf_listen *)item)->at, title->text, 25) == 0)
		return 0;
	grammar_error(a->errors, &title->at, "listen %s; expected ADDRESS:PORT, or [ADDRESS]:PORT for IPv6",
		grammar_show(title->text, shown));
	return -EINVAL;
}

static int read_client(struct apply *a, void *item, const struct grammar_value *title)
{
	char shown[GRAMMAR_SHOWN];
	if (prefix_parse(&((struct conf_client *)item)->network, title->text) == 0)
		return 0;
	grammar_error(a->errors, &title->at, "client %s; expected ADDRESS or ADDRESS/BITS without host bits",
		grammar_show(title->text, shown));
	return -EINVAL;
}

/* A title or value in lower case; NULL without memory. */
static char *lowered(const char *text)
{
	char *copy = strdup(text);
	for (char *p = copy; p != NULL && *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	return copy;
}

static int read_route(struct apply *a, void *item, const struct grammar_value *title)
{
	char shown[GRAMMAR_SHOWN];
	const char *name = *title->text == '.' ? title->text + 1 : title->text;
	if (strcmp(title->text, "*") != 0 && !value_is_domain(name)) {
		grammar_error(a->errors, &title->at,
			"route %s; expected DOMAIN, .DOMAIN (its subdomains) or *, in ASCII (xn--…)",
			grammar_show(title->text, shown));
		return -EINVAL;
	}
	((struct conf_route *)item)->pattern = lowered(title->text);
	return ((struct conf_route *)item)->pattern ? 0 : -ENOMEM;
}

static int read_pool(struct apply *a, void *item, const struct grammar_value *title)
{
	char shown[GRAMMAR_SHOWN];
	struct conf_pool *pool = item;
	if (!sources_is_name(title->text)) {
		grammar_error(a->errors, &title->at, "pool %s; expected a name of 1 to %d letters, digits and hyphens",
			grammar_show(title->text, shown), POOL_NAME_MAX);
		return -EINVAL;
	}
	pool->name = lowered(title->text);
	return pool->name ? 0 : -ENOMEM;
}

static void check_pool(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_pool *pool = item;
	buf_reset(&a->why);
	if (sources_complain(pool, &a->why) != 0)
		grammar_error(a->errors, at, "pool %s %s", pool->name, apply_why(a));
}

static int read_identity(struct apply *a, void *item, const struct grammar_value *title)
{
	char shown[GRAMMAR_SHOWN];
	if (ip_parse(&((struct conf_identity *)item)->at, title->text) == 0)
		return 0;
	grammar_error(a->errors, &title->at, "identity %s; expected an address", grammar_show(title->text, shown));
	return -EINVAL;
}

static int read_sender(struct apply *a, void *item, const struct grammar_value *title)
{
	char shown[GRAMMAR_SHOWN];
	if (!value_is_domain(*title->text == '.' ? title->text + 1 : title->text)) {
		grammar_error(a->errors, &title->at,
			"sender %s; expected DOMAIN or .DOMAIN (its subdomains), in ASCII (xn--…)",
			grammar_show(title->text, shown));
		return -EINVAL;
	}
	((struct conf_sender *)item)->pattern = lowered(title->text);
	return ((struct conf_sender *)item)->pattern ? 0 : -ENOMEM;
}

/* The pool that is named must be there. */
static void check_named_pool(
	struct apply *a, const char *block, const char *title, const char *pool, const struct grammar_place *at)
{
	buf_reset(&a->why);
	if (sources_missing(a->c, pool, &a->why) != 0)
		grammar_error(a->errors, at, "%s %s: %s", block, title, apply_why(a));
}

static void check_sender(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_sender *s = item;
	check_named_pool(a, "sender", s->pattern, s->pool, at);
}

static int read_refusal(struct apply *a, void *item, const struct grammar_value *title)
{
	char shown[GRAMMAR_SHOWN];
	struct conf_refusal *row = item;
	if (!refusals_is_name(title->text)) {
		grammar_error(a->errors, &title->at,
			"refusal %s; expected a name of 1 to %d letters, digits and hyphens",
			grammar_show(title->text, shown), REFUSAL_NAME_MAX);
		return -EINVAL;
	}
	row->name = lowered(title->text);
	return row->name ? 0 : -ENOMEM;
}

/* A row says what it is about, and when it holds. */
static void check_refusal(struct apply *a, const void *item)
{
	const struct conf_titled *t = titled_find("refusal");
	const struct grammar_value *title = a->instances[t - conf_titled].titles[a->c->refusal_count - 1];
	const struct conf_refusal *row = item;
	bool condition = false; /* maybe a wrong one, which is reported */
	static const char *const names[] = {"code", "status", "text"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		condition = condition || a->given[keys_find("refusal", names[i]) - conf_keys] != NULL;
	buf_reset(&a->why);
	if (a->given[keys_find("refusal", "kind") - conf_keys] == NULL)
		grammar_error(a->errors, &title->at, "refusal %s has no kind; expected kind = family, listed or none",
			row->name);
	else if (!condition && refusals_complain(row, &a->why) != 0)
		grammar_error(a->errors, &title->at, "refusal %s: %s", row->name, apply_why(a));
}

static int read_oracle(struct apply *a, void *item, const struct grammar_value *title)
{
	char shown[GRAMMAR_SHOWN];
	struct conf_oracle *o = item;
	if (*title->text == '/' && strlen(title->text) < sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		o->path = strdup(title->text);
		return o->path != NULL ? 0 : -ENOMEM;
	}
	if (endpoint_parse(&o->at, title->text) == 0)
		return 0;
	grammar_error(a->errors, &title->at,
		"oracle %s; expected ADDRESS:PORT, [ADDRESS]:PORT for IPv6, or the /PATH of a socket, at most %zu "
		"bytes",
		grammar_show(title->text, shown), sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	return -EINVAL;
}

/* Who asks over a socket of this machine shows no family. */
static void check_oracle(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_oracle *o = item;
	if (o->path != NULL && o->family == CONF_FAMILY_ANY)
		grammar_error(a->errors, at, "oracle %s has no family; expected family = ipv4 or ipv6", o->path);
}

/* Mail that is dropped or refused goes nowhere: of `relay`, `discard` and `reject` a route has one. */
static void check_route(struct apply *a, const void *base)
{
	const struct conf_route *r = base;
	static const char *const names[] = {"relay", "discard", "reject"};
	const struct grammar_item *first = NULL;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct grammar_item *item = a->given[keys_find("route", names[i]) - conf_keys];
		if (item == NULL || (i == 1 && !r->discard))
			continue;
		if (first != NULL)
			grammar_error(a->errors, &item->at,
				"%s and %s (%s:%u:%u) exclude each other; expected one of them", item->name,
				first->name, first->at.file, first->at.line, first->at.column);
		else
			first = item;
	}
	static const char *const family_relays[] = {"ipv6_relay", "ipv4_relay"};
	for (size_t i = 0; i < 2 && first != NULL; i++) {
		const struct grammar_item *item = a->given[keys_find("route", family_relays[i]) - conf_keys];
		if (item != NULL)
			grammar_error(a->errors, &item->at,
				"%s has no meaning where %s (%s:%u:%u) takes all mail; expected one of them",
				item->name, first->name, first->at.file, first->at.line, first->at.column);
	}
	size_t other = 0;
	for (size_t i = 0; i < r->relay.count; i++)
		other += r->relay.items[i].literal.family == (r->only == CONF_FAMILY_IPV6 ? FAMILY_IPV4 : FAMILY_IPV6);
	if (r->only != CONF_FAMILY_ANY && other > 0 && other == r->relay.count) {
		first = a->given[keys_find("route", "only") - conf_keys];
		grammar_error(
			a->errors, &first->at, "only leaves out each of relay's addresses; expected another family");
	}
}

/* A route's times in force, some given there, some for all: first <= max <= give_up. */
static void check_schedule(struct apply *a, const struct conf_route *r, const struct grammar_place *at)
{
	const struct retry_times p = policy_of(a->c, r).retry;
	const struct {
		const char *small, *large;
		uint64_t small_value, large_value;
		bool given;
	} rows[] = {
		{"first", "max", p.first, p.max, r->first != CONF_INHERIT || r->max != CONF_INHERIT},
		{"max", "give_up", p.max, p.give_up, r->max != CONF_INHERIT || r->give_up != CONF_INHERIT},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct conf_key *key = keys_find("route", rows[i].small);
		if (!rows[i].given || rows[i].small_value <= rows[i].large_value)
			continue;
		buf_reset(&a->why);
		buf_printf(&a->why, "route %s: %s (", r->pattern, rows[i].small);
		value_write(&key->rule, &rows[i].small_value, &a->why);
		buf_printf(&a->why, ") is more than %s (", rows[i].large);
		value_write(&key->rule, &rows[i].large_value, &a->why);
		grammar_error(a->errors, at, "%s), here or in block retry; expected at most that", apply_why(a));
	}
}

static void check_route_whole(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_route *r = item;
	check_schedule(a, r, at);
	check_named_pool(a, "route", r->pattern, r->pool, at);
}

void blocks_check_trusted(
	struct apply *a, const char *what, const struct prefix *who, size_t count, const struct grammar_place *at)
{
	if (a->c->open_relay)
		return;
	buf_reset(&a->why);
	int open = openrelay_check(who, count, &a->why);
	if (open < 0)
		a->fatal = open;
	else if (open)
		grammar_error(
			a->errors, at, "%s: %s, or open_relay = i-know-that-everybody-may-relay", what, apply_why(a));
}

static void check_balancers(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_prefixes *who = &((const struct conf_listen *)item)->proxy;
	blocks_check_trusted(a, "listen with proxy", who->items, who->count, at);
}

static void check_speaker(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_client *block = item;
	if (block->xclient == CONF_ANSWER_YES)
		blocks_check_trusted(a, "client with xclient = yes", &block->network, 1, at);
}

/* What reads and checks a block with titles, one row for each of conf_titled. */
static const struct titled_reader titled_readers[] = {
	{"listen", read_listen, NULL, check_balancers},
	{"client", read_client, NULL, check_speaker},
	{"pool", read_pool, NULL, check_pool},
	{"identity", read_identity, NULL, NULL},
	{"sender", read_sender, NULL, check_sender},
	{"route", read_route, check_route, check_route_whole},
	{"refusal", read_refusal, check_refusal, NULL},
	{"oracle", read_oracle, NULL, check_oracle},
};

const struct titled_reader *blocks_reader(const struct conf_titled *t)
{
	const struct titled_reader *r = titled_readers;
	while (strcmp(r->block, t->block) != 0)
		r++;
	return r;
}
