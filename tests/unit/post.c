/* tests/unit/post.c: plumbing. */
#include "tests/unit/post.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wake(void *arg)
{
	struct post *p = arg;
	pthread_mutex_lock(&p->lock);
	p->wake = true;
	pthread_cond_signal(&p->woken);
	pthread_mutex_unlock(&p->lock);
}

void post_init(struct post *p)
{
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->woken, NULL);
	p->wake = false;
	mailbox_init(&p->box, wake, p);
}

void post_fini(struct post *p)
{
	pthread_cond_destroy(&p->woken);
	pthread_mutex_destroy(&p->lock);
}

void post_await(struct post *p)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&p->lock);
	while (!p->wake) {
		if (pthread_cond_timedwait(&p->woken, &p->lock, &until) != 0) {
			fprintf(stderr, "no letter came within 60 s\n");
			abort();
		}
	}
	pthread_mutex_unlock(&p->lock);
}

bool post_poll(struct post *p)
{
	pthread_mutex_lock(&p->lock);
	p->wake = false;
	pthread_mutex_unlock(&p->lock);
	bool any = false;
	for (struct letter *l; (l = mailbox_take(&p->box)) != NULL; any = true)
		l->open(l);
	return any;
}

void post_wait(struct post *p)
{
	do
		post_await(p);
	while (!post_poll(p));
}
