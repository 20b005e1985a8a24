/* queue/tool/suspend.h: destinations suspended, and resumed. Plumbing. */
#ifndef QUEUE_TOOL_SUSPEND_H
#define QUEUE_TOOL_SUSPEND_H

#include "queue/tool/tool.h"

enum tool_exit run_suspend(struct tool *t);
enum tool_exit run_resume(struct tool *t);

#endif
