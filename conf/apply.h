/* conf/apply.h: from the tree of a configuration to struct conf, by the table of conf/keys.h. State: no file is
 * read. */
#ifndef CONF_APPLY_H
#define CONF_APPLY_H

#include "conf/conf.h"
#include "conf/grammar.h"

/* What the defaults of `hostname` and `loops` are made of. */
struct conf_machine {
	const char *hostname;
	unsigned processors;
};

/* An empty configuration with one reference; NULL without memory. */
struct conf *conf_new(void);
/* Fills `c`, fresh from conf_new(), from `items`, in which includes have been replaced by what they name; defaults
 * stand in for what is not there. `name` is the file that errors without a place name. 0; -ENOMEM; -EINVAL with all
 * errors in `e`; in either case `c` is to be freed only. */
int conf_apply(struct conf *c, const char *name, const struct grammar_item *items, const struct conf_machine *machine,
	struct grammar_errors *e);
/* Frees what conf_unref() finds without references. */
void conf_free(struct conf *c);

#endif
