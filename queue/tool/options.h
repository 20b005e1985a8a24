/* queue/tool/options.h: relayq's command line. Protocol: pure. */
#ifndef QUEUE_TOOL_OPTIONS_H
#define QUEUE_TOOL_OPTIONS_H

#include "queue/tool/commands.h"

/* Reads argv[1..argc-1]; options may stand anywhere, `--` ends them. Arguments are moved to the end of `argv`. 0; or
 * -EINVAL and one line without its end in `why`. */
int options_parse(struct options *out, int argc, char **argv, char why[256]);

#endif
