/* tests/unit/inspect_fake.h: a queue for tests of the control socket: every function of queue/control/inspect.h over
 * made-up messages.
 *
 * Message i of 1..messages has the ID FAKE_ID(i), two recipients (one, if i is odd) and the content fake_byte(0..size).
 * What comes "later" comes by letter on `loop`, or, while `hold_back` is set, never. */
#ifndef TESTS_UNIT_INSPECT_FAKE_H
#define TESTS_UNIT_INSPECT_FAKE_H

#include "conf/ioloop.h"
#include "queue/control/inspect.h"

#define FAKE_ID(i) ((uint64_t)(i) << 40)

struct queue {
	struct conf *conf;
	struct ioloop *loop;
	unsigned messages;
	unsigned rcpts;		/* of each message; 0: one or two */
	uint64_t size;		/* of each content */
	unsigned removed, held; /* messages of which that is so: bit i is message i, for i < 32 */
	bool hold_back;
	bool two_bytes; /* the content is one x, then characters of two bytes */
	int history_status, content_err, trace_err;
	const char *peer_words; /* reasons and replies */
	char who[64];		/* of the last action */
	char reason[64];
	char to[64];
	struct suspension_view suspended; /* one at the most; pattern NULL: none */
	char suspended_text[3][64];
	struct pin_view pinned; /* one at the most; site NULL: none */
	char pinned_site[64];
	unsigned behind; /* so many times the disk is behind */
	/* counted */
	unsigned lists, acts, contents_open, traces_open, traces_cancelled, histories_open;
};

/* Reads a configuration with this control socket. */
void fake_init(struct queue *q, struct ioloop *loop, const char *path);
void fake_fini(struct queue *q);
char fake_byte(uint64_t at);

#endif
