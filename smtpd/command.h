/* smtpd/command.h: reading one command line. Protocol: pure.
 *
 * RFC 5321 §4.1.1; the parameters of SIZE (RFC 1870) and 8BITMIME (RFC 6152). A line comes without its CRLF. */
#ifndef SMTPD_COMMAND_H
#define SMTPD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/mail/address.h"

/* A run of bytes within the line. */
struct piece {
	const uint8_t *at;
	size_t len;
};

/* Verb: up to the first blank. Arguments: the rest without blanks at either end. */
void command_split(const uint8_t *line, size_t len, struct piece *verb, struct piece *args);
/* Without regard to case. */
bool piece_is(const struct piece *p, const char *word);

enum command_fault {
	COMMAND_OK,
	COMMAND_SYNTAX,	   /* "FROM:" or "TO:" is missing */
	COMMAND_ADDRESS,   /* the path cannot be read */
	COMMAND_LONG,	   /* part of the path is over RFC 5321 §4.5.3.1 */
	COMMAND_8BIT,	   /* the path has bytes over 127 */
	COMMAND_PARAMETER, /* a parameter that was never offered */
	COMMAND_VALUE,	   /* a known parameter with a wrong value, or twice */
};

struct command_path {
	char address[ADDRESS_TEXT];
	bool has_size, has_body, body_8bit;
	uint64_t size; /* SIZE=n; saturates at UINT64_MAX */
};

/* Arguments of MAIL. `out` is whole only with COMMAND_OK. One blank or more behind the colon is let pass. */
enum command_fault command_read_mail(struct command_path *out, const struct piece *args);
/* Arguments of RCPT; "postmaster" without a domain is let pass as it is. */
enum command_fault command_read_rcpt(struct command_path *out, const struct piece *args);

#endif
