/* conf/conf.h: the loaded configuration: immutable, shared by reference count. State.
 *
 * Every member is one row of the table in conf/keys.c, which says its name, type, range, default, unit and help. Times
 * are milliseconds, sizes bytes. Strings belong to the configuration. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/buf.h"
#include "conf/ip.h"
#include "conf/log.h"

struct conf_prefixes {
	struct prefix *items;
	size_t count;
};

struct conf_endpoints {
	struct endpoint *items;
	size_t count;
};

/* Codes or patterns, each on the heap. */
struct conf_texts {
	char **items;
	size_t count;
};

/* Where a value was set, for `relayq config`: a file of the configuration and a line in it. */
struct conf_origin {
	uint32_t file; /* 0: the default; else 1 + its index in `files` */
	uint32_t line;
};

/* pool NAME { … }: source addresses. Which is in force: conf/sources.h. */
struct conf_pool {
	struct conf_origin origin;
	char *name;			  /* lower case */
	struct conf_prefixes addresses;	  /* each a single address */
	uint64_t ipv6_share, ipv6_warmup; /* CONF_INHERIT */
};

/* identity ADDRESS { … }: what a source address calls itself. */
struct conf_identity {
	struct conf_origin origin;
	struct ip at;
	char *helo; /* NULL: as without the block */
};

/* sender DOMAIN | .DOMAIN { … }: mail with a reverse-path of that domain. */
struct conf_sender {
	struct conf_origin origin;
	char *pattern; /* lower case */
	char *pool;    /* NULL: none */
};

enum { CONF_POOLS_MAX = 1000, CONF_IDENTITIES_MAX = 1000, CONF_SENDERS_MAX = 100000 };
enum { CONF_LISTEN_MAX = 256, CONF_CLIENTS_MAX = 4096, CONF_ROUTES_MAX = 100000, CONF_ORACLES_MAX = 64 };
/* All rows, the built-in ones among them; the codes or patterns of one condition; bytes of a pattern. */
enum { CONF_REFUSALS_MAX = 256, CONF_REFUSAL_LIST_MAX = 16, CONF_PATTERN_MAX = 200 };

/* Which content goes in chunks (BDAT) to a next hop that takes them: binary content, all, none. */
enum conf_chunking { CHUNKING_BINARY, CHUNKING_ALWAYS, CHUNKING_NEVER };
enum bare_newline { BARE_INHERIT, BARE_REJECT, BARE_NORMALIZE };
enum early_talkers { EARLY_INHERIT, EARLY_REJECT, EARLY_ALLOW };

/* listen ADDRESS:PORT { … } */
struct conf_listen {
	struct conf_origin origin;
	struct endpoint at;
	enum bare_newline bare_newline;
	enum early_talkers early_talkers;
	struct conf_prefixes proxy; /* not empty: balancers, which must say the client by the PROXY protocol */
};

/* How the prefix of a NAT64 translator is known, see conf/pref64.h and dns/nat64_finder.h. All zero is `auto`. */
enum conf_nat64_mode { CONF_NAT64_AUTO, CONF_NAT64_OFF, CONF_NAT64_GIVEN };
enum { CONF_NAT64_MAX = 8 };

struct conf_nat64 {
	enum conf_nat64_mode mode;
	unsigned count; /* CONF_NAT64_GIVEN: 1 to CONF_NAT64_MAX, the preferred one first; else 0 */
	struct prefix items[CONF_NAT64_MAX];
};

enum { CONF_HOPS_MAX = 8 };

/* A next hop, as in Postfix: `[host]` and literals skip MX, a bare name is looked up by MX. */
struct conf_hop {
	char *host; /* lower case; a literal's text */
	bool skip_mx;
	struct ip literal; /* FAMILY_NONE: `host` is a name */
	uint16_t port;	   /* 25 if not given */
};

