/* queue/doctor/dns_probe.h: one question to one DNS server, by UDP or TCP, for how it answers and not for what.
 * Plumbing.
 *
 * The question is the SOA of the root, which is signed, with AD set (RFC 6840 §5.7): who validates sets it in the
 * answer. By UDP it is sent again every two seconds. */
#ifndef QUEUE_DOCTOR_DNS_PROBE_H
#define QUEUE_DOCTOR_DNS_PROBE_H

#include <uv.h>

#include "queue/doctor/facts.h"

enum { DNS_PROBE_QUERY = 17 };

struct dns_probe {
	struct fact_exchange *out;
	void (*done)(void *arg);
	void *arg;
	bool open, timed;
	union {
		uv_udp_t udp;
		uv_tcp_t tcp;
		uv_handle_t handle;
	} socket;
	uv_timer_t again;
	uv_connect_t connect;
	uv_write_t write;
	uv_udp_send_t send;
	bool sending;
	uint64_t started;
	uint8_t query[2 + DNS_PROBE_QUERY]; /* by TCP with its length before it (RFC 1035 §4.2.2) */
	uint8_t in[1500];
	size_t in_len;
};

/* `done` is called once, from the loop, when `out` is filled in; never after dns_probe_close(). A start that fails is
 * in `out` at once, without a call: returns its code. */
int dns_probe_start(struct dns_probe *p, uv_loop_t *loop, const struct endpoint *at, bool tcp,
	struct fact_exchange *out, void (*done)(void *arg), void *arg);
/* Closes what is open; the memory must stay until the loop has run on. */
void dns_probe_close(struct dns_probe *p);

/* Is the packet an answer to the query? If so `out` has its rcode and AD. Pure; for tests. */
bool dns_probe_read(const uint8_t query[DNS_PROBE_QUERY], const uint8_t *packet, size_t n, struct fact_exchange *out);
void dns_probe_query(uint8_t out[DNS_PROBE_QUERY], uint16_t id);

#endif
