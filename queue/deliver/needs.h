/* queue/deliver/needs.h: what a message needs of the next hop, and what becomes of recipients whose next hop has not
 * got it. Protocol: pure. */
#ifndef QUEUE_DELIVER_NEEDS_H
#define QUEUE_DELIVER_NEEDS_H

#include "queue/deliver/capabilities.h"
#include "queue/deliver/transaction.h"

/* Holds the text bytes over 127? */
bool needs_is_8bit(const char *text);
/* Answers for the peer where it could not take the message, or a recipient: `answered` and `reply` are set, t->last if
 * there was one, and t->for_message. Sets t->utf8. True: nobody is left. */
bool needs_refuse(const struct capabilities *peer, struct transaction *t);

#endif
