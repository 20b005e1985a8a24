/* queue/mail/words.h: the part of a notice that people read. Protocol: pure.
 *
 * First plain words for somebody who knows nothing of SMTP: what happened, to whom, what can be done. Then, under a
 * line of their own, the details for a postmaster: replies, and what was tried over which family with what answer. */
#ifndef QUEUE_MAIL_WORDS_H
#define QUEUE_MAIL_WORDS_H

#include "queue/mail/draft.h"
#include "queue/mail/notice.h"

/* `attached`: how the third part is named ("Its header is attached.") */
void words_write(struct draft *d, const struct notice *in, const char *attached);
/* The paragraph that explains a reply; `kind` FAILED or DELAYED. Never NULL. */
const char *words_explain(const struct reply *r, enum notice_kind kind);

#endif
