/* queue/control/request.c: protocol. */
#include "queue/control/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/id.h"
#include "queue/mail/redirect.h"

enum { BIT_NONE = 0 };
enum member_kind { TEXT, HOPS, NUMBER, BOOLEAN, ID, STATE, TEXTS, FAMILY };

/* One row per member that a request may have. */
static const struct member {
	const char *name;
	enum member_kind kind;
	size_t at; /* in struct control_request */
} members[] = {
#define AT(member) offsetof(struct control_request, member)
	{"sender", TEXT, AT(filter.sender)},
	{"rcpt", TEXT, AT(filter.rcpt)},
	{"site", TEXT, AT(filter.site)},
	{"domain", TEXT, AT(filter.domain)},
	{"state", STATE, AT(filter.state)},
	{"older_ms", NUMBER, AT(filter.older_than_ms)},
	{"younger_ms", NUMBER, AT(filter.younger_than_ms)},
	{"larger", NUMBER, AT(filter.larger_than)},
	{"reason", TEXT, AT(filter.reason)},
	{"after", ID, AT(after)},
	{"limit", NUMBER, AT(limit)},
	{"id", TEXT, AT(id)},
	{"ids", TEXTS, AT(ids)},
	{"all", BOOLEAN, AT(all)},
	{"dry_run", BOOLEAN, AT(dry_run)},
	{"because", TEXT, AT(because)},
	{"to", HOPS, AT(to)},
	{"for_ms", NUMBER, AT(for_ms)},
	{"event", TEXT, AT(event)},
	{"key", TEXT, AT(key)},
	{"domain", TEXT, AT(domain)},
	{"connect", BOOLEAN, AT(connect)},
	{"family", FAMILY, AT(family)},
#undef AT
};
enum { MEMBERS = sizeof members / sizeof members[0] };

/* Bits of the rows above, in their order. */
enum {
	FILTER = 0x1ff,
	SENDER = 1 << 0,
	RCPT = 1 << 1,
	SITE = 1 << 2,
	AFTER = 1 << 9,
	LIMIT = 1 << 10,
	ONE_ID = 1 << 11,
	IDS = 1 << 12,
	ALL = 1 << 13,
	DRY = 1 << 14,
	BECAUSE = 1 << 15,
	TO = 1 << 16,
	FOR = 1 << 17,
	EVENT = 1 << 18,
	KEY = 1 << 19,
	DOMAIN = 1 << 20,
	CONNECT = 1 << 21,
	ONE_FAMILY = 1 << 22,
	ACT = FILTER | IDS | ALL | DRY | BECAUSE,
};

static const struct {
	const char *name;
	unsigned may, must;
	bool acts;
	enum queue_action action;
} verbs[CONTROL_VERB_COUNT] = {
	[CONTROL_LIST] = {"list", FILTER | AFTER | LIMIT, BIT_NONE, false, 0},
	[CONTROL_SHOW] = {"show", ONE_ID, ONE_ID, false, 0},
	[CONTROL_CAT] = {"cat", ONE_ID, ONE_ID, false, 0},
	[CONTROL_SUMMARY] = {"summary", LIMIT, BIT_NONE, false, 0},
	[CONTROL_REASONS] = {"reasons", FILTER | LIMIT, BIT_NONE, false, 0},
	[CONTROL_RETRY] = {"retry", ACT, BIT_NONE, true, QUEUE_RETRY},
	[CONTROL_HOLD] = {"hold", ACT, BIT_NONE, true, QUEUE_HOLD},
	[CONTROL_RELEASE] = {"release", ACT, BIT_NONE, true, QUEUE_RELEASE},
	[CONTROL_REMOVE] = {"remove", ACT, BIT_NONE, true, QUEUE_REMOVE},
	[CONTROL_BOUNCE] = {"bounce", ACT, BIT_NONE, true, QUEUE_BOUNCE},
	[CONTROL_REDIRECT] = {"redirect", ACT | TO, TO, true, QUEUE_REDIRECT},
	[CONTROL_SUSPEND] = {"suspend", SITE | FOR | BECAUSE, SITE, false, 0},
	[CONTROL_RESUME] = {"resume", SITE, SITE, false, 0},
	[CONTROL_PIN] = {"pin", SITE | ONE_FAMILY | FOR, SITE | ONE_FAMILY, false, 0},
	[CONTROL_UNPIN] = {"unpin", SITE, SITE, false, 0},
	[CONTROL_PINS] = {"pins", BIT_NONE, BIT_NONE, false, 0},
	[CONTROL_PATH] = {"path", SITE, SITE, false, 0},
	[CONTROL_FAMILIES] = {"families", LIMIT, BIT_NONE, false, 0},
	[CONTROL_TAIL] = {"tail", ONE_ID | SENDER | RCPT | SITE | EVENT, BIT_NONE, false, 0},
	[CONTROL_TRACE] = {"trace", DOMAIN | CONNECT, DOMAIN, false, 0},
	[CONTROL_CONFIG] = {"config", KEY, BIT_NONE, false, 0},
	[CONTROL_STATUS] = {"status", BIT_NONE, BIT_NONE, false, 0},
	[CONTROL_VERSION_VERB] = {"version", BIT_NONE, BIT_NONE, false, 0},
};

