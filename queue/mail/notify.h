/* queue/mail/notify.h: who is to be told of what: NOTIFY of RFC 3461 §4.1 against what became of a recipient.
 * Protocol: pure.
 *
 *   NOTIFY      failed   delayed   time of BY;N   relayed
 *   not given   yes      yes       yes            BY trace
 *   NEVER       no       no        no             no
 *   FAILURE     yes      no        yes            BY trace
 *   DELAY       no       yes       yes            BY trace
 *   SUCCESS     no       no        yes            yes
 *
 * DELIVERBY with mode N asks for the notice at its time, and its trace for those of each hop, by themselves (RFC 2852);
 * only NEVER forbids them. A sender that is "" is never told anything. */
#ifndef QUEUE_MAIL_NOTIFY_H
#define QUEUE_MAIL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

enum notify_event { NOTIFY_OF_FAILURE, NOTIFY_OF_DELAY, NOTIFY_OF_BY_TIME, NOTIFY_OF_RELAY };

/* `notify`: NOTIFY_* of the recipient; `flags`: ENVELOPE_* of the message. */
bool notify_wants(uint8_t notify, unsigned flags, enum notify_event event);

#endif
