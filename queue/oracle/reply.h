/* queue/oracle/reply.h: an oracle's answers as bytes. Protocol: pure.
 *
 *                     socketmap_table(5)   tcp_table(5)
 *   ORACLE_FOUND      OK text              200 text
 *   ORACLE_NOT_FOUND  NOTFOUND             500 text
 *   ORACLE_LATER      TEMP text            400 text
 *   ORACLE_TIMED_OUT  TIMEOUT text         400 text
 *   ORACLE_WRONG      PERM text            400 text
 * In a netstring, or a line with %XX for '%' and what does not print; blanks are encoded where they are part of what
 * was found. */
#ifndef QUEUE_ORACLE_REPLY_H
#define QUEUE_ORACLE_REPLY_H

#include "queue/oracle/request.h"

enum oracle_answer {
	ORACLE_FOUND,
	ORACLE_NOT_FOUND,
	ORACLE_LATER,	  /* asked again, it may be known */
	ORACLE_TIMED_OUT, /* likewise: it was not known in time */
	ORACLE_WRONG,	  /* the question is at fault */
};

enum { ORACLE_TEXT_MAX = 600, ORACLE_REPLY_MAX = 2048 };

/* Writes the reply to `out` and returns its length. Of `text` at most ORACLE_TEXT_MAX bytes are used; what does not
 * print becomes '?' in a netstring. */
size_t oracle_reply_write(
	char out[ORACLE_REPLY_MAX], enum oracle_protocol protocol, enum oracle_answer answer, const char *text);

#endif
