/* conf/apply.c: state. */
#include "conf/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "conf/keys.h"
#include "conf/openrelay.h"
#include "conf/policy.h"
#include "conf/refusals.h"
#include "conf/sources.h"
#include "conf/titled.h"

enum { WHY_MAX = 2048 };

/* What is known of the instances of one block with titles while the file is read. */
struct instances {
	const struct grammar_value **titles; /* of each instance in the configuration's array */
	size_t room;
};

struct apply {
	struct conf *c;
	struct grammar_errors *errors;
	struct buf why;
	const struct grammar_item **given;  /* the item that set each row, in this instance of its block */
	const struct grammar_item **blocks; /* the first of each block without title */
	struct instances *instances;	    /* of each row of conf_titled */
	int fatal;			    /* -ENOMEM */
};

struct conf *conf_new(void)
{
	struct conf *c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	atomic_init(&c->refs, 1);
	c->origins = calloc(conf_key_count, sizeof *c->origins);
	if (c->origins == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

static bool in_titled_block(const struct conf_key *key)
{
	const struct conf_block *block = keys_find_block(key->block);
	return block != NULL && block->title != NULL;
}

static void free_members(const char *block, void *base)
{
	for (size_t i = 0; i < conf_key_count; i++)
		if (strcmp(conf_keys[i].block, block) == 0)
			value_fini(&conf_keys[i].rule, (char *)base + conf_keys[i].at);
}

/* Makes the members of a block's struct empty whose bytes are all zero. */
static void init_members(const char *block, void *base)
{
	for (size_t i = 0; i < conf_key_count; i++)
		if (strcmp(conf_keys[i].block, block) == 0)
			value_init(&conf_keys[i].rule, (char *)base + conf_keys[i].at);
}

static void free_instances(struct conf *c, const struct conf_titled *t)
{
	for (size_t i = 0; i < titled_count(t, c); i++) {
		void *item = titled_item(t, c, i);
		free_members(t->block, item);
		if (t->free_title != NULL)
			t->free_title(item);
	}
	free(titled_item(t, c, 0));
}

void conf_free(struct conf *c)
{
	for (size_t i = 0; i < conf_key_count; i++)
		if (!in_titled_block(&conf_keys[i]))
			value_fini(&conf_keys[i].rule, (char *)c + conf_keys[i].at);
	for (size_t i = 0; i < conf_titled_count; i++)
		free_instances(c, &conf_titled[i]);
	for (size_t i = 0; i < c->file_count; i++)
		free(c->files[i]);
	free(c->files);
	free(c->origins);
	free(c->file);
	free(c);
}

/* Says where `at` is, for as long as the configuration lives. */
static struct conf_origin origin_of(struct apply *a, const struct grammar_place *at)
{
	struct conf *c = a->c;
	for (size_t i = 0; i < c->file_count; i++)
		if (strcmp(c->files[i], at->file) == 0)
			return (struct conf_origin){.file = (uint32_t)i + 1, .line = at->line};
	char *name = strdup(at->file);
	char **files = name ? reallocarray(c->files, c->file_count + 1, sizeof *files) : NULL;
	if (files == NULL) {
		free(name);
		a->fatal = -ENOMEM;
		return (struct conf_origin){0};
	}
	c->files = files;
	c->files[c->file_count++] = name;
	return (struct conf_origin){.file = (uint32_t)c->file_count, .line = at->line};
}

static const char *why(struct apply *a)
{
	return a->why.data ? (const char *)a->why.data : "";
}

static void unknown(struct apply *a, const char *block, const struct grammar_item *item)
{
	char shown[GRAMMAR_SHOWN];
	bool is_block = item->kind == GRAMMAR_BLOCK;
	buf_reset(&a->why);
	if (*block != '\0')
		buf_printf(&a->why, " in block %s", block);
	else if (!is_block)
		buf_append_str(&a->why, " at the top level");
	buf_append_str(&a->why, "; ");
	keys_suggest(block, item->name, is_block, &a->why);
	grammar_error(a->errors, &item->at, "unknown %s %s%s", is_block ? "block" : "key",
		grammar_show(item->name, shown), why(a));
}

static void given_twice(struct apply *a, const struct grammar_place *at, const char *what, const char *name,
	const struct grammar_place *first)
{
	char shown[GRAMMAR_SHOWN];
	grammar_error(a->errors, at, "%s%s is given twice; first at %s:%u:%u", what, grammar_show(name, shown),
		first->file, first->line, first->column);
}

/* Sets one member of the block whose struct is at `base`. */
static void apply_setting(struct apply *a, const char *block, void *base, const struct grammar_item *item)
{
	const struct conf_key *key = keys_find(block, item->name);
	const struct grammar_value *bad;
	if (key == NULL) {
		if (keys_find_block(item->name) != NULL && *block == '\0')
			grammar_error(a->errors, &item->at, "%s is a block; expected %s { }", item->name, item->name);
		else
			unknown(a, block, item);
		return;
	}
	size_t row = (size_t)(key - conf_keys);
	if (a->given[row] != NULL) {
		given_twice(a, &item->at, "", item->name, &a->given[row]->at);
		return;
	}
	a->given[row] = item;
	buf_reset(&a->why);
	int err = value_read(&key->rule, item->values, (char *)base + key->at, &bad, &a->why);
	if (err == -EINVAL)
		grammar_error(a->errors, &bad->at, "%s: %s", item->name, why(a));
	else if (err != 0)
		a->fatal = err;
	else if (base == a->c)
		a->c->origins[row] = origin_of(a, &item->at);
}

static void apply_settings(struct apply *a, const char *block, void *base, const struct grammar_item *items)
{
	char shown[GRAMMAR_SHOWN];
	for (const struct grammar_item *i = items; i != NULL; i = i->next) {
		if (i->kind == GRAMMAR_SETTING)
			apply_setting(a, block, base, i);
		else if (i->kind == GRAMMAR_BLOCK)
			grammar_error(a->errors, &i->at,
				"block %s inside block %s; expected settings there (is a '}' missing?)",
				grammar_show(i->name, shown), block);
	}
}

/* The rows of a block with titles are free for its next instance. */
static void forget_given(struct apply *a, const char *block)
{
	for (size_t i = 0; i < conf_key_count; i++)
		if (strcmp(conf_keys[i].block, block) == 0)
			a->given[i] = NULL;
}

/* Makes room for more instances. */
static int grow(struct apply *a, const struct conf_titled *t, size_t count)
{
	struct instances *known = &a->instances[t - conf_titled];
	size_t room = known->room ? known->room * 2 : 16;
	const struct grammar_value **titles = reallocarray(known->titles, room, sizeof *titles);
	if (titles == NULL)
		return -ENOMEM;
	known->titles = titles;
	void *items = reallocarray(titled_item(t, a->c, 0), room, t->size);
	if (items == NULL)
		return -ENOMEM;
	titled_set(t, a->c, items, count);
	known->room = room;
	return 0;
}

/* One more instance of a block with titles, empty; NULL: too many, or no memory. */
static void *add_instance(struct apply *a, const struct conf_titled *t, const struct grammar_value *title)
{
	struct instances *known = &a->instances[t - conf_titled];
	size_t count = titled_count(t, a->c);
	if (count == t->most) {
		grammar_error(a->errors, &title->at, "more than %zu %s; expected fewer", t->most, t->many);
		return NULL;
	}
	if (count == known->room && (a->fatal = grow(a, t, count)) != 0)
		return NULL;
	char *item = titled_item(t, a->c, count);
	memset(item, 0, t->size);
	init_members(t->block, item);
	known->titles[count] = title;
	titled_set(t, a->c, titled_item(t, a->c, 0), count + 1);
	return item;
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
		grammar_error(a->errors, at, "pool %s %s", pool->name, why(a));
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
		grammar_error(a->errors, at, "%s %s: %s", block, title, why(a));
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
		grammar_error(a->errors, &title->at, "refusal %s: %s", row->name, why(a));
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
		grammar_error(a->errors, at, "%s), here or in block retry; expected at most that", why(a));
	}
}

static void check_route_whole(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_route *r = item;
	check_schedule(a, r, at);
	check_named_pool(a, "route", r->pattern, r->pool, at);
}

/* Who may relay, or may name any client, is not to be everybody. */
static void check_trusted(
	struct apply *a, const char *what, const struct prefix *who, size_t count, const struct grammar_place *at)
{
	if (a->c->open_relay)
		return;
	buf_reset(&a->why);
	int open = openrelay_check(who, count, &a->why);
	if (open < 0)
		a->fatal = open;
	else if (open)
		grammar_error(a->errors, at, "%s: %s, or open_relay = i-know-that-everybody-may-relay", what, why(a));
}

static void check_balancers(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_prefixes *who = &((const struct conf_listen *)item)->proxy;
	check_trusted(a, "listen with proxy", who->items, who->count, at);
}

static void check_speaker(struct apply *a, const void *item, const struct grammar_place *at)
{
	const struct conf_client *block = item;
	if (block->xclient == CONF_ANSWER_YES)
		check_trusted(a, "client with xclient = yes", &block->network, 1, at);
}

/* What reads and checks a block with titles, one row for each of conf_titled. */
static const struct titled_reader {
	const char *block;
	/* Reads the title into the instance. 0; -EINVAL, reported; -ENOMEM. */
	int (*read)(struct apply *a, void *item, const struct grammar_value *title);
	/* Looks at what one instance was given; NULL: the rows say it all. */
	void (*check)(struct apply *a, const void *item);
	/* The same when the whole file is known. */
	void (*check_whole)(struct apply *a, const void *item, const struct grammar_place *at);
} titled_readers[] = {
	{"listen", read_listen, NULL, check_balancers},
	{"client", read_client, NULL, check_speaker},
	{"pool", read_pool, NULL, check_pool},
	{"identity", read_identity, NULL, NULL},
	{"sender", read_sender, NULL, check_sender},
	{"route", read_route, check_route, check_route_whole},
	{"refusal", read_refusal, check_refusal, NULL},
	{"oracle", read_oracle, NULL, check_oracle},
};

static const struct titled_reader *reader_of(const struct conf_titled *t)
{
	const struct titled_reader *r = titled_readers;
	while (strcmp(r->block, t->block) != 0)
		r++;
	return r;
}

/* One instance with its title read; NULL: an error, reported. */
static void *open_instance(struct apply *a, const struct conf_titled *t, const struct grammar_value *title)
{
	void *item = add_instance(a, t, title);
	if (item == NULL)
		return NULL;
	*(struct conf_origin *)item = origin_of(a, &title->at);
	int err = reader_of(t)->read(a, item, title);
	if (err == 0)
		return item;
	a->fatal = err == -ENOMEM ? err : a->fatal;
	titled_set(t, a->c, titled_item(t, a->c, 0), titled_count(t, a->c) - 1);
	return NULL;
}

static void apply_block(struct apply *a, const struct grammar_item *item)
{
	const struct conf_block *block = keys_find_block(item->name);
	if (block == NULL) {
		if (keys_find("", item->name) != NULL)
			grammar_error(a->errors, &item->at, "%s is a setting; expected '=' and a value", item->name);
		else
			unknown(a, "", item);
		return;
	}
	if (block->title == NULL) {
		const struct grammar_item **first = &a->blocks[block - conf_blocks];
		if (item->values != NULL)
			grammar_error(
				a->errors, &item->values->at, "block %s takes no title; expected '{'", block->name);
		if (*first != NULL)
			given_twice(a, &item->at, "block ", item->name, &(*first)->at);
		else if (!item->broken)
			apply_settings(a, block->name, a->c, item->items);
		if (*first == NULL)
			*first = item;
		return;
	}
	const struct conf_titled *t = titled_find(block->name);
	if (item->values == NULL)
		grammar_error(a->errors, &item->at, "block %s has no title; expected %s", block->name, block->title);
	/* the errors inside a block with several titles are the same for each of them: told for the first */
	struct buf nowhere;
	buf_init(&nowhere, 0);
	struct grammar_errors silent = {.text = &nowhere}, *loud = a->errors;
	bool told = false;
	for (const struct grammar_value *title = item->values; title != NULL && a->fatal == 0; title = title->next) {
		void *base = open_instance(a, t, title);
		if (base == NULL || item->broken)
			continue;
		forget_given(a, block->name);
		a->errors = told ? &silent : loud;
		apply_settings(a, block->name, base, item->items);
		if (reader_of(t)->check != NULL)
			reader_of(t)->check(a, base);
		a->errors = loud;
		told = true;
	}
}

struct order {
	const struct conf_titled *t;
	const char *items;
};

static int compare_instances(const void *left, const void *right, void *arg)
{
	const struct order *o = arg;
	size_t a = *(const size_t *)left, b = *(const size_t *)right;
	int order = o->t->compare(o->items + a * o->t->size, o->items + b * o->t->size);
	return order ? order : a < b ? -1 : 1;
}

/* Reports titles given twice, and sorts the instances if they are to be. */
static void settle_instances(struct apply *a, const struct conf_titled *t)
{
	const struct grammar_value **titles = a->instances[t - conf_titled].titles;
	const size_t count = titled_count(t, a->c);
	if (count == 0 || titles == NULL)
		return;
	struct order order = {.t = t, .items = titled_item(t, a->c, 0)};
	size_t *places = calloc(count, sizeof *places);
	char *sorted = calloc(count, t->size), name[32];
	if (places == NULL || sorted == NULL) {
		a->fatal = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		places[i] = i;
	qsort_r(places, count, sizeof *places, compare_instances, &order);
	snprintf(name, sizeof name, "%s ", t->block);
	for (size_t i = 0; i < count; i++) {
		const char *item = order.items + places[i] * t->size;
		if (i > 0 && t->compare(order.items + places[i - 1] * t->size, item) == 0)
			given_twice(
				a, &titles[places[i]]->at, name, titles[places[i]]->text, &titles[places[i - 1]]->at);
		if (reader_of(t)->check_whole != NULL)
			reader_of(t)->check_whole(a, item, &titles[places[i]]->at);
		memcpy(sorted + i * t->size, item, t->size);
	}
	if (t->sorted) {
		free(titled_item(t, a->c, 0));
		titled_set(t, a->c, sorted, count);
		sorted = NULL;
	}
out:
	free(sorted);
	free(places);
}

/* Sets a member from its preset, which is right by the table's own test. */
static int apply_preset(const struct conf_key *key, void *member, struct buf *reason)
{
	enum { VALUES = 4, LENGTH = 64 };
	char text[VALUES][LENGTH];
	struct grammar_value values[VALUES] = {0};
	const struct grammar_value *bad;
	const char *from = key->preset;
	for (size_t i = 0; i < VALUES; i++) {
		size_t n = strcspn(from, ",");
		if (n >= LENGTH)
			return -EINVAL;
		memcpy(text[i], from, n);
		text[i][n] = '\0';
		values[i].text = text[i];
		if (i > 0)
			values[i - 1].next = &values[i];
		if (from[n] == '\0')
			return value_read(&key->rule, values, member, &bad, reason);
		from += n + 1 + strspn(from + n + 1, " ");
	}
	return -EINVAL;
}

static void apply_presets(struct apply *a)
{
	for (size_t i = 0; i < conf_key_count && a->fatal == 0; i++) {
		const struct conf_key *key = &conf_keys[i];
		if (a->given[i] == NULL && key->preset != NULL && !in_titled_block(key))
			a->fatal = apply_preset(key, (char *)a->c + key->at, &a->why);
	}
}

static void apply_machine(struct apply *a, const char *name, const struct conf_machine *machine)
{
	struct conf *c = a->c;
	char shown[GRAMMAR_SHOWN];
	if (c->hostname == NULL && a->given[keys_find("", "hostname") - conf_keys] == NULL) {
		const struct conf_key *key = keys_find("", "hostname");
		const struct grammar_value value = {.text = machine->hostname}, *bad;
		buf_reset(&a->why);
		int err = value_read(&key->rule, &value, &c->hostname, &bad, &a->why);
		if (err == -EINVAL)
			grammar_error(a->errors, &(struct grammar_place){.file = name},
				"hostname is not set, and this machine's name %s is none; expected hostname = NAME",
				grammar_show(machine->hostname, shown));
		else if (err != 0)
			a->fatal = err;
	}
	if (c->loops == 0)
		c->loops = machine->processors < 1 ? 1 : machine->processors > 63 ? 63 : machine->processors;
}

static void apply_listen(struct apply *a, const struct grammar_value *nowhere)
{
	static const enum family families[] = {FAMILY_IPV6, FAMILY_IPV4};
	for (size_t i = 0; i < 2; i++) {
		struct conf_listen *l = add_instance(a, titled_find("listen"), nowhere);
		if (l == NULL)
			return;
		l->at = (struct endpoint){.ip.family = (uint8_t)families[i], .port = 25};
	}
}

/* Behind the file's rows stand the built-in ones that it does not replace. */
static void apply_refusals(struct apply *a, const struct grammar_value *nowhere)
{
	const struct conf_titled *t = titled_find("refusal");
	const size_t given = a->c->refusal_count;
	for (size_t i = 0; i < refusal_preset_count && a->fatal == 0; i++) {
		if (refusals_find(a->c->refusals, given, refusal_presets[i].name) != NULL)
			continue;
		if (a->c->refusal_count == t->most) {
			const struct grammar_value *last = a->instances[t - conf_titled].titles[given - 1];
			grammar_error(a->errors, &last->at,
				"more than %zu %s, the built-in ones among them; expected fewer", t->most, t->many);
			return;
		}
		struct conf_refusal *row = add_instance(a, t, nowhere);
		if (row != NULL)
			a->fatal = refusals_preset(row, &refusal_presets[i]);
	}
}

/* Where a setting of the top level or of a block without title stands; NULL: it is the default. */
static const struct grammar_place *place_of(const struct apply *a, const char *block, const char *name)
{
	const struct grammar_item *item = a->given[keys_find(block, name) - conf_keys];
	return item ? &item->values->at : NULL;
}

/* What a row cannot say: how settings fit together. An error stands at the one of the two that was given. */
static void check_together(struct apply *a, const char *file)
{
	const struct conf *c = a->c;
	const struct {
		const char *block, *small, *large;
		uint64_t small_value, large_value;
	} rows[] = {
		{"retry", "first", "max", c->retry.first, c->retry.max},
		{"retry", "max", "give_up", c->retry.max, c->retry.give_up},
		{"dns", "nat64_min", "nat64_max", c->dns.nat64_min, c->dns.nat64_max},
		{"path", "probe_first", "probe_max", c->path.probe_first, c->path.probe_max},
		{"path", "refused_first", "refused_max", c->path.refused_first, c->path.refused_max},
		{"storage", "inline_limit", "batch_limit", c->spool_io.inline_limit, c->spool_io.batch_limit},
		{"storage", "batch_limit", "segment_size", c->spool_io.batch_limit, c->spool_io.segment_size},
	};
	const struct grammar_place nowhere = {.file = file};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct conf_key *small = keys_find(rows[i].block, rows[i].small);
		const struct conf_key *large = keys_find(rows[i].block, rows[i].large);
		const struct grammar_place *at = place_of(a, rows[i].block, rows[i].small);
		if (rows[i].small_value <= rows[i].large_value)
			continue;
		if (at == NULL)
			at = place_of(a, rows[i].block, rows[i].large);
		buf_reset(&a->why);
		buf_printf(&a->why, "%s (", small->name);
		value_write(&small->rule, &rows[i].small_value, &a->why);
		buf_printf(&a->why, ") is more than %s (", large->name);
		value_write(&large->rule, &rows[i].large_value, &a->why);
		grammar_error(a->errors, at ? at : &nowhere, "%s); expected at most that", why(a));
	}
}

/* Below that no server could be reached (RFC 9293 §3.7.1). */
static void check_segments(struct apply *a)
{
	enum { LEAST = 536 };
	const struct grammar_place *at = place_of(a, "path", "mss_ipv6");
	if (at != NULL && a->c->path.mss_ipv6 > 0 && a->c->path.mss_ipv6 < LEAST)
		grammar_error(a->errors, at, "mss_ipv6: %llu; expected 0 or 536 to 9000",
			(unsigned long long)a->c->path.mss_ipv6);
}

static void check_clients(struct apply *a, const char *file)
{
	const struct grammar_place *at = place_of(a, "", "clients"), nowhere = {.file = file};
	check_trusted(a, "clients", a->c->clients.items, a->c->clients.count, at ? at : &nowhere);
}

/* What stands in for what was not given, and what can be looked at only then. */
static void settle(struct apply *a, const char *name, const struct conf_machine *machine, unsigned before)
{
	const struct grammar_value nowhere = {.text = "", .at = {.file = name}};
	struct conf *c = a->c;
	apply_presets(a);
	if (a->fatal == 0)
		apply_machine(a, name, machine);
	if (a->fatal == 0 && c->listen_count == 0 && a->errors->count == before)
		apply_listen(a, &nowhere);
	if (a->fatal == 0 && a->errors->count == before)
		apply_refusals(a, &nowhere);
	for (size_t i = 0; i < conf_titled_count && a->fatal == 0; i++)
		settle_instances(a, &conf_titled[i]);
	if (a->fatal != 0)
		return;
	check_together(a, name);
	check_clients(a, name);
	check_segments(a);
	if (c->retry.greylist > c->retry.first)
		c->retry.greylist = c->retry.first;
}

int conf_apply(struct conf *c, const char *name, const struct grammar_item *items, const struct conf_machine *machine,
	struct grammar_errors *e)
{
	unsigned before = e->count;
	struct apply a = {.c = c, .errors = e};
	buf_init(&a.why, WHY_MAX);
	a.given = calloc(conf_key_count, sizeof(void *));
	a.blocks = calloc(conf_block_count, sizeof(void *));
	a.instances = calloc(conf_titled_count, sizeof *a.instances);
	if (a.given == NULL || a.blocks == NULL || a.instances == NULL)
		a.fatal = -ENOMEM;
	for (const struct grammar_item *i = items; i != NULL && a.fatal == 0; i = i->next) {
		if (i->kind == GRAMMAR_SETTING)
			apply_setting(&a, "", c, i);
		else if (i->kind == GRAMMAR_BLOCK)
			apply_block(&a, i);
	}
	if (a.fatal == 0)
		settle(&a, name, machine, before);
	for (size_t i = 0; i < conf_titled_count && a.instances != NULL; i++)
		free(a.instances[i].titles);
	free(a.instances);
	free(a.blocks);
	free(a.given);
	buf_fini(&a.why);
	return a.fatal ? a.fatal : e->count == before ? 0 : -EINVAL;
}
