/* queue/spool/unlinker.c: plumbing. */
#include "queue/spool/unlinker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/log.h"

enum { FIRST_CAP = 64 };

static struct unlinker *unlinker_of(struct job *job)
{
	return (struct unlinker *)(void *)((char *)job - offsetof(struct unlinker, job));
}

void unlinker_init(struct unlinker *u, struct workers *workers, const struct layout *layout)
{
	memset(u, 0, sizeof *u);
	u->workers = workers;
	u->layout = layout;
	pthread_mutex_init(&u->lock, NULL);
}

void unlinker_fini(struct unlinker *u)
{
	pthread_mutex_destroy(&u->lock);
	free(u->ids);
}

static void run_unlink(struct job *job)
{
	struct unlinker *u = unlinker_of(job);
	pthread_mutex_lock(&u->lock);
	uint64_t *ids = u->ids;
	size_t count = u->count;
	u->ids = NULL;
	u->count = u->cap = 0;
	pthread_mutex_unlock(&u->lock);
	for (size_t i = 0; i < count; i++) {
		int err = layout_body_unlink(u->layout, ids[i]);
		if (err < 0 && err != -ENOENT)
			LOG_WARN("body-not-unlinked", LF_ID("id", ids[i]), LF_STR("error", strerror(-err)));
	}
	free(ids);
}

static void on_unlinked(struct job *job)
{
	struct unlinker *u = unlinker_of(job);
	pthread_mutex_lock(&u->lock);
	u->busy = u->count > 0;
	bool again = u->busy;
	pthread_mutex_unlock(&u->lock);
	if (again)
		workers_submit(u->workers, NULL, job);
}

void unlinker_add(struct unlinker *u, uint64_t id)
{
	pthread_mutex_lock(&u->lock);
	if (u->count == u->cap) {
		size_t cap = u->cap ? u->cap * 2 : FIRST_CAP;
		uint64_t *ids = reallocarray(u->ids, cap, sizeof *ids);
		if (ids != NULL) {
			u->ids = ids;
			u->cap = cap;
		}
	}
	bool taken = u->count < u->cap;
	if (taken)
		u->ids[u->count++] = id;
	bool start = taken && !u->busy;
	u->busy |= taken;
	pthread_mutex_unlock(&u->lock);
	if (!taken)
		LOG_WARN("body-not-unlinked", LF_ID("id", id), LF_STR("error", strerror(ENOMEM)));
	if (!start)
		return;
	u->job.run = run_unlink;
	u->job.home = NULL;
	u->job.ended = on_unlinked;
	workers_submit(u->workers, NULL, &u->job);
}
