/* queue/tool/doctor.h: what is wrong with this host as a sender over both families. Plumbing. */
#ifndef QUEUE_TOOL_DOCTOR_H
#define QUEUE_TOOL_DOCTOR_H

#include "queue/tool/tool.h"

enum tool_exit run_doctor(struct tool *t);

#endif
