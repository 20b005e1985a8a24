/* queue/control/act.c: what an operator does to messages and sites. State; the functions are declared in
 * queue/control/inspect.h. */
#include <errno.h>
#include <string.h>

#include "queue/control/inspect.h"
#include "queue/core.h"
#include "queue/index.h"
#include "queue/notifier.h"
#include "queue/path/keep.h"
#include "queue/schedule.h"
#include "queue/settle.h"
#include "queue/suspension.h"

enum { RECORDS_WAITING = 20000 };

static int hold(struct queue *q, struct message *m, const struct queue_order *o)
{
	settle_answers(q, m);
	index_hold(q, m, ENVELOPE_HELD, o->reason, false);
	return 0;
}

static int release(struct queue *q, struct message *m, const struct queue_order *o)
{
	(void)o;
	index_release(q, m, false);
	schedule_message(q, m);
	return 0;
}

static int retry(struct queue *q, struct message *m, const struct queue_order *o)
{
	(void)o;
	schedule_retry(q, m);
	return 0;
}

static int take_out(struct queue *q, struct message *m, const struct queue_order *o)
{
	settle_answers(q, m);
	return index_remove(q, m, o->reason);
}

static int give_back(struct queue *q, struct message *m, const struct queue_order *o)
{
	settle_return(q, m, o->reason);
	return 0;
}

static int redirect(struct queue *q, struct message *m, const struct queue_order *o)
{
	int err = index_redirect(q, m, o->to, false);
	if (err == 0)
		schedule_retry(q, m);
	return err;
}

static const struct deed {
	const char *event; /* of the log */
	int (*act)(struct queue *q, struct message *m, const struct queue_order *o);
	const char *reason; /* if none is given */
} deeds[] = {
	[QUEUE_RETRY] = {"retry", retry, ""},
	[QUEUE_HOLD] = {"hold", hold, "held by hand"},
	[QUEUE_RELEASE] = {"release", release, ""},
	[QUEUE_REMOVE] = {"remove", take_out, "removed by hand"},
	[QUEUE_BOUNCE] = {"return", give_back, "it could not be delivered"},
	[QUEUE_REDIRECT] = {"redirect", redirect, ""},
};

/* What the order would come to. */
static int judge(const struct message *m, const struct queue_order *o)
{
	bool held = m->flags & ENVELOPE_HELD, stopped = m->flags & (ENVELOPE_HELD | ENVELOPE_DAMAGED);
	bool so_already = (o->action == QUEUE_HOLD && held) || (o->action == QUEUE_RELEASE && !stopped) ||
			  (o->action == QUEUE_REDIRECT && strcmp(o->to, message_redirect(m)) == 0);
	if (so_already)
		return -EALREADY;
	if (o->action == QUEUE_RETRY && stopped)
		return -EBUSY;
	return o->action == QUEUE_RELEASE && (m->flags & ENVELOPE_REMAINS) ? -EBADMSG : 0;
}

int queue_act(struct queue *q, const struct queue_order *given, uint64_t id)
{
	const struct deed *deed = &deeds[given->action];
	struct queue_order o = *given;
	struct message *m = index_get(q, id);
	if (m == NULL || m->removing || (m->flags & ENVELOPE_RETURNING) || m->open == 0)
		return -ENOENT;
	int err = judge(m, &o);
	if (err != 0 || o.dry_run)
		return err;
	if (q->ended)
		return -ECANCELED;
	bool in_transfer = given->action != QUEUE_RETRY && given->action != QUEUE_RELEASE && index_in_transfer(m);
	if (o.reason == NULL || *o.reason == '\0')
		o.reason = deed->reason;
	LOG_INFO(deed->event, LF_ID("id", id), LF_ADDRESS("from", m->sender), LF_NUM("recipients", m->open),
		LF_STR("by", o.who),
		LF_STR("relay", o.action != QUEUE_REDIRECT ? NULL
				: *o.to			   ? o.to
							   : "its routes"),
		LF_STR("reason", *o.reason ? o.reason : NULL));
	err = deed->act(q, m, &o);
	return err != 0 ? err : in_transfer;
}

bool queue_is_behind(const struct queue *q)
{
	return q->writing > RECORDS_WAITING || notifier_busy(q);
}

int queue_suspend(struct queue *q, const char *pattern, uint64_t for_ms, const char *reason, const char *who)
{
	return suspension_add(q, pattern, for_ms, reason, who);
}

unsigned queue_resume(struct queue *q, const char *pattern, const char *who)
{
	return suspension_end(q, pattern, who);
}

void queue_pins(const struct queue *q, void (*each)(void *arg, const struct pin_view *p), void *arg)
{
	const struct site_memory *s = NULL;
	while ((s = memory_next_site(q->memory, s)) != NULL) {
		const struct pin_view p = {s->name, s->pinned_by, s->pinned, s->pinned_until};
		if (s->pinned != FAMILY_NONE)
			each(arg, &p);
	}
}

/* What mail there is at the site takes the pin up with its next connection. */
int queue_pin(struct queue *q, const char *site, enum family family, uint64_t for_ms, const char *who)
{
	int err = memory_pin(q->memory, site, family, for_ms, who, core_wall(q, core_now(q)));
	if (err != 0)
		return err;
	LOG_INFO("pin", LF_STR("site", site), LF_FAMILY("family", family), LF_STR("by", who));
	keep_pins(q);
	return 0;
}

int queue_unpin(struct queue *q, const char *site, const char *who)
{
	int err = memory_unpin(q->memory, site);
	if (err != 0)
		return err;
	LOG_INFO("unpin", LF_STR("site", site), LF_STR("by", who));
	keep_pins(q);
	return 0;
}
