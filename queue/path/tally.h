/* queue/path/tally.h: what went over which address family in the last hour and the last day. State; time is an argument
 * (wall milliseconds).
 *
 * Counts stand in slots: one a minute for the last hour, one an hour for the last day. A slot is used anew when its
 * time has come round; one that is not of the span asked for, as after a step of the clock, is passed over. Counting
 * allocates nothing. */
#ifndef QUEUE_PATH_TALLY_H
#define QUEUE_PATH_TALLY_H

#include <stdint.h>

#include "conf/buf.h"

/* NAT64: IPv4 hosts through a translator. */
enum tally_family { TALLY_IPV4, TALLY_IPV6, TALLY_NAT64, TALLY_FAMILIES };

/* X(name, word for JSON): one count for each family. */
#define TALLY_COUNTS(X)                                                                                                \
	X(DELIVERED, "delivered") /* recipients */                                                                     \
	X(DEFERRED, "deferred")                                                                                        \
	X(FAILED, "failed")                                                                                            \
	X(BYTES, "bytes")	    /* of content that was taken */                                                    \
	X(ATTEMPTS, "attempts")	    /* connection attempts */                                                          \
	X(UNUSED, "unused")	    /* connected, and another path was used */                                         \
	X(WON, "won")		    /* races */                                                                        \
	X(WON_ALONE, "won_alone")   /* … in which no other family was tried */                                       \
	X(WON_FAILED, "won_failed") /* … in which the other one failed */                                            \
	X(WON_SLOWER, "won_slower") /* … in which the other one was slower: see TALLY_LEAD */                        \
	X(PROBES, "probes")                                                                                            \
	X(PROBES_GOOD, "probes_good") /* found that the path works */

/* Spans in milliseconds, of which the distribution is kept. */
#define TALLY_SPANS(X)                                                                                                 \
	X(DELAY, "delay")	/* from acceptance to delivery */                                                      \
	X(CONNECT, "connect")	/* from the start of an attempt */                                                     \
	X(GREETING, "greeting") /* likewise */                                                                         \
	X(LEAD, "lead")		/* by how much a race was won: times to connect, each from its own start */

/* A family was left for another one: why, and at which step. */
#define TALLY_WHYS(X)                                                                                                  \
	X(POLICY, "policy") /* refused for the family */                                                               \
	X(LISTED, "listed") /* refused for the address, by the words of a block list */                                \
	X(FAULT, "fault")   /* refused, reset, closed, unreachable */                                                  \
	X(SILENT, "silent") /* a black hole: nothing came, or nothing was taken */
#define TALLY_STEPS(X)                                                                                                 \
	X(CONNECTING, "connect")                                                                                       \
	X(GREETED, "greeting")                                                                                         \
	X(EHLO, "ehlo")                                                                                                \
	X(ENVELOPE, "envelope") /* MAIL, RCPT, DATA */                                                                 \
	X(CONTENT, "content")

#define X(name, word) TALLY_##name,
/* clang-format off */
enum tally_count { TALLY_COUNTS(X) TALLY_COUNT_COUNT };
enum tally_span { TALLY_SPANS(X) TALLY_SPAN_COUNT };
enum tally_why { TALLY_WHYS(X) TALLY_WHY_COUNT };
enum tally_step { TALLY_STEPS(X) TALLY_STEP_COUNT };
/* clang-format on */
#undef X

/* Bins of a distribution: two to each doubling, the last one is open. */
enum { TALLY_BINS = 64 };

struct tally_spread {
	uint64_t most;
	uint64_t bins[TALLY_BINS];
};

/* Of one family; nothing but uint64_t: it is kept as an array of them. */
struct tally_row {
	uint64_t count[TALLY_COUNT_COUNT];
	uint64_t failover[TALLY_WHY_COUNT][TALLY_STEP_COUNT]; /* away from this family */
	struct tally_spread span[TALLY_SPAN_COUNT];
};

struct tally_sum {
	struct tally_row family[TALLY_FAMILIES];
};

enum tally_over { TALLY_HOUR, TALLY_DAY };

struct tally;
struct tally *tally_new(void); /* NULL without memory */
void tally_free(struct tally *t);

void tally_add(struct tally *t, enum tally_family f, enum tally_count c, uint64_t n, uint64_t wall_ms);
void tally_note_span(struct tally *t, enum tally_family f, enum tally_span s, uint64_t ms, uint64_t wall_ms);
void tally_failover(
	struct tally *t, enum tally_family from, enum tally_why why, enum tally_step step, uint64_t wall_ms);

/* The last 60 minutes, or the last 24 hours, the one that runs included. */
void tally_sum_up(const struct tally *t, enum tally_over over, uint64_t wall_ms, struct tally_sum *out);
uint64_t tally_spread_count(const struct tally_spread *s);
/* The span that `percent` of them do not exceed, from below: exact to a quarter. 0: there are none. */
uint64_t tally_spread_at(const struct tally_spread *s, unsigned percent);

/* The content of spool/state/families, appended. 0 or buf_append()'s errors. */
int tally_encode(const struct tally *t, struct buf *out);
/* Hostile input: -EBADMSG, and nothing of it is taken. Of families that this version does not know nothing is taken. */
int tally_decode(struct tally *t, const struct buf *b);

#endif
