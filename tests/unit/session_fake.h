/* tests/unit/session_fake.h: listeners and sessions on a real loop and loopback, over a made-up store that does what a
 * test asks for: takes its time, pushes back, fails. The loop is run by the test's thread, beside its clients. */
#ifndef TESTS_UNIT_SESSION_FAKE_H
#define TESTS_UNIT_SESSION_FAKE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "queue/submission.h"
#include "smtpd/listener.h"

#define EHLO "EHLO c.example\r\n"
#define M "MAIL FROM:<a@b.example>\r\n"
#define R "RCPT TO:<c@d.example>\r\n"
#define GO "354 "
#define QUEUED "250 2.0.0 Ok: queued as "

/* Longer than any step takes. */
enum { PATIENCE_MS = 20000 };

/* ---- the store ---- */

struct store {
	enum store_room room;
	bool push_back; /* every append is answered by 1, and released later */
	bool hold_drained, hold_finish, hold_commit;
	int append_err, finish_err, commit_err;
	unsigned writers; /* alive */
	unsigned stored, discarded;
	struct body_writer *drained, *finish;
	struct commit *commit;
	struct buf content; /* of the last message stored */
	struct envelope *envelope;
};

/* What the store held back goes on. */
void release_drained(struct store *s);
void release_finish(struct store *s);
void release_commit(struct store *s);

/* ---- the world of one test ---- */

struct world {
	struct store store;
	struct submission_desk desk;
	struct ioloop loop;
	struct conf *conf;
	struct smtpd *smtpd;
	uint16_t port;
	_Atomic uint64_t ceiling;
	bool done;
	size_t bodies; /* body_memory_used() before */
};

struct sockaddr_in at_port(uint16_t port);
uint16_t free_port(void);
/* Listens at `port`; `more`: further lines. */
struct conf *make_conf(uint16_t port, const char *more);
/* One listener, as make_conf() has it, at a free port. */
void setup(struct world *w, const char *more);
/* Stops it if the test did not; whatever is left behind is a failure. */
void teardown(struct world *w);

/* Lets the loop wait for events at most a little while. */
void turn(struct world *w);
void until(struct world *w, bool (*holds)(struct world *w));
/* For until(). */
bool is_done(struct world *w);
bool nobody_left(struct world *w);
bool content_waits(struct world *w);
bool finish_waits(struct world *w);
bool commit_waits(struct world *w);
bool writer_exists(struct world *w);
/* Sets `done` of the world that is its argument. */
void on_done(void *arg);

/* ---- its clients ---- */

int dial(uint16_t port);
/* Runs the loop until what came from the server since the last call ends the way `text` asks: contains it. NULL: until
 * it closes. */
void expect(struct world *w, int fd, const char *text);
/* Sends all, running the loop meanwhile. */
void tell(struct world *w, int fd, const void *p, size_t len);
void tell_text(struct world *w, int fd, const char *text);
/* A client to whom 354 was said. */
int dial_to_data(struct world *w);

#endif
