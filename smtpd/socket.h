/* smtpd/socket.h: listening sockets, and what is said about one that cannot be opened. Plumbing. */
#ifndef SMTPD_SOCKET_H
#define SMTPD_SOCKET_H

#include <stdbool.h>

#include "conf/buf.h"
#include "conf/ip.h"

/* Opens a socket that listens at `at`, beside others of ours there (SO_REUSEPORT). `alone`: somebody else there is an
 * error, which SO_REUSEPORT would hide. The descriptor, or a negative code. */
int socket_listen(const struct endpoint *at, bool alone);
/* Appends "listen ADDRESS:PORT: what is wrong: what to do" and '\n'. */
void socket_explain(const struct endpoint *at, int err, struct buf *errors);

#endif
