/* queue/spool/worker.h: the disk workers: threads of their own for all file work but the journal's. Plumbing.
 *
 * A unit of work carries its own jobs, so handing one over never fails, allocates or blocks; the bound is on the units.
 * Jobs of one chain run one after another in the order of handing over, and their letters are posted in that order.
 * Other jobs run side by side. */
#ifndef QUEUE_SPOOL_WORKER_H
#define QUEUE_SPOOL_WORKER_H

#include <stdbool.h>

#include "conf/mailbox.h"

struct workers;

/* Belongs to the workers from workers_submit() until `done` is opened at home or, without a home, until `ended` is
 * called. Set run, home and done (or ended) before each submit. */
struct job {
	void (*run)(struct job *job); /* on a worker */
	struct mailbox *home;	      /* NULL: nobody waits for it */
	void (*done)(struct letter *letter);
	void (*ended)(struct job
			*job); /* without a home: on the worker, when the chain has moved on; may free job and chain */
	struct letter letter;
	/* private */
	struct job *next;
	struct job_chain *chain;
	bool posted;
};

struct job_chain {
	struct job *first, *last; /* waiting for the one that runs */
	bool busy;
};

/* Starts `count` threads (1..64). 0, -ENOMEM, or what the system says. */
int workers_start(struct workers **out, unsigned count);
/* Runs all jobs handed over so far and those that they hand over, then ends the threads. NULL is fine. */
void workers_stop(struct workers *w);

void job_chain_init(struct job_chain *c);
/* Any thread. `chain` NULL: the job stands alone. */
void workers_submit(struct workers *w, struct job_chain *chain, struct job *job);
/* The home's thread, for a job that was submitted and whose letter was not opened yet: its owner goes away. True: no
 * letter comes, `ended` is called on a worker in its stead. False: the letter lies in the mailbox already and will be
 * opened. */
bool workers_disown(struct workers *w, struct job *job, void (*ended)(struct job *job));

#endif
