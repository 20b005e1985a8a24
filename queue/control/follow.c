/* queue/control/follow.c: answers to tail: what is logged, as it is logged. State; see queue/control/making.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/id.h"
#include "conf/tap.h"
#include "queue/control/making.h"

enum { LINES = 50 }; /* of one slice */

struct follow {
	struct tap *tap;
	uint64_t first, last; /* IDs that are meant; 0, 0: all */
	const struct control_request *request;
};

/* "a@b", or "@b", without case */
static bool is_address(const char *pattern, const char *address)
{
	const char *at = *pattern == '@' ? strrchr(address, '@') : address;
	return at != NULL && strcasecmp(pattern, at) == 0;
}

/* Is it one of the words, separated by commas? */
static bool is_word_of(const char *words, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = words; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == n && memcmp(at, word, n) == 0)
			return true;
	return false;
}

static const struct log_field *field(const struct log_field *fields, const char *name, int kind)
{
	for (; fields->name != NULL; fields++)
		if ((int)fields->kind == kind && strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

/* A bounce names the message that it is about as well. */
static bool is_about(const struct follow *f, const struct log_field *fields)
{
	static const char *const names[] = {"id", "original"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct log_field *id = field(fields, names[i], LOG_ID);
		if (id != NULL && (uint64_t)id->number >= f->first && (uint64_t)id->number <= f->last)
			return true;
	}
	return false;
}

static bool has_address(const struct log_field *fields, const char *name, const char *pattern)
{
	const struct log_field *f = field(fields, name, LOG_ADDRESS);
	if (f == NULL || f->text == NULL)
		return false;
	return strcmp(pattern, "<>") == 0 ? *(const char *)f->text == '\0' : is_address(pattern, f->text);
}

static bool is_wanted(const void *arg, const char *event, const struct log_field *fields)
{
	const struct follow *f = arg;
	const struct control_request *r = f->request;
	if (r->event != NULL && !is_word_of(r->event, event))
		return false;
	if (f->last != 0 && !is_about(f, fields))
		return false;
	if (r->filter.sender != NULL && !has_address(fields, "from", r->filter.sender))
		return false;
	if (r->filter.rcpt != NULL && !has_address(fields, "to", r->filter.rcpt))
		return false;
	if (r->filter.site == NULL)
		return true;
	const struct log_field *site = field(fields, "site", LOG_STR);
	return site != NULL && site->text != NULL && strcasecmp(site->text, r->filter.site) == 0;
}

static void on_ready(void *arg)
{
	struct answer *a = arg;
	a->wake(a->arg);
}

static enum answer_state begin(struct answer *a)
{
	struct follow *f = calloc(1, sizeof *f);
	if (f == NULL)
		return ANSWER_BROKEN;
	uint64_t limit = queue_conf(a->queue)->limits.control;
	struct tap_setup setup = {
		/* some connections are always left for questions */
		.most = limit > 2 ? (unsigned)limit / 2 : 1,
		.wanted = is_wanted,
		.wanted_arg = f,
		.home = a->home,
		.ready = on_ready,
		.arg = a,
	};
	f->request = &a->request;
	int err = a->request.id != NULL ? id_parse_prefix(&f->first, &f->last, a->request.id) : 0;
	if (err == 0)
		err = tap_open(&f->tap, &setup);
	if (err != 0) {
		free(f);
		return answer_fail(a, err == -EBUSY ? CONTROL_ERROR_BUSY : control_error_of(err),
			err == -EBUSY	 ? "too many look on: half of limits { control }"
			: err == -EINVAL ? "not a queue ID, nor the beginning of one"
					 : strerror(-err));
	}
	a->follow = f;
	return ANSWER_MORE;
}

enum answer_state answer_follow(struct answer *a)
{
	if (a->follow == NULL)
		return begin(a);
	for (unsigned n = 0; n < LINES && a->err == 0; n++) {
		const char *text, *json;
		uint64_t lost;
		bool more = tap_take(a->follow->tap, &text, &json, &lost);
		if (lost != 0)
			answer_note(a, control_put_lost(a->out, lost));
		if (!more)
			return ANSWER_WAIT;
		answer_note(a, control_put_event(a->out, text, json));
	}
	return ANSWER_MORE;
}

void answer_follow_end(struct answer *a)
{
	if (a->follow != NULL)
		tap_close(a->follow->tap);
	free(a->follow);
	a->follow = NULL;
}
