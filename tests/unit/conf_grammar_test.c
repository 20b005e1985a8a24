/* tests/unit/conf_grammar_test.c: each sentence of the design's paragraph on the configuration's grammar, row by
 * row. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/grammar.h"

/* The tree as text: settings name=value|value; blocks name(title|title){…}; includes name<value|value>. */
static void show_values(const struct grammar_value *v, struct buf *out)
{
	for (; v != NULL; v = v->next)
		assert_int_equal(buf_printf(out, "%s%s", v->text, v->next ? "|" : ""), 0);
}

static void show(const struct grammar_item *i, struct buf *out)
{
	static const char *const before[] = {"=", "(", "<"}, *const after[] = {";", "){", ">"};
	for (; i != NULL; i = i->next) {
		buf_printf(out, "%s%s", i->name, before[i->kind]);
		show_values(i->values, out);
		buf_append_str(out, after[i->kind]);
		show(i->items, out);
		buf_append_str(out, i->kind == GRAMMAR_BLOCK ? "}" : "");
	}
}

struct result {
	int err;
	struct buf tree, errors;
	unsigned count;
};

static struct result parse(const char *text, size_t len)
{
	struct result r = {0};
	buf_init(&r.tree, 1 << 20);
	buf_init(&r.errors, 1 << 20);
	struct grammar_errors e = {.text = &r.errors};
	struct grammar *g = grammar_new();
	struct grammar_item *items = NULL;
	assert_non_null(g);
	r.err = grammar_parse(g, &items, "t", text, len, &e);
	r.count = e.count;
	buf_append_str(&r.tree, "");
	show(items, &r.tree);
	grammar_free(g);
	return r;
}

static void forget(struct result *r)
{
	buf_fini(&r->tree);
	buf_fini(&r->errors);
}

