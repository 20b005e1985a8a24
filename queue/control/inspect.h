/* queue/control/inspect.h: what may be asked of the queue and done to it by an operator. State; the queue thread only.
 *
 * The control socket is the one caller. Everything long runs in slices: a call does at most `budget` messages' worth of
 * work and returns a cursor; the caller goes on from its event loop. Strings in views are lent until the next call. */
#ifndef QUEUE_CONTROL_INSPECT_H
#define QUEUE_CONTROL_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "queue/path/tally.h"
#include "queue/mail/attempt.h"
#include "queue/deliver/path.h"
#include "queue/mail/envelope.h"
#include "queue/path/track.h"
#include "queue/reach/reach.h"

struct queue;

/* ---- messages ---- */

/* One word each; the order is that of their importance where a message has several. */
enum rcpt_state {
	RCPT_STATE_ACTIVE,    /* in an attempt now */
	RCPT_STATE_READY,     /* due, waits for its turn at the site */
	RCPT_STATE_ROUTING,   /* its domain is being looked up */
	RCPT_STATE_RESTING,   /* its site rests: no path reached it */
	RCPT_STATE_SUSPENDED, /* an operator wants no connection to its site */
	RCPT_STATE_DEFERRED,  /* waits for its own next time */
	RCPT_STATE_HELD,      /* by hand, or damaged */
	RCPT_STATE_DELIVERED,
	RCPT_STATE_FAILED,
	RCPT_STATE_COUNT
};
const char *rcpt_state_word(enum rcpt_state s); /* "active" … */

struct rcpt_view {
	const char *address;
	uint16_t index;
	enum rcpt_state state;
	uint16_t attempts;
	uint64_t next_ms;   /* wall time of the next try; 0: now or not known */
	const char *site;   /* "" before it is routed */
	const char *reason; /* the last one; "" */
};

struct message_view {
	uint64_t id;
	uint64_t arrival_ms;
	uint64_t size;
	unsigned flags;		       /* ENVELOPE_* */
	const char *sender;	       /* "" is the null reverse-path */
	const char *reason;	       /* why held or damaged; "" */
	const char *redirect;	       /* next hops that an operator named; "" */
	const struct rcpt_view *rcpts; /* those that are not finished */
	unsigned rcpt_count;
};

/* All conditions given must hold; 0, NULL and RCPT_STATE_COUNT are "any". */
struct queue_filter {
	const char *sender; /* address, or @domain; compared without case; "<>" is the null reverse-path */
	const char *rcpt;   /* address, or @domain, of any unfinished recipient */
	const char *site;
	const char *domain;
	enum rcpt_state state;
	uint64_t older_than_ms, younger_than_ms; /* spans */
	uint64_t larger_than;
	const char *reason; /* part of the reason's text, without case */
};

/* Does this recipient meet what the filter says of recipients? */
bool queue_filter_meets(const struct queue_filter *f, const struct rcpt_view *r);

/* Calls `each` for messages with an ID above `after` in the order of IDs, looking at `budget` messages at the most.
 * Returns the ID to go on after, or 0 when the end was reached. `each` returns false to stop behind that message. */
uint64_t queue_list(struct queue *q, const struct queue_filter *f, uint64_t after, unsigned budget,
	bool (*each)(void *arg, const struct message_view *m), void *arg);

/* The highest ID that is there; 0: none. What comes later has a higher one. */
uint64_t queue_newest(const struct queue *q);
/* The message whose ID begins so. 0; -ENOENT; -EINVAL (not an ID); -EEXIST (more than one begins so). */
int queue_find(struct queue *q, const char *text, uint64_t *id);
/* 0 or -ENOENT. */
int queue_view(struct queue *q, uint64_t id, void (*see)(void *arg, const struct message_view *m), void *arg);

/* Every attempt that the journal has of it. `done` comes later, on the queue thread, unless the return is negative. The
 * arrays are lent. */
struct queue_history {
	int status;
	const struct envelope *envelope; /* as received, or as moved; NULL if unreadable */
	struct attempt *const *attempts; /* oldest first */
	unsigned count;
};
int queue_read_history(struct queue *q, uint64_t id, void (*done)(void *arg, const struct queue_history *h), void *arg);

