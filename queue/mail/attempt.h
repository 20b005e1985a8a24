/* queue/mail/attempt.h: what one attempt to deliver did: which paths were tried over which family, with what answer.
 * State.
 *
 * The log, `relayq show`, the bounce and the journal's OUTCOME records all are made from this. */
#ifndef QUEUE_MAIL_ATTEMPT_H
#define QUEUE_MAIL_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/buf.h"
#include "conf/ip.h"
#include "queue/mail/reply.h"

/* X(name, word for log and JSON, text for people) */
#define FAULTS(X)                                                                                                      \
	X(NONE, "ok", "no fault")                                                                                      \
	X(REFUSED, "refused", "connection refused")                                                                    \
	X(UNREACHABLE, "unreachable", "no route to the address")                                                       \
	X(CONNECT_TIMEOUT, "connect-timeout", "no answer to the connection attempt")                                   \
	X(RESET, "reset", "connection reset")                                                                          \
	X(CLOSED, "closed", "connection closed by the other side")                                                     \
	X(SILENT_GREETING, "silent-greeting", "connected, but no greeting came")                                       \
	X(SILENT_EHLO, "silent-ehlo", "no reply to EHLO or HELO")                                                      \
	X(SILENT_LATER, "silent-later", "no reply to MAIL, RCPT or DATA")                                              \
	X(STALLED, "stalled", "the message's bytes were not taken")                                                    \
	X(SILENT_DOT, "silent-dot", "no reply after the message's end")                                                \
	X(GREETING_4YZ, "greeting-4yz", "turned away for now at the greeting")                                         \
	X(GREETING_5YZ, "greeting-5yz", "turned away at the greeting")                                                 \
	X(EHLO_4YZ, "ehlo-4yz", "turned away for now at EHLO")                                                         \
	X(EHLO_5YZ, "ehlo-5yz", "turned away at EHLO and HELO")                                                        \
	X(LOAD, "load", "421: the other side is closing its connections")                                              \
	X(GARBAGE, "garbage", "the reply was not SMTP")                                                                \
	X(TOO_LONG, "too-long", "the reply was over the limit")                                                        \
	X(LOCAL, "local", "this host could not open the connection")                                                   \
	X(SUPERSEDED, "superseded", "given up because another path was greeted first")                                 \
	X(FAMILY_REFUSED, "family-refused", "refused for its address family")   \
	X(SOURCE_REFUSED, "source-refused", "refused for this source address")

enum fault {
/* clang-format off */
#define X(name, word, text) FAULT_##name,
	FAULTS(X)
#undef X
	FAULT_COUNT
	/* clang-format on */
};
const char *fault_word(enum fault f);
const char *fault_text(enum fault f);
/* Did the path itself fail (against its history), rather than turn us away by policy, load or race? */
bool fault_is_path(enum fault f);

enum { HOST_TEXT = 254 };

/* One path tried: an address of an MX host, until it was ready for MAIL or failed. */
struct path_try {
	struct endpoint to;
	char host[HOST_TEXT]; /* MX host's name; "" for a literal */
	uint16_t preference;
	enum fault fault;     /* FAULT_NONE: ready for MAIL */
	uint32_t started_ms;  /* since the race's start */
	uint32_t connect_ms;  /* from its own start; UINT32_MAX: never connected */
	uint32_t greeting_ms; /* from its own start to the greeting; UINT32_MAX: none came */
	uint32_t total_ms;    /* from its own start until ready or given up */
	struct reply reply;   /* the peer's words, or ours for what the system said ("Connection refused") */
};

enum rcpt_status { RCPT_QUEUED, RCPT_DELIVERED, RCPT_FAILED };

/* What became of one recipient. */
struct attempt_rcpt {
	uint16_t index; /* of the recipient in its message */
	uint8_t status; /* enum rcpt_status; RCPT_QUEUED is deferred */
	uint8_t told;	/* TOLD_* (queue/mail/envelope.h): notices that go with this record */
	uint16_t reply; /* index into `replies` */
	bool noted;	/* not stored: its delivery is on its way to the disk already */
	uint16_t cause; /* not stored: likewise, why it waited, where `reply` says that its time is over */
};

struct attempt {
	uint64_t when_ms; /* wall time of its start */
	uint32_t took_ms;
	uint64_t next_ms; /* wall time of the next try; 0: none */
	char site[HOST_TEXT];
	struct path_try *paths;
	uint16_t path_count;
	int16_t used;	       /* index of the path over which the replies came; -1: none */
	struct reply *replies; /* each different one once */
	uint16_t reply_count;
	struct attempt_rcpt *rcpts;
	uint16_t rcpt_count;
};

enum { ATTEMPT_PATHS_MAX = 64, ATTEMPT_REPLIES_MAX = 64, ATTEMPTS_KEPT = 20, ATTEMPT_ENCODED_MAX = 262144 };

struct attempt *attempt_new(uint64_t when_ms, const char *site);
void attempt_free(struct attempt *a); /* NULL is fine */
/* Copies. 0, -ENOMEM, or -E2BIG past the limits above (then the last place is overwritten for replies, the path
 * dropped). */
int attempt_add_path(struct attempt *a, const struct path_try *p);
/* Finds or adds the reply and sets the recipient's row. */
int attempt_set_rcpt(struct attempt *a, uint16_t index, enum rcpt_status status, const struct reply *r);

/* On-disk form, versioned; what decodes is checked as hostile input. 0 or a negative code (-EBADMSG). */
int attempt_encode(const struct attempt *a, struct buf *out);
int attempt_decode(struct attempt **out, const void *p, size_t n);

#endif
