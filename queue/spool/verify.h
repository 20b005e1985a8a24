/* queue/spool/verify.h: `relayq verify`: reads a spool that no daemon uses, bodies too. Plumbing. */
#ifndef QUEUE_SPOOL_VERIFY_H
#define QUEUE_SPOOL_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/buf.h"

struct store_check {
	uint64_t segments, records, messages, live, damaged, torn, orphans;
};

/* Changes nothing. Refuses a locked spool (-EBUSY, the line in `errors` names the process) unless `read_only`: then
 * what a daemon writes meanwhile may look torn. `say` gets one line a finding. 0: all was read, see `out` for what was
 * found; negative: the spool could not be read. */
int store_verify(const char *dir, bool read_only, struct store_check *out, void (*say)(void *arg, const char *line),
	void *arg, struct buf *errors);

#endif
