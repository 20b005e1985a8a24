/* queue/tool/status.h: summary, status and version. Plumbing. */
#ifndef QUEUE_TOOL_STATUS_H
#define QUEUE_TOOL_STATUS_H

#include "queue/tool/tool.h"

enum tool_exit run_summary(struct tool *t);
enum tool_exit run_status(struct tool *t);
enum tool_exit run_version(struct tool *t);

#endif
