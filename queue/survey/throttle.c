/* queue/survey/throttle.c: state. */
#include "queue/survey/throttle.h"

enum { ONE = 1000, SAVED_MS = 50 };

void throttle_init(struct throttle *t, uint64_t rate, uint64_t now_ms)
{
	*t = (struct throttle){.rate = rate, .saved = ONE, .since_ms = now_ms};
}

bool throttle_take(struct throttle *t, uint64_t now_ms)
{
	uint64_t most = ONE + t->rate * SAVED_MS;
	uint64_t passed = now_ms > t->since_ms ? now_ms - t->since_ms : 0;
	/* after so long the bucket is full in any case */
	t->saved += (passed < ONE ? passed : ONE) * t->rate;
	t->saved = t->saved < most ? t->saved : most;
	t->since_ms = now_ms;
	if (t->saved < ONE)
		return false;
	t->saved -= ONE;
	return true;
}
