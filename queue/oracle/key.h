/* queue/oracle/key.h: whose mail a key of a transport table stands for. Protocol: pure.
 *
 * transport(5): an address stands for its domain, whatever its local part; a domain for itself alone. Everything else
 * that a table may be asked for (parents as ".example", "*", the null address, a bare user) stands for nobody: there
 * is nothing to look up, and "not found" is the answer. So a mail costs one question, and a subdomain is never judged
 * by the domain above it. */
#ifndef QUEUE_ORACLE_KEY_H
#define QUEUE_ORACLE_KEY_H

#include "dns/answer.h"

struct oracle_key {
	char domain[DNS_NAME_MAX]; /* lower-case A-labels without a dot at the end; "": it is the literal */
	struct ip literal;	   /* of "[192.0.2.1]", "[IPv6:2001:db8::1]" */
};

/* 0; -EINVAL: it stands for nobody; -ENOMEM. `key` may hold any bytes. */
int oracle_key_read(struct oracle_key *out, const char *key, size_t len);

#endif
