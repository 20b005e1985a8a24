/* queue/entry.c: state. */
#include "queue/entry.h"

#include <errno.h>
#include <stdlib.h>

enum { META_MAX = ENVELOPE_ENCODED_MAX + 8 * ATTEMPT_ENCODED_MAX };

struct entry *entry_reserve(void)
{
	struct entry *e = calloc(1, sizeof *e);
	if (e != NULL)
		buf_init(&e->meta, META_MAX);
	return e;
}

int entry_make_room(struct entry *e, size_t n)
{
	return buf_room(&e->meta, n) != NULL ? 0 : -ENOMEM;
}

void entry_unreserve(struct entry *e)
{
	if (e == NULL)
		return;
	buf_fini(&e->meta);
	free(e);
}

struct entry *entry_begin(struct entry *e, struct queue *q, struct message *m, enum record_type type,
	void (*done)(struct entry *e, int status))
{
	e->commit.type = type;
	e->commit.id = m->id;
	e->queue = q;
	e->message = m;
	e->done = done;
	m->busy++;
	q->writing++;
	return e;
}

struct entry *entry_new(
	struct queue *q, struct message *m, enum record_type type, void (*done)(struct entry *e, int status))
{
	struct entry *e = entry_reserve();
	return e != NULL ? entry_begin(e, q, m, type, done) : NULL;
}

static void free_entry(struct entry *e)
{
	e->queue->writing--;
	e->queue->noticing -= e->noticing;
	buf_fini(&e->meta);
	attempt_free(e->attempt);
	for (unsigned i = 0; i < NOTICE_KINDS; i++)
		submission_unref(e->notices[i]);
	body_unref(e->content);
	free(e);
}

void entry_drop(struct entry *e)
{
	e->message->busy--;
	free_entry(e);
}

static void post(struct entry *e);

/* The record that is posted and answered for all of the entry: a group's first. */
static struct commit *head_of(struct entry *e)
{
	for (unsigned i = 0; i < NOTICE_KINDS; i++)
		if (e->notices[i] != NULL)
			return &e->notices[i]->commit;
	return &e->commit;
}

static void finish(struct entry *e)
{
	struct message *m = e->message;
	int status = head_of(e)->status;
	m->entries = e->next;
	if (status == 0)
		m->newest = e->commit.place;
	struct entry *next = e->next;
	if (next != NULL)
		post(next);
	m->busy--;
	e->done(e, status);
	free_entry(e);
}

static void on_durable(struct letter *letter)
{
	finish(LETTER_OF(letter, struct entry, commit.first));
}

static void on_group_durable(struct letter *letter)
{
	struct submission *s = LETTER_OF(letter, struct submission, commit.first);
	finish(s->queue);
}

static void post(struct entry *e)
{
	e->commit.previous = e->message->newest;
	e->commit.meta = e->meta.data;
	e->commit.meta_len = e->meta.len;
	e->commit.content = e->content;
	e->commit.first_to = e->queue->mailbox;
	e->commit.first_done = on_durable;
	struct commit *next = &e->commit;
	for (unsigned i = NOTICE_KINDS; i-- > 0;) {
		struct submission *s = e->notices[i];
		if (s == NULL)
			continue;
		s->queue = e;
		s->commit.group = next;
		s->commit.first_to = e->queue->mailbox;
		s->commit.first_done = on_group_durable;
		s->commit.second_to = NULL;
		next = &s->commit;
	}
	store_commit(e->queue->store, next);
}

void entry_post(struct entry *e)
{
	struct entry **end = &e->message->entries;
	while (*end != NULL)
		end = &(*end)->next;
	*end = e;
	if (e->message->entries == e)
		post(e);
}

void tries_free(struct delivery *d)
{
	if (d->tries == NULL)
		return;
	attempt_free(d->tries->attempt);
	entry_unreserve(d->tries->outcome);
	free(d->tries->asked);
	free(d->tries);
	d->tries = NULL;
}
