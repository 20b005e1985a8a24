/* tests/unit/control_fixture.h: the control socket on a real loop over a made-up queue, and its clients. The test turns
 * the loop itself. */
#ifndef TESTS_UNIT_CONTROL_FIXTURE_H
#define TESTS_UNIT_CONTROL_FIXTURE_H

#include <jansson.h>
#include <stdbool.h>

#include "queue/control/control.h"
#include "tests/unit/inspect_fake.h"

/* More turns of the loop than any answer takes. */
enum { TURNS = 200000 };

extern struct ioloop loop;
extern struct queue queue;
extern struct control *control;
extern char folder[]; /* of the program */
extern char path[64]; /* of the socket, there */

/* Once in a program: the folder of the socket. 0 or -errno. */
int control_begin(void);
void control_end(void);
/* Around each test: loop, queue and socket. Whatever a test left open is closed without a leak (LSan sees to the rest).
 */
int start(void **state);
int stop(void **state);
void turn(void);

/* ---- a client ---- */

struct peer {
	int fd;
	struct buf in;
};

void peer_open(struct peer *p);
void peer_close(struct peer *p);
void say(struct peer *p, const char *text);
/* Reads what there is; false at the end of the stream. */
bool take(struct peer *p);
/* The next line as JSON; NULL if the other side closed first. */
json_t *hear(struct peer *p);
const char *text_at(const json_t *line, const char *name);
json_int_t number_at(const json_t *line, const char *name);
/* Reads one answer whole: how many lines of `type` came; the last line goes to `*end`. */
unsigned answer(struct peer *p, const char *type, json_t **end);

#endif
