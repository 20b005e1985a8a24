/* queue/doctor/inquiry.h: asks the daemon for its version and its settings, without waiting for it. Plumbing. */
#ifndef QUEUE_DOCTOR_INQUIRY_H
#define QUEUE_DOCTOR_INQUIRY_H

#include <uv.h>

#include "conf/buf.h"
#include "queue/doctor/facts.h"

struct inquiry {
	struct fact_daemon *out;
	void (*done)(void *arg);
	void *arg;
	bool open, over, settings_whole;
	uv_pipe_t pipe;
	uv_connect_t connect;
	uv_write_t write;
	char request[64];
	unsigned step;
	struct buf in;
	/* the settings in the form of a configuration file (of routes their pools alone, no refusals), whole if
	 * `settings_whole` */
	struct buf settings;
	char block[64], title[320]; /* that is open in `settings` */
};

/* `out->socket` says where. `done` is called once, from the loop, with all that could be learnt in `out`; never after
 * inquiry_close(). A start that fails is in `out` at once, without a call: returns its code. */
int inquiry_start(struct inquiry *q, uv_loop_t *loop, struct fact_daemon *out, void (*done)(void *arg), void *arg);
/* Closes what is open; the memory must stay until the loop has run on. */
void inquiry_close(struct inquiry *q);
void inquiry_fini(struct inquiry *q);

/* Takes one line of an answer: 1: more follow; 0: that answer is over; -EPROTO: it is none, and out->problem says more
 * if the daemon does. Pure; for tests. */
int inquiry_take(struct inquiry *q, const char *line, size_t n);

#endif
