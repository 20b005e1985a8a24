/* queue/tool/survey.h: which families the mail servers of many domains have. Plumbing. */
#ifndef QUEUE_TOOL_SURVEY_H
#define QUEUE_TOOL_SURVEY_H

#include "queue/tool/tool.h"

enum tool_exit run_survey(struct tool *t);

#endif
