/* queue/control/answer.c: state. */
#include "queue/control/answer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/settings.h"
#include "queue/control/making.h"

enum { SITES_DEFAULT = 100, REASONS_DEFAULT = 20 };

/* Reading the history cannot be cancelled: this outlives the answer if it must. */
struct history_wait {
	struct answer *answer; /* NULL: gone */
};

static enum answer_state fail_id(struct answer *a, int err)
{
	char text[CONTROL_STRING_MAX + 96];
	const char *why = err == -ENOENT   ? "no message in the queue has an ID that begins with"
			  : err == -EEXIST ? "more than one message has an ID that begins with"
			  : err == -EINVAL ? "not a queue ID:"
					   : strerror(-err);
	snprintf(text, sizeof text, "%s %.64s", why, a->request.id);
	return answer_fail(a, control_error_of(err), text);
}

/* ---- list ---- */

static bool list_each(void *arg, const struct message_view *m)
{
	struct answer *a = arg;
	answer_note(a, control_put_message(a->out, m, true));
	a->count++;
	a->cost += 1 + (m->rcpt_count < CONTROL_RCPTS_LISTED ? m->rcpt_count : CONTROL_RCPTS_LISTED);
	return a->err == 0 && a->cost < ANSWER_COST && a->count != a->request.limit;
}

static enum answer_state step_list(struct answer *a)
{
	struct control_request *r = &a->request;
	a->cost = 0;
	r->after = queue_list(a->queue, &r->filter, r->after, ANSWER_LOOKED, list_each, a);
	if (r->after == 0 || (r->limit != 0 && a->count >= r->limit))
		return answer_finish(a, r->after);
	return ANSWER_MORE;
}

/* ---- show ---- */

static void see_message(void *arg, const struct message_view *m)
{
	struct answer *a = arg;
	answer_note(a, control_put_message(a->out, m, false));
}

static void see_rcpts(void *arg, const struct message_view *m)
{
	struct answer *a = arg;
	unsigned until = m->rcpt_count - a->from > ANSWER_COST ? a->from + ANSWER_COST : m->rcpt_count;
	if (a->from >= m->rcpt_count)
		until = a->from;
	for (; a->from < until; a->from++)
		answer_note(a, control_put_rcpt(a->out, &m->rcpts[a->from]));
	a->ended = a->from >= m->rcpt_count;
}

static void see_history(void *arg, const struct queue_history *h)
{
	struct history_wait *wait = arg;
	struct answer *a = wait->answer;
	free(wait);
	if (a == NULL)
		return;
	a->history = NULL;
	a->result = h->status;
	for (unsigned i = 0; i < h->count; i++)
		answer_note(a, control_put_attempt(a->out, h->attempts[i], h->envelope));
	a->count = h->count;
	a->arrived = true;
	a->wake(a->arg);
}

static enum answer_state ask_history(struct answer *a)
{
	struct history_wait *wait = malloc(sizeof *wait);
	if (wait == NULL)
		return ANSWER_BROKEN;
	wait->answer = a;
	a->history = wait;
	int err = queue_read_history(a->queue, a->id, see_history, wait);
	if (err < 0) {
		a->history = NULL;
		free(wait);
		a->result = err;
		a->arrived = true;
	}
	return a->arrived ? ANSWER_MORE : ANSWER_WAIT;
}

static enum answer_state step_show(struct answer *a)
{
	int err;
	switch (a->phase) {
	case 0:
		err = queue_find(a->queue, a->request.id, &a->id);
		if (err == 0)
			err = queue_view(a->queue, a->id, see_message, a);
		if (err != 0)
			return fail_id(a, err);
		a->phase = 1;
		return ANSWER_MORE;
	case 1:
		/* it may be finished meanwhile */
		if (queue_view(a->queue, a->id, see_rcpts, a) != 0)
			a->ended = true;
		if (a->ended)
			a->phase = 2;
		return ANSWER_MORE;
	case 2:
		a->phase = 3;
		return ask_history(a);
	default:
		if (!a->arrived)
			return ANSWER_WAIT;
		if (a->result < 0 && a->result != -ENOENT) {
			char text[128];
			snprintf(text, sizeof text, "not all attempts could be read from the journal: %s",
				strerror(-a->result));
			return answer_fail(a, CONTROL_ERROR_FAILED, text);
		}
		return answer_finish(a, 0);
	}
}

/* ---- cat ---- */

static void see_piece(void *arg, int err, const uint8_t *p, size_t n)
{
	struct answer *a = arg;
	for (size_t at = 0; at < n; at += CONTROL_PIECE)
		answer_note(a, control_put_content(a->out, p + at, n - at < CONTROL_PIECE ? n - at : CONTROL_PIECE));
	a->count += n;
	a->result = err;
	a->ended = err < 0 || n == 0;
	a->arrived = true;
	a->wake(a->arg);
}

