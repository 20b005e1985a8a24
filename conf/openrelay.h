/* conf/openrelay.h: would these clients make an open relay? Protocol: pure.
 *
 * The rule: prefixes of one family are merged as far as they go (what lies in another goes, two halves become their
 * whole). If a block shorter than /8 (IPv4) or /16 (IPv6) is among the result, the list is refused; so it is if all of
 * it together covers more than eight such blocks, which is what leaving holes comes to. An IPv6 prefix that contains
 * ::ffff:0:0/96 counts as all of IPv4 besides. */
#ifndef CONF_OPENRELAY_H
#define CONF_OPENRELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/buf.h"
#include "conf/conf.h"

enum { OPENRELAY_BITS_IPV4 = 8, OPENRELAY_BITS_IPV6 = 16, OPENRELAY_BLOCKS = 8 };

/* 1: they would, and `why`, which is emptied first, says what was found and what was expected; 0: no; -ENOMEM. */
int openrelay_check(const struct prefix *clients, size_t count, struct buf *why);
/* The same of all who may name any client: networks with `xclient = yes` and balancers of all listeners, put
 * together. */
int openrelay_check_speakers(const struct conf *c, struct buf *why);

#endif
