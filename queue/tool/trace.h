/* queue/tool/trace.h: the route to a domain. Plumbing. */
#ifndef QUEUE_TOOL_TRACE_H
#define QUEUE_TOOL_TRACE_H

#include "queue/tool/tool.h"

enum tool_exit run_trace(struct tool *t);

#endif
