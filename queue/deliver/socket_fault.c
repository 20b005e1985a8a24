/* queue/deliver/socket_fault.c: plumbing. */
#include "queue/deliver/socket_fault.h"

#include <stddef.h>
#include <uv.h>

enum fault socket_fault(int uv_error)
{
	static const struct {
		int error;
		enum fault fault;
	} rows[] = {
		{UV_ECONNREFUSED, FAULT_REFUSED},
		{UV_ENETUNREACH, FAULT_UNREACHABLE},
		{UV_EHOSTUNREACH, FAULT_UNREACHABLE},
		{UV_ENETDOWN, FAULT_UNREACHABLE},
		{UV_EPROTO, FAULT_UNREACHABLE}, /* ICMPv6 parameter problem, ICMP protocol unreachable */
		{UV_ENOPROTOOPT, FAULT_UNREACHABLE},
		{UV_EADDRNOTAVAIL, FAULT_UNREACHABLE}, /* no address of our own in that family */
		{UV_EAFNOSUPPORT, FAULT_UNREACHABLE},
		{UV_EINVAL, FAULT_UNREACHABLE}, /* a blackhole route */
		{UV_EACCES, FAULT_UNREACHABLE}, /* a prohibit route */
		{UV_ETIMEDOUT, FAULT_CONNECT_TIMEOUT},
		{UV_ECONNRESET, FAULT_RESET},
		{UV_ECONNABORTED, FAULT_RESET},
		{UV_EPIPE, FAULT_RESET},
		{UV_EOF, FAULT_CLOSED},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].error == uv_error)
			return rows[i].fault;
	return FAULT_LOCAL;
}
