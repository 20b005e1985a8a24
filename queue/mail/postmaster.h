/* queue/mail/postmaster.h: mail for the postmaster of this relay (RFC 5321 §4.5.1). Protocol: pure. */
#ifndef QUEUE_MAIL_POSTMASTER_H
#define QUEUE_MAIL_POSTMASTER_H

#include "conf/conf.h"
#include "queue/mail/envelope.h"

/* Is it postmaster at `hostname`? */
bool postmaster_is_ours(const struct conf *c, const char *address);
/* Where mail to this address goes: `postmaster` of the configuration if that is set and the address is postmaster at
 * `hostname`; else the address itself. */
const char *postmaster_for(const struct conf *c, const char *address);
/* Rewrites a recipient in that way. ORCPT keeps what the client wrote: where it gave none, it is made in `orcpt`, which
 * lives as long as `r`. */
void postmaster_rewrite(const struct conf *c, struct envelope_rcpt *r, char orcpt[ORCPT_MAX + 1]);

#endif
