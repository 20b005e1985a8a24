/* queue/tool/tool.h: what every command of relayq works with. State. */
#ifndef QUEUE_TOOL_TOOL_H
#define QUEUE_TOOL_TOOL_H

#include <stdbool.h>
#include <stdio.h>

#include "queue/tool/commands.h"

/* sysexits.h's numbers where there is one; the manual lists them */
enum tool_exit {
	TOOL_OK = 0,
	TOOL_NOTHING = 1,      /* nothing found, or at least one message was refused */
	TOOL_WARNINGS = 1,     /* doctor, which finds nothing and refuses nothing: warnings, no error */
	TOOL_ERRORS = 2,       /* doctor: errors */
	TOOL_USAGE = 64,       /* wrong command line */
	TOOL_DAMAGED = 65,     /* verify found damage */
	TOOL_UNAVAILABLE = 69, /* no daemon answers, or it could not do it */
};

struct tool {
	const struct options *options;
	FILE *in, *out, *err;
	bool out_is_terminal, in_is_terminal;
	unsigned width, height;	 /* of the terminal */
	const char *environment; /* RELAY64_CONTROL; NULL if not set */
};

#endif
