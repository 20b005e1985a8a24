/* queue/core.h: all that the queue thread owns, in one place. State: types, and the few functions that all its parts
 * share.
 *
 * Who calls whom (each only downwards; what comes up from below comes as a callback):
 *   queue.c     plumbing: the thread, its timers, start and stop     control/   what operators ask
 *   schedule.c  what is due: deliveries, probes of sites, look-ups
 *   route.c     domain → MX → site                                   reclaim.c   journal segments, checkpoints
 *   dispatch.c, dialling.c  sites: dials, connections, transactions   path/   which paths work
 *   deadline.c  times that the sender named: DELIVERBY, FUTURERELEASE; warnings of delay
 *   settle.c    what an attempt came to: outcome, deferral    telling.c, notifier.c  notices to the sender
 *   suspension.c  sites at which an operator wants no connection
 *   index.c     messages in and out, holds, removals
 *
 * Times named `now`, `at`, `until`, `since` are steady milliseconds: monotonic, but begun at the wall clock's time of
 * the start. core_wall() turns them into wall time; a step of the wall clock is added there, so due times move with
 * it. */
#ifndef QUEUE_CORE_H
#define QUEUE_CORE_H

#include <uthash.h>

#include "conf/conf.h"
#include "conf/id.h"
#include "conf/ioloop.h"
#include "conf/policy.h"
#include "dns/mx.h"
#include "queue/ages.h"
#include "queue/deliver/dialer.h"
#include "queue/due.h"
#include "queue/idmap.h"
#include "queue/intern.h"
#include "queue/mail/message.h"
#include "queue/path/memory.h"
#include "queue/path/refusal.h"
#include "queue/path/tally.h"
#include "queue/ready.h"

enum due_kind { DUE_DELIVERY, DUE_SITE, DUE_SWEEP, DUE_DOMAIN, DUE_SERVE, DUE_RESUME, DUE_MESSAGE };

/* What an attempt under way has done so far. */
struct tries {
	struct attempt *attempt;
	struct entry *outcome; /* what it will be written with, allocated before mail is sent; NULL: not yet */
	uint64_t began;
	unsigned sessions;  /* that got as far as MAIL */
	unsigned unstarted; /* connections that closed under it before MAIL */
	unsigned tried_count;
	struct endpoint tried[10]; /* as many as race { sessions_per_attempt } may be */
	enum family other;	   /* the family that the next path should have; FAMILY_NONE */
	enum family refused;	   /* it was refused for this family, and must have the other: queue/path/failover.h */
	enum refusal refusal;	   /* … in which manner */
	bool resourced;		   /* it was refused from one source address, and had another one already */
	const char *refusal_row;   /* … by which row of the table, if this transaction was; lent */
	unsigned slow;		   /* sessions with a wait before the content that was over patience */
	uint32_t race_ms, transfer_ms;
	bool greylisted; /* some answer looked like greylisting */
	/* Its route discards: delivered by rule, and as nobody has the mail nobody is told that it arrived. */
	bool discarded;
	bool expired;		   /* what was left to wait for is given up for the message's age */
	bool late;		   /* likewise, for the time of DELIVERBY */
	uint64_t tried_ms;	   /* of an attempt that only waited: wall time of the last try before; 0 */
	struct endpoint first_4yz; /* the path that answered so first; FAMILY_NONE */
	uint8_t *asked; /* bits: recipients of the delivery that this path was asked for (queue/batch.h); NULL: no
			   matter */
	bool left;	/* some of these must be asked for elsewhere, or later */
};

struct hops;

/* A recipient's domain while mail for it is here; or, with a name that begins with '>', the next hops to which an
 * operator sent messages. */
struct domain {
	UT_hash_handle hh;
	struct queue *queue;
	struct conf *conf;
	struct hops *hops; /* NULL: never asked */
	struct site *site; /* once routed; NULL after the answer ran out */
	struct delivery_list waiting;
	unsigned waiting_count;
	unsigned serving;	    /* so many of these, the first ones, are being given what came of the look-up … */
	struct reply *answer;	    /* … this; NULL: they go to the site */
	struct due serve_due;	    /* the next slice of that */
	struct due due;		    /* resolution delay */
	uint64_t asked;		    /* when */
	unsigned deliveries;	    /* that point here */
	TAILQ_ENTRY(domain) unused; /* while nobody points here */
	bool looking;
	bool refused;	     /* the last look-up failed for good */
	bool unreached;	     /* … found only what cannot be reached from here */
	bool relayed;	     /* its mail goes to ipv4_relay or ipv6_relay, for that reason */
	bool turned_back;    /* … and some of it came from there: that waits */
	unsigned woken;	     /* the round of waking that takes up what waits for it: queue/reach/wake.h */
	unsigned generation; /* reach_generation() when its addresses were looked over */
	char name[];
};

