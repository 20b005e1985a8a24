/* queue/oracle/request.h: questions to an oracle, read from the bytes of one connection. Protocol: pure.
 *
 * Two protocols of Postfix, told apart by the first byte of a connection:
 *   a digit     socketmap_table(5): a netstring "LENGTH:NAME KEY,"
 *   any other   tcp_table(5): a line "get KEY\n", in KEY %XX for what does not print, blanks and '%' (a CR before the
 * LF is none of it; bytes above 127 may stand as they are) Netstrings have no leading zeros and at most 7 digits. What
 * is longer than the limit is skipped and told as such, so that the next question can be answered; what is no question
 * cannot be told from the next one: it ends the connection. */
#ifndef QUEUE_ORACLE_REQUEST_H
#define QUEUE_ORACLE_REQUEST_H

#include <stdbool.h>

#include "conf/buf.h"

enum oracle_protocol { ORACLE_UNKNOWN, ORACLE_SOCKETMAP, ORACLE_TCP_TABLE };

enum oracle_event {
	ORACLE_MORE,	  /* all bytes are taken, no question is complete */
	ORACLE_ASKED,	  /* a question: see `map` and `key` */
	ORACLE_OVERSIZED, /* one that was too long has passed */
	ORACLE_MALFORMED, /* `why` says what was expected; nothing more can be read */
};

struct oracle_request {
	/* read these */
	enum oracle_protocol protocol; /* as soon as a byte has come */
	const char *map;	       /* until the next call; "" in tcp_table; it and the key may hold any bytes */
	size_t map_len;
	const char *key; /* decoded */
	size_t key_len;
	const char *why;
	/* private */
	enum { ORACLE_LENGTH, ORACLE_BODY, ORACLE_COMMA, ORACLE_LINE, ORACLE_BROKEN } stage;
	size_t length, left; /* of a netstring */
	unsigned digits;
	bool skipping, complete;
	struct buf text;
};

/* Questions of at most `most` bytes, without their netstring's frame or line's end. */
void oracle_request_init(struct oracle_request *r, size_t most);
void oracle_request_fini(struct oracle_request *r);
/* Takes bytes up to the end of one question and says how many. 0 bytes only if `len` is 0 or after ORACLE_MALFORMED.
 * Without memory a question is ORACLE_OVERSIZED. */
size_t oracle_request_take(struct oracle_request *r, const uint8_t *in, size_t len, enum oracle_event *event);

#endif
