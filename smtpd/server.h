/* smtpd/server.h: one SMTP session as the server sees it. Protocol: pure: bytes and events in, replies and wants out.
 *
 * RFC 5321, with PIPELINING (2920), SIZE (1870), 8BITMIME (6152), CHUNKING and BINARYMIME (3030), SMTPUTF8 (6531), DSN
 * (3461), LIMITS (9422), ENHANCEDSTATUSCODES (2034), and for clients with the right DELIVERBY (2852), FUTURERELEASE
 * (4865) and MT-PRIORITY (6710). Commands are in verbs.c, BDAT is in chunk.c. Whoever drives it
 * feeds bytes to smtp_server_receive() and does what the returned want says; the answer to a want is a call that
 * returns the next one. Replies gather in `out`, so that those of a pipelined group leave together; send them whenever
 * a want stops the feeding, and at INPUT when no bytes are left. An idle machine holds nothing but the struct and the
 * HELO name. */
#ifndef SMTPD_SERVER_H
#define SMTPD_SERVER_H

#include "smtpd/machine.h"

/* "550 5.7.1 Relaying denied…" without CRLF, for logs. */
const char *smtp_refusal_text(enum smtp_refusal why);

/* Greets: `out` has the 220. */
void smtp_server_init(struct smtp_server *s, const struct conf *conf, const struct smtp_server_host *host, void *arg,
	const struct ip *client, const struct rights *rights);
void smtp_server_fini(struct smtp_server *s);

/* Reads on, until all of `in` is used or something is wanted; `*used` tells how far it came. Not to be called while
 * OPEN or COMMIT is to be answered. */
enum smtp_want smtp_server_receive(struct smtp_server *s, const uint8_t *in, size_t len, size_t *used);

/* OPEN: `err` 0: the ID and the date of the trace field; else -ENOSPC or another negative code: the message is refused
 * for now. */
enum smtp_want smtp_server_opened(struct smtp_server *s, int err, uint64_t id, const char *date);
/* BODY could not be stored (as above): the rest of the content is read and dropped. */
void smtp_server_failed(struct smtp_server *s, int err);
/* COMMIT: 0: durable, so 250; -ENOSPC 452; else 451. */
enum smtp_want smtp_server_committed(struct smtp_server *s, int err);
/* The time for a command, or for the whole content, is over. Always CLOSE. */
enum smtp_want smtp_server_timed_out(struct smtp_server *s, bool whole_data);
/* The daemon ends: CLOSE with 421 4.3.2 at once between transactions, or after the reply to the content that is coming
 * in. INPUT if the latter. */
enum smtp_want smtp_server_shutdown(struct smtp_server *s);

/* The transaction, from OPEN until the answer to COMMIT; its recipients are in s->recipients. */
const char *smtp_server_sender(const struct smtp_server *s);
/* SMTP, ESMTP or UTF8SMTP, as the trace field names it. */
const char *smtp_server_protocol(const struct smtp_server *s);
const char *smtp_server_envid(const struct smtp_server *s); /* ENVID as it was given; "" */

#endif
