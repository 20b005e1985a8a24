/* queue/doctor/settings.c: state. */
#include "queue/doctor/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/keys.h"
#include "conf/settings.h"
#include "conf/titled.h"

enum { ERRORS_MAX = 65536, BLOCKS_MAX = 4 << 20 };

const char settings_default_file[] = "/etc/relay64/relay64.conf";

int settings_read(const char *named, struct conf **out, const char **file, char errors[FACT_TEXT])
{
	struct buf text;
	*out = NULL;
	errors[0] = '\0';
	*file = named;
	if (named == NULL) {
		if (access(settings_default_file, F_OK) != 0)
			return 0;
		*file = settings_default_file;
	}
	buf_init(&text, ERRORS_MAX);
	int err = conf_load(out, *file, &text);
	if (err != 0) {
		const char *line = text.len != 0 ? (const char *)text.data : strerror(-err);
		size_t n = strcspn(line, "\n");
		snprintf(errors, FACT_TEXT, "%.*s%s", (int)(n < 250 ? n : 250), line,
			line[n] == '\n' && line[n + 1] != '\0' ? " (and more)" : "");
	}
	buf_fini(&text);
	return err;
}

static void add_name(char out[FACT_TEXT], const char *block, const char *name)
{
	size_t n = strlen(out);
	snprintf(out + n, FACT_TEXT - n, "%s%s%s%s", n ? ", " : "", block, *block && *name ? "." : "", name);
}

static bool is_lowered(const struct conf_key *k, const struct conf *file, const struct conf *in_force)
{
	if (k->at == offsetof(struct conf, limits.sessions))
		return in_force->limits.sessions < file->limits.sessions;
	if (k->at == offsetof(struct conf, limits.connections))
		return in_force->limits.connections < file->limits.connections;
	return k->at == offsetof(struct conf, loops);
}

/* All that is said in blocks of this name. */
static int write_blocks(const struct conf *c, const char *block, struct buf *out)
{
	struct settings_cursor at = {.titled = true};
	struct setting s;
	int more = 1, err = 0;
	setting_init(&s);
	while (err == 0 && (more = settings_next(c, &at, &s)) == 1)
		if (strcmp(s.block, block) == 0)
			err = buf_printf(out, "%.*s %s=%.*s\n", (int)s.title.len,
				s.title.len ? (char *)s.title.data : "", s.name, (int)s.value.len,
				s.value.len ? (char *)s.value.data : "");
	setting_fini(&s);
	return err != 0 ? err : more;
}

static bool same_blocks(const struct conf *a, const struct conf *b, const char *block)
{
	struct buf left, right;
	buf_init(&left, BLOCKS_MAX);
	buf_init(&right, BLOCKS_MAX);
	int err = write_blocks(a, block, &left);
	if (err == 0)
		err = write_blocks(b, block, &right);
	bool same =
		err == 0 && left.len == right.len && (left.len == 0 || memcmp(left.data, right.data, left.len) == 0);
	buf_fini(&left);
	buf_fini(&right);
	return same;
}

void settings_compare(const struct conf *file, const struct conf *in_force, char out[FACT_TEXT])
{
	out[0] = '\0';
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *k = &conf_keys[i];
		if (titled_find(k->block) == NULL &&
			!value_equal(&k->rule, (const char *)file + k->at, (const char *)in_force + k->at) &&
			!is_lowered(k, file, in_force))
			add_name(out, k->block, k->name);
	}
	static const char *const blocks[] = {"listen", "client", "pool", "identity", "sender"};
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
		if (!same_blocks(file, in_force, blocks[i]))
			add_name(out, blocks[i], "");
}
