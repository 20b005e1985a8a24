/* queue/tool/table.h: rows and columns that fit the terminal. State. */
#ifndef QUEUE_TOOL_TABLE_H
#define QUEUE_TOOL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct column {
	const char *title;
	bool right;	/* numbers */
	unsigned least; /* may be cut down to this many columns; 0: never cut */
};

enum { TABLE_COLUMNS = 16, TABLE_ROWS = 20000 };

struct table;
/* At most TABLE_COLUMNS columns, borrowed. NULL without memory. */
struct table *table_new(const struct column *columns, unsigned count);
void table_free(struct table *t);
/* Copies `count` cells of cleaned text. 0; -ENOMEM; -E2BIG past TABLE_ROWS. */
int table_row(struct table *t, const char *const *cells);
/* Prints titles and rows, no line wider than `width`: the widest column that may be cut gives way first. 0 or
 * -ENOMEM. */
int table_print(const struct table *t, FILE *out, unsigned width);

#endif
