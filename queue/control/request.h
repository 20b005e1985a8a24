/* queue/control/request.h: requests read on the control socket, the daemon's side. Protocol: pure.
 *
 * What they look like is in queue/control/protocol.h. */
#ifndef QUEUE_CONTROL_REQUEST_H
#define QUEUE_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/control/protocol.h"
#include "queue/control/inspect.h"

enum control_verb {
	CONTROL_LIST,
	CONTROL_SHOW,
	CONTROL_CAT,
	CONTROL_SUMMARY,
	CONTROL_REASONS,
	CONTROL_RETRY,
	CONTROL_HOLD,
	CONTROL_RELEASE,
	CONTROL_REMOVE,
	CONTROL_BOUNCE,
	CONTROL_REDIRECT,
	CONTROL_SUSPEND,
	CONTROL_RESUME,
	CONTROL_PIN,
	CONTROL_UNPIN,
	CONTROL_PINS,
	CONTROL_PATH,
	CONTROL_FAMILIES,
	CONTROL_TAIL,
	CONTROL_TRACE,
	CONTROL_CONFIG,
	CONTROL_STATUS,
	CONTROL_VERSION_VERB,
	CONTROL_VERB_COUNT
};

/* A request that was read; strings are lent by `root`. */
struct control_request {
	json_t *root;
	enum control_verb verb;
	struct queue_filter filter; /* suspend, resume: `site` is a pattern */
	uint64_t after, limit;
	const char *id;	   /* show, cat: as given; tail: the ID begins so */
	const json_t *ids; /* array of strings, 1 to CONTROL_IDS_MAX; NULL: all that the filter leaves */
	bool all;	   /* without a condition is meant so */
	bool dry_run;
	const char *because;	   /* why an action is done; "" */
	char to[REDIRECT_MAX + 1]; /* redirect: as of redirect_read(); "": as the routes say */
	uint64_t for_ms;	   /* suspend; 0: until resumed */
	const char *event;	   /* tail: words separated by commas; NULL: all */
	const char *key;	   /* config: BLOCK.KEY, KEY or BLOCK; NULL: all */
	const char *domain;
	bool connect;
	enum family family; /* pin */
};

/* Does the request act on messages, and as which action? */
bool control_request_acts(const struct control_request *r, enum queue_action *action);

/* Reads one line (without its end). 0; or -EINVAL or -ENOMEM with `*what` and a text in `why`, and nothing to free. */
int control_request_parse(
	struct control_request *out, const char *line, size_t len, enum control_error *what, char why[256]);
void control_request_fini(struct control_request *r);

#endif
