/* queue/mail/redirect.h: the next hops that an operator names for a message in place of its routes'. Protocol: pure. */
#ifndef QUEUE_MAIL_REDIRECT_H
#define QUEUE_MAIL_REDIRECT_H

#include "queue/mail/envelope.h"

/* Reads next hops in the form of route { relay } ("[host]:port", "host", an address; several separated by commas) into
 * the form in which they are kept and shown. 0; -EINVAL: they cannot be read, or are too long; -ENOMEM. */
int redirect_read(const char *text, char out[REDIRECT_MAX + 1]);

#endif
