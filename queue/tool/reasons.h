/* queue/tool/reasons.h: why mail waits, counted. Plumbing. */
#ifndef QUEUE_TOOL_REASONS_H
#define QUEUE_TOOL_REASONS_H

#include "queue/tool/tool.h"

enum tool_exit run_reasons(struct tool *t);

#endif
