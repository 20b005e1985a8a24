/* queue/spool/unlinker.h: body files that nobody needs any more, unlinked in batches on a worker. Plumbing. */
#ifndef QUEUE_SPOOL_UNLINKER_H
#define QUEUE_SPOOL_UNLINKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "queue/spool/layout.h"
#include "queue/spool/worker.h"

struct unlinker {
	struct workers *workers;
	const struct layout *layout;
	pthread_mutex_t lock;
	uint64_t *ids; /* gathered; at most as many as there are messages in the queue */
	size_t count, cap;
	bool busy;
	struct job job;
};

void unlinker_init(struct unlinker *u, struct workers *workers, const struct layout *layout);
/* The workers have stopped. */
void unlinker_fini(struct unlinker *u);
/* Any thread; never waits for the disk. What cannot be unlinked is logged and left to the next start. */
void unlinker_add(struct unlinker *u, uint64_t id);

#endif
