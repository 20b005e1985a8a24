/* queue/suspension.h: sites to which an operator has suspended deliveries: no new connection is made to them. State.
 *
 * A suspension names a site as `relayq summary` does, or is a shell pattern of such names; the site need not exist yet.
 * What is under way when it begins ends as usual. Mail for the site waits without an attempt and says so; its
 * senders are warned as if no path to the site worked, looked at once a minute, but it is not given up for its age
 * before it was tried again after the end of the suspension. A suspension ends by itself when its time has come, or by
 * an operator. All are kept in spool/state/suspended. */
#ifndef QUEUE_SUSPENSION_H
#define QUEUE_SUSPENSION_H

#include "queue/core.h"

enum { SUSPENSIONS_MAX = 1000, SUSPENSION_PATTERN_MAX = 255, SUSPENSION_REASON_MAX = 300 };

struct suspension {
	TAILQ_ENTRY(suspension) next;
	struct site_list sites; /* that it stops */
	char *pattern;
	char *reason; /* as the operator gave it; "" */
	char *who;
	char *text; /* "suspended by the operator: REASON", as mail that waits says */
	uint64_t since_ms;
	uint64_t until_ms; /* wall time; 0: until it is resumed */
};

/* Start-up, the store is open: what spool/state/suspended holds. A file that cannot be read is logged and begun
 * anew. */
void suspension_load(struct queue *q);
void suspension_free_all(struct queue *q); /* after store_close() */

/* Replaces one of the same pattern. `for_ms` 0: until it is resumed. 0; -EINVAL: pattern or reason too long; -ENOSPC:
 * SUSPENSIONS_MAX are there; -ENOMEM. */
int suspension_add(struct queue *q, const char *pattern, uint64_t for_ms, const char *reason, const char *who);
/* Ends those whose pattern is this one, or is matched by it. Returns how many. */
unsigned suspension_end(struct queue *q, const char *pattern, const char *who);
/* DUE_RESUME: the next ones of the sites whose suspensions have ended go on. */
void suspension_slice(struct queue *q);
/* Once a second: ends what is over, has mail that waits looked at. */
void suspension_tick(struct queue *q);

/* A new site: is it suspended? */
void suspension_meet(struct queue *q, struct site *s);
/* The site is freed. */
void suspension_part(struct queue *q, struct site *s);

#endif
