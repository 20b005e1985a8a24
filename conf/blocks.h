/* conf/blocks.h: what is read of each block with titles beside its rows, and how it is checked. State: a part of
 * conf/apply.c, which alone uses it. */
#ifndef CONF_BLOCKS_H
#define CONF_BLOCKS_H

#include "conf/grammar.h"
#include "conf/titled.h"

/* What is known of the instances of one block with titles while the file is read. */
struct instances {
	const struct grammar_value **titles; /* of each instance in the configuration's array */
	size_t room;
};

struct apply {
	struct conf *c;
	struct grammar_errors *errors;
	struct buf why;
	const struct grammar_item **given;  /* the item that set each row, in this instance of its block */
	const struct grammar_item **blocks; /* the first of each block without title */
	struct instances *instances;	    /* of each row of conf_titled */
	int fatal;			    /* -ENOMEM */
};

/* The text in a->why; "" */
const char *apply_why(struct apply *a);

struct titled_reader {
	const char *block;
	/* Reads the title into the instance. 0; -EINVAL, reported; -ENOMEM. */
	int (*read)(struct apply *a, void *item, const struct grammar_value *title);
	/* Looks at what one instance was given; NULL: the rows say it all. */
	void (*check)(struct apply *a, const void *item);
	/* The same when the whole file is known. */
	void (*check_whole)(struct apply *a, const void *item, const struct grammar_place *at);
};
const struct titled_reader *blocks_reader(const struct conf_titled *t);

/* Who may relay, or may name any client, is not to be everybody. Reported at `at`. */
void blocks_check_trusted(
	struct apply *a, const char *what, const struct prefix *who, size_t count, const struct grammar_place *at);

#endif
