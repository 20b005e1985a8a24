/* queue/tool/table.c: state. */
#include "queue/tool/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/tool/text.h"

enum { GAP = 2, LINE = 65536 };

struct table {
	const struct column *columns;
	unsigned count;
	size_t rows, cap;
	char **cells; /* row by row */
};

struct table *table_new(const struct column *columns, unsigned count)
{
	struct table *t = count <= TABLE_COLUMNS ? calloc(1, sizeof *t) : NULL;
	if (t != NULL) {
		t->columns = columns;
		t->count = count;
	}
	return t;
}

void table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->rows * t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

int table_row(struct table *t, const char *const *cells)
{
	if (t->rows == TABLE_ROWS)
		return -E2BIG;
	if (t->rows == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 32;
		char **grown = reallocarray(t->cells, cap * t->count, sizeof *grown);
		if (grown == NULL)
			return -ENOMEM;
		t->cells = grown;
		t->cap = cap;
	}
	char **row = t->cells + t->rows * t->count;
	for (unsigned i = 0; i < t->count; i++) {
		row[i] = strdup(cells[i]);
		if (row[i] == NULL) {
			while (i != 0)
				free(row[--i]);
			return -ENOMEM;
		}
	}
	t->rows++;
	return 0;
}

static void measure(const struct table *t, unsigned width, size_t widths[TABLE_COLUMNS])
{
	size_t all = GAP * (t->count - 1);
	for (unsigned c = 0; c < t->count; c++) {
		widths[c] = strlen(t->columns[c].title);
		for (size_t r = 0; r < t->rows; r++) {
			size_t w = text_columns(t->cells[r * t->count + c]);
			if (w > widths[c])
				widths[c] = w;
		}
		all += widths[c];
	}
	while (all > width) {
		unsigned widest = t->count;
		for (unsigned c = 0; c < t->count; c++) {
			bool gives = t->columns[c].least != 0 && widths[c] > t->columns[c].least;
			if (gives && (widest == t->count || widths[c] > widths[widest]))
				widest = c;
		}
		if (widest == t->count)
			return;
		widths[widest]--;
		all--;
	}
}

static int print_line(
	const struct table *t, FILE *out, const char *const *cells, unsigned width, const size_t widths[TABLE_COLUMNS])
{
	struct buf line, fitted;
	buf_init(&line, LINE);
	buf_init(&fitted, LINE);
	int err = 0;
	for (unsigned c = 0; c < t->count && err == 0; c++) {
		bool last = c + 1 == t->count;
		err = text_fit(&line, cells[c], widths[c], t->columns[c].right ? -1 : !last);
		if (err == 0 && !last)
			err = buf_printf(&line, "%*s", GAP, "");
	}
	while (line.len != 0 && line.data[line.len - 1] == ' ')
		line.data[--line.len] = '\0';
	if (err == 0)
		err = text_fit(&fitted, line.len != 0 ? (const char *)line.data : "", width, 0);
	if (err == 0)
		fprintf(out, "%s\n", fitted.len != 0 ? (const char *)fitted.data : "");
	buf_fini(&line);
	buf_fini(&fitted);
	return err;
}

int table_print(const struct table *t, FILE *out, unsigned width)
{
	size_t widths[TABLE_COLUMNS];
	const char *titles[TABLE_COLUMNS];
	measure(t, width, widths);
	for (unsigned c = 0; c < t->count; c++)
		titles[c] = t->columns[c].title;
	int err = print_line(t, out, titles, width, widths);
	for (size_t r = 0; r < t->rows && err == 0; r++)
		err = print_line(t, out, (const char *const *)t->cells + r * t->count, width, widths);
	return err;
}
