/* queue/control/making.c: state. */
#include "queue/control/making.h"

void answer_note(struct answer *a, int err)
{
	if (a->err == 0)
		a->err = err;
}

enum answer_state answer_finish(struct answer *a, uint64_t next)
{
	enum queue_action action;
	const struct control_end end = {.now_ms = a->now_ms,
		.count = a->count,
		.next = next,
		.summary = a->summary,
		.acted = control_request_acts(&a->request, &action),
		.refused = a->refused,
		.dry_run = a->request.dry_run};
	answer_note(a, control_put_end(a->out, &end));
	return ANSWER_DONE;
}

enum answer_state answer_fail(struct answer *a, enum control_error e, const char *text)
{
	answer_note(a, control_put_error(a->out, e, text));
	return ANSWER_DONE;
}
