/* queue/mail/report.h: message/delivery-status of a notice (RFC 3464), or message/global-delivery-status (RFC 6533).
 * Protocol: pure. */
#ifndef QUEUE_MAIL_REPORT_H
#define QUEUE_MAIL_REPORT_H

#include "queue/mail/draft.h"
#include "queue/mail/notice.h"

/* Writes the fields. UTF-8 stands as it is where d->utf8 allows it, else in the ASCII form of RFC 6533 §3. */
void report_write(struct draft *d, const struct notice *in);

#endif
