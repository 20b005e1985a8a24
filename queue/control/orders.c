/* queue/control/orders.c: answers to what changes messages (by their IDs, or all that meet conditions, in slices) and
 * sites. State; see queue/control/making.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/control/making.h"

enum { BROKEN_SHOWN = 50 };

static struct queue_order order_of(const struct answer *a, enum queue_action action)
{
	const struct control_request *r = &a->request;
	return (struct queue_order){
		.action = action, .reason = r->because, .to = r->to, .who = a->who, .dry_run = r->dry_run};
}

static void count(struct answer *a, int err)
{
	if (err >= 0)
		a->count++;
	else
		a->refused++;
}

static enum answer_state act_on_ids(struct answer *a, const struct queue_order *o)
{
	const struct control_request *r = &a->request;
	size_t n = json_array_size(r->ids);
	for (unsigned left = ANSWER_ACTS; left != 0 && a->from < n && a->err == 0; left--, a->from++) {
		if (queue_is_behind(a->queue))
			return ANSWER_LATER;
		const char *given = json_string_value(json_array_get(r->ids, a->from));
		uint64_t id = 0;
		int err = queue_find(a->queue, given, &id);
		if (err >= 0)
			err = queue_act(a->queue, o, id);
		count(a, err);
		answer_note(a, control_put_done(a->out, given, id, err));
	}
	return a->from < n ? ANSWER_MORE : answer_finish(a, 0);
}

/* What one slice acts on. It is found first: acting changes what is being looked at. */
struct found {
	uint64_t ids[ANSWER_ACTS];
	unsigned count;
};

static bool take(void *arg, const struct message_view *m)
{
	struct found *f = arg;
	f->ids[f->count++] = m->id;
	return f->count < ANSWER_ACTS;
}

static enum answer_state act_on_all(struct answer *a, const struct queue_order *o)
{
	struct control_request *r = &a->request;
	struct found found = {.count = 0};
	/* What comes later is not meant, and there might be no end of it. IDs say what that is; the clock does not, as
	 * it may have been wrong when they were given, or set since. */
	if (a->until == 0 && (a->until = queue_newest(a->queue)) == 0)
		return answer_finish(a, 0);
	if (queue_is_behind(a->queue))
		return ANSWER_LATER;
	r->after = queue_list(a->queue, &r->filter, r->after, ANSWER_LOOKED, take, &found);
	for (unsigned i = 0; i < found.count && a->err == 0; i++) {
		if (found.ids[i] > a->until)
			return answer_finish(a, 0);
		if (i > 0 && queue_is_behind(a->queue)) {
			r->after = found.ids[i - 1];
			return ANSWER_LATER;
		}
		int err = queue_act(a->queue, o, found.ids[i]);
		count(a, err);
		answer_note(a, control_put_done(a->out, "", found.ids[i], err));
	}
	return r->after != 0 ? ANSWER_MORE : answer_finish(a, 0);
}

enum answer_state answer_orders(struct answer *a)
{
	enum queue_action action;
	control_request_acts(&a->request, &action);
	const struct queue_order o = order_of(a, action);
	return a->request.ids != NULL ? act_on_ids(a, &o) : act_on_all(a, &o);
}

/* ---- sites ---- */

enum answer_state answer_suspend(struct answer *a)
{
	const struct control_request *r = &a->request;
	int err = queue_suspend(a->queue, r->filter.site, r->for_ms, r->because, a->who);
	if (err != 0)
		return answer_fail(a, control_error_of(err),
			err == -EINVAL	 ? "too long: a site has at most 255 bytes, a reason 300"
			: err == -ENOSPC ? "1000 sites are suspended already; suspend them by a pattern"
					 : strerror(-err));
	a->count = 1;
	return answer_finish(a, 0);
}

enum answer_state answer_resume(struct answer *a)
{
	a->count = queue_resume(a->queue, a->request.filter.site, a->who);
	if (a->count == 0)
		return answer_fail(a, CONTROL_ERROR_NOT_FOUND,
			"no suspension has this name; relayq summary shows what is suspended");
	return answer_finish(a, 0);
}

enum answer_state answer_pin(struct answer *a)
{
	const struct control_request *r = &a->request;
	int err = queue_pin(a->queue, r->filter.site, r->family, r->for_ms, a->who);
	if (err != 0)
		return answer_fail(a, control_error_of(err),
			err == -EINVAL	 ? "too long: a site has at most 253 bytes"
			: err == -ENOSPC ? "1000 sites are pinned already; relayq pin lists them"
					 : strerror(-err));
	a->count = 1;
	return answer_finish(a, 0);
}

enum answer_state answer_unpin(struct answer *a)
{
	if (queue_unpin(a->queue, a->request.filter.site, a->who) != 0)
		return answer_fail(
			a, CONTROL_ERROR_NOT_FOUND, "this site is not pinned; relayq pin lists those that are");
	a->count = 1;
	return answer_finish(a, 0);
}

static void see_pin(void *arg, const struct pin_view *p)
{
	struct answer *a = arg;
	answer_note(a, control_put_pin(a->out, p));
	a->count++;
}

static void see_broken(void *arg, const struct broken_view *b)
{
	struct answer *a = arg;
	answer_note(a, control_put_broken(a->out, b));
	a->count++;
}

enum answer_state answer_families(struct answer *a)
{
	struct tally_sum *sum = malloc(sizeof *sum);
	if (sum == NULL)
		return answer_fail(a, control_error_of(-ENOMEM), strerror(ENOMEM));
	for (unsigned over = 0; over < 2; over++) {
		queue_tally(a->queue, (enum tally_over)over, sum);
		for (unsigned f = 0; f < TALLY_FAMILIES; f++)
			answer_note(a, control_put_families(
					       a->out, (enum tally_over)over, (enum tally_family)f, &sum->family[f]));
	}
	free(sum);
	unsigned most = a->request.limit ? (unsigned)a->request.limit : BROKEN_SHOWN;
	unsigned all = queue_broken(a->queue, most, see_broken, a);
	if (all > a->count)
		answer_note(a, control_put_more_broken(a->out, all - a->count));
	return answer_finish(a, 0);
}

enum answer_state answer_pins(struct answer *a)
{
	queue_pins(a->queue, see_pin, a);
	return answer_finish(a, 0);
}
