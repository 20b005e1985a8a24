/* queue/doctor/target.h: the hosts and domains that a command line names. Protocol: pure. */
#ifndef QUEUE_DOCTOR_TARGET_H
#define QUEUE_DOCTOR_TARGET_H

#include "conf/ip.h"
#include "dns/answer.h"

struct target {
	char name[DNS_NAME_MAX]; /* lower case; of a literal its text */
	struct ip literal;	 /* FAMILY_NONE: it is a name */
	uint16_t port;		 /* 25 if none was given */
};

/* HOST, ADDRESS or [ADDRESS], may be with :PORT (a bare IPv6 address has none). 0 or -EINVAL. */
int target_read(struct target *out, const char *text);
/* DOMAIN, @DOMAIN or LOCAL@DOMAIN: the domain in lower case, without a dot at its end, to be freed; NULL: it is none,
 * or there is no memory. */
char *target_domain(const char *text);

#endif
