/* queue/oracle/verdict.h: can a server that has one family only deliver a domain's mail itself? Protocol: pure.
 *
 *   MX hosts (or the implicit one) of the domain      verdict
 *   one has an address of that family                 ORACLE_ITSELF, as soon as it is known
 *   none has, one has an address of the other family  ORACLE_RELAY, as soon as that is known
 *   none has any; null MX; no such domain             ORACLE_NOWHERE: the server itself says so to the sender
 *   no address is known and a look-up failed          ORACLE_UNCERTAIN
 *
 * A family whose look-up fails while the other one's does not is as good as missing: there are name servers that never
 * answer for one of the types, and mail for their domains would wait until it is returned. At the end of the time
 * (`late`) what is not known yet counts as failed.
 *
 * A route of this relay changes nothing for a domain that the server reaches itself. Else, one that names the domain
 * ("*" names none): with next hops of its own the mail goes there, whatever the DNS knows; with `reject` or `discard`
 * it comes here to be refused or dropped instead of ORACLE_NOWHERE. */
#ifndef QUEUE_ORACLE_VERDICT_H
#define QUEUE_ORACLE_VERDICT_H

#include "conf/conf.h"
#include "dns/mx.h"

enum oracle_verdict { ORACLE_PENDING, ORACLE_ITSELF, ORACLE_RELAY, ORACLE_NOWHERE, ORACLE_UNCERTAIN };

/* `own`: the family that the server has. `route`: the one of conf_route(), or NULL. */
enum oracle_verdict oracle_judge(const struct mx *mx, enum family own, const struct conf_route *route, bool late);

#endif
