/* queue/path/prober.h: single connections that find out whether a doubtful path works again. State.
 *
 * Mail does not try a doubtful path while it has another one. So when a site has mail to send and a try of one of its
 * doubtful addresses is due, one connection is made beside the mail, as far as EHLO, and ended with QUIT: one at a time
 * for each site, on the schedule of queue/path/track.h. A connection attempt that nobody answers ends before its SYN is
 * sent again, unless the path is known to be that slow. */
#ifndef QUEUE_PATH_PROBER_H
#define QUEUE_PATH_PROBER_H

#include "queue/core.h"

/* The site has mail: starts a probe if one is due. Cheap if none is. */
void prober_look(struct queue *q, struct site *s);
/* What is known of the site's paths has changed: when the next one is due is to be found out anew. */
void prober_changed(struct site *s);
/* TERM. */
void prober_drain(struct queue *q);

#endif