static bool is_text(const json_t *v)
{
	return json_is_string(v) && json_string_length(v) <= CONTROL_STRING_MAX;
}

/* What the value should have been, or NULL when it was read into its place. */
static const char *read_state(const json_t *v, enum rcpt_state *out)
{
	for (unsigned s = 0; json_is_string(v) && s < RCPT_STATE_COUNT; s++) {
		if (strcmp(rcpt_state_word((enum rcpt_state)s), json_string_value(v)) == 0) {
			*out = (enum rcpt_state)s;
			return NULL;
		}
	}
	return "one of active, ready, routing, resting, suspended, deferred, held";
}

static const char *read_family(const json_t *v, enum family *out)
{
	const char *word = json_is_string(v) ? json_string_value(v) : "";
	*out = strcmp(word, "ipv4") == 0 ? FAMILY_IPV4 : strcmp(word, "ipv6") == 0 ? FAMILY_IPV6 : FAMILY_NONE;
	return *out == FAMILY_NONE ? "ipv4 or ipv6" : NULL;
}

static const char *read_texts(const json_t *v, const json_t **out)
{
	static const char *const expected = "an array of 1 to 1000 strings";
	size_t n = json_array_size(v); /* 0 for what is no array */
	if (n == 0 || n > CONTROL_IDS_MAX)
		return expected;
	for (size_t i = 0; i < n; i++)
		if (!is_text(json_array_get(v, i)))
			return expected;
	*out = v;
	return NULL;
}

static const char *read_member(struct control_request *r, const struct member *m, const json_t *v)
{
	void *at = (char *)r + m->at;
	switch (m->kind) {
	case TEXT:
		if (!is_text(v) || json_string_length(v) == 0)
			return "a string of 1 to 1024 bytes";
		*(const char **)at = json_string_value(v);
		return NULL;
	case HOPS:
		/* nothing is a word too: back to the routes */
		if (!json_is_string(v) || (json_string_length(v) != 0 && redirect_read(json_string_value(v), at) != 0))
			return "HOST, [HOST] or an address, may be with :PORT, as in route { relay }";
		return NULL;
	case NUMBER:
		if (!json_is_integer(v) || json_integer_value(v) < 0)
			return "a whole number";
		*(uint64_t *)at = (uint64_t)json_integer_value(v);
		return NULL;
	case BOOLEAN:
		if (!json_is_boolean(v))
			return "true or false";
		*(bool *)at = json_is_true(v);
		return NULL;
	case ID:
		return json_is_string(v) && id_parse((uint64_t *)at, json_string_value(v)) == 0 ? NULL
												: "a whole queue ID";
	case STATE:
		return read_state(v, at);
	case TEXTS:
		return read_texts(v, at);
	case FAMILY:
		return read_family(v, at);
	}
	return "nothing";
}