static const char *text_of(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

static void valid(void **state)
{
	static const struct {
		const char *text, *tree;
	} rows[] = {
		{"", ""},
		{"\n \t\n# nothing\n", ""},
		{"a = b", "a=b;"},
		{"a=b\n", "a=b;"},
		{"a = b\r\nc = d\r\n", "a=b;c=d;"},
		{"\xef\xbb\xbf"
		 "a = b",
			"a=b;"},
		/* lists are separated by commas only; a comma at a line's end goes on in the next line */
		{"a = b, c,d ,e", "a=b|c|d|e;"},
		{"a = b,\n\tc,\n\n# why d\n  d # e\ne = f", "a=b|c|d;e=f;"},
		{"a = b, # first\nc", "a=b|c;"},
		/* an unquoted value is one run without blanks, comma, braces or quotes */
		{"a = /x=y;z'*?[1]:25", "a=/x=y;z'*?[1]:25;"},
		/* so on one line the next word begins the next setting */
		{"a = b c = d", "a=b;c=d;"},
		{"retry { first = 5m   max = 1h }", "retry(){first=5m;max=1h;}"},
		{"retry{first=5m max=1h}", "retry(){first=5m;max=1h;}"},
		{"retry {\n\tfirst = 5m\n\tmax = 1h\n}\n", "retry(){first=5m;max=1h;}"},
		{"retry { first = 5m, 6m max = 1h } a = b", "retry(){first=5m|6m;max=1h;}a=b;"},
		{"a { } b { }", "a(){}b(){}"},
		/* # begins a comment at a line's start or after a blank */
		{"#a = b\na = b #c\n", "a=b;"},
		{"a = b#c", "a=b#c;"},
		{"a = b,#c", "a=b|#c;"},
		{"a = \"#b\" # c", "a=#b;"},
		{"a { # b }\n}", "a(){}"},
		/* a title is one value or a list */
		{"listen [::]:25 { }", "listen([::]:25){}"},
		{"listen [::]:25, 0.0.0.0:25{}", "listen([::]:25|0.0.0.0:25){}"},
		{"route a,\n  b { }", "route(a|b){}"},
		{"route * { relay = [x] }", "route(*){relay=[x];}"},
		{"route x=y { }", "route(x=y){}"},
		/* quotes are allowed everywhere */
		{"\"a\" = \"b c\", \"d,{}\" \"e\"=f", "a=b c|d,{};e=f;"},
		{"\"route\" \"x y\" { }", "route(x y){}"},
		{"a = \"q\\\"q\\\\\"", "a=q\"q\\;"},
		{"a = \"\"", "a=;"},
		{"include \"my file\"", "include<my file>"},
		{"a = \"h\xc3\xa9\"", "a=h\xc3\xa9;"},
		/* include FILE|GLOB */
		{"include a.conf\ninclude conf.d/*.conf, b", "include<a.conf>include<conf.d/*.conf|b>"},
		{"route x { include y }", "route(x){include<y>}"},
		/* blocks inside blocks are the grammar's, though no key's, matter */
		{"a { b { c = d } }", "a(){b(){c=d;}}"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct result r = parse(rows[i].text, strlen(rows[i].text));
		if (r.err != 0 || strcmp(text_of(&r.tree), rows[i].tree) != 0)
			fail_msg("%s\ngave %d %s\n%s", rows[i].text, r.err, text_of(&r.tree), text_of(&r.errors));
		assert_int_equal(r.errors.len, 0);
		forget(&r);
	}
}

struct expected_error {
	const char *place; /* LINE:COLUMN */
	const char *part;  /* of the message */
};

static void check_errors(const char *text, const struct result *r, const struct expected_error *want, size_t most)
{
	const char *line = text_of(&r->errors);
	for (size_t i = 0; i < most && want[i].place != NULL; i++) {
		char begin[64];
		const char *end = strchr(line, '\n');
		snprintf(begin, sizeof begin, "t:%s: ", want[i].place);
		const char *part = strstr(line, want[i].part);
		if (end == NULL || strncmp(line, begin, strlen(begin)) != 0 || part == NULL || part > end)
			fail_msg("%s\nerror %zu is not \"%s…%s…\" in\n%s", text, i, begin, want[i].part,
				text_of(&r->errors));
		line = end + 1;
	}
	if (*line != '\0')
		fail_msg("%s\nunexpected: %s", text, line);
}

static void invalid(void **state)
{
	static const struct {
		const char *text;
		const char *tree; /* what is still made out */
		struct expected_error errors[6];
	} rows[] = {
		{"a =\nb = c", "b=c;", {{"1:4", "the end of the line; expected a value"}}},
		{"a = # none\n", "", {{"1:11", "the end of the line; expected a value"}}},
		{"a =", "", {{"1:4", "the end of the file; expected a value"}}},
		{"a = }\n", "", {{"1:5", "found '}'; expected a value"}, {"1:5", "'}'"}}},
		{"= b\nc = d", "c=d;", {{"1:1", "found '='; expected the name"}}},
		{", b\nc = d", "c=d;", {{"1:1", "found ','; expected the name"}}},
		{"{ a = b }\nc = d", "c=d;", {{"1:1", "found '{'; expected the name"}}},
		{"a\nb = c", "b=c;", {{"1:1", "\"a\" stands alone"}}},
		{"a = b c\nd = e", "a=b;d=e;", {{"1:7", "\"c\" stands alone"}}},
		{"listen [::]:25\n{\n}\na = b", "a=b;", {{"1:1", "\"listen\" stands alone"}, {"2:1", "found '{'"}}},
		{"a = b,\n", "", {{"2:1", "the end of the file; expected a value after the comma"}}},
		{"a = b,,c\nd = e", "d=e;", {{"1:7", "found ','; expected a value after the comma"}}},
		{"x { a = b, }", "x(){}", {{"1:12", "found '}'; expected a value after the comma"}}},
		/* quotes */
		{"a = \"b\nc = d", "c=d;", {{"1:5", "not closed"}}},
		{"a = \"b", "", {{"1:5", "not closed"}}},
		{"a = \"b\\", "", {{"1:7", "lone \\"}, {"1:5", "not closed"}}},
		{"a = b\"c\"\nd = e", "d=e;", {{"1:6", "quote inside a word"}}},
		{"a = \"b\"c\nd = e", "d=e;", {{"1:8", "after a closing quote"}}},
		{"a = \"b\"#c\nd = e", "d=e;", {{"1:8", "after a closing quote"}}},
		{"a = \"b\\n\"", "a=b\\n;", {{"1:7", "lone \\"}}},
		/* blocks */
		{"a {\nb = c\n", "a(){b=c;}", {{"1:1", "block \"a\" is not closed; expected '}'"}}},
		{"x = y\n  a { b {\n}", "x=y;a(){b(){}}", {{"2:3", "block \"a\" is not closed"}}},
		{"a { } }\nb = c", "a(){}b=c;", {{"1:7", "found '}'"}}},
		/* one error does not hide the next, in a block or behind it */
		{"r {\n  a b c\n  d = e\n  = f\n}\ng\n", "r(){d=e;}",
			{{"2:3", "\"a\" stands alone"}, {"4:3", "found '='"}, {"6:1", "\"g\" stands alone"}}},
		/* a block begun by an error closes nothing else */
		{"r { a b, { c = d } e = f }\ng = h", "r(){}g=h;", {{"1:10", "found '{'; expected a value after"}}},
		{"include\na = b", "a=b;", {{"1:8", "the end of the line; expected a file"}}},
		{"include = x\na = b", "a=b;", {{"1:9", "found '=' after include"}}},
		/* control bytes and what is no UTF-8, wherever they are; columns count characters */
		{"# \x01\na = \x1b[0m\n", "a=\x1b[0m;", {{"1:3", "control character 0x01"}, {"2:5", "0x1b"}}},
		{"a = \xc3\xa9\x7f", "a=\xc3\xa9\x7f;", {{"1:6", "control character 0x7f"}}},
		{"a = \xc2\x85", "a=\xc2\x85;", {{"1:5", "control character 0x85"}}},
		{"a = b\rc = d", "a=b;c=d;", {{"1:6", "control character 0x0d"}}},
		{"a = \xff\xfe", "a=\xff\xfe;", {{"1:5", "0xff is no UTF-8"}, {"1:6", "0xfe is no UTF-8"}}},
		{"a = \xc0\xaf", "a=\xc0\xaf;", {{"1:5", "0xc0 is no UTF-8"}, {"1:6", "0xaf is no UTF-8"}}},
		{"a = \xed\xa0\x80", "a=\xed\xa0\x80;", {{"1:5", "0xed"}, {"1:6", "0xa0"}, {"1:6", "0x80"}}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct result r = parse(rows[i].text, strlen(rows[i].text));
		assert_int_equal(r.err, -EINVAL);
		check_errors(rows[i].text, &r, rows[i].errors, 6);
		if (strcmp(text_of(&r.tree), rows[i].tree) != 0)
			fail_msg("%s\ngave %s", rows[i].text, text_of(&r.tree));
		forget(&r);
	}
}

static void nul_is_refused(void **state)
{
	static const char text[] = "a = b\0c\n# \0\nd = e";
	static const struct expected_error want[] = {{"1:6", "control character 0x00"}, {"2:3", "0x00"}, {NULL, NULL}};
	(void)state;
	struct result r = parse(text, sizeof text - 1);
	assert_int_equal(r.err, -EINVAL);
	check_errors(text, &r, want, 3);
	forget(&r);
}

static void places(void **state)
{
	static const char text[] = "a = b\n\n\tbl\xc3\xb6"
				   "ck \"t\", u { c = d,\n  e }\n";
	struct buf errors;
	struct grammar_item *items = NULL;
	struct grammar *g = grammar_new();
	(void)state;
	buf_init(&errors, 1000);
	struct grammar_errors e = {.text = &errors};
	assert_int_equal(grammar_parse(g, &items, "dir/file", text, sizeof text - 1, &e), 0);
	const struct grammar_item *block = items->next, *setting = block->items;
	const struct {
		const struct grammar_place *at;
		unsigned line, column;
	} rows[] = {
		{&items->at, 1, 1},
		{&items->values->at, 1, 5},
		{&block->at, 3, 2},
		{&block->values->at, 3, 8},
		{&block->values->next->at, 3, 13},
		{&setting->at, 3, 17},
		{&setting->values->at, 3, 21},
		{&setting->values->next->at, 4, 3},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_string_equal(rows[i].at->file, "dir/file");
		assert_int_equal(rows[i].at->line, rows[i].line);
		assert_int_equal(rows[i].at->column, rows[i].column);
	}
	grammar_free(g);
	buf_fini(&errors);
}

static void size_is_bounded(void **state)
{
	char *text = malloc(GRAMMAR_FILE_MAX + 1);
	(void)state;
	memset(text, '#', GRAMMAR_FILE_MAX + 1);
	struct result r = parse(text, GRAMMAR_FILE_MAX);
	assert_int_equal(r.err, 0);
	forget(&r);
	r = parse(text, GRAMMAR_FILE_MAX + 1);
	assert_int_equal(r.err, -EINVAL);
	assert_non_null(strstr(text_of(&r.errors), "1048577 bytes; expected at most 1048576"));
	forget(&r);
	/* one value that fills the file */
	memcpy(text, "a = ", 4);
	memset(text + 4, 'v', GRAMMAR_FILE_MAX - 4);
	r = parse(text, GRAMMAR_FILE_MAX);
	assert_int_equal(r.err, 0);
	forget(&r);
	free(text);
}

static void depth_is_bounded(void **state)
{
	char text[200];
	(void)state;
	for (size_t deep = GRAMMAR_DEPTH_MAX; deep <= 50; deep += 42) {
		text[0] = '\0';
		for (size_t i = 0; i < deep; i++)
			strncat(text, "a{", 3);
		for (size_t i = 0; i < deep; i++)
			strncat(text, "}", 2);
		strncat(text, " b = c", 7);
		struct result r = parse(text, strlen(text));
		assert_int_equal(r.err, deep > GRAMMAR_DEPTH_MAX ? -EINVAL : 0);
		assert_int_equal(r.count, deep > GRAMMAR_DEPTH_MAX ? 1 : 0);
		assert_non_null(strstr(text_of(&r.tree), "b=c;"));
		forget(&r);
	}
}

static void errors_are_bounded(void **state)
{
	char text[2 * 500 + 1];
	(void)state;
	for (size_t i = 0; i < 500; i++)
		memcpy(text + 2 * i, "a\n", 3);
	struct result r = parse(text, sizeof text - 1);
	size_t lines = 0;
	for (const char *c = text_of(&r.errors); (c = strchr(c, '\n')) != NULL; c++)
		lines++;
	assert_int_equal(r.count, 500);
	assert_int_equal(lines, GRAMMAR_ERRORS_MAX + 1);
	assert_non_null(strstr(text_of(&r.errors), "more errors follow"));
	forget(&r);
	/* a buffer that is too small holds whole lines only */
	struct buf small;
	buf_init(&small, 150);
	struct grammar_errors e = {.text = &small};
	struct grammar_item *items = NULL;
	struct grammar *g = grammar_new();
	assert_int_equal(grammar_parse(g, &items, "t", text, 20, &e), -EINVAL);
	assert_int_equal(e.count, 10);
	assert_int_equal(small.data[small.len - 1], '\n');
	grammar_free(g);
	buf_fini(&small);
}

static void long_words_are_cut(void **state)
{
	char shown[GRAMMAR_SHOWN], word[100];
	(void)state;
	memset(word, 'x', 60);
	word[60] = '\0';
	grammar_show(word, shown);
	assert_int_equal(strlen(shown), 62);
	memcpy(word + 59, "\xc3\xa9", 3); /* a character across the 60th byte goes as a whole */
	grammar_show(word, shown);
	assert_int_equal(strlen(shown), 1 + 59 + strlen("…") + 1);
}

/* Whatever the bytes are, parsing ends, and says no without an error line never. */
static void any_bytes(void **state)
{
	static const char pieces[] = "ab =,{}\"\\#\n\r\t\0\xc3\xa9";
	uint64_t seed = 1;
	char text[64];
	(void)state;
	for (size_t round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof text; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			text[i] = pieces[(seed >> 33) % (sizeof pieces - 1)];
		}
		struct result r = parse(text, sizeof text);
		assert_int_equal(r.err != 0, r.count != 0);
		assert_int_equal(r.errors.len != 0, r.count != 0);
		forget(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid),
		cmocka_unit_test(invalid),
		cmocka_unit_test(nul_is_refused),
		cmocka_unit_test(places),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(errors_are_bounded),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
