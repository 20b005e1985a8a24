/* queue/deliver/feed.c: plumbing. */
#include "queue/deliver/feed.h"

#include "queue/deliver/conversion.h"

int feed_start(struct feed *f, const struct transaction *t, struct store *store, struct mailbox *home,
	void (*ready)(void *arg), void *arg)
{
	*f = (struct feed){.of = t};
	return t->conversion != NULL ? conversion_begin(t->conversion, ready, arg)
				     : source_open(&f->source, t, store, home, ready, arg);
}

int feed_next(struct feed *f, const uint8_t **p, size_t *n)
{
	return f->of->conversion != NULL ? conversion_next(f->of->conversion, p, n) : source_next(&f->source, p, n);
}

void feed_stop(struct feed *f)
{
	source_close(&f->source);
	*f = (struct feed){.of = NULL};
}