/* The row of a member that this verb may have, or MEMBERS. */
static unsigned find_member(enum control_verb verb, const char *name)
{
	unsigned i = 0;
	while (i < MEMBERS && ((verbs[verb].may >> i & 1) == 0 || strcmp(members[i].name, name) != 0))
		i++;
	return i;
}

/* IDs, conditions, or in so many words all messages; one of the three. */
static int check_action(const struct control_request *r, unsigned seen, char why[256])
{
	const char *name = verbs[r->verb].name;
	unsigned ways = (seen & IDS ? 1u : 0u) + (seen & FILTER ? 1u : 0u) + (r->all ? 1u : 0u);
	if (ways == 0)
		snprintf(why, 256, "%s needs \"ids\", conditions, or \"all\":true for every message", name);
	else if (ways > 1)
		snprintf(why, 256, "%s takes \"ids\", conditions or \"all\", one of the three", name);
	return ways == 1 ? 0 : -EINVAL;
}

static int read_members(struct control_request *r, char why[256])
{
	unsigned seen = 0;
	const char *name;
	json_t *v;
	json_object_foreach(r->root, name, v)
	{
		if (strcmp(name, "v") == 0 || strcmp(name, "command") == 0)
			continue;
		unsigned i = find_member(r->verb, name);
		if (i == MEMBERS) {
			snprintf(why, 256, "%s takes no member \"%.64s\"", verbs[r->verb].name, name);
			return -EINVAL;
		}
		const char *expected = read_member(r, &members[i], v);
		if (expected != NULL) {
			snprintf(why, 256, "\"%s\" must be %s", name, expected);
			return -EINVAL;
		}
		seen |= 1u << i;
	}
	for (unsigned i = 0; i < MEMBERS; i++) {
		if ((verbs[r->verb].must & ~seen) >> i & 1) {
			snprintf(why, 256, "%s needs \"%s\"", verbs[r->verb].name, members[i].name);
			return -EINVAL;
		}
	}
	return verbs[r->verb].acts ? check_action(r, seen, why) : 0;
}

int control_request_parse(
	struct control_request *out, const char *line, size_t len, enum control_error *what, char why[256])
{
	json_error_t error;
	struct control_request r = {.filter.state = RCPT_STATE_COUNT, .because = ""};
	r.root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(r.root)) {
		*what = CONTROL_ERROR_SYNTAX;
		if (r.root != NULL)
			snprintf(why, 256, "a request is one JSON object");
		else
			snprintf(why, 256, "column %d: %s", error.column, error.text);
		json_decref(r.root);
		return -EINVAL;
	}
	const json_t *v = json_object_get(r.root, "v");
	if (!json_is_integer(v) || json_integer_value(v) != CONTROL_VERSION) {
		*what = CONTROL_ERROR_VERSION;
		snprintf(why, 256, "\"v\" must be %d: relayq and relay64 are of different versions", CONTROL_VERSION);
		goto refused;
	}
	const char *name = json_string_value(json_object_get(r.root, "command"));
	unsigned verb = 0;
	while (name != NULL && verb < CONTROL_VERB_COUNT && strcmp(verbs[verb].name, name) != 0)
		verb++;
	if (name == NULL || verb == CONTROL_VERB_COUNT) {
		*what = CONTROL_ERROR_COMMAND;
		snprintf(why, 256, "no such command: \"%.64s\"", name != NULL ? name : "");
		goto refused;
	}
	r.verb = (enum control_verb)verb;
	if (read_members(&r, why) != 0) {
		*what = CONTROL_ERROR_ARGUMENT;
		goto refused;
	}
	*out = r;
	return 0;
refused:
	json_decref(r.root);
	return -EINVAL;
}

void control_request_fini(struct control_request *r)
{
	json_decref(r->root);
	*r = (struct control_request){0};
}

bool control_request_acts(const struct control_request *r, enum queue_action *action)
{
	*action = verbs[r->verb].action;
	return verbs[r->verb].acts;
}
