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

struct target_sender {
	char domain[DNS_NAME_MAX]; /* lower case */
	char local[65];		   /* as it is written (RFC 5321 §4.5.3.1.1); "": none was given */
};

/* HOST, ADDRESS or [ADDRESS], may be with :PORT (a bare IPv6 address has none). 0 or -EINVAL. */
int target_read(struct target *out, const char *text);
/* DOMAIN, @DOMAIN or LOCAL@DOMAIN. 0 or -EINVAL. */
int target_read_sender(struct target_sender *out, const char *text);

#endif
