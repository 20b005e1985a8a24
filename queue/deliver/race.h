/* queue/deliver/race.h: which address next, and when: RFC 8305 made for SMTP. Protocol: pure, time is an argument.
 *
 * The race is won by the first 220 greeting, not by the first handshake; after that EHLO has to be answered, else the
 * race goes on. Never a worse preference because it is faster: the next group starts when all of the better one failed.
 * Within a group: what is `first`, then the others, then the doubtful; hosts shuffled, families in turn, IPv6 first.
 *
 *	while ((step = race_next(r, now)).action != RACE_WAIT …)
 *
 * tells what to do now; the plumbing tells what happened and asks again, at `until_ms` at the latest. */
#ifndef QUEUE_DELIVER_RACE_H
#define QUEUE_DELIVER_RACE_H

#include <stddef.h>

#include "queue/mail/attempt.h"
#include "queue/deliver/path.h"

/* RFC 5321 §4.5.3.2: the times of the last path of all; connecting has `connect_time`. */
enum { RACE_GREETING_MS = 300000, RACE_EHLO_MS = 300000 };
/* An attempt whose SYN is unanswered for so long gives its place to an untried address. */
enum { RACE_GIVE_WAY_MS = 2000 };
/* Attempts of one race: each candidate twice at the most. */
enum { RACE_ATTEMPTS_MAX = 2 * CANDIDATES_MAX };

/* All times in milliseconds. */
struct race_rules {
	uint64_t attempt_delay;	 /* head start of one attempt over the next */
	uint64_t greeting_delay; /* the same once one is connected; never less than twice its usual_greeting_ms */
	uint64_t patience;	 /* for each step while an untried path is left; never less than twice the usual */
	uint64_t connect_time;	 /* the last path's time to connect */
	unsigned width;		 /* attempts under way at once, 1 and up */
	bool patient;		 /* one path at a time, each with the RFC's times */
	uint64_t seed;		 /* shuffles the hosts */
};

enum race_action {
	RACE_WAIT,	/* nothing to do before `until_ms` or the next event; UINT64_MAX: no time set */
	RACE_START,	/* open a connection to `candidate`; it is `attempt` from now on */
	RACE_GIVE_UP,	/* close `attempt`, for `fault`; the race knows already (no race_failed()) */
	RACE_EXHAUSTED, /* no path worked and none is left */
};

struct race_step {
	enum race_action action;
	size_t attempt;	  /* counted from 0 in the order of their start */
	size_t candidate; /* in the order of race_add(), without those ignored */
	enum fault fault; /* CONNECT_TIMEOUT (also: gave way), SILENT_GREETING, SILENT_EHLO, SUPERSEDED */
	uint64_t until_ms;
};

struct race;
struct race *race_new(const struct race_rules *rules); /* NULL without memory */
void race_free(struct race *r);			       /* NULL is fine */
/* Any time: late answers join. An address that is there already is ignored. 0, -ENOMEM, -E2BIG past CANDIDATES_MAX. */
int race_add(struct race *r, const struct candidate *c);
const struct candidate *race_candidate(const struct race *r, size_t candidate);

/* Call until it says RACE_WAIT or RACE_EXHAUSTED, at the start and after every event below. */
struct race_step race_next(struct race *r, uint64_t now_ms);
void race_connected(struct race *r, size_t attempt, uint64_t now_ms);
/* The first bytes of a greeting of several lines ("220-") are there: nobody else is tried before it is whole. */
void race_greeting_begun(struct race *r, size_t attempt);
/* The whole 220 greeting is there. True: the winner, say EHLO. False: another was first; race_next() gives it up. */
bool race_greeted(struct race *r, size_t attempt, uint64_t now_ms);
/* It failed, at whatever step; the winner too: then the race goes on with the paths that are left. */
void race_failed(struct race *r, size_t attempt, enum fault why);

/* After RACE_EXHAUSTED: was every path given up at the same step, by patience? Then the site is slow, not broken. */
bool race_was_slow(const struct race *r);

#endif
