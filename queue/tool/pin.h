/* queue/tool/pin.h: sites pinned to a family. Plumbing. */
#ifndef QUEUE_TOOL_PIN_H
#define QUEUE_TOOL_PIN_H

#include "queue/tool/tool.h"

enum tool_exit run_pin(struct tool *t);
enum tool_exit run_unpin(struct tool *t);

#endif
