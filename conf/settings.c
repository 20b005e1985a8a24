/* conf/settings.c: state. */
#include "conf/settings.h"

#include <string.h>

#include "conf/titled.h"

enum { TITLE_MAX = 4096, VALUE_MAX = 1 << 20 };

void setting_init(struct setting *s)
{
	*s = (struct setting){0};
	buf_init(&s->title, TITLE_MAX);
	buf_init(&s->value, VALUE_MAX);
}

void setting_fini(struct setting *s)
{
	buf_fini(&s->title);
	buf_fini(&s->value);
}

static void come_from(const struct conf *c, const struct conf_origin *o, struct setting *out)
{
	out->file = o->file != 0 ? c->files[o->file - 1] : NULL;
	out->line = o->line;
}

static int take(const struct conf_key *k, const void *member, struct setting *out)
{
	out->block = k->block;
	out->name = k->name;
	out->help = k->help;
	out->restart = k->restart;
	out->set = !value_empty(&k->rule, member);
	int err = out->set ? value_write(&k->rule, member, &out->value) : 0;
	return err == 0 ? 1 : err;
}

static bool has_titles(const char *block)
{
	return titled_find(block) != NULL;
}

/* What is set in the block's next instance; or, of one without, the block itself. */
static int next_titled(const struct conf *c, struct settings_cursor *at, struct setting *out)
{
	for (; at->kind < conf_titled_count; at->kind++, at->item = 0) {
		const struct conf_titled *t = &conf_titled[at->kind];
		for (; at->item < titled_count(t, c); at->item++, at->key = 0) {
			const char *base = titled_item(t, c, at->item);
			bool any = at->key != 0;
			size_t k = at->key;
			while (k < conf_key_count && (strcmp(conf_keys[k].block, t->block) != 0 ||
							     value_empty(&conf_keys[k].rule, base + conf_keys[k].at)))
				k++;
			if (k >= conf_key_count && any)
				continue;
			at->key = k + 1;
			int err = t->write_title(base, &out->title);
			come_from(c, titled_origin(t, c, at->item), out);
			out->block = t->block;
			out->name = "";
			out->help = keys_find_block(t->block)->help;
			out->set = true;
			return err ? err : k < conf_key_count ? take(&conf_keys[k], base + conf_keys[k].at, out) : 1;
		}
	}
	return 0;
}

int settings_next(const struct conf *c, struct settings_cursor *at, struct setting *out)
{
	struct buf title = out->title, value = out->value;
	buf_reset(&title);
	buf_reset(&value);
	*out = (struct setting){.title = title, .value = value};
	/* first all rows of the table that stand once, then instance by instance */
	while (!at->titled && at->key < conf_key_count && has_titles(conf_keys[at->key].block))
		at->key++;
	if (!at->titled && at->key < conf_key_count) {
		const struct conf_key *k = &conf_keys[at->key++];
		come_from(c, &c->origins[k - conf_keys], out);
		return take(k, (const char *)c + k->at, out);
	}
	if (!at->titled) {
		at->titled = true;
		at->key = 0;
	}
	return next_titled(c, at, out);
}

static bool is_text(const struct buf *b, const char *text)
{
	return b->len != 0 && b->len == strlen(text) && memcmp(b->data, text, b->len) == 0;
}

bool setting_is(const struct setting *s, const char *name)
{
	size_t n = strlen(s->block);
	if (strcmp(s->name, name) == 0 || strcmp(s->block, name) == 0 || is_text(&s->title, name))
		return *name != '\0';
	return n != 0 && strncmp(s->block, name, n) == 0 && name[n] == '.' && strcmp(s->name, name + n + 1) == 0;
}
