/* queue/control/paths.c: the answer to path. State; see queue/control/making.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/control/making.h"

enum { ASK, ASKED };

static void see_path(void *arg, const struct path_view *v)
{
	struct answer *a = arg;
	answer_note(a, control_put_remembered(a->out, v));
	a->count++;
}

static void see_pin(void *arg, const struct pin_view *p)
{
	struct answer *a = arg;
	answer_note(a, control_put_pin(a->out, p));
}

static void see_end(void *arg, int err, const char *text)
{
	struct answer *a = arg;
	a->look = NULL;
	a->ended = true;
	a->result = err;
	a->summary = strdup(text);
	if (a->summary == NULL)
		answer_note(a, -ENOMEM);
	if (a->phase == ASKED) /* else it is known at once, and the step that asks goes on */
		a->wake(a->arg);
}

static enum answer_state ask(struct answer *a)
{
	char name[HOST_TEXT];
	const char *site = a->request.filter.site;
	size_t n = strlen(site);
	if (n >= sizeof name)
		return answer_fail(a, CONTROL_ERROR_ARGUMENT, "too long: a site has at most 253 bytes");
	for (size_t i = 0; i <= n; i++)
		name[i] = (char)tolower((unsigned char)site[i]);
	const struct queue_path calls = {see_path, see_pin, see_end, a};
	int err = queue_path(a->queue, name, &calls, &a->look);
	if (err < 0)
		return answer_fail(
			a, control_error_of(err), err == -EINVAL ? "neither a site nor a domain" : strerror(-err));
	a->phase = ASKED;
	return ANSWER_MORE;
}

enum answer_state answer_path(struct answer *a)
{
	if (a->phase == ASK)
		return ask(a);
	if (!a->ended)
		return ANSWER_WAIT;
	if (a->result < 0)
		return answer_fail(a, control_error_of(a->result),
			a->summary != NULL && a->summary[0] != '\0' ? a->summary : strerror(-a->result));
	return answer_finish(a, 0);
}