static enum answer_state step_cat(struct answer *a)
{
	if (a->phase == 0) {
		int err = queue_find(a->queue, a->request.id, &a->id);
		if (err == 0)
			err = queue_read_content(a->queue, a->id, &a->content, see_piece, a);
		if (err != 0)
			return fail_id(a, err);
		a->phase = 1;
	} else if (a->arrived && !a->ended) {
		a->arrived = false;
		queue_content_next(a->content);
	}
	if (!a->ended)
		return a->arrived ? ANSWER_MORE : ANSWER_WAIT;
	queue_content_close(a->content);
	a->content = NULL;
	if (a->result == 0)
		return answer_finish(a, 0);
	char text[128];
	snprintf(text, sizeof text, "the content cannot be read: %s", strerror(-a->result));
	return answer_fail(a, CONTROL_ERROR_FAILED, text);
}

/* ---- summary ---- */

static void see_site(void *arg, const struct site_view *s)
{
	struct answer *a = arg;
	answer_note(a, control_put_site(a->out, s, false));
	a->count++;
}

static void see_suspension(void *arg, const struct suspension_view *s)
{
	struct answer *a = arg;
	answer_note(a, control_put_suspension(a->out, s));
}

static enum answer_state step_summary(struct answer *a)
{
	uint64_t most = a->request.limit != 0 ? a->request.limit : SITES_DEFAULT;
	struct site_view total = {.name = "", .reason = ""};
	queue_summary(a->queue, most < CONTROL_SITES_MAX ? (unsigned)most : CONTROL_SITES_MAX, see_site, &total, a);
	answer_note(a, control_put_site(a->out, &total, true));
	queue_suspensions(a->queue, see_suspension, a);
	return answer_finish(a, 0);
}

/* ---- reasons ---- */

static bool sort_in(void *arg, const struct message_view *m)
{
	struct answer *a = arg;
	for (unsigned i = 0; i < m->rcpt_count; i++) {
		const struct rcpt_view *r = &m->rcpts[i];
		if (r->reason[0] != '\0' && queue_filter_meets(&a->request.filter, r))
			causes_add(a->causes, r->site, r->reason, m->id, m->arrival_ms);
	}
	a->cost += m->rcpt_count;
	return a->cost < ANSWER_LOOKED;
}

static enum answer_state step_reasons(struct answer *a)
{
	struct control_request *r = &a->request;
	if (a->causes == NULL && (a->causes = causes_new()) == NULL)
		return ANSWER_BROKEN;
	if (a->phase == 0) {
		a->cost = 0;
		causes_forget_texts(a->causes);
		r->after = queue_list(a->queue, &r->filter, r->after, ANSWER_SORTED, sort_in, a);
		if (r->after != 0)
			return ANSWER_MORE;
		causes_sort(a->causes);
		a->phase = 1;
		return ANSWER_MORE;
	}
	uint64_t most = r->limit != 0 ? r->limit : REASONS_DEFAULT;
	for (unsigned n = 0; n < ANSWER_COST; n++, a->count++) {
		const struct cause *c = a->count < most ? causes_at(a->causes, (unsigned)a->count) : NULL;
		if (c == NULL) {
			uint64_t others = causes_others(a->causes, (unsigned)a->count);
			if (others != 0)
				answer_note(a, control_put_others(a->out, others));
			return answer_finish(a, 0);
		}
		answer_note(a, control_put_reason(a->out, c));
	}
	return ANSWER_MORE;
}

/* ---- config ---- */

static enum answer_state no_setting(struct answer *a)
{
	struct buf text;
	const char *key = a->request.key, *dot = strchr(key, '.');
	char block[64];
	snprintf(block, sizeof block, "%.*s", dot ? (int)(dot - key) : 0, key);
	buf_init(&text, CONTROL_STRING_MAX * 4);
	buf_printf(&text, "no setting \"%.64s\": ", key);
	keys_suggest(block, dot ? dot + 1 : key, false, &text);
	enum answer_state state = answer_fail(a, CONTROL_ERROR_NOT_FOUND, (const char *)text.data);
	buf_fini(&text);
	return state;
}

static enum answer_state step_config(struct answer *a)
{
	struct setting s;
	if (a->conf == NULL)
		a->conf = conf_ref((struct conf *)(uintptr_t)queue_conf(a->queue));
	setting_init(&s);
	int more = 1;
	for (unsigned n = 0; n < ANSWER_SETTINGS && more == 1 && a->err == 0; n++) {
		more = settings_next(a->conf, &a->setting, &s);
		if (more != 1 || (a->request.key != NULL && !setting_is(&s, a->request.key)))
			continue;
		answer_note(a, control_put_setting(a->out, &s));
		a->count++;
	}
	setting_fini(&s);
	if (more == 1)
		return ANSWER_MORE;
	if (more < 0)
		return ANSWER_BROKEN;
	return a->count == 0 && a->request.key != NULL ? no_setting(a) : answer_finish(a, 0);
}

/* ---- trace ---- */

static void see_route(void *arg, const char *text)
{
	struct answer *a = arg;
	answer_note(a, control_put_route(a->out, text));
	a->wake(a->arg);
}

static void see_candidate(void *arg, const struct trace_candidate *c)
{
	struct answer *a = arg;
	answer_note(a, control_put_candidate(a->out, c));
	a->count++;
	a->wake(a->arg);
}

