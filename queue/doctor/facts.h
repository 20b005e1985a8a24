/* queue/doctor/facts.h: what was seen of this host and around it, for the checks to judge. State: plain data; who fills
 * it in is in host.h, machine.h, disk.h, inquiry.h, dns_probe.h and smtp_probe.h. */
#ifndef QUEUE_DOCTOR_FACTS_H
#define QUEUE_DOCTOR_FACTS_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"

enum {
	FACT_TEXT = 320,
	FACT_ADDRESSES = 256,
	FACT_ROUTES = 64,
	FACT_SERVERS = 8,
	FACT_PROBES = 16,
	FACT_SENDERS = 32,
	FACT_SOURCES = 256
};

/* Of arrays with a member for each family: IPv4 is 0, IPv6 is 1. */
enum { FAMILIES = 2 };
static inline enum family family_at(unsigned i)
{
	return i == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
}

enum fact_conf_place { PLACE_NAMED, PLACE_DEFAULT, PLACE_DAEMON, PLACE_BUILT_IN };
struct fact_conf {
	const struct conf *conf; /* never NULL: the built-in defaults if there is nothing better */
	enum fact_conf_place place;
	const char *file;
	char errors[FACT_TEXT];	 /* "": it could be read */
	char differs[FACT_TEXT]; /* names of settings in force that are not those of the file; "": none, or not compared
				  */
	bool compared;		 /* with what the daemon says */
};

struct fact_daemon {
	const char *socket;
	bool answered;
	int err;		 /* of connecting; 0: what it says is none of relay64's answers */
	char problem[FACT_TEXT]; /* what it answered instead; "" */
	char version[64];
	pid_t pid; /* 0: not known */
	uid_t uid;
	bool limited;	      /* this could be read: */
	uint64_t soft_nofile; /* files that it may open */
};

struct fact_address {
	struct ip ip;
	char interface[IF_NAMESIZE];
	bool global; /* its scope */
	bool tentative, duplicate, deprecated, temporary;
};

struct fact_route { /* a default route */
	enum family family;
	char interface[IF_NAMESIZE];
	bool advertised; /* by a router (RFC 4861) */
	bool lapses;	 /* and the advertisements are no longer taken, as this host forwards packets */
};

/* An address that mail leaves from (outgoing.h). */
struct fact_source {
	enum family family;
	struct ip ip;	  /* FAMILY_NONE: the kernel has none, `err` says why */
	bool used;	  /* by any mail at all */
	bool configured;  /* else it is the kernel's choice */
	bool by_route;	  /* mail of any sender may leave from it */
	const char *pool; /* the first that has it; NULL: it is of no pool */
	int err;	  /* configured: of binding a socket to it */
};

struct fact_exchange { /* with a resolver */
	bool done;
	int err; /* 0: it answered */
	unsigned rcode;
	bool authentic; /* AD, on the signed SOA of the root */
	uint64_t ms;
};
struct fact_server {
	struct endpoint at;
	struct fact_exchange udp, tcp;
};

struct fact_sender {
	const char *domain; /* lower case */
	const char *local;  /* NULL: any */
};

enum path_stage {
	PATH_WAITING,
	PATH_NO_LOOKUP,	    /* the name could not be looked up: `text` */
	PATH_NO_ADDRESS,    /* it has none of the family */
	PATH_NO_SOURCE,	    /* this host has none of the family, or it cannot be used */
	PATH_NO_CONNECTION, /* `err` */
	PATH_NO_GREETING,   /* `err`; 0: closed, or no SMTP */
	PATH_GREETED,
};
struct fact_path {
	const char *host; /* as it was given; listeners: NULL */
	uint16_t port;
	enum family family;
	struct endpoint at;
	bool proxied; /* a listener that greets balancers alone: only connected to */
	enum path_stage stage;
	int err;
	uint64_t connect_ms, greeting_ms, quit_ms; /* from the start of the connection; QUIT is answered (0: not yet) */
	char text[FACT_TEXT];			   /* the greeting */
};

struct fact_clock {
	int err; /* of asking the kernel */
	bool synchronised;
	uint64_t error_us; /* what the kernel takes for the largest possible error */
	uint64_t wall_ms;
};

struct fact_files {
	uint64_t wanted;	/* by the configuration */
	uint64_t system, taken; /* fs.file-max, and what is open in all; 0: not known */
};

struct fact_spool {
	bool done; /* else the disk did not answer in time */
	int err;   /* of looking at the directory */
	bool is_directory;
	mode_t mode;
	uid_t owner, wanted; /* that of `user` */
	bool wanted_known, user_missing;
	char owner_name[33];
	bool space_known, read_only;
	uint64_t free_bytes;
	unsigned long filesystem; /* statfs() f_type */
	uint64_t newest_ms;	  /* wall time of the newest batch of the journal; 0: none */
	int newest_err;
	unsigned syncs;	  /* how many were measured */
	uint64_t sync_us; /* the median */
	int sync_err;
};

struct facts {
	struct fact_conf conf;
	struct fact_daemon daemon;
	int host_err; /* of asking the kernel for addresses and routes */
	struct fact_address *addresses;
	size_t address_count;
	struct fact_route routes[FACT_ROUTES];
	size_t route_count;
	/* for mail without a pool, IPv4 and IPv6; for mail whose pool has none of the family, likewise; those of pools
	 */
	struct fact_source sources[FACT_SOURCES];
	size_t source_count;
	bool sources_left; /* there are more */
	bool unrouted;	   /* there is mail to whose route no pool belongs: its sender decides */
	struct fact_server servers[FACT_SERVERS];
	size_t server_count;
	bool servers_from_file; /* /etc/resolv.conf */
	struct fact_sender senders[FACT_SENDERS];
	size_t sender_count;
	struct fact_path paths[FACT_PROBES * FAMILIES];
	size_t path_count;
	struct fact_path *listeners;
	size_t listener_count;
	struct fact_clock clock;
	struct fact_files files;
	struct fact_spool spool;
	uint64_t timeout_ms; /* for people: how long was waited */
};

#endif
