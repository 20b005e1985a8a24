/* queue/spool/batch.h: what a scan found of one batch, and which of its records count. State.
 *
 * A record counts if header, meta and (where it was asked for) body can be believed and its whole group does: the
 * group's records lie one behind the other from GROUP_FIRST to GROUP_LAST. The batch is whole if its COMMIT and
 * everything that the COMMIT lists can be believed. */
#ifndef QUEUE_SPOOL_BATCH_H
#define QUEUE_SPOOL_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/spool/record.h"

enum batch_state { BATCH_WHOLE, BATCH_BAD_META, BATCH_BAD_BODY, BATCH_BAD_GROUP };

struct batch_item {
	struct place at;
	struct record head;
	size_t meta_at; /* in `metas` */
	enum batch_state state;
};

struct batch {
	uint64_t number;
	uint32_t segment;
	bool again; /* RECORD_AGAIN */
	struct batch_item *items;
	size_t count, cap;
	struct buf metas;
	size_t commit; /* index of the COMMIT; SIZE_MAX: none that can be believed */
};

void batch_init(struct batch *b); /* empty: count is 0 */
void batch_fini(struct batch *b);
void batch_reset(struct batch *b, uint64_t number, uint32_t segment, bool again);
/* Adds the next record, offsets rising; its meta was appended to b->metas at meta_at. 0 or -ENOMEM. */
int batch_add(struct batch *b, const struct batch_item *item);
const uint8_t *batch_meta(const struct batch *b, const struct batch_item *item);
/* The VOID in a batch, decoded: 0, or -ENOENT. */
int batch_void(const struct batch *b, struct record_void *out);
/* The COMMIT, decoded: 0, or -ENOENT. */
int batch_commit(const struct batch *b, struct record_commit *out);
/* Is anything in it besides VOID and COMMIT? */
bool batch_empty(const struct batch *b);
bool batch_whole(const struct batch *b);

/* Sets BATCH_BAD_GROUP where due, and calls `broken` for each record that does not count: type 0: the batch's end is
 * missing; id 0: not known. */
void batch_judge(struct batch *b, void *arg,
	void (*broken)(void *arg, unsigned type, uint64_t id, struct place at, const char *what));

#endif
