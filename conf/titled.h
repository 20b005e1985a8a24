/* conf/titled.h: where struct conf keeps the blocks with titles, which may stand many times. State.
 *
 * One row a block, in the order in which they are shown. Its instances are an array; each begins with its origin, then
 * what its title says, then a member for each of the block's rows in conf/keys.c. */
#ifndef CONF_TITLED_H
#define CONF_TITLED_H

#include "conf/conf.h"

struct conf_titled {
	const char *block;
	const char *many;    /* its instances, for people */
	size_t most;	     /* of them */
	size_t size;	     /* of one */
	size_t items, count; /* offsets in struct conf of the array and of its length, a size_t */
	bool sorted;	     /* by `compare`; else they stay in the order of the file */
	/* 0: one title given twice */
	int (*compare)(const void *a, const void *b);
	/* Appends the title as it would stand in a file; 0 or buf_append()'s errors. */
	int (*write_title)(const void *item, struct buf *out);
	void (*free_title)(void *item); /* NULL: it holds nothing */
};

extern const struct conf_titled conf_titled[];
extern const size_t conf_titled_count;

/* NULL: the block has no titles, or is none. */
const struct conf_titled *titled_find(const char *block);
size_t titled_count(const struct conf_titled *t, const struct conf *c);
void *titled_item(const struct conf_titled *t, const struct conf *c, size_t i);
const struct conf_origin *titled_origin(const struct conf_titled *t, const struct conf *c, size_t i);
/* Makes `items` (on the heap, with `count` instances) the array; what was there is the caller's. */
void titled_set(const struct conf_titled *t, struct conf *c, void *items, size_t count);

#endif
