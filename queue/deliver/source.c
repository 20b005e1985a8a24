/* queue/deliver/source.c: plumbing. */
#include "queue/deliver/source.h"

#include <errno.h>

int source_open(struct source *s, const struct transaction *t, struct store *store, struct mailbox *home,
	void (*ready)(void *arg), void *arg)
{
	*s = (struct source){.lent = false};
	if (t->body != NULL && t->body->file == 0) {
		s->chunk = t->body->first;
		return 0;
	}
	s->reader = content_reader_open(store, t->content, home, ready, arg);
	return s->reader != NULL ? 0 : -ENOMEM;
}

int source_next(struct source *s, const uint8_t **p, size_t *n)
{
	if (s->reader != NULL) {
		if (s->lent)
			content_reader_next(s->reader);
		int status = content_reader_piece(s->reader, p, n);
		s->lent = status == 1;
		return status;
	}
	while (s->chunk != NULL && s->chunk->len == 0)
		s->chunk = s->chunk->next;
	if (s->chunk == NULL)
		return 2;
	*p = s->chunk->data;
	*n = s->chunk->len;
	s->chunk = s->chunk->next;
	return 1;
}

void source_close(struct source *s)
{
	if (s->reader != NULL)
		content_reader_close(s->reader);
	*s = (struct source){0};
}
