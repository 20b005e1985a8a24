/* queue/spool/worker.c: plumbing.
 *
 * One lock guards the run queue, all chains and the letters' way home: posting under it is what keeps a chain's letters
 * in order and lets workers_disown() know on which side a letter is. */
#include "queue/spool/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { WORKERS_MAX = 64 };

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t more; /* something to run, or the end */
	struct job *first, *last;
	unsigned running; /* jobs on a worker now: they may submit others */
	bool stopping;
	unsigned count;
	pthread_t threads[WORKERS_MAX];
};

void job_chain_init(struct job_chain *c)
{
	c->first = c->last = NULL;
	c->busy = false;
}

static void enqueue(struct job **first, struct job **last, struct job *job)
{
	job->next = NULL;
	if (*first == NULL)
		*first = job;
	else
		(*last)->next = job;
	*last = job;
}

static struct job *dequeue(struct job **first)
{
	struct job *job = *first;
	*first = job->next;
	return job;
}

static void make_runnable(struct workers *w, struct job *job)
{
	enqueue(&w->first, &w->last, job);
	pthread_cond_signal(&w->more);
}

void workers_submit(struct workers *w, struct job_chain *chain, struct job *job)
{
	job->chain = chain;
	job->posted = false;
	pthread_mutex_lock(&w->lock);
	if (chain != NULL && chain->busy) {
		enqueue(&chain->first, &chain->last, job);
	} else {
		if (chain != NULL)
			chain->busy = true;
		make_runnable(w, job);
	}
	pthread_mutex_unlock(&w->lock);
}

bool workers_disown(struct workers *w, struct job *job, void (*ended)(struct job *job))
{
	pthread_mutex_lock(&w->lock);
	bool posted = job->posted;
	if (!posted) {
		job->home = NULL;
		job->ended = ended;
	}
	pthread_mutex_unlock(&w->lock);
	return !posted;
}

/* Called and left with the lock held. Behind the chain's turn neither chain nor a job with a home is touched again. */
static void run_one(struct workers *w, struct job *job)
{
	struct job_chain *chain = job->chain;
	w->running++;
	pthread_mutex_unlock(&w->lock);
	job->run(job);
	pthread_mutex_lock(&w->lock);
	if (chain != NULL && chain->first != NULL)
		make_runnable(w, dequeue(&chain->first));
	else if (chain != NULL)
		chain->busy = false;
	if (job->home != NULL) {
		job->posted = true;
		mailbox_post(job->home, &job->letter, job->done);
	} else {
		pthread_mutex_unlock(&w->lock);
		job->ended(job);
		pthread_mutex_lock(&w->lock);
	}
	w->running--;
	if (w->stopping && w->running == 0)
		pthread_cond_broadcast(&w->more);
}

static void *work(void *arg)
{
	struct workers *w = arg;
	pthread_setname_np(pthread_self(), "disk");
	pthread_mutex_lock(&w->lock);
	for (;;) {
		if (w->first != NULL)
			run_one(w, dequeue(&w->first));
		else if (w->stopping && w->running == 0)
			break;
		else
			pthread_cond_wait(&w->more, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int workers_start(struct workers **out, unsigned count)
{
	if (count < 1 || count > WORKERS_MAX)
		return -EINVAL;
	struct workers *w = calloc(1, sizeof *w);
	if (w == NULL)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
	int err = 0;
	while (err == 0 && w->count < count) {
		err = pthread_create(&w->threads[w->count], NULL, work, w);
		w->count += err == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err != 0) {
		workers_stop(w);
		return -err;
	}
	*out = w;
	return 0;
}

void workers_stop(struct workers *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->count; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
