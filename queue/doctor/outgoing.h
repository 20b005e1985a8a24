/* queue/doctor/outgoing.h: the addresses that mail leaves from, by the configuration: those of `source`, or the
 * kernel's choice, and those of pools (conf/sources.h). Protocol: pure. */
#ifndef QUEUE_DOCTOR_OUTGOING_H
#define QUEUE_DOCTOR_OUTGOING_H

#include "queue/doctor/facts.h"

/* Lists them in f->sources, each address of a pool once. FAMILY_NONE is left where the kernel chooses, for who asks it
 * to fill in. */
void outgoing_list(struct facts *f);
/* May mail with a reverse-path of this domain (lower case) leave from f->sources[i]? */
bool outgoing_may(const struct facts *f, size_t i, const char *domain);
/* The first one of a family that mail leaves from, or NULL. */
const struct fact_source *outgoing_first(const struct facts *f, enum family family);
/* What EHLO says from it. */
const char *outgoing_helo(const struct facts *f, const struct fact_source *s);

#endif
