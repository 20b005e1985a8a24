/* queue/spool/commit.h: one record to be made durable, as its poster hands it over. State. */
#ifndef QUEUE_SPOOL_COMMIT_H
#define QUEUE_SPOOL_COMMIT_H

#include <stddef.h>
#include <stdint.h>

#include "conf/body.h"
#include "conf/mailbox.h"
#include "queue/spool/place.h"

/* Belongs to the poster; lent to the store until the letters come back. */
struct commit {
	enum record_type type;
	uint64_t id;
	struct place previous; /* the message's record before this one */
	const uint8_t *meta;   /* must live until the letters */
	size_t meta_len;
	struct body *content; /* MESSAGE, MOVED: borrowed; inline if in memory, else by reference */
	/* further records that count whole with this one or not at all; only the first is posted and answered */
	struct commit *group;
	/* answers: `first` is posted to `first_to` as soon as it is durable, then `second` (if `second_to`) likewise.
	 * On failure (status < 0) only `second` is posted, or `first` if there is no second. */
	struct mailbox *first_to, *second_to;
	void (*first_done)(struct letter *), (*second_done)(struct letter *);
	struct letter first, second;
	int status;	      /* 0; -ENOSPC, -EIO …: the message counts as never received */
	struct place place;   /* where each record of the group came to stand */
	struct letter queued; /* private */
};

#endif
