/* queue/spool/snapshot.c: plumbing. */
#include "queue/spool/snapshot.h"

#include <errno.h>
#include <string.h>

void snapshot_init(struct snapshot *s, struct workers *workers)
{
	memset(s, 0, sizeof *s);
	s->workers = workers;
	job_chain_init(&s->chain);
	for (unsigned i = 0; i < SNAPSHOT_BLOCKS; i++)
		s->blocks[i].snapshot = s;
}

void snapshot_fini(struct snapshot *s)
{
	checkpoint_abort(s->checkpoint);
	s->checkpoint = NULL;
}

/* Every letter posted to home before this one has been opened. */
static void on_fence(struct letter *letter)
{
	struct snapshot *s = LETTER_OF(letter, struct snapshot, fence);
	s->begun(s->begun_arg);
}

int snapshot_begin(struct snapshot *s, const struct files *files, int spool, const struct checkpoint_head *head,
	struct mailbox *home, void (*begun)(void *arg), void *arg)
{
	if (s->active)
		return -EBUSY;
	int err = checkpoint_begin(&s->checkpoint, files, spool, head);
	if (err != 0)
		return err;
	s->head = *head;
	s->files = files;
	s->spool = spool;
	s->dropped = false;
	s->home = home;
	s->begun = begun;
	s->begun_arg = arg;
	s->err = 0;
	s->active = true;
	s->full = s->asked = false;
	mailbox_post(home, &s->fence, on_fence);
	return 0;
}

static void run_write(struct job *job)
{
	struct snapshot_block *b = (struct snapshot_block *)(void *)job;
	checkpoint_write(b->snapshot->checkpoint, b->block); /* a failure comes again at the end */
}

static void on_written(struct letter *letter);

/* Hands the full block over, if the disk keeps up. */
static void cut(struct snapshot *s)
{
	struct snapshot_block *b = NULL;
	for (unsigned i = 0; i < SNAPSHOT_BLOCKS && b == NULL; i++)
		b = s->blocks[i].busy ? NULL : &s->blocks[i];
	s->full = b == NULL;
	if (b == NULL)
		return;
	b->block = checkpoint_cut(s->checkpoint);
	if (b->block == NULL)
		return;
	b->busy = true;
	b->job.run = run_write;
	b->job.home = s->home;
	b->job.done = on_written;
	workers_submit(s->workers, &s->chain, &b->job);
}

static void on_written(struct letter *letter)
{
	struct snapshot_block *b = LETTER_OF(letter, struct snapshot_block, job.letter);
	struct snapshot *s = b->snapshot;
	b->busy = false;
	if (s->full)
		cut(s);
	if (s->asked) {
		s->asked = false;
		s->begun(s->begun_arg);
	}
}

int snapshot_add(struct snapshot *s, const struct envelope *e, struct place content, struct place newest, bool in_file)
{
	if (s->full) {
		s->asked = true;
		return 1;
	}
	int err = checkpoint_add(s->checkpoint, e, content, newest, in_file);
	if (err < 0)
		s->err = err; /* there is a hole */
	if (err == 1)
		cut(s);
	return err < 0 ? err : 0;
}

static void run_finish(struct job *job)
{
	struct snapshot *s = (struct snapshot *)(void *)((char *)job - offsetof(struct snapshot, last));
	if (s->err == 0 && !s->whole)
		s->err = -ECANCELED;
	if (s->err == 0)
		s->err = checkpoint_finish(s->checkpoint);
	else
		checkpoint_abort(s->checkpoint);
	s->checkpoint = NULL;
	/* Freed segments wait for a newer checkpoint, and it for their space: without any they need not wait. */
	if (s->err == -ENOSPC || s->err == -EDQUOT)
		s->dropped = checkpoint_drop(s->files, s->spool) == 0;
}

static void on_finished(struct letter *letter)
{
	struct snapshot *s = LETTER_OF(letter, struct snapshot, last.letter);
	s->active = false;
	s->done(s->done_arg, s->err);
}

void snapshot_end(struct snapshot *s, bool whole, void (*done)(void *arg, int err), void *arg)
{
	s->done = done;
	s->done_arg = arg;
	s->whole = whole;
	s->asked = s->full = false;
	s->last.run = run_finish;
	s->last.home = s->home;
	s->last.done = on_finished;
	workers_submit(s->workers, &s->chain, &s->last);
}
