/* queue/intern.c: state. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "queue/intern.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 400 };

struct interned {
	UT_hash_handle hh;
	uint64_t refs;
	char text[];
};

static const char no_memory[] = "(no memory for the reason)";

void intern_init(struct intern *t)
{
	t->table = NULL;
}

void intern_fini(struct intern *t)
{
	struct interned *i, *next;
	HASH_ITER (hh, t->table, i, next) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): HASH_DEL took the freed one out */
		HASH_DEL(t->table, i);
		free(i);
	}
}

const char *intern_take(struct intern *t, const char *text)
{
	size_t n = strnlen(text, LONGEST);
	struct interned *i;
	HASH_FIND(hh, t->table, text, n, i);
	if (i == NULL) {
		i = malloc(sizeof *i + n + 1);
		if (i == NULL)
			return no_memory;
		i->refs = 0;
		memcpy(i->text, text, n);
		i->text[n] = '\0';
		HASH_ADD_KEYPTR(hh, t->table, i->text, n, i);
		if (i->hh.tbl == NULL) {
			free(i);
			return no_memory;
		}
	}
	i->refs++;
	return i->text;
}

void intern_drop(struct intern *t, const char *shared)
{
	if (shared == NULL || shared == no_memory)
		return;
	struct interned *i = (struct interned *)(void *)((char *)(uintptr_t)shared - offsetof(struct interned, text));
	if (--i->refs == 0) {
		HASH_DEL(t->table, i);
		free(i);
	}
}
