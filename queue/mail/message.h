/* queue/mail/message.h: a queued message as the index keeps it: what scheduling and listing need, nothing more. State.
 *
 * A message is one block: itself, a delivery for each domain that it still goes to, its unfinished recipients, their
 * texts. A delivery is the unit of scheduling: the recipients of one message in one domain. */
#ifndef QUEUE_MAIL_MESSAGE_H
#define QUEUE_MAIL_MESSAGE_H

#include <stdint.h>
#include <sys/queue.h>

#include "conf/body.h"
#include "queue/mail/attempt.h"
#include "queue/due.h"
#include "queue/mail/envelope.h"
#include "queue/spool/place.h"

struct domain;
struct message;
struct entry;
struct site;
struct tries;

struct rcpt {
	const char *address;
	uint16_t index;
	uint8_t status; /* enum rcpt_status */
	uint8_t notify; /* NOTIFY_* */
	uint8_t told;	/* TOLD_* */
	bool has_orcpt; /* it stands behind the address's closing 0: rcpt_orcpt() */
};

/* What few messages have. Times are wall time, as in the envelope. */
struct message_extra {
	struct message *message;
	struct due due; /* by_ms */
	uint64_t by_ms;
	uint64_t release_ms;
	char *redirect; /* NULL: by its route; on the heap */
	int8_t priority;
	char envid[];
};

#define DELIVERY_STATES(X)                                                                                             \
	X(DELIVERY_IDLE, "in no list; between two others")                                                             \
	X(DELIVERY_ROUTING, "in its domain's list: waits for the look-up")                                             \
	X(DELIVERY_READY, "in its site's list: waits for a connection")                                                \
	X(DELIVERY_DIALLING, "a dial is under way for it alone: another path than those it has tried")                 \
	X(DELIVERY_ACTIVE, "a connection has it")                                                                      \
	X(DELIVERY_SETTLING, "its attempt is over, the outcome not yet durable")                                       \
	X(DELIVERY_DEFERRED, "waits for its next time")                                                                \
	X(DELIVERY_HELD, "waits for an operator")
enum delivery_state {
#define X(name, meaning) name,
	DELIVERY_STATES(X)
#undef X
};

struct delivery {
	struct message *message;
	struct domain *domain; /* NULL while it has nothing to do with one */
	struct site *site;     /* the last one; NULL before the first */
	TAILQ_ENTRY(delivery) link;
	struct due due;
	struct tries *tries;	     /* of the attempt under way; NULL between attempts */
	const char *reason;	     /* interned; why it was deferred last; NULL */
	struct endpoint *greylisted; /* where the next attempt starts: the path that answered 4yz first; NULL */
	uint64_t since;		     /* steady: when it became due */
	uint32_t route_ms;	     /* how long the look-up took of that */
	uint32_t first;		     /* its recipients: message->rcpts[first] and on */
	uint32_t count;
	uint16_t attempts;
	uint8_t state; /* enum delivery_state */
	bool counted;  /* in its site's ages */
	bool again;    /* it is due as soon as its attempt is written down: somebody asked for that meanwhile */
	bool joined;   /* settled together with others of its message, by one outcome */
	bool told;     /* the log has said that it waits for a resting site */
};
TAILQ_HEAD(delivery_list, delivery);

struct message {
	uint64_t id;
	uint64_t arrival_ms; /* wall time, as in the envelope */
	uint64_t arrival;    /* steady */
	uint64_t size;
	struct place content, newest;
	struct body *body; /* a reference while it is in memory */
	TAILQ_ENTRY(message) with_body;
	struct entry *entries; /* on their way to the disk, the oldest is posted; see queue/entry.h */
	const char *sender;
	const char *client;
	const char *helo;
	const char *reason;	     /* interned; why held or damaged; NULL */
	struct message_extra *extra; /* NULL: all zero */
	struct delivery *deliveries;
	struct rcpt *rcpts;
	uint32_t delivery_count;
	uint32_t rcpt_count;
	uint32_t open;	/* recipients that are not finished */
	uint32_t flags; /* ENVELOPE_* */
	bool in_file;
	bool removing; /* by hand: nothing new begins for it */
	bool removed;  /* … durably: it goes as soon as nothing of it is in transfer */
	uint16_t busy; /* histories, moves and readers that look at it: it stays till they are done */
};
TAILQ_HEAD(message_list, message);

/* Builds the block from an envelope; finished recipients are left out. Nothing is put into any list. NULL: no memory,
 * or no recipient left (`*empty` is set then). */
struct message *message_new(const struct envelope *e, bool *empty);
void message_free(struct message *m); /* drops its body */
/* The envelope as it stands now. Its texts are the message's; `rcpts` (room for rcpt_count) is the caller's. `next`
 * turns a delivery's due time into wall time. */
void message_envelope(const struct message *m, struct envelope *out, struct envelope_rcpt *rcpts,
	uint64_t (*next)(void *arg, const struct delivery *d), void *arg);
/* The delivery to which a recipient's number belongs, and the recipient; NULL if it is not there. */
struct rcpt *message_rcpt(struct message *m, uint16_t index, struct delivery **d);
/* ORCPT as the client gave it; "" */
const char *rcpt_orcpt(const struct rcpt *r);
const char *message_envid(const struct message *m);    /* "" */
const char *message_redirect(const struct message *m); /* "" */
int message_priority(const struct message *m);
uint64_t message_by_ms(const struct message *m);      /* 0: none */
uint64_t message_release_ms(const struct message *m); /* 0: none */
/* Names the next hop in place of the routes'; "": as the routes say. 0 or -ENOMEM. */
int message_set_redirect(struct message *m, const char *relay);
/* Behind the last '@', or "" */
const char *address_domain_of(const char *address);
/* Has the delivery recipients that are not finished? */
bool delivery_open(const struct delivery *d);

#endif
