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
	ENVELOPE_BOUNCE = 4,	/* made here: a notice; RFC 3464 */
	ENVELOPE_HELD = 8,
	ENVELOPE_DAMAGED = 16,
	/* Damaged, and what stands in the spool is what could still be read of it: never delivered, not even when
	   released. */
	ENVELOPE_REMAINS = 32,
	ENVELOPE_SMTPUTF8 = 64,	    /* the client declared SMTPUTF8 (RFC 6531) */
	ENVELOPE_HEADER_8BIT = 128, /* a header field of the content holds bytes over 127 */
	/* The client declared BODY=BINARYMIME (RFC 3030): lines of any length, CR, LF and NUL may stand anywhere. */
	ENVELOPE_BINARY = 256,
	ENVELOPE_RET_FULL = 512, /* RET (RFC 3461 §4.3): neither: as this relay likes */
	ENVELOPE_RET_HDRS = 1024,
	/* DELIVERBY (RFC 2852): what is to be done at by_ms, and whether each relay on the way reports */
	ENVELOPE_BY_RETURN = 2048,
	ENVELOPE_BY_NOTIFY = 4096,
	ENVELOPE_BY_TRACE = 8192,
	/* a notice about mail that has no sender, to the address for double bounces: nobody is told if it fails */
	ENVELOPE_DOUBLE = 16384,
	ENVELOPE_RETURNING =
		32768, /* an operator returns it: as soon as nothing of it is in transfer; also after a restart */
};

/* NOTIFY (RFC 3461 §4.1); 0: not given, which means failures, and delays as this relay likes. */
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

/* Notices about a recipient that are on the disk already, so that a restart does not repeat them. */
enum { TOLD_DELAY = 1, TOLD_BY = 2, TOLD_RELAYED = 4 };

enum {
	ADDRESS_MAX = 320,
	ENVID_MAX = 100, /* RFC 3461 §4.4 */
	ORCPT_MAX = 500, /* RFC 3461 §4.2 */
	REDIRECT_MAX = 300,
	PRIORITY_MAX = 9, /* RFC 6710: -9 to 9 */
	ENVELOPE_RCPTS_MAX = 10000,
	ENVELOPE_ENCODED_MAX = 8 << 20
};

struct envelope_rcpt {
	/* As given by the client, domain in lower case A-labels; "user@[192.0.2.1]" for literals. */
	const char *address;
	uint16_t index;	   /* its number in the message, from 0; stays the same for the message's whole life */
	uint8_t status;	   /* enum rcpt_status; delivered and failed ones may be left out */
	uint16_t attempts; /* made so far */
	uint64_t next_ms;  /* wall time; 0: now */
	uint8_t notify;	   /* NOTIFY_*; 0: not given */
	uint8_t told;	   /* TOLD_* */
	/* ORCPT as the client gave it, "rfc822;bob+2Bx@old.example"; "" or NULL: not given */
	const char *orcpt;
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
	/* These may be NULL for "" where an envelope is built; decoding sets them. */
	const char *envid;    /* ENVID (RFC 3461 §4.4), in the xtext that the client gave */
	const char *redirect; /* next hop that an operator named, in the form of route { relay }; "": by its route */
	uint64_t by_ms;	      /* wall time of DELIVERBY; 0: none */
	uint64_t release_ms;  /* wall time before which nothing is tried: FUTURERELEASE (RFC 4865); 0: none */
	int priority;	      /* MT-PRIORITY (RFC 6710) */
	const struct envelope_rcpt *rcpts;
	unsigned rcpt_count;
};

/* 0, -E2BIG, -ENOMEM. */
int envelope_encode(const struct envelope *e, struct buf *out);
/* Reads into freshly allocated memory, one block, freed by envelope_free(). 0, -EBADMSG, -ENOMEM. */
int envelope_decode(struct envelope **out, const void *p, size_t n);
void envelope_free(struct envelope *e); /* NULL is fine */

#endif
