/* queue/age.c: state. */
#include "queue/age.h"

#include "queue/retry.h"

uint64_t age_begin(const struct queue *q, const struct message *m)
{
	uint64_t release = message_release_ms(m);
	uint64_t at = release != 0 ? core_steady(q, release) : 0;
	return at > m->arrival ? at : m->arrival;
}

static uint64_t end_of(const struct queue *q, const struct delivery *d)
{
	return age_begin(q, d->message) + retry_of(q, d).give_up;
}

uint64_t age_end_ms(const struct queue *q, const struct delivery *d)
{
	const struct message *m = d->message;
	uint64_t end = core_wall(q, end_of(q, d)), by = message_by_ms(m);
	return by != 0 && (m->flags & ENVELOPE_BY_RETURN) && by < end ? by : end;
}

bool age_expired(const struct queue *q, const struct delivery *d)
{
	uint64_t now = core_now(q);
	return now >= q->no_expiry_until && now >= end_of(q, d);
}

bool age_warns(const struct queue *q, const struct delivery *d)
{
	uint64_t now = core_now(q), warn = retry_of(q, d).warn;
	return warn != 0 && now >= q->no_expiry_until && now >= age_begin(q, d->message) + warn;
}

bool age_late(const struct queue *q, const struct message *m)
{
	uint64_t by = message_by_ms(m);
	return by != 0 && core_now(q) >= q->no_expiry_until && core_wall(q, core_now(q)) >= by;
}

bool age_held_back(const struct queue *q, const struct message *m)
{
	uint64_t release = message_release_ms(m);
	return release != 0 && core_wall(q, core_now(q)) < release;
}
