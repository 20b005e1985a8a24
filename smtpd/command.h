/* smtpd/command.h: reading one command line. Protocol: pure.
 *
 * RFC 5321 §4.1.1. A line comes without its CRLF. Parameters: smtpd/parameter.h. */
#ifndef SMTPD_COMMAND_H
#define SMTPD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/mail/address.h"
#include "smtpd/piece.h"

/* Verb: up to the first blank. Arguments: the rest without blanks at either end. */
void command_split(const uint8_t *line, size_t len, struct piece *verb, struct piece *args);
enum command_fault {
	COMMAND_OK,
	COMMAND_SYNTAX,	 /* "FROM:" or "TO:" is missing */
	COMMAND_ADDRESS, /* the path cannot be read */
	COMMAND_LONG,	 /* part of the path is over RFC 5321 §4.5.3.1 */
	COMMAND_8BIT,	 /* the path has bytes over 127, and is not what SMTPUTF8 allows */
};

struct command_path {
	char address[ADDRESS_TEXT];
	bool eight;	   /* it had bytes over 127, as the client wrote it */
	struct piece rest; /* parameters, or nothing */
};

/* Arguments of MAIL (`keyword` "FROM:") and RCPT ("TO:"). `allowed`: as for address_read_path(). `out` is whole only
 * with COMMAND_OK. `lenient`: blanks behind the colon and an address without its brackets are let pass, as old clients
 * write them. */
enum command_fault command_read_path(
	struct command_path *out, const struct piece *args, const char *keyword, unsigned allowed, bool lenient);

#endif