TAILQ_HEAD(domain_list, domain);

enum { LINK_DOMAINS = 16 };

/* When a share of IPv6 began: queue/path/pool.h. */
struct share {
	uint64_t pool; /* its key */
	uint64_t percent;
	uint64_t since; /* wall milliseconds */
};

/* Whether this host has a source address: queue/path/binding.h. */
struct binding {
	struct ip ip;
	int error; /* 0: it can be used */
	uint64_t asked, told;
};

/* One connection, idle or at work. */
struct link {
	TAILQ_ENTRY(link) next;
	struct connection *connection;
	struct site *site;
	struct work *work;	/* NULL: idle */
	struct path_try *paths; /* what the race tried; goes to the first message's attempt */
	unsigned path_count;
	int used;
	uint32_t race_ms;
	unsigned sent;
	uint64_t pool;			/* key of the pool of source addresses from which it was made */
	enum family share;		/* the family that the mail which it was made for has by its share */
	struct ip source;		/* FAMILY_NONE: the kernel chose it */
	uint64_t domains[LINK_DOMAINS]; /* hashes of those that it carried mail for, if the peer limits their number */
	unsigned domain_count;
	bool shunned; /* the site refused mail from its source address, and the pool has another */
	bool closing; /* takes no more work; `closed` will come */
	void (*closed)(struct queue *q, struct site *s);
};
TAILQ_HEAD(link_list, link);

/* A transaction of one delivery over one link. */
struct work {
	struct transaction transaction;
	struct delivery *delivery;
	struct link *link;
	struct place pinned; /* segment 0: nothing */
	bool part;	     /* others of the delivery's recipients are left for the next one */
	struct transaction_rcpt rcpts[];
};

/* A dial under way. */
struct dialling {
	TAILQ_ENTRY(dialling) next;
	struct dial *dial;
	struct site *site;
	struct delivery *picky; /* NULL: for whoever is first in the site's list */
	bool probe;		/* begun while the site rested */
	bool partial;		/* addresses were left out for limits { address_connections } */
	uint64_t pool;		/* key of its pool of source addresses */
	enum family share;	/* the family that its mail has by its share; FAMILY_NONE: either */
	/* counted at their addresses as long as it is under way: those of the best preference */
	uint16_t preference;
	unsigned counted;
	struct endpoint addresses[CANDIDATES_MAX];
};
TAILQ_HEAD(dialling_list, dialling);

/* A connection that finds out whether a path works again: queue/path/prober.h. */
struct probe {
	TAILQ_ENTRY(probe) next;
	struct queue *queue;
	struct site *site;
	struct dial *dial;
	struct endpoint to;
	enum family family; /* that the peer sees */
};
TAILQ_HEAD(probe_list, probe);

enum { SITE_KEY = 4096 };

/* All domains behind the same hosts. */
struct site {
	UT_hash_handle hh;
	struct queue *queue;
	/* "25 10 mx1.example,mx2.example 20 mx3.example", or "hops [a.example]:25, b.example:587"; with the route's
	 * pattern behind a '/' if the site is its own */
	char *key;
	bool own;		/* the limits are of one route, in `policy`; else they are those of the configuration */
	struct policy policy;	/* own */
	struct lane lane;	/* lane.site is its name */
	TAILQ_ENTRY(site) use;	/* all sites, the longest unused first */
	TAILQ_ENTRY(site) turn; /* sites that wait for the limit of all connections */
	unsigned next_source;	/* whose turn it is, of the addresses of a pool */
	bool in_turn;
	bool at_limit; /* limits { site_connections } is reached: counted once until there is room again */
	struct suspension *suspension; /* by an operator; NULL */
	TAILQ_ENTRY(site) of_suspension;
	TAILQ_ENTRY(site) suspended; /* all that are, the longest not looked at first */
	uint64_t suspension_looked;  /* when */
	bool untried;		     /* no dial has ended since it was suspended last */
	bool known;		     /* some path of it worked last time */
	bool slow;		     /* every path was given up by patience last time */
	bool slow_mail;		     /* … behind MAIL, that is: no patience until mail is answered again */
	bool resting;
	struct ready ready;
	bool turn_of_fresh; /* of fresh mail and backlog */
	struct link_list idle, busy;
	unsigned links;
	struct dialling_list dials;
	unsigned dial_count;
	unsigned picky_count; /* of them, those for one delivery alone */
	unsigned window;      /* connections that it may have now, in 1/16: queue/pace.h */
	uint64_t calm_until, calm_span;
	unsigned rcpt_limit; /* recipients of one transaction, as learned: queue/batch.h; 0: not */
	unsigned rcpt_full;
	struct candidate *candidates;
	unsigned candidate_count;
	struct probe *probe;   /* under way; NULL */
	uint64_t probe_at;     /* no probe is due before; 0: to be found out */
	unsigned failures;     /* dials in a row that found no path */
	struct due due;	       /* resting: the next probe; else, after a failed dial: the next try beside what it has */
	bool probe_due;	       /* resting, and it is time for a probe */
	struct due sweep_due;  /* the next slice of a sweep */
	struct attempt *fault; /* what the last failed dial tried */
	const char *reason;    /* interned; NULL */
	unsigned deliveries;   /* that point here */
	unsigned domains;      /* likewise */
	struct ages ages;
};
TAILQ_HEAD(site_list, site);
TAILQ_HEAD(suspension_list, suspension);

