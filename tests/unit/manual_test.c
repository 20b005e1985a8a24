/* tests/unit/manual_test.c: the manual of the configuration says of every key what the table of keys says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/keys.h"

static char page[1 << 20];

static int setup(void **state)
{
	(void)state;
	FILE *f = fopen("conf/relay64.conf.5", "r");
	if (f == NULL)
		fail_msg("conf/relay64.conf.5 cannot be read (run from the top of the tree)");
	page[fread(page, 1, sizeof page - 1, f)] = '\0';
	fclose(f);
	return 0;
}

static const char *const type_words[] = {
	[KEY_TIME] = "time",
	[KEY_SIZE] = "size",
	[KEY_COUNT] = "number",
	[KEY_PERCENT] = "share",
	[KEY_CHOICE] = "word",
	[KEY_TEXT] = "text",
	[KEY_PATH] = "file",
	[KEY_REPLY] = "reply",
	[KEY_DOMAIN] = "host",
	[KEY_MAILBOX] = "mailbox",
	[KEY_PREFIXES] = "networks",
	[KEY_ENDPOINTS] = "servers",
	[KEY_IPV4] = "address",
	[KEY_IPV6] = "address",
	[KEY_NAT64] = "prefixes",
	[KEY_RELAY] = "next-hop",
	[KEY_CODES] = "codes",
	[KEY_STATUSES] = "statuses",
	[KEY_PATTERNS] = "patterns",
};

/* Reads ".It Cm NAME No = Ar TYPE". */
static bool is_key(const char *line, char name[40], char type[40])
{
	return sscanf(line, ".It Cm %39s No = Ar %39s\n", name, type) == 2;
}

/* Walks the page: for each key calls `see` with its block, name, type and the text up to the next item. */
static void walk(
	void (*see)(void *arg, const char *block, const char *name, const char *type, const char *text), void *arg)
{
	char block[40] = "", name[40] = "", type[40] = "";
	char *copy = strdup(page), *text = NULL, *next;
	assert_non_null(copy);
	for (char *line = copy; *line != '\0'; line = next) {
		char *end = strchr(line, '\n');
		next = end != NULL ? end + 1 : line + strlen(line);
		bool macro = strncmp(line, ".It ", 4) == 0 || strncmp(line, ".Ss ", 4) == 0 ||
			     strncmp(line, ".Sh ", 4) == 0 || strncmp(line, ".El", 3) == 0;
		if (macro && text != NULL) {
			char first = *line;
			*line = '\0';
			see(arg, block, name, type, text);
			*line = first;
			text = NULL;
		}
		if (sscanf(line, ".Ss %39s", block) == 1 && strcmp(block, "Top") == 0)
			block[0] = '\0';
		if (is_key(line, name, type))
			text = next;
	}
	free(copy);
}

/* ---- each key of the table is on the page ---- */

struct wanted {
	const struct conf_key *key;
	unsigned found;
};

static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);
	for (const char *at = text; (at = strstr(at, line)) != NULL; at += n)
		if ((at == text || at[-1] == '\n') && at[n] == '\n')
			return true;
	return false;
}

static void expect_line(const struct conf_key *k, const char *text, const char *line)
{
	if (!has_line(text, line))
		fail_msg("%s %s: the page does not say \"%s\"; it says:\n%s", k->block, k->name, line, text);
}

/* "Range: 1s to 1d." */
static void expect_range(const struct conf_key *k, const char *text)
{
	struct buf words;
	char line[200];
	buf_init(&words, 1000);
	assert_int_equal(value_expected(&k->rule, &words), 0);
	assert_int_equal(buf_append(&words, "", 1), 0);
	char *low = strstr((char *)words.data, "between "), *and = low ? strstr(low, " and ") : NULL;
	assert_non_null(and);
	*and = '\0';
	snprintf(line, sizeof line, "Range: %s to %s.", low + 8, and+5);
	expect_line(k, text, line);
	buf_fini(&words);
}

static void see_wanted(void *arg, const char *block, const char *name, const char *type, const char *text)
{
	struct wanted *w = arg;
	const struct conf_key *k = w->key;
	char line[200];
	if (strcmp(block, k->block) != 0 || strcmp(name, k->name) != 0)
		return;
	w->found++;
	assert_string_equal(type, type_words[k->rule.type]);
	snprintf(line, sizeof line, k->preset != NULL ? "Default: %s." : "No default.", k->preset);
	expect_line(k, text, line);
	if (value_is_number(&k->rule))
		expect_range(k, text);
	for (size_t i = 0; k->rule.type == KEY_CHOICE && k->rule.choices[i] != NULL; i++)
		assert_non_null(strstr(text, k->rule.choices[i]));
	if (has_line(text, "Needs a restart.") != k->restart)
		fail_msg("%s %s: a change %s a restart", block, name, k->restart ? "needs" : "does not need");
}

static void test_each_key_is_on_the_page(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_key_count; i++) {
		struct wanted w = {.key = &conf_keys[i]};
		walk(see_wanted, &w);
		if (w.found != 1)
			fail_msg("%s %s is on the page %u times", w.key->block, w.key->name, w.found);
	}
}

/* ---- each key on the page is in the table ---- */

static void see_any(void *arg, const char *block, const char *name, const char *type, const char *text)
{
	size_t *count = arg;
	(void)type;
	(void)text;
	if (keys_find(block, name) == NULL)
		fail_msg("block \"%s\": there is no key %s", block, name);
	++*count;
}

static void test_each_key_on_the_page_exists(void **state)
{
	(void)state;
	size_t count = 0;
	walk(see_any, &count);
	assert_int_equal(count, conf_key_count);
}

static void test_each_block_has_its_part(void **state)
{
	(void)state;
	for (size_t i = 1; i < conf_block_count; i++) {
		char part[80];
		snprintf(part, sizeof part, "\n.Ss %s%s", conf_blocks[i].name, conf_blocks[i].title ? " " : "\n");
		if (strstr(page, part) == NULL)
			fail_msg("block %s has no part of its own", conf_blocks[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_key_is_on_the_page),
		cmocka_unit_test(test_each_key_on_the_page_exists),
		cmocka_unit_test(test_each_block_has_its_part),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
