/* queue/path/binding.h: can this host make connections from a source address? Plumbing; the queue thread.
 *
 * Asked of the kernel every few seconds: an address may come and go. One that cannot be used is told once a minute as
 * long as it is wanted. */
#ifndef QUEUE_PATH_BINDING_H
#define QUEUE_PATH_BINDING_H

#include "queue/core.h"

bool binding_usable(struct queue *q, const struct ip *ip);
void binding_free(struct queue *q);
/* Binds a socket to the address: 0 or a negative code. */
int binding_try(const struct ip *ip);

#endif
