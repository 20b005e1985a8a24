/* tests/fuzz/control.c: requests on the control socket. A refusal can be said in one line. Protocol. */
#include "queue/control/json.h"
#include "queue/control/request.h"
#include "tests/fuzz/fuzz.h"

static bool fits(const char *text)
{
	return text == NULL || strlen(text) <= CONTROL_STRING_MAX;
}

static void check_request(const struct control_request *r, struct buf *out)
{
	const struct queue_filter *f = &r->filter;
	enum queue_action action;
	bool acts = control_request_acts(r, &action);
	MUST(json_is_object(r->root) && r->verb < CONTROL_VERB_COUNT && r->because != NULL);
	MUST(fits(f->sender) && fits(f->rcpt) && fits(f->site) && fits(f->domain) && fits(f->reason));
	MUST(f->state <= RCPT_STATE_COUNT && fits(r->id) && fits(r->domain) && fits(r->because));
	MUST(fits(r->event) && fits(r->key) && memchr(r->to, 0, sizeof r->to) != NULL);
	MUST((r->verb != CONTROL_SHOW && r->verb != CONTROL_CAT) || r->id != NULL);
	MUST((r->verb != CONTROL_SUSPEND && r->verb != CONTROL_RESUME) || f->site != NULL);
	MUST((r->verb == CONTROL_TRACE) == (r->domain != NULL));
	/* by IDs, by conditions, or in so many words on all */
	MUST(acts || (r->ids == NULL && !r->all && !r->dry_run));
	MUST(!acts || r->ids == NULL || !r->all);
	MUST(r->ids == NULL || (json_array_size(r->ids) >= 1 && json_array_size(r->ids) <= CONTROL_IDS_MAX));
	for (size_t i = 0; i < json_array_size(r->ids); i++) {
		MUST(control_put_done(out, json_string_value(json_array_get(r->ids, i)), 0, -2) == 0);
		fuzz_must_be_answer(out);
	}
}

FUZZ_TARGET(control)
{
	struct control_request r;
	struct buf out;
	char why[256] = "";
	enum control_error what = CONTROL_ERROR_COUNT;
	buf_init(&out, 65536);
	if (control_request_parse(&r, (const char *)in, len, &what, why) == 0) {
		check_request(&r, &out);
		control_request_fini(&r);
	} else {
		MUST(what < CONTROL_ERROR_COUNT && why[0] != 0 && memchr(why, 0, sizeof why) != NULL);
		MUST(control_put_error(&out, what, why) == 0);
		fuzz_must_be_answer(&out);
	}
	buf_fini(&out);
	return 0;
}
