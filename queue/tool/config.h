/* queue/tool/config.h: the settings in force. Plumbing. */
#ifndef QUEUE_TOOL_CONFIG_H
#define QUEUE_TOOL_CONFIG_H

#include "queue/tool/tool.h"

enum tool_exit run_config(struct tool *t);

#endif
