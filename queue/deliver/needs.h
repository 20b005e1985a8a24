/* queue/deliver/needs.h: what a message needs of the next hop, and what becomes of recipients whose next hop has not
 * got it. Protocol: pure. */
#ifndef QUEUE_DELIVER_NEEDS_H
#define QUEUE_DELIVER_NEEDS_H

#include "queue/deliver/capabilities.h"
#include "queue/deliver/transaction.h"
#include "queue/mime/convert.h"

/* Holds the text bytes over 127? */
bool needs_is_8bit(const char *text);
/* Answers for the peer where it could not take the message, or a recipient: `answered` and `reply` are set, t->last if
 * there was one, and t->for_message. Sets t->utf8. True: nobody is left. */
bool needs_refuse(const struct capabilities *peer, struct transaction *t);

/* Can the peer take the content only if it is converted (RFC 6152 §3, RFC 3030 §3), and to what? */
bool needs_conversion(const struct capabilities *peer, const struct transaction *t, enum mime_target *target);
/* It cannot be: recipients without an answer are refused. `why`: as mime_reason() says. */
void needs_refuse_content(struct transaction *t, const char *why);

#endif
