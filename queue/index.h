/* queue/index.h: messages in and out of the index, and what an operator does to one. State. */
#ifndef QUEUE_INDEX_H
#define QUEUE_INDEX_H

#include "queue/core.h"

/* Takes the message of an envelope into the index; nothing is scheduled. The reference to `body` (may be NULL) goes to
 * the message. An ID that is there already is replaced if nothing of it is under way (replay). 0; -ENOENT: no recipient
 * is left; -ENOMEM. */
int index_add(struct queue *q, const struct envelope *e, struct place content, struct place newest, bool in_file,
	struct body *body, struct message **out);
struct message *index_get(const struct queue *q, uint64_t id);
/* The message has ended or was removed, durably: takes it out, forgets its file, frees it as soon as it is not busy
 * (index_settle() again when that may have changed). */
void index_drop(struct queue *q, struct message *m);
/* Drops the message if it has no unfinished recipient and nothing of it is under way. True if it is gone. */
bool index_settle(struct queue *q, struct message *m);

/* Marks recipients finished; keeps the counts. */
void index_finish_rcpt(struct queue *q, struct delivery *d, struct rcpt *r, enum rcpt_status status);

/* A delivery leaves whatever list or timer it waits in (not an attempt): it is IDLE then. */
void index_detach(struct queue *q, struct delivery *d);
/* It counts at this site from now on; NULL: at none. */
void index_set_site(struct queue *q, struct delivery *d, struct site *s);
void index_set_domain(struct queue *q, struct delivery *d, struct domain *domain);
void index_set_reason(struct queue *q, struct delivery *d, const char *reason);

/* Holds: waiting deliveries are HELD at once, those in an attempt when it ends. `flag`: ENVELOPE_HELD or
 * ENVELOPE_DAMAGED. Writes the record unless `replayed`. */
void index_hold(struct queue *q, struct message *m, unsigned flag, const char *reason, bool replayed);
/* Ends the hold; the deliveries are IDLE, the caller schedules them. Neither does anything to a message that is to be
 * removed. */
void index_release(struct queue *q, struct message *m, bool replayed);
/* Writes the REMOVE record: from then on the message is gone, after a crash too, whatever is in transfer; what is comes
 * to its end first. 0; -ENOMEM: nothing was done. */
int index_remove(struct queue *q, struct message *m, const char *reason);
/* An attempt of the delivery has ended: if its message is held or to be removed, does that and returns true; the caller
 * calls index_settle(). */
bool index_take_back(struct queue *q, struct delivery *d);

/* An operator wants the message back with its sender: nothing new begins for it, all that waits is HELD; `reason` stays
 * its reason. While some of it is in transfer that is written down (unless `replayed`), for a restart.
 * queue/settle.h does the rest. */
void index_return(struct queue *q, struct message *m, const char *reason, bool replayed);
/* Is an attempt of it under way? */
bool index_in_transfer(const struct message *m);
/* Names the next hop in place of the routes'; "": as the routes say. Writes the record unless `replayed`; the caller
 * has it scheduled. 0 or -ENOMEM. */
int index_redirect(struct queue *q, struct message *m, const char *relay, bool replayed);

/* Held, to be removed or to be returned: nothing new begins for it. */
bool index_withdrawn(const struct message *m);

/* The content stands at another place of the journal now. */
void index_place(struct queue *q, struct message *m, struct place content);
/* Messages whose content stands in the segment. */
uint64_t index_live_in(const struct queue *q, uint32_t segment);

/* Drops accepted bodies from memory, oldest first, while all bodies together use more than three quarters of
 * body_memory. */
void index_trim_bodies(struct queue *q);

#endif
