/* queue/deliver/feed.c: plumbing. */
#include "queue/deliver/feed.h"

#include <errno.h>

int feed_start(struct feed *f, const struct transaction *t, struct store *store, struct mailbox *home,
	void (*ready)(void *arg), void *arg)
{
	*f = (struct feed){.of = t};
	if (t->body != NULL && t->body->file == 0) {
		f->chunk = t->body->first;
		return 0;
	}
	f->reader = content_reader_open(store, t->content, home, ready, arg);
	return f->reader != NULL ? 0 : -ENOMEM;
}

int feed_next(struct feed *f, const uint8_t **p, size_t *n)
{
	if (f->reader != NULL) {
		if (f->lent)
			content_reader_next(f->reader);
		int status = content_reader_piece(f->reader, p, n);
		f->lent = status == 1;
		return status;
	}
	while (f->chunk != NULL && f->chunk->len == 0)
		f->chunk = f->chunk->next;
	if (f->chunk == NULL)
		return 2;
	*p = f->chunk->data;
	*n = f->chunk->len;
	f->chunk = f->chunk->next;
	return 1;
}

void feed_stop(struct feed *f)
{
	if (f->reader != NULL)
		content_reader_close(f->reader);
	*f = (struct feed){0};
}
