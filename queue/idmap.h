/* queue/idmap.h: things by queue ID, in the order of the IDs. State.
 *
 * IDs rise with time, so nearly all come in at the end; they lie in sorted leaves of up to 512, and the leaves in a
 * sorted array: 16 bytes a message, and a cursor is just an ID. */
#ifndef QUEUE_IDMAP_H
#define QUEUE_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap_leaf;

struct idmap {
	struct idmap_leaf **leaves;
	size_t leaf_count;
	size_t leaf_room;
	size_t count;
};

void idmap_init(struct idmap *m);
void idmap_fini(struct idmap *m); /* the things stay the caller's */
/* 0, -EEXIST, -ENOMEM. `thing` is not NULL. */
int idmap_add(struct idmap *m, uint64_t id, void *thing);
void *idmap_get(const struct idmap *m, uint64_t id); /* NULL: not there */
void *idmap_remove(struct idmap *m, uint64_t id);    /* what was there, or NULL */
/* The first with an ID above `after`; its ID in `*id`. NULL at the end. */
void *idmap_next(const struct idmap *m, uint64_t after, uint64_t *id);
uint64_t idmap_last(const struct idmap *m); /* the highest ID; 0: there is nothing */

#endif
