/* queue/spool/content.h: reading a stored message's content back, in order, in pieces, two ahead. Plumbing.
 *
 * What stands in the journal is verified as a whole before its first piece is handed out; what stands in a body file is
 * verified as it is read, and its last piece is handed out only if all was right. */
#ifndef QUEUE_SPOOL_CONTENT_H
#define QUEUE_SPOOL_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/body.h"
#include "conf/mailbox.h"
#include "queue/spool/layout.h"
#include "queue/spool/place.h"
#include "queue/spool/worker.h"

enum { CONTENT_PIECE = 65536 };

struct content_reader;
/* See content_reader_open() in queue/spool/store.h. `workers` and `layout` outlive it. NULL without memory. */
struct content_reader *content_reader_start(struct workers *workers, const struct layout *layout, struct place content,
	struct mailbox *home, void (*ready)(void *arg), void *arg);
/* 1: a piece of 1 to 65,536 bytes, lent until the next call of content_reader_next(); 0: wait for `ready`; 2: the end
 * was reached and every checksum was right; -EBADMSG: damaged, or its file is missing (never end a DATA with it); else
 * negative: it could not be read now. Says the same until content_reader_next() or `ready`. */
int content_reader_piece(struct content_reader *r, const uint8_t **p, size_t *n);
/* Only after a 1. */
void content_reader_next(struct content_reader *r);
/* Home's thread, any state, also from within `ready`, which does not come afterwards. NULL is fine. */
void content_reader_close(struct content_reader *r);

/* The content of a MESSAGE or MOVED record as a body, for another record: in memory, every checksum right, if it stands
 * in the journal; its reference alone, nothing read, if it stands in a body file. With `remains` what cannot be
 * believed is taken too: the bytes as they are, zeros where they cannot be read, as much as the record's header still
 * tells; a body file even without its checksum. That is kept for a person to look at, never delivered. */
struct content_body {
	struct mailbox *home;
	void (*done)(struct content_body *c); /* at home */
	void *arg;
	struct place content; /* in; pinned by the caller until `done` */
	bool remains;	      /* in */
	uint64_t file;	      /* in, with `remains`: the number of its body file if it has one, else 0, and */
	uint64_t file_size;   /* in: its size */
	int status;	      /* 0; -EBADMSG: damaged; else negative */
	struct body *body;    /* one reference, the caller's; NULL if status is not 0 */
	struct job job;	      /* private, like the next */
	const struct layout *layout;
};
void content_body_read(struct workers *workers, const struct layout *layout, struct content_body *c);

#endif