static void see_path(void *arg, const struct path_try *p)
{
	struct answer *a = arg;
	answer_note(a, control_put_path(a->out, p));
	a->wake(a->arg);
}

static void see_traced(void *arg, int err, const char *summary)
{
	struct answer *a = arg;
	a->trace = NULL;
	a->ended = true;
	a->result = err;
	a->summary = strdup(summary != NULL ? summary : "");
	if (a->summary == NULL)
		answer_note(a, -ENOMEM);
	a->wake(a->arg);
}

static enum answer_state step_trace(struct answer *a)
{
	const struct control_request *r = &a->request;
	if (a->phase == 0) {
		a->phase = 1;
		char domain[HOST_TEXT];
		size_t n = strlen(r->domain);
		if (n > 1 && r->domain[n - 1] == '.')
			n--;
		if (n >= sizeof domain)
			return answer_fail(a, CONTROL_ERROR_ARGUMENT, "a domain has at most 253 characters");
		for (size_t i = 0; i < n; i++)
			domain[i] = (char)tolower((unsigned char)r->domain[i]);
		domain[n] = '\0';
		const struct queue_trace calls = {see_route, see_candidate, see_path, see_traced, a};
		struct trace *trace = NULL;
		int err = queue_trace(a->queue, domain, r->connect, &calls, &trace);
		if (err < 0)
			return answer_fail(a, control_error_of(err), err == -EINVAL ? "not a domain" : strerror(-err));
		if (!a->ended)
			a->trace = trace;
	}
	if (!a->ended)
		return ANSWER_WAIT;
	if (a->result < 0)
		return answer_fail(a, CONTROL_ERROR_FAILED,
			a->summary != NULL && a->summary[0] != '\0' ? a->summary : strerror(-a->result));
	return answer_finish(a, 0);
}

/* ---- status, version ---- */

static enum answer_state step_status(struct answer *a)
{
	struct queue_status s = {0};
	queue_status(a->queue, &s);
	answer_note(a, control_put_status(a->out, &s, RELAY64_VERSION, a->now_ms));
	return answer_finish(a, 0);
}

static enum answer_state step_version(struct answer *a)
{
	answer_note(a, control_put_version(a->out, RELAY64_VERSION));
	return answer_finish(a, 0);
}

/* ---- all ---- */

struct answer *answer_new(struct queue *q, struct mailbox *home, struct control_request *r, const char *who,
	struct buf *out, void (*wake)(void *arg), void *arg)
{
	struct answer *a = calloc(1, sizeof *a);
	if (a == NULL) {
		control_request_fini(r);
		return NULL;
	}
	a->queue = q;
	a->request = *r;
	*r = (struct control_request){0};
	snprintf(a->who, sizeof a->who, "%s", who);
	a->out = out;
	a->home = home;
	a->wake = wake;
	a->arg = arg;
	return a;
}

enum answer_state answer_step(struct answer *a, uint64_t now_ms)
{
	static enum answer_state (*const steps[CONTROL_VERB_COUNT])(struct answer * a) = {
		[CONTROL_LIST] = step_list,
		[CONTROL_SHOW] = step_show,
		[CONTROL_CAT] = step_cat,
		[CONTROL_SUMMARY] = step_summary,
		[CONTROL_RETRY] = answer_orders,
		[CONTROL_HOLD] = answer_orders,
		[CONTROL_RELEASE] = answer_orders,
		[CONTROL_REMOVE] = answer_orders,
		[CONTROL_BOUNCE] = answer_orders,
		[CONTROL_REDIRECT] = answer_orders,
		[CONTROL_SUSPEND] = answer_suspend,
		[CONTROL_RESUME] = answer_resume,
		[CONTROL_PIN] = answer_pin,
		[CONTROL_UNPIN] = answer_unpin,
		[CONTROL_PINS] = answer_pins,
		[CONTROL_PATH] = answer_path,
		[CONTROL_FAMILIES] = answer_families,
		[CONTROL_REASONS] = step_reasons,
		[CONTROL_TAIL] = answer_follow,
		[CONTROL_CONFIG] = step_config,
		[CONTROL_TRACE] = step_trace,
		[CONTROL_STATUS] = step_status,
		[CONTROL_VERSION_VERB] = step_version,
	};
	a->now_ms = now_ms;
	enum answer_state state = a->err == 0 ? steps[a->request.verb](a) : ANSWER_BROKEN;
	return a->err == 0 ? state : ANSWER_BROKEN;
}

void answer_free(struct answer *a)
{
	if (a == NULL)
		return;
	if (a->history != NULL)
		a->history->answer = NULL;
	if (a->content != NULL)
		queue_content_close(a->content);
	if (a->trace != NULL)
		queue_trace_cancel(a->trace);
	if (a->look != NULL)
		queue_path_cancel(a->look);
	answer_follow_end(a);
	causes_free(a->causes);
	conf_unref(a->conf);
	control_request_fini(&a->request);
	free(a->summary);
	free(a);
}
