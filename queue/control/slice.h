/* queue/control/slice.h: how much of an answer is made at a time, and what a slice may come to. State: types alone. */
#ifndef QUEUE_CONTROL_SLICE_H
#define QUEUE_CONTROL_SLICE_H

enum {
	ANSWER_LOOKED = 500, /* messages that one slice of a list looks at, at the most */
	ANSWER_COST = 150,   /* messages and recipients that one slice writes, about */
	ANSWER_ACTS = 50,    /* messages that one slice acts on */
	ANSWER_SORTED = 300, /* messages whose reasons one slice sorts */
	ANSWER_SETTINGS = 50,
};

enum answer_state {
	ANSWER_MORE,  /* call answer_step() again, soon */
	ANSWER_WAIT,  /* call it after the next `wake` */
	ANSWER_LATER, /* call it again after some milliseconds: the disk is behind */
	ANSWER_DONE,  /* its last line is written */
	ANSWER_BROKEN /* a line did not fit or memory is short: the client cannot be given a whole answer */
};

#endif