/* How many live messages have their content in a segment of the journal. */
struct segment_count {
	UT_hash_handle hh;
	uint32_t segment;
	uint64_t live;
};

struct queue {
	/* from outside, set by queue.c (tests: by the test) */
	uint64_t (*clock)(void); /* monotonic milliseconds */
	uint64_t base;		 /* steady = clock() + base */
	int64_t shift;		 /* wall = steady + shift */
	struct conf *conf;
	struct store *store;
	struct resolver *resolver;
	struct reach *reach; /* what this host can reach: queue/reach/; NULL: everything */
	unsigned reach_had;  /* families and NAT64, when it changed last */
	bool waking;	     /* deferred mail is gone over: queue/reach/wake.h */
	uint64_t wake_from;
	unsigned wake_round;
	struct mailbox *mailbox; /* the queue thread's */
	struct ioloop *loops;
	unsigned loop_count, next_loop;
	struct id_giver ids;
	uint32_t (*chance)(void); /* random bits */
	struct mx_self self;
	uint64_t started;	  /* steady */
	uint64_t no_expiry_until; /* steady: nothing is given up before */
	bool draining;
	bool ended; /* the last checkpoint is being written: nothing more is noted about any message */
	/* for want of memory the index does not know all that lives in the journal: nothing of that is freed */
	bool incomplete;

	struct idmap messages;
	struct message_list with_body; /* oldest first */
	struct due_heap due;
	struct intern reasons;
	struct memory *memory;
	struct probe_list probes;
	struct sidestate paths_file, pins_file, families_file;
	struct tally *tally; /* queue/path/account.h; NULL: nothing is counted */
	uint64_t tally_kept_at;
	bool tally_new;		 /* since it was written */
	struct buf paths_making; /* the next content of the first */
	struct sidestate shares_file;
	struct share *shares;
	unsigned share_count;
	struct binding *bindings;
	unsigned binding_count;
	unsigned next_source;		      /* with which address of a pool the next new site begins */
	int (*can_bind)(const struct ip *ip); /* binding_try(); tests: the test's */
	bool paths_walking;		      /* … is being made */
	uint64_t paths_kept, paths_kept_at;   /* memory_changes() when it was written, and when that was */
	struct segment_count *segments;
	struct domain *domains;
	struct domain_list unused_domains;
	struct site *sites;
	struct site_list sites_by_use, sites_in_turn, sites_suspended;
	struct suspension_list suspensions, suspensions_ended;
	struct due resume_due; /* the next slice of the sites of those that ended */
	unsigned suspension_count;
	struct sidestate suspended_file;
	struct ages ages;
	uint64_t recipients, held, damaged, live_bytes;
	unsigned links, dials, resting;
	unsigned site_count;
	unsigned by_count;	/* messages with a time of DELIVERBY */
	unsigned writing;	/* entries that are being made or written */
	unsigned noticing;	/* of these, those with notices */
	unsigned slice_notices; /* begun since schedule_run() was called last */
	bool stalled;		/* something could not begin: the spool could not be written */

	uint64_t *ended_files; /* start-up only, see queue/replay.c */
	size_t ended_count;

	/* upwards: a message has come into the index and wants its deliveries scheduled */
	void (*schedule)(struct queue *q, struct message *m);
};

uint64_t core_now(const struct queue *q);
/* The route that names the delivery's domain, in the configuration in force now; NULL: none does. */
const struct conf_route *core_route(const struct queue *q, const struct delivery *d);
uint64_t core_wall(const struct queue *q, uint64_t steady);
uint64_t core_steady(const struct queue *q, uint64_t wall);

#endif
