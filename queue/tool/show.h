/* queue/tool/show.h: one message, with its attempts or its content. Plumbing. */
#ifndef QUEUE_TOOL_SHOW_H
#define QUEUE_TOOL_SHOW_H

#include "queue/tool/tool.h"

enum tool_exit run_show(struct tool *t);
enum tool_exit run_cat(struct tool *t);

#endif
