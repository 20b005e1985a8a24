/* queue/deliver/capabilities.h: what the other side offers in its answer to EHLO. Protocol: pure.
 *
 * A keyword is taken in any case (RFC 5321 §4.1.1.1), its parameter behind blanks or, as old servers write it, behind
 * "=". What is not known is ignored, and so is a parameter that makes no sense. */
#ifndef QUEUE_DELIVER_CAPABILITIES_H
#define QUEUE_DELIVER_CAPABILITIES_H

#include <stdbool.h>
#include <stdint.h>

struct capabilities {
	bool pipelining;   /* RFC 2920 */
	bool eightbit;	   /* 8BITMIME: RFC 6152 */
	bool chunking;	   /* BDAT: RFC 3030 */
	bool binary;	   /* BINARYMIME: RFC 3030; worth something with `chunking` alone */
	bool utf8;	   /* SMTPUTF8: RFC 6531 */
	bool dsn;	   /* RFC 3461 */
	bool deliver_by;   /* RFC 2852 */
	bool priority;	   /* MT-PRIORITY: RFC 6710 */
	bool has_size;	   /* RFC 1870 */
	uint64_t size;	   /* bytes that it takes at most; 0: not said */
	uint32_t by_least; /* seconds: less than that it does not take with BY=…;R; 0: not said */
	/* LIMITS: RFC 9422; 0: not said */
	unsigned mail_max;	  /* transactions of one connection */
	unsigned rcpt_max;	  /* recipients of one transaction */
	unsigned rcpt_domain_max; /* different domains among the recipients of one connection */
};

/* Takes one line of the answer, without its code; not the first one, which is a greeting. */
void capabilities_take(struct capabilities *c, const char *line);

#endif