/* The next hops of a route, the preferred one first, at most CONF_HOPS_MAX. None: by MX of the recipient's domain. */
struct conf_relay {
	struct conf_hop *items;
	size_t count;
};

/* A number of a route that was not given: what holds for all holds there too. */
#define CONF_INHERIT UINT64_MAX

enum conf_family { CONF_FAMILY_ANY, CONF_FAMILY_IPV6, CONF_FAMILY_IPV4 };
enum conf_answer { CONF_ANSWER_INHERIT, CONF_ANSWER_NO, CONF_ANSWER_YES };

/* route NAME | .SUFFIX | * { … }. What of it is in force, with what it inherits: conf/policy.h. */
struct conf_route {
	struct conf_origin origin;
	char *pattern; /* lower case; "example", ".example" or "*" */
	struct conf_relay relay;
	uint64_t connections, messages, recipients; /* CONF_INHERIT */
	uint64_t first, max, give_up, warn;	    /* CONF_INHERIT */
	enum conf_family prefer, only;
	char *pool; /* NULL: that of the sender's domain */
	enum conf_answer soft_bounce, policy_failover;
	bool discard;
	char *reject; /* NULL: no */
};

/* client NETWORK { … }. What is in force for an address: conf/rights.h. */
struct conf_client {
	struct conf_origin origin;
	struct prefix network;
	enum bare_newline bare_newline;
	enum early_talkers early_talkers;
	enum conf_answer xclient, xforward, deliver_by, future_release, priority;
	uint64_t sessions; /* CONF_INHERIT */
};

/* oracle ADDRESS:PORT | /PATH { … }: look-ups for servers that have one family only, see queue/oracle/oracle.h */
struct conf_oracle {
	struct conf_origin origin;
	struct endpoint at;	     /* `path` is NULL, */
	char *path;		     /* or of a socket of this machine */
	enum conf_family family;     /* of those who ask; any: the one over which they ask */
	char *answer;		     /* NULL: relay:[hostname] */
	struct conf_prefixes askers; /* none: as the top level's `clients` */
};

/* What a refusal that a row matches is about: nothing that another address would change, the family, a block list. */
enum conf_refusal_kind { KIND_NONE, KIND_FAMILY, KIND_LISTED };

/* refusal NAME { … }: a row of the table of refusals that another address may not share. All conditions that are given
 * hold, of each list one. Without any it matches nothing: it switches the built-in row of its name off. */
struct conf_refusal {
	struct conf_origin origin;
	char *name; /* lower case */
	enum conf_refusal_kind kind;
	struct conf_texts codes, statuses, texts; /* see queue/path/refusal.h */
	enum conf_family over;
};

struct conf {
	atomic_uint refs;
	char *file;   /* where it came from; NULL: built-in defaults */
	char **files; /* all that were read, by name */
	size_t file_count;
	struct conf_origin *origins; /* of each row in conf/keys.c; rows of blocks with titles stay empty */

	char *hostname;
	char *spool;
	char *control;
	char *user;	      /* NULL: stay who we are */
	char *postmaster;     /* From of notices: NULL is MAILER-DAEMON@hostname; mail for our postmaster goes there */
	char *double_bounces; /* where double bounces go; NULL: nowhere */
	struct conf_prefixes clients;
	struct conf_nat64 nat64;
	enum conf_chunking chunking;
	bool normalize;	      /* `bare_newline` */
	bool early;	      /* `early_talkers` */
	bool soft_bounce;     /* what would fail is deferred */
	bool policy_failover; /* a refusal about the family or the address sends the message over another one */
	bool open_relay;      /* `open_relay = i-know-that-everybody-may-relay` */
	unsigned loops;	      /* 0 in the file: one per core; here the number in force */
	unsigned disk_workers;

