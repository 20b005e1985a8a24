/* queue/tool/verify.h: checking a spool without a daemon. Plumbing. */
#ifndef QUEUE_TOOL_VERIFY_H
#define QUEUE_TOOL_VERIFY_H

#include "queue/tool/tool.h"

enum tool_exit run_verify(struct tool *t);

#endif
