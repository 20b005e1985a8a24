/* conf/grammar.h: the grammar of configuration files: text in, a tree of settings and blocks out. Protocol: pure.
 *
 *   file     = { item } ;
 *   item     = setting | block | include ;
 *   setting  = name "=" list ;                  (* name, "=" and the first value on one line *)
 *   block    = name [ list ] "{" { item } "}" ; (* name, title and "{" on one line; a title is one value or a list *)
 *   include  = "include" list ;                 (* files or glob patterns; who reads files expands them *)
 *   list     = value { "," value } ;            (* the line may end after each comma *)
 *   name     = quoted | ? a run without blanks , { } " or = ? ;
 *   value    = quoted | ? a run without blanks , { } or " ? ;
 *   quoted   = '"' { ? any character but " and \ and the end of the line ? | '\"' | '\\' } '"' ;
 *   blank    = " " | TAB | line end (LF or CR LF) ;
 *
 * Items need no separator, so `retry { first = 5m max = 1h }` is one block of two settings. `#` begins a comment at the
 * start of a line or after a blank, and ends with the line; `a#b` is a value. After a quoted value must come a blank or
 * one of , { } (after a quoted name also =). Text is UTF-8, a byte order mark at its start is skipped; NUL and all
 * other control bytes are refused. Lines and columns count from 1, columns in characters (a TAB is one). */
#ifndef CONF_GRAMMAR_H
#define CONF_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/buf.h"

enum {
	GRAMMAR_FILE_MAX = 1 << 20, /* bytes of one file */
	GRAMMAR_DEPTH_MAX = 8,	    /* blocks inside blocks */
	GRAMMAR_ERRORS_MAX = 100,   /* reported; the rest is only counted */
};

struct grammar_place {
	const char *file;
	unsigned line;
	unsigned column;
};

struct grammar_value {
	struct grammar_value *next;
	const char *text; /* without its quotes and escapes */
	struct grammar_place at;
};

enum grammar_kind { GRAMMAR_SETTING, GRAMMAR_BLOCK, GRAMMAR_INCLUDE };

struct grammar_item {
	struct grammar_item *next;
	enum grammar_kind kind;
	const char *name;
	struct grammar_value *values; /* setting: at least one; block: its title, may be none; include: at least one */
	struct grammar_item *items;   /* block */
	struct grammar_place at;
	bool broken; /* block: never closed, so what it seems to hold may belong elsewhere */
};

/* Where errors go: one line each, "FILE:LINE:COLUMN: what was found; what was expected". */
struct grammar_errors {
	struct buf *text; /* what does not fit is only counted */
	unsigned count;
};
void grammar_error(struct grammar_errors *e, const struct grammar_place *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Owns the trees of any number of files and all their strings. */
struct grammar;
struct grammar *grammar_new(void); /* NULL without memory */
void grammar_free(struct grammar *g);
/* Adds the items of one file to the end of `items`. 0; -ENOMEM; -EINVAL if there were errors: then all of them are in
 * `e` and the tree holds what could be made out. `file` is copied. */
int grammar_parse(struct grammar *g, struct grammar_item **items, const char *file, const void *text, size_t len,
	struct grammar_errors *e);

/* Copies `text` for an error message into `out`: at most 60 bytes, then "…", in quotes; control bytes
 * become '?'. */
enum { GRAMMAR_SHOWN = 72 };
const char *grammar_show(const char *text, char out[GRAMMAR_SHOWN]);

#endif
