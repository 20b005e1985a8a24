/* queue/reach/watcher.h: watches this host's addresses and routes by rtnetlink(7). Plumbing; one loop's thread.
 *
 * A change is no more than a reason to look: once it has been quiet for `families_delay`, and after ten times as long
 * at the latest, all tables are read anew. Reading them is one system call after the other that the kernel answers at
 * once; it ends at limits { host_routes }. */
#ifndef QUEUE_REACH_WATCHER_H
#define QUEUE_REACH_WATCHER_H

#include <uv.h>

#include "queue/reach/reach.h"

struct watcher;

/* Looks for the first time, at once. `changed` is called when a later look finds something else. Without netlink `r`
 * stays as it is, the log says so, and it is tried again once a minute. 0 or -ENOMEM. */
int watcher_open(struct watcher **out, uv_loop_t *uv, struct reach *r, const struct conf *conf, void (*changed)(void *),
	void *arg);
void watcher_configure(struct watcher *w, const struct conf *conf);
/* `closed` comes when the last handle is closed; the watcher is freed then. */
void watcher_close(struct watcher *w, void (*closed)(void *), void *arg);

#endif
