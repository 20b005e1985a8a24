/* queue/entry.h: what is to be written about a message: one entry of the journal on its way to the disk and back.
 * State.
 *
 * The entries of one message go one after another, because each names the place of the one before. A message with
 * entries under way is busy: it is not freed before they are back. */
#ifndef QUEUE_ENTRY_H
#define QUEUE_ENTRY_H

#include "queue/core.h"
#include "queue/mail/notice.h"
#include "queue/submission.h"

struct entry {
	struct commit commit;
	struct buf meta;
	struct queue *queue;
	struct message *message;
	struct entry *next;
	/* Called on the queue thread, message->newest is up to date. `status` < 0 only with `notices`. The entry is
	 * freed behind it. */
	void (*done)(struct entry *e, int status);
	struct delivery *delivery;
	struct attempt *attempt; /* owned */
	uint64_t tried_ms;	 /* as of the tries */
	/* owned references, NULL: none of that kind: stored together with this entry, all of it or nothing */
	struct submission *notices[NOTICE_KINDS];
	struct body *content; /* owned reference: of a MOVED record */
	bool noticing;	      /* counts in queue->noticing */
	bool expired; /* some recipients are given up for the message's age: their code is 5.4.7, and it is ours */
	bool late;    /* likewise, for the time of DELIVERBY */
	void *arg;
};

/* An entry of no message yet, so that entry_begin() cannot fail. NULL without memory. */
struct entry *entry_reserve(void);
/* Room for `n` bytes of its record. 0 or -ENOMEM. */
int entry_make_room(struct entry *e, size_t n);
void entry_unreserve(struct entry *e); /* one that was not begun; NULL is fine */
struct entry *entry_begin(struct entry *reserved, struct queue *q, struct message *m, enum record_type type,
	void (*done)(struct entry *e, int status));
/* Both at once. NULL without memory. The message becomes busy. */
struct entry *entry_new(
	struct queue *q, struct message *m, enum record_type type, void (*done)(struct entry *e, int status));
void entry_drop(struct entry *e);    /* one that was not posted */
void tries_free(struct delivery *d); /* with the entry that is reserved in them; none is fine */
/* Posts it, or puts it behind the others of its message. */
void entry_post(struct entry *e);

#endif
