/* dns/resolvconf.h: the name servers of /etc/resolv.conf, and whether the file has changed. Plumbing. */
#ifndef DNS_RESOLVCONF_H
#define DNS_RESOLVCONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "conf/ip.h"

enum { RESOLVCONF_SERVERS = 3 }; /* as many as the C library uses */

struct resolvconf {
	const char *path;
	struct stat seen;
	uint64_t next_look_ms;
};

/* The servers of the text, in its order, with port 53; search lists and options are ignored, and so are addresses with
 * a zone. Without any: 127.0.0.1, as resolv.conf(5) says. Returns their number, at least 1. */
size_t resolvconf_parse(const char *text, size_t len, struct endpoint out[RESOLVCONF_SERVERS]);

/* `path` belongs to the caller. */
void resolvconf_init(struct resolvconf *f, const char *path);
/* Looks at most every 5 s. True if the file is another one than at the last resolvconf_read(). */
bool resolvconf_changed(struct resolvconf *f, uint64_t now_ms);
/* A file that cannot be read counts as empty. Returns the number of servers. */
size_t resolvconf_read(struct resolvconf *f, struct endpoint out[RESOLVCONF_SERVERS]);

#endif
