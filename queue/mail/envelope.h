/* queue/mail/envelope.h: who sends a message to whom, and how it stands with each one, as one run of bytes. Protocol.
 *
 * One form serves everywhere: the session encodes it for the MESSAGE record, the queue thread reads it into the index
 * when the message is stored, start-up reads it from journal and checkpoint, reclaim writes it again with the state of
 * the day (MOVED). Reading treats it as hostile. */
#ifndef QUEUE_MAIL_ENVELOPE_H
#define QUEUE_MAIL_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/buf.h"
#include "queue/mail/attempt.h"

enum {
	ENVELOPE_8BIT = 1,	/* the content holds bytes over 127: a 7-bit next hop cannot have it as it is */
	ENVELOPE_BODY_8BIT = 2, /* the client declared BODY=8BITMIME */
	ENVELOPE_BOUNCE = 4,	/* made here; RFC 3464 */
	ENVELOPE_HELD = 8,
	ENVELOPE_DAMAGED = 16,
	/* Damaged, and what stands in the spool is what could still be read of it: never delivered, not even when
	   released. */
	ENVELOPE_REMAINS = 32,
};

enum { ADDRESS_MAX = 320, ENVELOPE_RCPTS_MAX = 10000, ENVELOPE_ENCODED_MAX = 8 << 20 };

struct envelope_rcpt {
	/* As given by the client, domain in lower case A-labels; "user@[192.0.2.1]" for literals. */
	const char *address;
	uint16_t index;	   /* its number in the message, from 0; stays the same for the message's whole life */
	uint8_t status;	   /* enum rcpt_status; delivered and failed ones may be left out */
	uint16_t attempts; /* made so far */
	uint64_t next_ms;  /* wall time; 0: now */
};

struct envelope {
	uint64_t id;
	uint64_t arrival_ms; /* wall time */
	uint64_t size;	     /* bytes of the content */
	unsigned flags;
	const char *sender; /* "" is the null reverse-path */
	const char *client; /* text of the client's address; "" for our own */
	const char *helo;
	const char *reason; /* why held or damaged; "" */
	const struct envelope_rcpt *rcpts;
	unsigned rcpt_count;
};

/* 0, -E2BIG, -ENOMEM. */
int envelope_encode(const struct envelope *e, struct buf *out);
/* Reads into freshly allocated memory, one block, freed by envelope_free(). 0, -EBADMSG, -ENOMEM. */
int envelope_decode(struct envelope **out, const void *p, size_t n);
void envelope_free(struct envelope *e); /* NULL is fine */

#endif
