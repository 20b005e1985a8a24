/* queue/control/making.h: what the parts that make answers share. State; for queue/control alone: answer.c, orders.c,
 * follow.c. */
#ifndef QUEUE_CONTROL_MAKING_H
#define QUEUE_CONTROL_MAKING_H

#include "conf/mailbox.h"
#include "conf/settings.h"
#include "queue/control/causes.h"
#include "queue/control/json.h"
#include "queue/control/request.h"
#include "queue/control/slice.h"

enum { ANSWER_WHO = 64 };

struct history_wait;
struct follow;

struct answer {
	struct queue *queue;
	struct control_request request;
	char who[ANSWER_WHO];
	struct buf *out;
	struct mailbox *home; /* of the thread on which it is made */
	void (*wake)(void *arg);
	void *arg;
	uint64_t now_ms;  /* of the step that runs */
	uint64_t id;	  /* the message of show and cat */
	uint64_t count;	  /* of what was written or done */
	uint64_t refused; /* actions */
	unsigned phase;
	unsigned cost;	/* of the slice that runs */
	uint64_t until; /* actions on conditions: the highest ID when it began; 0: not yet looked */
	unsigned from;	/* show: the next recipient's place among the unfinished; actions: the next ID */
	int err;	/* the first failure to write a line */
	int result;	/* what came back from below: negative codes */
	bool arrived;	/* history, content, trace: something came */
	bool ended;
	char *summary;
	struct history_wait *history;
	struct queue_content *content;
	struct trace *trace;
	struct path_look *look;
	struct causes *causes;
	struct follow *follow;
	struct conf *conf; /* config */
	struct settings_cursor setting;
};

void answer_note(struct answer *a, int err);
/* The last line. */
enum answer_state answer_finish(struct answer *a, uint64_t next);
enum answer_state answer_fail(struct answer *a, enum control_error e, const char *text);

/* retry, hold, release, remove, bounce, redirect */
enum answer_state answer_orders(struct answer *a);
/* suspend, resume */
enum answer_state answer_suspend(struct answer *a);
enum answer_state answer_resume(struct answer *a);
/* pin, unpin, pins */
enum answer_state answer_pin(struct answer *a);
enum answer_state answer_unpin(struct answer *a);
enum answer_state answer_pins(struct answer *a);
/* path */
enum answer_state answer_path(struct answer *a);
/* families */
enum answer_state answer_families(struct answer *a);
/* tail */
enum answer_state answer_follow(struct answer *a);
void answer_follow_end(struct answer *a);

#endif
