/* conf/settings.h: the values in force one by one, and where each comes from, for `relayq config`. State (reads struct
 * conf, nothing else). */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include "conf/keys.h"

struct setting {
	const char *block; /* "": the top level */
	const char *name;  /* "": the block itself, of which nothing is set */
	const char *help;
	bool restart;	  /* a change needs one */
	bool set;	  /* else the value is empty */
	struct buf title; /* of blocks with titles; may be empty */
	struct buf value; /* as in a file */
	const char *file; /* NULL: the default */
	unsigned line;
};

/* All zero: before the first. */
struct settings_cursor {
	bool titled; /* those that stand once are through */
	size_t key, kind, item;
};

void setting_init(struct setting *s);
void setting_fini(struct setting *s);
/* The next setting, into `out` (initialised, used again and again; its strings are the configuration's). 1; 0 behind
 * the last; -E2BIG, -ENOMEM. */
int settings_next(const struct conf *c, struct settings_cursor *at, struct setting *out);
/* Is it meant by `name`: KEY, BLOCK, BLOCK.KEY, or a title? */
bool setting_is(const struct setting *s, const char *name);

#endif
