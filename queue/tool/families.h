/* queue/tool/families.h: what went over which address family, and what is broken. Plumbing. */
#ifndef QUEUE_TOOL_FAMILIES_H
#define QUEUE_TOOL_FAMILIES_H

#include "queue/tool/tool.h"

enum tool_exit run_families(struct tool *t);

#endif
