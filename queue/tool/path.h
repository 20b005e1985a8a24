/* queue/tool/path.h: what is remembered of the paths to a site. Plumbing. */
#ifndef QUEUE_TOOL_PATH_H
#define QUEUE_TOOL_PATH_H

#include "queue/tool/tool.h"

enum tool_exit run_path(struct tool *t);

#endif
