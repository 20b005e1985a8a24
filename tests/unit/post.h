/* tests/unit/post.h: a mailbox with a condition variable, for tests of what answers by letter. */
#ifndef TESTS_UNIT_POST_H
#define TESTS_UNIT_POST_H

#include <pthread.h>
#include <stdbool.h>

#include "conf/mailbox.h"

struct post {
	struct mailbox box;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool wake;
};

void post_init(struct post *p);
void post_fini(struct post *p);
/* Waits until at least one letter lies there, opens all that do. Aborts the test after 60 s. */
void post_wait(struct post *p);
/* Waits until at least one letter lies there, opens none. */
void post_await(struct post *p);
/* Opens all that lie there; false if none did. */
bool post_poll(struct post *p);

#endif
