/* queue/deliver/path.h: the addresses that a race may try, and who a connection belongs to. State. */
#ifndef QUEUE_DELIVER_PATH_H
#define QUEUE_DELIVER_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/ip.h"
#include "queue/mail/attempt.h"

/* One address of one MX host, with what history knows of it. */
struct candidate {
	struct endpoint to;
	struct ip real; /* FAMILY_NONE, or the IPv4 address to which `to` leads through NAT64: as in struct path_try */
	char host[HOST_TEXT];
	uint16_t preference;
	bool doubtful; /* its last attempts failed: goes behind the others of its preference */
	bool first;    /* goes before all others of its preference (4yz came from there, or the family that works) */
	uint32_t usual_connect_ms; /* smoothed; 0: not known */
	uint32_t usual_greeting_ms;
	uint32_t usual_ehlo_ms;
};

enum { CANDIDATES_MAX = 64 };

/* The family that the peer sees: a synthesised address is IPv4 for policy, PTR and all that is told of a family. */
enum family candidate_family(const struct candidate *c);

enum lane_security { LANE_PLAIN };

/* What a connection belongs to: a message uses only a connection of its own lane. */
struct lane {
	char site[HOST_TEXT];
	enum lane_security security;
	char reference_names[HOST_TEXT]; /* names that a certificate must bear; "" in plain lanes */
	uint64_t policy_digest;
	char credentials[64];		    /* name of the credentials; "" for none */
	struct ip source_ipv4, source_ipv6; /* FAMILY_NONE: the kernel chooses */
	char helo_ipv4[HOST_TEXT], helo_ipv6[HOST_TEXT];
	/* Limits of a route of its own; no part of the lane's identity. 0: limits { connection_messages }; as many as
	 * the next hop takes. */
	uint64_t messages;
	uint64_t rcpt_max;
};
bool lane_equal(const struct lane *a, const struct lane *b);

#endif
