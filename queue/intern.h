/* queue/intern.h: one copy of each text, counted: the reasons why mail waits, which thousands of messages share.
 * State. */
#ifndef QUEUE_INTERN_H
#define QUEUE_INTERN_H

#include <stdint.h>

struct interned;

struct intern {
	struct interned *table;
};

void intern_init(struct intern *t);
void intern_fini(struct intern *t); /* all texts must have been dropped, or nobody looks at them any more */
/* Returns the shared copy (cut to 400 bytes), to be given back with intern_drop(). Without memory: a fixed text. */
const char *intern_take(struct intern *t, const char *text);
void intern_drop(struct intern *t, const char *shared); /* NULL is fine */

#endif
