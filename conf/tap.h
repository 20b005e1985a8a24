/* conf/tap.h: somebody who looks on at what is logged, as it is logged. State; see conf/log.h.
 *
 * Each line that the tap wants is put, as text and as JSON, into the tap's own bounded buffer on the thread where it
 * arises; when that is full the line is lost to this tap and counted. No caller of the log ever waits for a tap. */
#ifndef CONF_TAP_H
#define CONF_TAP_H

#include "conf/log.h"
#include "conf/mailbox.h"

enum { TAP_BUFFER = 262144 };

struct tap;

struct tap_setup {
	unsigned most; /* taps that may be open at once */
	/* Any thread, many at once: may not log, wait or change anything. NULL: all lines from level info on. */
	bool (*wanted)(const void *arg, const char *event, const struct log_field *fields);
	const void *wanted_arg; /* lent until tap_close() */
	struct mailbox *home;
	/* At home: something came, or was lost; comes again only after tap_take() has found nothing. */
	void (*ready)(void *arg);
	void *arg;
};

/* 0, -EBUSY (`most` are open), -ENOMEM. */
int tap_open(struct tap **out, const struct tap_setup *setup);
/* At home: the oldest line that waits, without its end, as text and as JSON, lent until the next call; `*lost` is how
 * many were lost before it. False: there is none (then `*lost` are lost behind the last one). */
bool tap_take(struct tap *t, const char **text, const char **json, uint64_t *lost);
void tap_close(struct tap *t); /* at home; `ready` does not come any more */

bool tap_any(void); /* is one open? */

#endif
