/* conf/sources.h: which source addresses mail leaves from, and under which name: blocks `pool`, `identity`, `sender`.
 * Protocol: pure.
 *
 * The pool of a mail is the one of its route, else the one of its sender's domain, else there is none: then the block
 * `source` holds. */
#ifndef CONF_SOURCES_H
#define CONF_SOURCES_H

#include "conf/conf.h"

enum { POOL_NAME_MAX = 32 };

/* 1 to POOL_NAME_MAX letters, digits and hyphens. */
bool sources_is_name(const char *text);
const struct conf_pool *sources_pool(const struct conf *c, const char *name); /* NULL: there is none */
/* `route` may be NULL; `domain` is that of the reverse-path, "" for none. NULL: no pool. */
const struct conf_pool *sources_of(const struct conf *c, const struct conf_route *route, const char *domain);
/* The name to say in EHLO over a connection from this address (FAMILY_NONE: the kernel chose it) of this family. */
const char *sources_helo(const struct conf *c, const struct ip *source, enum family family);
/* Share of the mail that goes over IPv6 when both families work, at first, in percent; and the time in which it grows
 * to all of it (0: it stays). `pool` may be NULL. */
void sources_share(const struct conf *c, const struct conf_pool *pool, uint64_t *percent, uint64_t *warmup_ms);
/* Looks at one block. 0; -EINVAL: `why` says what is wrong and what was expected. */
int sources_complain(const struct conf_pool *pool, struct buf *why);
/* Is the pool of this name (NULL: none) there? As above. */
int sources_missing(const struct conf *c, const char *name, struct buf *why);

#endif
