/* queue/submission.c: state. */
#include "queue/submission.h"

#include <stdlib.h>

struct submission *submission_new(const struct envelope *e, struct body *body)
{
	struct submission *s = calloc(1, sizeof *s);
	if (s == NULL)
		return NULL;
	buf_init(&s->meta, ENVELOPE_ENCODED_MAX);
	if (envelope_encode(e, &s->meta) != 0) {
		buf_fini(&s->meta);
		free(s);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	s->body = body;
	s->commit = (struct commit){
		.type = RECORD_MESSAGE,
		.id = e->id,
		.meta = s->meta.data,
		.meta_len = s->meta.len,
		.content = body,
	};
	return s;
}

void submission_unref(struct submission *s)
{
	if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	body_unref(s->body);
	buf_fini(&s->meta);
	free(s);
}

void submission_post(struct submission *s, const struct submission_desk *desk, struct mailbox *home,
	void (*done)(struct letter *second), void *session)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	s->session = session;
	s->queue = desk->queue;
	s->commit.first_to = desk->mailbox;
	s->commit.first_done = desk->stored;
	s->commit.second_to = home;
	s->commit.second_done = done;
	store_commit(desk->store, &s->commit);
}

void submission_abandon(struct submission *s, const struct submission_desk *desk)
{
	struct body *body = s->body;
	s->body = NULL;
	store_discard_body(desk->store, body);
	submission_unref(s);
}
