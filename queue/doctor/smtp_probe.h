/* queue/doctor/smtp_probe.h: connects to an SMTP server, waits for its greeting, says QUIT. Plumbing. */
#ifndef QUEUE_DOCTOR_SMTP_PROBE_H
#define QUEUE_DOCTOR_SMTP_PROBE_H

#include <uv.h>

#include "queue/doctor/facts.h"

struct smtp_probe {
	struct fact_path *path;
	void (*done)(void *arg);
	void *arg;
	bool open, over, leaving;
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	uint64_t started;
	char in[4096]; /* what a greeting may have in all its lines */
	size_t in_len;
};

/* Fills in `path`, whose `at`, `family` and `proxied` are set, from `source` (FAMILY_NONE: the kernel chooses). `done`
 * is called once, from the loop; never after smtp_probe_close(). A start that fails is in `path` at once, without a
 * call: returns its code. */
int smtp_probe_start(struct smtp_probe *p, uv_loop_t *loop, struct fact_path *path, const struct ip *source,
	void (*done)(void *arg), void *arg);
/* Closes what is open; the memory must stay until the loop has run on. */
void smtp_probe_close(struct smtp_probe *p);

/* The greeting in `bytes`: 1: whole, its last line is in `out`; 0: not yet; -EPROTO: this is none (RFC 5321 §4.2).
 * Pure; for tests. */
int smtp_probe_read(const char *bytes, size_t n, char out[FACT_TEXT]);

#endif
