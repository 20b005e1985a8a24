/* tests/unit/queue_fixture.h: a queue without threads, sockets and disk: the clock stands still until the test moves
 * it, and dialer, store and resolver are made up, so that each dial, transaction, record and answer ends when and how
 * the test says.
 *
 * One fixture at a time. Whatever the queue leaves behind is a failure of fixture_end(). */
#ifndef TESTS_UNIT_QUEUE_FIXTURE_H
#define TESTS_UNIT_QUEUE_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/core.h"
#include "queue/deliver/dialer.h"
#include "queue/reclaim.h"

#define SECONDS(n) ((uint64_t)(n)*1000)
#define MINUTES(n) ((uint64_t)(n)*60000)
#define HOURS(n) ((uint64_t)(n)*3600000)
#define DAYS(n) ((uint64_t)(n)*86400000)

/* Wall and steady time of a fixture's begin. */
#define BEGIN UINT64_C(1800000000000)

enum { FAKE_DIALS = 256, FAKE_PROBES = 16, FAKE_CONNECTIONS = 512, FAKE_COMMITS = 4096, FAKE_FREED = 64 };

struct connection {
	struct connection_info info;
	void *arg;
	void (*closed)(struct connection *c);
	struct transaction *sent; /* NULL: idle */
	unsigned count;		  /* transactions that it was given */
	bool last_path;		  /* of the last one */
	bool quit;
	bool open;
};

struct fixture {
	struct queue q;
	uint64_t clock;
	uint64_t tick; /* each reading moves the clock on by this */
	uint32_t chance;
	_Atomic uint64_t id_ceiling_ms;

	struct dial *dials[FAKE_DIALS]; /* under way, in the order of their start; without probes */
	struct dial *probes[FAKE_PROBES];
	unsigned probe_count;
	unsigned dial_count, dials_made;
	struct connection *connections[FAKE_CONNECTIONS]; /* all that were ever made */
	unsigned connection_count;
	struct commit *commits[FAKE_COMMITS]; /* not yet answered */
	unsigned commit_count;
	struct place end;     /* of the journal */
	void (*stored)(void); /* called first when something is to be stored; NULL */
	/* what was written, a line a record: "OUTCOME 5 0=delivered 1=deferred", "MESSAGE 7 <> a@b", "HOLD 5 reason";
	 * records of one group are joined by " + " */
	char journal[65536];
	enum store_room room;
	int pins;
	uint64_t forgotten[16];
	unsigned forgotten_count;
	const char *foreign; /* source addresses that this host has not, each with a blank behind it; NULL: none */
	int priority;	     /* MT-PRIORITY of the mail to come */
	const char *content; /* what readers of content find; NULL: -EBADMSG */
	bool slow_content;   /* ... only once fixture_content() is called */

	uint8_t state[4096]; /* what spool/state/suspended holds */
	size_t state_len;
	struct kept {
		uint8_t bytes[65536];
		size_t len;	 /* 0: there is none */
	} paths, pinned, warmup, families; /* spool/state/paths, pins, … */
	unsigned states_written;

	uint32_t oldest, wanted; /* segments, as the store would name them; 0: none */
	uint32_t freed[FAKE_FREED];
	unsigned freed_count;
	bool checkpoint_wanted;
	unsigned checkpoint_room; /* entries until the disk is behind */
	unsigned checkpoints, checkpoint_entries;
	char checkpoint[8192]; /* IDs of the entries */
	struct store_history *histories[64];
	struct content_body *bodies[64];
	unsigned history_count, body_count;
};

/* The one fixture. `settings`: lines of configuration, may be NULL. */
extern struct fixture fx;
void fixture_begin(const char *settings);
void fixture_end(void);

/* ---- mail ---- */

/* A message of `size` 100 in memory, from a@sender.example (`sender` NULL) to the addresses, separated by blanks; it is
 * scheduled. */
struct message *mail(uint64_t id, const char *sender, const char *rcpts);
/* The same without its content in memory; `in_file`: that is in a file. It arrived at `arrival` (wall). */
struct message *mail_stored(uint64_t id, const char *rcpts, uint64_t arrival, bool in_file);
/* A message of any envelope (ID, flags, sender, recipients with addresses and numbers, …); what it leaves out is as
 * above. */
struct message *mail_of(struct envelope e);
struct message *find(uint64_t id);
/* State of the recipient's delivery; fails if it is not there. */
enum delivery_state state_of(uint64_t id, const char *rcpt);
struct delivery *delivery_of(uint64_t id, const char *rcpt);
struct site *site_named(const char *name);

/* The site of d.example, and `count` messages for it, IDs from `first` on. */
#define SITE "mx.d.example"
void many(uint64_t first, unsigned count);

/* ---- time ---- */

/* Moves the clock on and does what is due, step by step. */
void pass(uint64_t ms);
/* Does what is due now. */
void run_due(void);

/* ---- DNS ---- */

/* What a name and type answers from now on ("OK 10 mx.example", "NXDOMAIN", "SERVFAIL"); the rest is: MX of D is
 * "10 mx.D", and mx.D has 2001:db8::1 and 192.0.2.1 */
void zone(const char *name, const char *type, const char *text);
/* Answers all questions, and those that come of the answers. */
void dns_run(void);
/* Answers one of them alone. */
void dns_one(const char *name, const char *type);
unsigned dns_waiting(void);

/* ---- dials and transactions ---- */

/* The dial under way to the site, the oldest; NULL. */
struct dial *dial_to(const char *site);
/* Ends a dial: "2001:db8::1 refused, 192.0.2.1 ok": paths in their order, each an address and ok or a fault's word.
 * Returns the connection; NULL if nothing was ok. A fault may have a reply: "192.0.2.1 greeting-5yz=554 go away". */
struct connection *dial_end(struct dial *d, const char *paths);
/* Ends all dials so; how many they were. */
unsigned win_all(const char *paths);
/* Does the dial offer the address? */
const struct candidate *offered(const struct dial *d, const char *address);
/* Ends what a connection sends: replies for each recipient, separated by '|' ("-": not answered); one alone is for
 * all. The connection can take more. */
void answer(struct connection *c, const char *replies);
/* ... with an end and a fault; the connection closes behind it unless the end is ANSWERED. */
void end_transaction(struct connection *c, enum transaction_end end, enum fault fault, const char *replies);
/* An idle connection is gone. */
void close_connection(struct connection *c);
/* Connections that are open; those of them that are sending. */
unsigned open_connections(void);
unsigned sending(void);
/* The first one that is sending; NULL. */
struct connection *sender(void);
/* "a@x b@y": to whom the connection sends. */
const char *sending_to(const struct connection *c);
/* Looks up, and wins the site's dial for the mail that waits: the connection. */
struct connection *connect_site(const char *site, const char *address);

/* ---- the store ---- */

/* Answers the oldest record, or all and those that come of them. */
void commit_one(int status);
void commit_all(void);
/* Readers of content get it now. */
void fixture_content(void);
void histories_done(void);
void bodies_done(int status);
void bodies_done_one(int status); /* the oldest */
void checkpoint_begun(void);
/* Forgets what fx.journal holds. */
void journal_clear(void);

#endif
