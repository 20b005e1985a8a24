/* tests/unit/conf_load_test.c: configurations of several files, --try, routes, the sample file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/grammar.h"
#include "conf/keys.h"

static char dir[] = "/tmp/conf_load_test.XXXXXX";
static char made[64][100]; /* names to remove, the last first */
static size_t made_count;

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL || chdir(dir) != 0;
}

static void clean(void)
{
	while (made_count > 0)
		remove(made[--made_count]);
}

static int tear_down(void **state)
{
	(void)state;
	clean();
	return chdir("/") != 0 || rmdir(dir) != 0;
}

static void remember(const char *name)
{
	assert_true(made_count < sizeof made / sizeof made[0]);
	snprintf(made[made_count++], sizeof made[0], "%s", name);
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	remember(name);
}

static void make_dir(const char *name)
{
	assert_int_equal(mkdir(name, 0700), 0);
	remember(name);
}

/* Loads `file`; NULL with the errors, which the caller frees, or the configuration and no errors. */
static struct conf *load(const char *file, char **errors, int *err)
{
	struct conf *c = NULL;
	struct buf text;
	size_t len;
	buf_init(&text, 100000);
	*err = conf_load(&c, file, &text);
	assert_int_equal(*err == 0, c != NULL);
	assert_int_equal(*err == 0, text.len == 0);
	*errors = (char *)buf_detach(&text, &len);
	return c;
}

static struct conf *good(const char *file)
{
	char *errors;
	int err;
	struct conf *c = load(file, &errors, &err);
	if (err != 0)
		fail_msg("%d\n%s", err, errors);
	return c;
}

static void bad(const char *file, const char *expected)
{
	char *errors;
	int err;
	load(file, &errors, &err);
	if (errors == NULL || strcmp(errors, expected) != 0)
		fail_msg("%d\n%s", err, errors ? errors : "(no errors)");
	free(errors);
}

static void includes(void **state)
{
	(void)state;
	make_dir("conf.d");
	write_file("main",
		"include \"conf.d/one\"\nrace { include conf.d/race }\ninclude conf.d/*.route, none/../conf.d/?x\n"
		"limits { size = 1M }\n");
	write_file("conf.d/one", "hostname = a.example\ninclude two # beside this file\n");
	write_file("conf.d/two", "spool = /a");
	write_file("conf.d/race", "width = 5");
	write_file("conf.d/b.route", "route b { relay = [b] }");
	write_file("conf.d/a.route", "route a { relay = [a] }\n");
	make_dir("none");
	struct conf *c = good("main");
	assert_string_equal(c->file, "main");
	assert_string_equal(c->hostname, "a.example");
	assert_string_equal(c->spool, "/a");
	assert_int_equal(c->race.width, 5);
	assert_int_equal(c->limits.size, 1 << 20);
	assert_int_equal(c->route_count, 2);
	struct buf out;
	buf_init(&out, 100000);
	assert_int_equal(conf_dump(c, &out), 0);
	assert_non_null(strstr((char *)out.data, "# conf.d/one:1\n"));
	assert_non_null(strstr((char *)out.data, "# conf.d/two:1\n"));
	assert_non_null(strstr((char *)out.data, "# conf.d/race:1\n"));
	assert_non_null(strstr((char *)out.data, "# main:4\n"));
	buf_fini(&out);
	conf_unref(c);
	/* the same by its whole name, from elsewhere */
	char path[100];
	snprintf(path, sizeof path, "%s/main", dir);
	assert_int_equal(chdir("/"), 0);
	conf_unref(good(path));
	assert_int_equal(chdir(dir), 0);
	clean();
}

static void include_errors(void **state)
{
	(void)state;
	write_file("main", "hostname = a.example\n  include missing\ninclude sub/x\nspoool = /a\n");
	make_dir("sub");
	write_file("sub/x", "hostname = b.example\nrace { width = 9 }\ninclude y z\n");
	bad("main", "main:2:11: include of missing: No such file or directory; expected a file that can be read\n"
		    "sub/x:3:11: \"z\" stands alone; expected '=' and a value, or '{', on its line (a value with "
		    "blanks needs "
		    "quotes)\n"
		    "sub/x:3:9: include of sub/y: No such file or directory; expected a file that can be read\n"
		    "sub/x:1:1: \"hostname\" is given twice; first at main:1:1\n"
		    "sub/x:2:16: width: \"9\"; expected a number between 1 and 8\n"
		    "main:4:1: unknown key \"spoool\" at the top level; did you mean \"spool\"?\n");
	clean();
	write_file("main", "include .\nhostname = a");
	bad("main", "main:1:9: include of .: Is a directory; expected a file that can be read\n");
	clean();
	write_file("main", "include none/*\nhostname = a");
	bad("main", "main:1:9: include of none/*: No such file or directory; expected a directory that can be read\n");
	clean();
}