/* The content, piece by piece. `piece` gets n > 0, then n = 0 and err = 0 at the end, or err < 0. After each piece no
 * other comes until queue_content_next(). */
struct queue_content;
int queue_read_content(struct queue *q, uint64_t id, struct queue_content **out,
	void (*piece)(void *arg, int err, const uint8_t *p, size_t n), void *arg);
void queue_content_next(struct queue_content *c);
void queue_content_close(struct queue_content *c); /* must be called, also after the end */

/* ---- what an operator does; each is logged with `who`; queue/control/act.c ---- */

enum queue_action {
	QUEUE_RETRY,	/* all its recipients are due now, and the rest of their sites ends (one probe) */
	QUEUE_HOLD,	/* not tried until it is released */
	QUEUE_RELEASE,	/* … or was damaged */
	QUEUE_REMOVE,	/* gone for good, nobody is told */
	QUEUE_BOUNCE,	/* returned to its sender: settle_return() */
	QUEUE_REDIRECT, /* goes to other next hops than its routes say, now */
};
struct queue_order {
	enum queue_action action;
	const char *reason; /* for log, `show` and bounce; "" */
	const char *to;	    /* REDIRECT: as of redirect_read(); "": as the routes say */
	const char *who;
	bool dry_run; /* says what would come of it, and does nothing */
};
/* One message. 0 (durable soon); 1 (likewise, but some of the message is in transfer: what that delivers is delivered,
 * and the rest is held, removed, returned or redirected when it ends, also after a restart);
 * -ENOENT; -ECANCELED (the daemon ends now); -EALREADY (it is so already); -EBADMSG (what the spool has of it are
 * remains: it cannot be delivered); -EBUSY (it is held: it is to be released first). */
int queue_act(struct queue *q, const struct queue_order *o, uint64_t id);
/* More records or notices of what operators did wait for the disk than should: go on a little later. */
bool queue_is_behind(const struct queue *q);

/* ---- summaries: kept counts, no scan ---- */

enum { QUEUE_AGES = 7 }; /* up to 5 min, 15 min, 1 h, 4 h, 1 d, 3 d, older */
extern const uint64_t queue_age_limits_ms[QUEUE_AGES - 1];

struct site_view {
	const char *name;
	uint64_t recipients; /* unfinished */
	uint64_t ages[QUEUE_AGES];
	uint64_t oldest_ms; /* wall time of arrival of the oldest, about */
	unsigned active, connections, concurrency;
	bool resting;
	uint64_t probe_ms;     /* resting: wall time of the next probe */
	const char *reason;    /* resting, or last fault */
	const char *suspended; /* by an operator: why; NULL */
	uint64_t until_ms;     /* suspended: wall time of its end; 0: not known */
};
/* Sites (and domains not yet routed), the fullest first, at most `most`. `total` gets all sites' sum under the name
 * "". */
void queue_summary(struct queue *q, unsigned most, void (*each)(void *arg, const struct site_view *s),
	struct site_view *total, void *arg);

struct suspension_view {
	const char *pattern, *reason, *who;
	uint64_t since_ms, until_ms; /* 0: until it is resumed */
};
/* All that are suspended, the oldest first. */
void queue_suspensions(const struct queue *q, void (*each)(void *arg, const struct suspension_view *s), void *arg);
/* A site, or a shell pattern of sites, gets no new connections for `for_ms` (0: until it is resumed). 0; -EINVAL: a
 * text is too long; -ENOSPC; -ENOMEM. */
int queue_suspend(struct queue *q, const char *pattern, uint64_t for_ms, const char *reason, const char *who);
/* Ends the suspensions of this pattern, or whose pattern it matches: how many. */
unsigned queue_resume(struct queue *q, const char *pattern, const char *who);

/* ---- pins: queue/path/memory.h ---- */

struct pin_view {
	const char *site, *who;
	enum family family;
	uint64_t until_ms; /* 0: until it is unpinned */
};
/* Calls `each` for all pins: at most MEMORY_PINS_MAX. */
void queue_pins(const struct queue *q, void (*each)(void *arg, const struct pin_view *p), void *arg);
/* Mail to the site goes over this family first; for_ms 0: until it is unpinned. 0; -EINVAL: the name is too long;
 * -ENOSPC; -ENOMEM. */
