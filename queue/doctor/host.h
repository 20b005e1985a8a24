/* queue/doctor/host.h: this host's addresses and default routes, from the kernel (rtnetlink). Plumbing. */
#ifndef QUEUE_DOCTOR_HOST_H
#define QUEUE_DOCTOR_HOST_H

#include "queue/doctor/facts.h"

/* Fills in addresses, routes and `host_err`. f->addresses has room for FACT_ADDRESSES. */
void host_read(struct facts *f);
/* Takes the messages of one datagram of a dump: 1: more follow, 0: it is over, else a negative code. Pure but for the
 * names of interfaces; for tests. */
int host_take(struct facts *f, const void *datagram, size_t n);
/* The address that the kernel would choose for the family of `out`, into its `ip`, or `err`: that of a UDP socket
 * connected to a root name server; nothing is sent. */
void host_choose(struct fact_source *out);

#endif
