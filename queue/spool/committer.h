/* queue/spool/committer.h: the commit thread, the only writer of the journal. Plumbing.
 *
 * It takes whatever has gathered, at most batch_limit, writes and syncs it once, and answers the whole batch. A message
 * is written at once; other records alone wait at most outcome_delay for company. A batch that fails: its groups with a
 * MESSAGE are refused; the others are kept and given again, before everything else, at intervals that grow from 50 ms
 * to 10 s, until they are durable; meanwhile every message is refused. No space: the last segment that is ready is kept
 * for records that are no messages. */
#ifndef QUEUE_SPOOL_COMMITTER_H
#define QUEUE_SPOOL_COMMITTER_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/spool/commit.h"
#include "queue/spool/journal.h"
#include "queue/spool/segments.h"

struct committer;

struct committer_setup {
	struct journal *journal;   /* the thread's own from committer_start() to committer_stop() */
	struct segments *segments; /* grows with the journal */
	struct journal_mark mark;  /* where the journal ends now, */
	uint64_t mark_wall_ms;	   /* and the wall time of its last batch */
	uint64_t batch_limit;
	uint64_t outcome_delay;
	void (*wrote)(void *arg); /* on the commit thread, behind each batch: look for journal_wants_prepare() */
	void *arg;
};

/* 0, -ENOMEM, or what the system says. */
int committer_start(struct committer **out, const struct committer_setup *setup);
/* Writes and answers what was posted, then ends the thread. What cannot be made durable now is logged and stays
 * unanswered. NULL is fine. The calls below may still come until committer_free(), and do nothing. */
void committer_stop(struct committer *c);
void committer_free(struct committer *c);

/* ---- any thread ---- */

/* Commits are answered as commit.h says; within one batch each `first` is posted before any `second`. */
void committer_post(struct committer *c, struct commit *x);
void committer_set_delay(struct committer *c, uint64_t outcome_delay);
/* Wants the ceiling of IDs raised: written at once. */
void committer_want_ceiling(struct committer *c, uint64_t ceiling_ms);
/* The ceiling that is durable. */
const _Atomic uint64_t *committer_ceiling(const struct committer *c);
/* Outcomes cannot be made durable now. */
bool committer_broken(const struct committer *c);
/* Messages are refused for want of space. */
bool committer_full(const struct committer *c);
/* What journal_prepare() said last. */
void committer_note_spares(struct committer *c, int err);
/* A place in the journal before which every record has been answered, and the wall time of the batch that ends
 * there. */
void committer_mark(struct committer *c, struct journal_mark *mark, uint64_t *wall_ms);

#endif
