/* queue/mail/notice.h: what a notice to the sender is made of. Protocol.
 *
 * A notice is about some recipients of one message after one attempt: they failed, they wait for long, or they were
 * handed to a server that gives no notices of its own (RFC 3461 §6.2). `delivered` and `expanded` are for those who
 * have mailboxes and lists: a relay never says them. notice_write() (queue/mail/compose.h) makes the text. */
#ifndef QUEUE_MAIL_NOTICE_H
#define QUEUE_MAIL_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/mail/attempt.h"

/* X(name, action of RFC 3464 §2.3.3, which is the word of the log too) */
#define NOTICES(X)                                                                                                     \
	X(NOTICE_FAILED, "failed")                                                                                     \
	X(NOTICE_DELAYED, "delayed")                                                                                   \
	X(NOTICE_RELAYED, "relayed")
enum notice_kind {
#define X(name, word) name,
	NOTICES(X)
#undef X
		NOTICE_KINDS
};

enum {
	NOTICE_HEADERS_MAX = 65536, /* of the message; more is cut off at the end of a field */
	NOTICE_RCPTS_FULL =
		200,	       /* recipients past these are named in the report alone, without the words of the reply */
	NOTICE_MAX = 16 << 20, /* the most that a notice is, with ENVELOPE_RCPTS_MAX recipients */
};

struct notice_rcpt {
	const char *address;
	const char *orcpt;	   /* as the client gave it; NULL or "": not given */
	const struct reply *reply; /* the last one, never NULL */
	bool expired; /* given up because of its age; `reply` is why it waited. Status 4.4.7 (RFC 3463 §3.5) */
	bool late;    /* the time of DELIVERBY has passed: 5.4.7, or 4.4.7 while it is still tried (RFC 2852) */
};

struct notice {
	enum notice_kind kind;
	const char *hostname;
	const char *postmaster; /* address in From; NULL: MAILER-DAEMON@hostname */
	const char *to;		/* whom it is sent to: the reverse-path, or the address for double bounces */
	uint64_t notice_id;	/* queue ID of the notice itself: it stands in its Message-ID */
	uint64_t now_ms;	/* wall time, like the others */
	uint64_t id, arrival_ms;
	const char *sender;	       /* reverse-path of the message; "": a double bounce */
	const char *envid;	       /* as the client gave it; NULL or "": not given */
	unsigned flags;		       /* of the message: ENVELOPE_* */
	uint64_t waited_ms;	       /* for so long it was tried */
	uint64_t until_ms;	       /* NOTICE_DELAYED: tried until then */
	uint64_t by_ms;		       /* DELIVERBY; 0: none */
	const struct attempt *attempt; /* NULL if none was made */
	/* Wall time of the last try that is known, if this attempt only waited; 0: the attempt's own, or none. */
	uint64_t tried_ms;
	const struct notice_rcpt *rcpts; /* equal replies best stand together */
	unsigned rcpt_count;
	/* For each of them, over which path it was answered (NULL: none); NULL as a whole: over the one in use. */
	const struct path_try *const *paths;
	/* Content of the message from its beginning: all of it (`whole`), or at least NOTICE_HEADERS_MAX. NULL with 0
	 * when it cannot be read. */
	const uint8_t *content;
	size_t content_len;
	bool whole;
	size_t full_max; /* limits { bounce_size }: a larger message is not returned whole */
};

/* When it was last tried, wall time; 0: not known. */
uint64_t notice_tried_ms(const struct notice *in);
const char *notice_word(enum notice_kind kind);
/* The path whose server said what the recipient was answered; NULL: nobody else did. */
const struct path_try *notice_path(const struct notice *in, const struct notice_rcpt *r);

#endif
