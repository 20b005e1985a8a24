/* queue/doctor/machine.c: plumbing. */
#include "queue/doctor/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

#include "conf/clock.h"

enum { OWN_FILES = 200 }; /* besides sessions and connections; as smtpd/main.c */

void machine_read_clock(struct fact_clock *out)
{
	struct timex t = {0};
	int state = adjtimex(&t);
	*out = (struct fact_clock){
		.err = state < 0 ? -errno : 0,
		.synchronised = state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0,
		.error_us = t.maxerror > 0 ? (uint64_t)t.maxerror : 0,
		.wall_ms = clock_wall_ms(),
	};
}

/* The beginning of a small file of /proc, closed by a 0; its length. */
static size_t read_text(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t n = file != NULL ? fread(out, 1, size - 1, file) : 0;
	out[n] = '\0';
	if (file != NULL)
		fclose(file);
	return n;
}

void machine_read_files(struct fact_files *out, const struct conf *conf)
{
	char text[128];
	uint64_t taken, unused, most;
	*out = (struct fact_files){.wanted = conf->limits.sessions * 2 + conf->limits.connections * 2 + OWN_FILES};
	read_text("/proc/sys/fs/file-nr", text, sizeof text);
	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &taken, &unused, &most) == 3) {
		out->taken = taken;
		out->system = most;
	}
}

int machine_parse_limits(const char *text, uint64_t *soft)
{
	static const char title[] = "Max open files";
	const char *at = strstr(text, title);
	if (at == NULL)
		return -EINVAL;
	at += sizeof title - 1;
	at += strspn(at, " ");
	if (strncmp(at, "unlimited", 9) == 0)
		*soft = UINT64_MAX;
	else if (sscanf(at, "%" SCNu64, soft) != 1)
		return -EINVAL;
	return 0;
}

void machine_read_daemon(struct fact_daemon *d)
{
	char path[64], text[4096];
	snprintf(path, sizeof path, "/proc/%ld/limits", (long)d->pid);
	d->limited = d->pid > 0 && read_text(path, text, sizeof text) != 0 &&
		     machine_parse_limits(text, &d->soft_nofile) == 0;
}