	struct conf_listen *listen;
	size_t listen_count;
	struct conf_client *client_blocks; /* from the widest network to the longest */
	size_t client_count;
	struct conf_route *routes; /* sorted by pattern, see conf_route() */
	size_t route_count;
	struct conf_oracle *oracles;
	size_t oracle_count;
	struct conf_pool *pools;
	size_t pool_count;
	struct conf_identity *identities;
	size_t identity_count;
	struct conf_sender *senders; /* sorted by pattern */
	size_t sender_count;
	struct conf_refusal *refusals; /* those of the file in its order, then what is left of the built-in ones */
	size_t refusal_count;

	struct {
		enum log_format format;
		enum log_level level;
		uint64_t buffer; /* bytes that may wait for the log thread */
	} log;
	struct {
		struct ip ipv4, ipv6;		    /* FAMILY_NONE: the kernel chooses */
		char *helo, *helo_ipv4, *helo_ipv6; /* helo: NULL is hostname; the others: NULL is helo */
		uint64_t ipv6_share, ipv6_warmup;   /* percent; milliseconds */
	} source;
	struct {
		struct conf_endpoints servers;		 /* none: /etc/resolv.conf */
		uint64_t timeout;			 /* of one try at one server */
		uint64_t tries;				 /* rounds over all servers */
		uint64_t cache;				 /* entries */
		uint64_t queries;			 /* under way at once */
		uint64_t hosts;				 /* MX hosts of one domain that are used */
		uint64_t addresses;			 /* addresses of one host and family that are used */
		uint64_t ttl_max, negative_max, failure; /* 1 d, 5 min, 5 s */
		uint64_t nat64_min, nat64_max; /* the prefix is asked for again after its TTL, in these bounds */
	} dns;
	struct {
		uint64_t first, max, give_up, warn, greylist; /* greylist is never later than first; warn 0: never */
	} retry;
	struct {
		uint64_t attempt_delay, resolution_delay, greeting_delay, patience, patience_mail, stall;
		uint64_t width;
		uint64_t sessions_per_attempt;
		uint64_t connect_time; /* the last path: 30 s */
	} race;
	struct {
		uint64_t addresses, sites; /* remembered */
		uint64_t probe_first, probe_max, probe_time, refused_first, refused_max, half_life;
		uint64_t mss_ipv6; /* 0: as the kernel finds */
	} path;
	struct {
		uint64_t size, recipients, hops, messages;
		uint64_t sessions, sessions_per_client, sessions_per_other;
		uint64_t errors, junk, line, command_time, data_time, drain, proxy_time, greet_wait;
		uint64_t connections, site_connections, address_connections, connection_messages, connection_idle;
		uint64_t reply_lines, reply_bytes, control, bounce_size;
		uint64_t future_release, deliver_by; /* the longest hold, the shortest time */
		uint64_t oracle, oracle_time;	     /* connections; of one answer */
	} limits;
	struct {
		uint64_t inline_limit, body_memory, batch_limit, segment_size, min_free, checkpoint, outcome_delay;
	} spool_io; /* block `storage` */
};

struct conf *conf_ref(struct conf *c);
void conf_unref(struct conf *c); /* NULL is fine */

/* Reads FILE and all that it includes. 0; or a negative code and, in `errors`, one line an error for all of them:
 * "FILE:LINE:COLUMN: what was found; what was expected". */
int conf_load(struct conf **out, const char *file, struct buf *errors);
/* The built-in safe defaults of `relay64 --try DIR`: loopback clients and listeners on port 2525, everything in DIR. */
int conf_try(struct conf **out, const char *dir, struct buf *errors);
/* The same from text, for tests; `name` stands for the file in errors. */
int conf_parse(struct conf **out, const char *name, const char *text, size_t len, struct buf *errors);
/* The route for a domain (lower case, no dot at its end): exact name, longest suffix, "*"; NULL: by MX. */
const struct conf_route *conf_route(const struct conf *c, const char *domain);
/* Appends the names of keys that differ and can only take effect after a restart, separated by ", ". */
int conf_restart_keys(const struct conf *running, const struct conf *fresh, struct buf *names);

#endif