int queue_pin(struct queue *q, const char *site, enum family family, uint64_t for_ms, const char *who);
/* 0, or -ENOENT. */
int queue_unpin(struct queue *q, const char *site, const char *who);

/* ---- what is remembered of paths: queue/path/memory.h ---- */

struct path_view {
	const char *of;	  /* "family", "address", or "source" (an address of ours that rests there) */
	const char *site; /* its name */
	const char *path; /* "ipv6", "[2001:db8::1]:25", "192.0.2.1" */
	const char *host; /* of an address: its MX host; else "" */
	enum family family;
	struct track track;	  /* its counts as they are now; all zero: not known */
	uint64_t now_ms, wall_ms; /* of the look: steady, as in the track, and wall time */
};
struct queue_path {
	void (*see)(void *arg, const struct path_view *v); /* both families, then addresses, then sources */
	void (*pin)(void *arg, const struct pin_view *p);  /* if there is one */
	/* last; the site's name, or with err < 0 (-ENOENT, -ENOMEM) why it is not known */
	void (*done)(void *arg, int err, const char *text);
	void *arg;
};
struct path_look;
/* What is remembered of a site: by its name, by that of one of its hosts, or by a domain (lower case) whose mail goes
 * there, for which the DNS is asked. 0, with a look in `*out` or, if `done` was called at once, NULL; -EINVAL: no name
 * of a site or domain; -ENOMEM. */
int queue_path(struct queue *q, const char *name, const struct queue_path *calls, struct path_look **out);
void queue_path_cancel(struct path_look *l); /* before `done` only */

/* ---- families: queue/path/tally.h, queue/path/memory.h ---- */

/* What was counted in the last hour or day; all zero if nothing is counted. */
void queue_tally(const struct queue *q, enum tally_over over, struct tally_sum *out);

struct broken_view {
	const char *site;
	enum family family;
	bool refused;	   /* mail is refused for it; else its paths fail */
	uint64_t since_ms; /* wall time */
	uint64_t next_ms;  /* when it may be tried again; wall time */
	const char *fault; /* the last, a word; NULL: none */
	uint32_t refusals; /* with decay */
};
/* Calls `each` for the families of sites that are broken or refused, the latest first, at most `most`; how many there
 * are. */
unsigned queue_broken(
	const struct queue *q, unsigned most, void (*each)(void *arg, const struct broken_view *b), void *arg);

struct queue_status {
	uint64_t messages, recipients, held, damaged, sites, resting, connections, dials;
	uint64_t started_ms; /* wall time */
	const char *spool;
	const char *storage; /* "ok", "full", "broken" */
	uint64_t journal_segments;
	char ipv4[REACH_TEXT], ipv6[REACH_TEXT], nat64[REACH_TEXT]; /* what this host has of each */
};
void queue_status(struct queue *q, struct queue_status *out);
/* The configuration in force; borrowed until the next event. */
const struct conf *queue_conf(const struct queue *q);

/* ---- trace ---- */

struct trace_candidate {
	struct candidate c;
	char history[200]; /* for people: "connect 12 ms, greeting 30 ms, last fault connect-timeout 5 min ago" */
	bool usable;
	char why[96]; /* why not */
};
struct queue_trace {
	/* called on the queue thread; any may be NULL */
	void (*route)(void *arg,
		const char *
			text); /* one line a step: "route *: by MX", "MX 10 mx1.example (secure)", "site mx1.example" */
	void (*candidate)(void *arg, const struct trace_candidate *c); /* in the order in which they would be tried */
	void (*path)(void *arg, const struct path_try *p);	       /* connect: each as it ends */
	void (*done)(void *arg, int err, const char *summary);	       /* last; err < 0: the route failed */
	void *arg;
};
struct trace;
/* `connect` runs the race and QUITs. */
int queue_trace(struct queue *q, const char *domain, bool connect, const struct queue_trace *calls, struct trace **out);
void queue_trace_cancel(struct trace *t); /* before `done` only */

#endif
