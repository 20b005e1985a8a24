/* smtpd/parameter.h: the parameters of MAIL and RCPT. Protocol: pure.
 *
 * SIZE (RFC 1870), BODY (6152, 3030), SMTPUTF8 (6531), RET, ENVID, NOTIFY, ORCPT (3461), BY (2852), HOLDFOR, HOLDUNTIL
 * (4865), MT-PRIORITY (6710). A parameter given twice is an error. */
#ifndef SMTPD_PARAMETER_H
#define SMTPD_PARAMETER_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/rights.h"
#include "queue/mail/envelope.h"
#include "smtpd/piece.h"

enum parameter_fault {
	PARAMETER_OK,
	PARAMETER_UNKNOWN, /* never offered, or not to this client */
	PARAMETER_WRONG,   /* a wrong value, twice, or two that exclude each other */
};

struct mail_parameters {
	unsigned flags; /* ENVELOPE_BODY_8BIT, _BINARY, _SMTPUTF8, _RET_*, _BY_* */
	bool has_size;
	uint64_t size; /* saturates at UINT64_MAX */
	char envid[ENVID_MAX + 1];
	int32_t by_seconds; /* with ENVELOPE_BY_*: may be negative */
	bool hold_for;	    /* HOLDFOR was given: `hold_seconds` … */
	bool hold_until;    /* … or HOLDUNTIL: `until_ms`, wall time */
	uint64_t hold_seconds;
	uint64_t until_ms;
	int priority;
	bool has_priority; /* MT-PRIORITY was given */
	uint32_t seen;	   /* private: which were given */
};

struct rcpt_parameters {
	uint8_t notify; /* NOTIFY_*; 0: not given */
	char orcpt[ORCPT_MAX + 1];
	bool utf8; /* private, as `seen` */
	uint32_t seen;
};

/* Reads "[BLANK KEYWORD[=VALUE]]…", what stands behind the path. */
enum parameter_fault mail_parameters_read(
	struct mail_parameters *out, const struct piece *text, const struct rights *rights);
/* `utf8`: MAIL said SMTPUTF8, so ORCPT may be UTF-8 (RFC 6533 §3: utf-8-addr-unitext). */
enum parameter_fault rcpt_parameters_read(
	struct rcpt_parameters *out, const struct piece *text, bool utf8, const struct rights *rights);

#endif
