/* tests/unit/dns_script.h: a DNS server on loopback that plays a script, over UDP and TCP, on the test's own loop. */
#ifndef TESTS_UNIT_DNS_SCRIPT_H
#define TESTS_UNIT_DNS_SCRIPT_H

#include <uv.h>

#include "conf/ip.h"
#include "dns/answer.h"

enum script_act {
	SAY_ANSWER,   /* `records` */
	SAY_NXDOMAIN, /* with SOA of TTL `ttl` */
	SAY_NODATA,   /* the same */
	SAY_SERVFAIL,
	SAY_REFUSED,
	SAY_FORMERR,   /* to questions with EDNS; `records` to others */
	SAY_TRUNCATED, /* over UDP; `records` over TCP */
	SAY_NOTHING,
	SAY_GARBAGE,	    /* bytes that are no packet */
	SAY_WRONG_ID,	    /* `records` under another id, only */
	SAY_WRONG_QUESTION, /* `records`, but of another name */
	SAY_CUT		    /* the header promises more records than there are */
};

struct script_row {
	const char *name;
	enum dns_type type;
	enum script_act act;
	const char *records; /* as packet_records() */
	uint32_t ttl;
	unsigned delay_ms;
	bool secure; /* AD */
	unsigned asked_udp, asked_tcp;
};

struct script {
	uv_loop_t *loop;
	struct endpoint at;
	struct script_row *rows; /* a question that is in no row is answered with REFUSED */
	size_t count;
	unsigned strangers;  /* questions in no row */
	unsigned without_ad; /* questions without the AD bit or RD */
	uv_udp_t udp;
	uv_tcp_t tcp;
};

/* Binds a free port of `address` for both protocols. Asserts. */
void script_start(struct script *s, uv_loop_t *loop, const char *address, struct script_row *rows, size_t count);
void script_stop(struct script *s); /* then run the loop once more */

#endif
