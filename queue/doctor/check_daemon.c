/* queue/doctor/check_daemon.c: protocol. */
#include "queue/doctor/check_daemon.h"

#include <errno.h>
#include <string.h>

void check_config(const struct facts *f, struct names *n, struct findings *out)
{
	const struct fact_conf *c = &f->conf;
	(void)n;
	if (c->errors[0] != '\0') {
		findings_add(out, FINDING_ERROR, "%s cannot be used: %s",
			c->file != NULL ? c->file : "the configuration", c->errors);
		findings_mend(out,
			"Correct it, until relay64 -t -f %s finds no error. All other rows judge by %s meanwhile.",
			c->file != NULL ? c->file : "FILE",
			c->place == PLACE_DAEMON ? "what the daemon has in force" : "the built-in defaults");
		return;
	}
	if (c->place == PLACE_BUILT_IN) {
		findings_add(out, FINDING_UNKNOWN,
			"there is no /etc/relay64/relay64.conf and no daemon answers: judged by the built-in defaults");
		findings_mend(out, "Name the file with --config, or the daemon's socket with -c.");
	} else if (c->place == PLACE_DAEMON) {
		findings_add(out, FINDING_OK, "the settings that the daemon has in force");
	} else if (c->differs[0] != '\0') {
		findings_add(out, FINDING_WARNING, "%s is not what the daemon has in force: %s", c->file, c->differs);
		findings_mend(out,
			"If this is the daemon's file, have it read again (HUP), or restart the daemon. If it is "
			"not, name the right one with --config.");
	} else {
		findings_add(out, FINDING_OK, "%s has no error%s", c->file,
			c->compared ? ", and is what the daemon has in force" : "");
	}
}

void check_daemon(const struct facts *f, struct names *n, struct findings *out)
{
	const struct fact_daemon *d = &f->daemon;
	(void)n;
	if (d->answered && d->pid != 0)
		findings_add(out, FINDING_OK, "answers at %s (process %ld)", d->socket, (long)d->pid);
	else if (d->answered)
		findings_add(out, FINDING_OK, "answers at %s", d->socket);
	else if (d->err == -EACCES || d->err == -EPERM)
		findings_add(out, FINDING_UNKNOWN, "%s may not be asked by this user", d->socket);
	else
		findings_add(out, FINDING_ERROR, "no answer at %s: %s", d->socket,
			d->problem[0] != '\0' ? d->problem
			: d->err != 0	      ? strerror(-d->err)
					      : "what listens there does not speak relay64's control protocol");
	if (d->answered)
		return;
	if (d->err == -EACCES || d->err == -EPERM)
		findings_mend(out, "Ask as root, as the daemon's user or as a member of its group.");
	else if (d->err == -ETIMEDOUT)
		findings_mend(out, "It hangs, or is far too busy: look at its log, then restart it.");
	else
		findings_mend(out, "Start relay64, or name its control socket with -c.");
}

void check_version(const struct facts *f, struct names *n, struct findings *out)
{
	const struct fact_daemon *d = &f->daemon;
	(void)n;
	if (!d->answered) {
		findings_add(out, FINDING_UNKNOWN, "relayq is %s; the daemon was not heard", RELAY64_VERSION);
	} else if (strcmp(d->version, RELAY64_VERSION) == 0) {
		findings_add(out, FINDING_OK, "relayq and the daemon are %s", RELAY64_VERSION);
	} else {
		findings_add(out, FINDING_WARNING, "the daemon is %s, relayq is %s", d->version, RELAY64_VERSION);
		findings_mend(out, "Restart the daemon after an update; else use the relayq that came with it.");
	}
}
