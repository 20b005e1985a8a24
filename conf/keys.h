/* conf/keys.h: the one table of all settings, and what walks it. State (shows and compares struct conf; reads no file).
 *
 * A key that is not in the table does not exist. Parsing (conf/apply.h), defaults, ranges, errors, `relayq config`, the
 * manual's list and "did you mean" all come from its rows. Rows of one block stand together. */
#ifndef CONF_KEYS_H
#define CONF_KEYS_H

#include "conf/conf.h"
#include "conf/value.h"

struct conf_key {
	const char *block; /* "" is the top level */
	const char *name;
	struct value_rule rule;
	/* the default, as it would stand in a file; NULL: none, or made at start (`hostname`, `loops`) */
	const char *preset;
	bool restart; /* a change takes effect at the next start only; else with a reload (HUP) */
	size_t at;    /* offset of the member in struct conf; in blocks with titles, in the struct of the block */
	const char *help;
};

struct conf_block {
	const char *name;  /* "" is the top level, the first row */
	const char *title; /* what its titles are, for people; NULL: it has none and stands once */
	const char *help;
};

extern const struct conf_key conf_keys[];
extern const size_t conf_key_count;
extern const struct conf_block conf_blocks[];
extern const size_t conf_block_count;

/* NULL: there is none. */
const struct conf_key *keys_find(const char *block, const char *name);
const struct conf_block *keys_find_block(const char *name);
/* Appends what to try in place of a name that is unknown in `block`: "did you mean …?", where the name belongs, or all
 * the names that would be valid. `is_block`: the name stood where a block would. */
void keys_suggest(const char *block, const char *name, bool is_block, struct buf *out);

/* Appends all settings in force in the form of a configuration file, each with a comment that says where it comes from:
 * "FILE:LINE" or "default". It reads back as the same configuration. 0 or buf_append()'s errors. */
int conf_dump(const struct conf *c, struct buf *out);
/* Makes `fresh`, not shared yet, keep the values of `running` for all keys that need a restart. 0 or -ENOMEM. */
int conf_keep_restart_keys(struct conf *fresh, const struct conf *running);

#endif
