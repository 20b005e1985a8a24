/* queue/tool/tail.h: what happens, as it happens. Plumbing. */
#ifndef QUEUE_TOOL_TAIL_H
#define QUEUE_TOOL_TAIL_H

#include "queue/tool/tool.h"

enum tool_exit run_tail(struct tool *t);

#endif
