/* smtpd/behalf.h: the commands XCLIENT and XFORWARD, by which a declared host says on whose behalf it speaks.
 * Protocol: pure.
 *
 * XCLIENT makes the session that of another client: it begins anew at its greeting, and what that client may is asked
 * of the driver; only whether the host may say XCLIENT and XFORWARD goes by the host that connected, so that it can
 * name one client after the other. XFORWARD is for the log and the envelope of the next message alone. Hosts without
 * the right are told 550 5.7.0, and EHLO does not offer them either. */
#ifndef SMTPD_BEHALF_H
#define SMTPD_BEHALF_H

#include "smtpd/machine.h"

void behalf_xclient(struct smtp_server *s, const struct piece *args);
void behalf_xforward(struct smtp_server *s, const struct piece *args);

#endif
