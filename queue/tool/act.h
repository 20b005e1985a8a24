/* queue/tool/act.h: what changes messages: retry, hold, release, remove, bounce, redirect. Plumbing. */
#ifndef QUEUE_TOOL_ACT_H
#define QUEUE_TOOL_ACT_H

#include "queue/tool/tool.h"

enum tool_exit run_act(struct tool *t);

#endif
