/* queue/tool/conditions.h: the conditions of a command line as members of a request. Plumbing. */
#ifndef QUEUE_TOOL_CONDITIONS_H
#define QUEUE_TOOL_CONDITIONS_H

#include <jansson.h>

#include "queue/tool/commands.h"

/* A request of this command with all conditions given; NULL without memory. */
json_t *conditions_request(const struct options *o);
/* A member, unless the value is NULL, or 0. */
void request_text(json_t *request, const char *name, const char *value);
void request_number(json_t *request, const char *name, uint64_t value);

#endif
