/* tests/fuzz/conf.c: configuration files. Every refusal names file and line; what is taken can be used. Plumbing. */
#include "conf/conf.h"
#include "conf/grammar.h"
#include "tests/fuzz/fuzz.h"

static const char name[] = "fuzz.conf", more[] = "more errors follow; they are not shown\n";

/* Each line of the errors is FILE:[LINE:COLUMN:] text; the last one may say that there are too many. */
static void check_errors(const struct buf *errors)
{
	const char *at = errors->data != NULL ? (const char *)errors->data : "";
	MUST(strlen(at) == errors->len);
	while (*at != 0 && strcmp(at, more) != 0) {
		const char *end = strchr(at, '\n');
		MUST(end != NULL && strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == ':');
		for (const char *c = at; c < end; c++)
			MUST((uint8_t)*c >= ' ' && *c != 0x7f);
		at = end + 1;
	}
}

static void check_conf(struct conf *c)
{
	struct buf names;
	buf_init(&names, 65536);
	MUST(conf_restart_keys(c, c, &names) == 0 && names.len == 0);
	buf_fini(&names);
	MUST(c->hostname != NULL && c->spool != NULL && c->control != NULL && c->loops > 0);
	for (size_t i = 0; i < c->route_count; i++)
		MUST(i == 0 || strcmp(c->routes[i - 1].pattern, c->routes[i].pattern) < 0);
	for (size_t i = 0; i < c->route_count; i++)
		MUST(conf_route(c, c->routes[i].pattern) == &c->routes[i]);
	conf_route(c, "a.b.example");
	conf_route(c, "");
	for (size_t i = 0; i < c->clients.count; i++)
		MUST(c->open_relay ||
			c->clients.items[i].bits >= (c->clients.items[i].ip.family == FAMILY_IPV4 ? 8 : 16));
}

FUZZ_TARGET(conf)
{
	const char *text = (const char *)in;
	struct buf errors;
	buf_init(&errors, 65536);
	if (memmem(in, len, "include", 7) != NULL) { /* files are not ours to read here: the grammar alone */
		struct grammar_errors found = {.text = &errors};
		struct grammar_item *items = NULL;
		struct grammar *g = grammar_new();
		int err = grammar_parse(g, &items, name, text, len, &found);
		MUST((err == 0) == (found.count == 0));
		grammar_free(g);
	} else {
		struct conf *c = NULL;
		int err = conf_parse(&c, name, text, len, &errors);
		MUST((err == 0) == (c != NULL) && (err == 0) == (errors.len == 0));
		if (c != NULL)
			check_conf(c);
		conf_unref(c);
	}
	check_errors(&errors);
	buf_fini(&errors);
	return 0;
}
