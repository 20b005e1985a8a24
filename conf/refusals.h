/* conf/refusals.h: the built-in rows of block `refusal`, and what makes a row of a file a good one. Protocol: pure.
 *
 * A row of a file stands before all of these; one of the same name stands in the place of the built-in one. What the
 * rows mean and how they are matched: queue/path/refusal.h. */
#ifndef CONF_REFUSALS_H
#define CONF_REFUSALS_H

#include "conf/conf.h"

enum { REFUSAL_NAME_MAX = 32 };

struct refusal_preset {
	const char *name;
	enum conf_refusal_kind kind;
	enum conf_family over;
	/* as in a file; NULL: the end */
	const char *codes[CONF_REFUSAL_LIST_MAX + 1];
	const char *statuses[CONF_REFUSAL_LIST_MAX + 1];
	const char *texts[CONF_REFUSAL_LIST_MAX + 1];
};

extern const struct refusal_preset refusal_presets[];
extern const size_t refusal_preset_count;

/* 1 to REFUSAL_NAME_MAX letters, digits and hyphens. */
bool refusals_is_name(const char *text);
/* The row of that name among the `count` of `rows`; NULL: there is none. */
const struct conf_refusal *refusals_find(const struct conf_refusal *rows, size_t count, const char *name);
/* Fills `row`, whose members are empty, from a built-in one. 0 or -ENOMEM; in either case it is to be freed. */
int refusals_preset(struct conf_refusal *row, const struct refusal_preset *preset);
/* Looks whether a row of a file has a condition: one without would match everything, unless it switches a built-in row
 * off. 0; -EINVAL: `why` says what is wrong and what was expected. */
int refusals_complain(const struct conf_refusal *row, struct buf *why);
/* Without codes, statuses and texts it matches nothing. */
bool refusals_is_off(const struct conf_refusal *row);

#endif
