/* queue/deliver/socket_fault.h: what the operating system's error on a socket says of the path. Plumbing. */
#ifndef QUEUE_DELIVER_SOCKET_FAULT_H
#define QUEUE_DELIVER_SOCKET_FAULT_H

#include "queue/mail/attempt.h"

/* `uv_error` is libuv's negative code. */
enum fault socket_fault(int uv_error);

#endif