static void circles(void **state)
{
	(void)state;
	write_file("main", "hostname = a\ninclude main\n");
	bad("main", "main:2:9: main includes itself; expected no circle\n");
	clean();
	make_dir("sub");
	write_file("main", "hostname = a\ninclude sub/x\n");
	write_file("sub/x", "include y");
	write_file("sub/y", "race { include ../main }");
	bad("main", "sub/y:1:16: sub/../main includes itself; expected no circle\n");
	clean();
	/* twice the same file is no circle; what it sets is then set twice */
	write_file("main", "include x, x");
	write_file("x", "hostname = a");
	bad("main", "x:1:1: \"hostname\" is given twice; first at x:1:1\n");
	clean();
}

static void depth_and_number_are_bounded(void **state)
{
	(void)state;
	for (unsigned deep = 8; deep < 10; deep++) {
		write_file("f0", "include f1");
		for (unsigned i = 1; i <= deep; i++) {
			char name[20], text[30];
			snprintf(name, sizeof name, "f%u", i);
			snprintf(text, sizeof text, i < deep ? "include f%u" : "hostname = a", i + 1);
			write_file(name, text);
		}
		if (deep == 8)
			conf_unref(good("f0"));
		else
			bad("f0", "f8:1:9: include of f9; expected at most 256 files, at most 8 deep\n");
		clean();
	}
	/* 2^8 files by way of doubling */
	write_file("f0", "include f1, f1, f1\nhostname = a");
	for (unsigned i = 1; i <= 7; i++) {
		char name[20], text[30];
		snprintf(name, sizeof name, "f%u", i);
		snprintf(text, sizeof text, i < 7 ? "include f%u, f%u" : "#", i + 1, i + 1);
		write_file(name, text);
	}
	char *errors;
	int err;
	load("f0", &errors, &err);
	assert_int_equal(err, -EINVAL);
	assert_non_null(strstr(errors, "expected at most 256 files"));
	free(errors);
	clean();
}

static void unreadable(void **state)
{
	char *errors;
	int err;
	(void)state;
	load("missing", &errors, &err);
	assert_int_equal(err, -ENOENT);
	assert_string_equal(errors, "missing: No such file or directory; expected a file that can be read\n");
	free(errors);
	load(".", &errors, &err);
	assert_int_equal(err, -EISDIR);
	free(errors);
	/* /dev/zero never ends; it is read up to the bound */
	load("/dev/zero", &errors, &err);
	assert_int_equal(err, -EINVAL);
	assert_string_equal(errors, "/dev/zero: 1048577 bytes; expected at most 1048576\n");
	free(errors);
}

