/* queue/tool/conditions.c: plumbing. */
#include "queue/tool/conditions.h"

void request_text(json_t *request, const char *name, const char *value)
{
	if (request != NULL && value != NULL)
		json_object_set_new(request, name, json_string(value));
}

void request_number(json_t *request, const char *name, uint64_t value)
{
	if (request != NULL && value != 0)
		json_object_set_new(request, name, json_integer((json_int_t)value));
}

json_t *conditions_request(const struct options *o)
{
	json_t *r = json_pack("{s:s}", "command", o->command->name);
	request_text(r, "sender", o->sender);
	request_text(r, "rcpt", o->rcpt);
	request_text(r, "site", o->site);
	request_text(r, "domain", o->domain);
	request_text(r, "state", o->state);
	request_text(r, "reason", o->reason);
	request_number(r, "older_ms", o->older_ms);
	request_number(r, "younger_ms", o->younger_ms);
	request_number(r, "larger", o->larger);
	return r;
}
