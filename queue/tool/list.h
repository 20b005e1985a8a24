/* queue/tool/list.h: the messages in the queue. Plumbing. */
#ifndef QUEUE_TOOL_LIST_H
#define QUEUE_TOOL_LIST_H

#include "queue/tool/tool.h"

enum tool_exit run_list(struct tool *t);

#endif
