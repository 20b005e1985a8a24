/* tests/unit/dialer_fake.h: dials and connections on a real loop, against scripted servers on loopback; the content
 * reader of queue/spool/store.h is made up.
 *
 * The test's own thread plays the queue thread. Times are shortened through the configuration; what is asserted is who
 * wins and how things end, not how long they take. */
#ifndef TESTS_UNIT_DIALER_FAKE_H
#define TESTS_UNIT_DIALER_FAKE_H

#include <semaphore.h>
#include <stdbool.h>

#include "conf/conf.h"
#include "conf/mailbox.h"
#include "queue/deliver/dialer.h"
#include "tests/unit/smtp_script.h"

enum { V4 = FAMILY_IPV4, V6 = FAMILY_IPV6 };

extern struct conf conf;

/* Gives its text in pieces, each behind a letter. */
struct content_reader {
	const char *text;
	size_t left, piece;
	int end; /* what stands at its end: 2, or an error */
	struct mailbox *home;
	void (*ready)(void *arg);
	void *arg;
	struct letter letter;
	bool waiting, closed;
	bool held; /* the first piece does not come until stored_release() */
};
extern struct content_reader stored; /* what is opened in segment 7 */
void stored_release(void);

struct stage {
	struct ioloop loop;
	struct mailbox mailbox;
	sem_t posted;
	struct smtp_script *v4, *v6;
	struct lane lane;
	bool dialled;
	unsigned closed, done;
	char order[100]; /* what came home: t for a transaction, c for closed */
};

/* Around each test: `*state` is a struct stage. */
int set_up(void **state);
int tear_down(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* From now on the loop takes nothing new, and after `ms` nothing more. */
void start_drain(struct stage *s, uint64_t ms);
/* Opens letters until the flag or count is there. */
void wait_bool(struct stage *s, const bool *flag);
void wait_for(struct stage *s, unsigned done, unsigned closed);
void on_done(struct transaction *t);

struct dial *new_dial(struct stage *s);
void add(struct dial *d, const struct smtp_script *script);
struct connection *run_dial(struct stage *s, struct dial *d);

#define HELLO "S 220 mx\nC EHLO\nS 250-mx\nS 250-SIZE 100000000\nS 250 PIPELINING\n"
struct smtp_script *server(uint8_t family, const char *script);
/* A connection to one IPv4 server that is ready for MAIL. */
struct connection *connected(struct stage *s, const char *script);
void assert_by_script(const struct stage *s);

#endif
