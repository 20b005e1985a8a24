/* queue/tool/doctor.c: plumbing. */
#include "queue/tool/doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/doctor/doctor.h"
#include "queue/tool/client.h"
#include "queue/tool/doctor_page.h"

enum { TIMEOUT_MS = 10000, TIMEOUT_LEAST_MS = 500, TIMEOUT_MOST_MS = 300000, PIPE_WIDTH = 80 };

static enum tool_exit print(struct tool *t, const struct findings *f)
{
	const char *no_colour = getenv("NO_COLOR");
	bool colour = t->out_is_terminal && (no_colour == NULL || no_colour[0] == '\0');
	int err = t->options->json ? doctor_json(f, t->out)
				   : doctor_page(f, t->out, t->out_is_terminal ? t->width : PIPE_WIDTH, colour);
	if (err != 0)
		return tool_fail(t, TOOL_UNAVAILABLE, "out of memory");
	static const enum tool_exit exits[FINDING_STATUS_COUNT] = {
		[FINDING_OK] = TOOL_OK,
		[FINDING_WARNING] = TOOL_WARNINGS,
		[FINDING_ERROR] = TOOL_ERRORS,
	};
	return exits[findings_worst(f)];
}

enum tool_exit run_doctor(struct tool *t)
{
	const struct options *o = t->options;
	const struct doctor_wanted wanted = {
		.config = o->config,
		.socket = o->socket != NULL ? o->socket : t->environment,
		.senders = o->senders.items,
		.sender_count = o->senders.count,
		.probes = o->probes.items,
		.probe_count = o->probes.count,
		.timeout_ms = o->timeout_ms != 0 ? o->timeout_ms : TIMEOUT_MS,
	};
	struct findings found = {0};
	char why[DOCTOR_WHY] = "out of memory";
	if (wanted.timeout_ms < TIMEOUT_LEAST_MS || wanted.timeout_ms > TIMEOUT_MOST_MS)
		return tool_fail(t, TOOL_USAGE, "--timeout must be between 500ms and 5m");
	int err = doctor_run(&wanted, &found, why);
	enum tool_exit code = err == 0	       ? print(t, &found)
			      : err == -EINVAL ? tool_fail(t, TOOL_USAGE, "%s", why)
					       : tool_fail(t, TOOL_UNAVAILABLE, "%s", strerror(-err));
	findings_fini(&found);
	return code;
}
