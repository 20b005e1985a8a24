/* queue/mail/idn.h: internationalised domains (RFC 5890, RFC 6531 §3.2). Protocol: pure. */
#ifndef QUEUE_MAIL_IDN_H
#define QUEUE_MAIL_IDN_H

#include <stddef.h>

/* Writes the lower-case A-labels of a domain in UTF-8 to `out`. The caller checks what comes out as it would any
 * domain. 0; -EINVAL: no UTF-8, no IDNA 2008 name, or longer than `size` with its closing 0; -ENOMEM. */
int idn_to_ascii(char *out, size_t size, const char *domain, size_t len);

#endif