static void a_try(void **state)
{
	struct conf *c = NULL;
	struct buf errors;
	char t[ENDPOINT_TEXT];
	(void)state;
	buf_init(&errors, 10000);
	assert_int_equal(conf_try(&c, "./var \"x\"\\", &errors), 0);
	assert_null(c->file);
	assert_string_equal(c->spool, "./var \"x\"\\/spool");
	assert_string_equal(c->control, "./var \"x\"\\/control.sock");
	assert_int_equal(c->listen_count, 2);
	assert_string_equal(endpoint_format(&c->listen[0].at, t), "127.0.0.1:2525");
	assert_string_equal(endpoint_format(&c->listen[1].at, t), "[::1]:2525");
	assert_int_equal(c->clients.count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(ip_is_loopback(&c->clients.items[i].ip));
	assert_non_null(c->hostname);
	conf_unref(c);
	/* a directory whose socket would not fit into an address */
	char longer[200];
	memset(longer, 'd', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	c = NULL;
	assert_int_equal(conf_try(&c, longer, &errors), -EINVAL);
	assert_null(c);
	assert_non_null(strstr((char *)errors.data, "expected the name of a file of 1 to 107 bytes"));
	buf_reset(&errors);
	assert_int_equal(conf_try(&c, "a\nhostname = b", &errors), -EINVAL);
	buf_fini(&errors);
}

static void routes(void **state)
{
	static const char text[] = "hostname = h\n"
				   "route * { relay = [any] }\n"
				   "route .example { relay = [sub] } route example { relay = [exact] }\n"
				   "route .B.example { relay = [longer] }\n"
				   "route x.b.example { relay = [longest] }\n"
				   "route .c-d.example { } route c { }";
	static const struct {
		const char *domain, *pattern;
	} rows[] = {
		{"example", "example"},
		{"a.example", ".example"},
		{"b.example", ".example"}, /* .b.example is for its subdomains only */
		{"a.b.example", ".b.example"},
		{"a.a.b.example", ".b.example"},
		{"x.b.example", "x.b.example"},
		{"y.x.b.example", ".b.example"},
		{"c-d.example", ".example"},
		{"c.c-d.example", ".c-d.example"},
		{"xexample", "*"},
		{"example.net", "*"},
		{"c", "c"},
		{"", "*"},
	};
	struct conf *c = NULL;
	struct buf errors;
	(void)state;
	buf_init(&errors, 1000);
	assert_int_equal(conf_parse(&c, "t", text, sizeof text - 1, &errors), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct conf_route *r = conf_route(c, rows[i].domain);
		if (r == NULL || strcmp(r->pattern, rows[i].pattern) != 0)
			fail_msg("%s gave %s", rows[i].domain, r ? r->pattern : "none");
	}
	conf_unref(c);
	assert_int_equal(conf_parse(&c, "t", "hostname = h route a { }", 24, &errors), 0);
	assert_null(conf_route(c, "b"));
	assert_non_null(conf_route(c, "a"));
	/* one reference each */
	assert_ptr_equal(conf_ref(c), c);
	conf_unref(c);
	assert_string_equal(c->hostname, "h");
	conf_unref(c);
	conf_unref(NULL);
}

/* The sample is found from the top of the tree, where tests are run. */
static char sample[4096];

/* Does a line of the sample hold a setting or a part of a block behind its #? */
static bool is_commented_out(const char *line)
{
	if (strncmp(line, "#\t", 2) == 0 || strncmp(line, "# }", 3) == 0)
		return true;
	size_t word = strncmp(line, "# ", 2) == 0 ? strspn(line + 2, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
	const char *brace = strstr(line, " {"), *end = strchr(line, '\n');
	return word > 0 && (strncmp(line + 2 + word, " = ", 3) == 0 || (brace != NULL && brace < end));
}

static void the_sample(void **state)
{
	struct conf *c = good(sample), *preset = NULL;
	struct buf errors, text;
	char line[200];
	(void)state;
	assert_int_equal(c->clients.count, 4);
	conf_unref(c);
	c = NULL;
	buf_init(&errors, 10000);
	buf_init(&text, GRAMMAR_FILE_MAX);
	assert_int_equal(conf_parse(&preset, "t", "hostname = h", 12, &errors), 0);
	/* with all its comments made settings it is right too, names every key, and shows the true defaults */
	FILE *f = fopen(sample, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		bool out = is_commented_out(line);
		if (out)
			line[0] = ' ';
		buf_append_str(&text, line);
	}
	fclose(f);
	if (conf_parse(&c, "sample", (char *)text.data, text.len, &errors) != 0)
		fail_msg("%s", (char *)errors.data);
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *k = &conf_keys[i];
		const struct conf_block *block = keys_find_block(k->block);
		if (block != NULL && block->title != NULL) {
			snprintf(line, sizeof line, "%s = ", k->name);
			if (strstr((char *)text.data, line) == NULL)
				fail_msg("the sample does not name %s of block %s", k->name, k->block);
			continue;
		}
		if (c->origins[i].file == 0)
			fail_msg("the sample does not name %s of block %s", k->name, k->block);
		if (k->preset != NULL && strcmp(k->name, "clients") != 0 &&
			!value_equal(&k->rule, (char *)c + k->at, (char *)preset + k->at))
			fail_msg("the sample shows another default of %s of block %s", k->name, k->block);
	}
	assert_int_equal(c->route_count, 6);
	/* one of its routes has all that a route may have and that does not exclude each other */
	const struct conf_route *r = conf_route(c, "branch.example");
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *k = &conf_keys[i];
		bool choice = k->rule.type == KEY_CHOICE || strcmp(k->name, "reject") == 0;
		if (strcmp(k->block, "route") == 0 && !choice && value_empty(&k->rule, (const char *)r + k->at))
			fail_msg("the sample does not name %s of block route", k->name);
	}
	conf_unref(c);
	conf_unref(preset);
	buf_fini(&text);
	buf_fini(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(includes),
		cmocka_unit_test(include_errors),
		cmocka_unit_test(circles),
		cmocka_unit_test(depth_and_number_are_bounded),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(a_try),
		cmocka_unit_test(routes),
		cmocka_unit_test(the_sample),
	};
	if (realpath("conf/relay64.conf.sample", sample) == NULL)
		snprintf(sample, sizeof sample, "conf/relay64.conf.sample is missing (run from the top of the tree)");
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
