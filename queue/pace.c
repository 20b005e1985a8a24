/* queue/pace.c: state. */
#include "queue/pace.h"

enum {
	TOGETHER_MS = 5000, /* 421s that come together are one */
	CALM_FIRST_MS = 60000,
	CALM_MOST_MS = 1800000,
};

unsigned pace_window(const struct site *s)
{
	return s->window / PACE_ONE;
}

void pace_success(struct site *s, uint64_t most, uint64_t now)
{
	if (now < s->calm_until)
		return;
	s->window += s->window < PACE_ONE * PACE_ONE ? PACE_ONE * PACE_ONE / s->window : 1;
	if (s->window < most * PACE_ONE)
		return;
	s->window = (unsigned)most * PACE_ONE;
	s->calm_span = 0;
}

static void limit(struct site *s, unsigned window)
{
	if (s->window > window)
		s->window = window;
	if (s->window < PACE_ONE)
		s->window = PACE_ONE;
}

void pace_load(struct site *s, unsigned connections, uint64_t now)
{
	if (s->calm_span != 0 && now + s->calm_span < s->calm_until + TOGETHER_MS)
		return;
	limit(s, connections * PACE_ONE / 2);
	s->calm_span = s->calm_span == 0 ? CALM_FIRST_MS : s->calm_span * 2;
	if (s->calm_span > CALM_MOST_MS)
		s->calm_span = CALM_MOST_MS;
	s->calm_until = now + s->calm_span;
}

bool pace_surplus(const struct site *s, uint64_t now)
{
	return now < s->calm_until && s->links > pace_window(s);
}

void pace_hold(struct site *s)
{
	limit(s, s->links * PACE_ONE);
}

uint64_t pace_probe(struct site *s, uint64_t now)
{
	if (now < s->calm_until)
		return s->calm_until;
	if (s->window < (s->links + 1) * PACE_ONE)
		s->window = (s->links + 1) * PACE_ONE;
	return 0;
}

void pace_restart(struct site *s)
{
	s->window = PACE_FIRST;
}
