/* queue/doctor/check_machine.c: protocol. */
#include "queue/doctor/check_machine.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/clock.h"

enum {
	CLOCK_SLACK_MS = 2000,	      /* a journal ahead of the clock by no more than that is no sign */
	CLOCK_ERROR_US = 5 * 1000000, /* a larger error is not a mail server's clock any more */
	SLOW_SYNC_US = 50 * 1000,
	VERY_SLOW_SYNC_US = 500 * 1000,
};

static bool no_rights(int err)
{
	return err == -EACCES || err == -EPERM;
}

void check_clock(const struct facts *f, struct names *n, struct findings *out)
{
	const struct fact_clock *c = &f->clock;
	uint64_t newest = f->spool.newest_ms;
	char span[CLOCK_SPAN];
	(void)n;
	if (c->err != 0) {
		findings_add(out, FINDING_UNKNOWN, "the kernel does not tell whether it is synchronised: %s",
			strerror(-c->err));
	} else if (!c->synchronised) {
		findings_add(out, FINDING_WARNING, "the kernel says that its clock is not synchronised");
		findings_mend(out,
			"Run a time service, such as chrony or systemd-timesyncd. In a container the machine "
			"around it may keep the time all the same.");
	} else if (c->error_us > CLOCK_ERROR_US) {
		findings_add(out, FINDING_WARNING, "synchronised, but may be wrong by %s",
			clock_span(c->error_us / 1000, span));
		findings_mend(out, "See that the time service reaches its servers.");
	} else {
		findings_add(out, FINDING_OK, "synchronised, wrong by %s at the most",
			clock_span((c->error_us + 999) / 1000, span));
	}
	if (newest > c->wall_ms + CLOCK_SLACK_MS) {
		findings_add(out, FINDING_ERROR,
			"the clock is %s behind the newest record of the journal: it was set back",
			clock_span((newest - c->wall_ms) / 1000 * 1000, span));
		findings_mend(out,
			"Set the clock right. Mail is not lost, but retries and expiry come too late or too early.");
	} else if (newest != 0) {
		findings_add(out, FINDING_OK, "not behind the newest record of the journal (%s ago)",
			clock_span(newest < c->wall_ms ? (c->wall_ms - newest) / 1000 * 1000 : 0, span));
	} else if (no_rights(f->spool.newest_err)) {
		findings_add(out, FINDING_UNKNOWN, "the journal cannot be read by this user: not compared with it");
	}
}

void check_files(const struct facts *f, struct names *n, struct findings *out)
{
	const struct fact_files *l = &f->files;
	(void)n;
	unsigned long long wanted = l->wanted, have = f->daemon.soft_nofile;
	if (!f->daemon.limited) {
		findings_add(out, FINDING_UNKNOWN, "the limit of the daemon cannot be read; %llu files are asked for",
			wanted);
		findings_mend(out, "Run relayq doctor while the daemon runs, as root or as the daemon's user.");
	} else if (have < wanted) {
		findings_add(out, FINDING_WARNING,
			"the daemon may open %llu files, %llu are asked for: limits { sessions } and { connections } "
			"are "
			"lowered, or new ones fail",
			have, wanted);
		findings_mend(out,
			"Raise it (systemd: LimitNOFILE=%llu; else ulimit -Hn) and restart, or lower these limits.",
			wanted);
	} else {
		findings_add(out, FINDING_OK, "the daemon may open %llu files, %llu are asked for", have, wanted);
	}
	if (l->system != 0 && l->system < l->wanted + l->taken) {
		findings_add(out, FINDING_WARNING, "fs.file-max is %llu for the whole machine, %llu are open",
			(unsigned long long)l->system, (unsigned long long)l->taken);
		findings_mend(out, "Raise it: sysctl -w fs.file-max=%llu, and keep it in /etc/sysctl.d.",
			(unsigned long long)(l->wanted + l->taken) * 2);
	}
}

/* ---- the spool ---- */

static void judge_owner(const struct facts *f, const char *path, struct findings *out)
{
	const struct fact_spool *s = &f->spool;
	bool runs = f->daemon.pid != 0;
	long wanted = (long)(runs ? f->daemon.uid : s->wanted);
	if (s->user_missing) {
		findings_add(out, FINDING_ERROR, "the user %s of the configuration does not exist", f->conf.conf->user);
		findings_mend(out, "useradd --system --home-dir / --shell /usr/sbin/nologin %s", f->conf.conf->user);
	} else if ((runs || s->wanted_known) && (long)s->owner != wanted) {
		findings_add(out, FINDING_ERROR, "%s belongs to %s (uid %ld), the daemon is uid %ld", path,
			s->owner_name, (long)s->owner, wanted);
		findings_mend(out, "chown -R %ld %s", wanted, path);
	}
	if ((s->mode & (S_IRWXG | S_IRWXO)) != 0) {
		findings_add(out, FINDING_WARNING, "%s has mode %04o: others than its owner may look at mail", path,
			(unsigned)s->mode & 07777);
		findings_mend(out, "chmod 0700 %s", path);
	} else if ((s->mode & S_IRWXU) != S_IRWXU) {
		findings_add(out, FINDING_ERROR, "%s has mode %04o: its owner cannot use it", path,
			(unsigned)s->mode & 07777);
		findings_mend(out, "chmod 0700 %s", path);
	}
}

static const struct {
	unsigned long magic;
	const char *name;
	enum finding_status status;
	const char *why;
} filesystems[] = {
	{TMPFS_MAGIC, "tmpfs", FINDING_ERROR, "memory: accepted mail is lost at a restart of the machine"},
	{RAMFS_MAGIC, "ramfs", FINDING_ERROR, "memory: accepted mail is lost at a restart of the machine"},
	{OVERLAYFS_SUPER_MAGIC, "overlay", FINDING_WARNING,
		"a container's own layer: accepted mail is lost with the container"},
	{NFS_SUPER_MAGIC, "NFS", FINDING_WARNING, "a network file system: syncs are slow, and locks may not hold"},
	{0xFF534D42UL, "CIFS", FINDING_WARNING, "a network file system: syncs are slow, and locks may not hold"},
	{0xFE534D42UL, "SMB", FINDING_WARNING, "a network file system: syncs are slow, and locks may not hold"},
};

static void judge_filesystem(const struct fact_spool *s, const char *path, struct findings *out)
{
	for (size_t i = 0; i < sizeof filesystems / sizeof filesystems[0]; i++) {
		if (filesystems[i].magic != s->filesystem)
			continue;
		findings_add(
			out, filesystems[i].status, "%s lies on %s, %s", path, filesystems[i].name, filesystems[i].why);
		findings_mend(
			out, "Put the spool on a disk of this machine (ext4, xfs, btrfs), or a volume that stays.");
	}
}

static void judge_space(const struct facts *f, const char *path, struct findings *out)
{
	const struct fact_spool *s = &f->spool;
	uint64_t least = f->conf.conf->spool_io.min_free;
	unsigned long long free_mib = s->free_bytes >> 20, least_mib = least >> 20;
	if (s->read_only) {
		findings_add(out, FINDING_ERROR, "%s lies on a file system that is mounted read-only", path);
		findings_mend(
			out, "Mount it for writing; if the kernel made it so after a fault, check the disk first.");
	}
	if (s->free_bytes < least) {
		findings_add(out, FINDING_ERROR,
			"%s has %llu MiB free, storage { min_free } is %llu MiB: no mail is taken", path, free_mib,
			least_mib);
		findings_mend(out, "Make room, or lower storage { min_free }.");
	} else if (s->free_bytes / 2 < least) {
		findings_add(out, FINDING_WARNING, "%s has %llu MiB free, and no mail is taken below %llu MiB", path,
			free_mib, least_mib);
		findings_mend(out, "Make room before it is needed.");
	}
}

void check_spool(const struct facts *f, struct names *n, struct findings *out)
{
	const struct fact_spool *s = &f->spool;
	const char *path = f->conf.conf->spool;
	(void)n;
	if (!s->done) {
		findings_add(out, FINDING_ERROR, "%s: the disk does not answer", path);
		findings_mend(out, "Look at the kernel's log: the disk, or the network that it is reached by, hangs.");
		return;
	}
	if (no_rights(s->err)) {
		findings_add(out, FINDING_UNKNOWN, "%s cannot be seen by this user", path);
		findings_mend(out, "Run relayq doctor as root or as the daemon's user.");
		return;
	}
	if (s->err != 0 || !s->is_directory) {
		findings_add(out, FINDING_ERROR, "%s: %s", path, s->err != 0 ? strerror(-s->err) : "is no directory");
		findings_mend(out, "relay64 makes it at its start if the directory above it exists; or set spool.");
		return;
	}
	size_t before = out->count;
	judge_owner(f, path, out);
	if (s->space_known) {
		judge_space(f, path, out);
		judge_filesystem(s, path, out);
	}
	if (out->count == before && s->space_known)
		findings_add(out, FINDING_OK, "%s belongs to %s, %llu MiB free", path, s->owner_name,
			(unsigned long long)(s->free_bytes >> 20));
	else if (out->count == before)
		findings_add(out, FINDING_UNKNOWN, "%s: its file system could not be asked", path);
}

void check_sync(const struct facts *f, struct names *n, struct findings *out)
{
	const struct fact_spool *s = &f->spool;
	(void)n;
	if (!s->done) {
		findings_add(out, FINDING_UNKNOWN, "not measured: the disk does not answer (see spool)");
	} else if (s->syncs == 0) {
		findings_add(out, FINDING_UNKNOWN, "not measured: %s%s",
			s->sync_err != 0 ? strerror(-s->sync_err) : "the spool cannot be written",
			no_rights(s->sync_err) ? " (it needs root, or the daemon's user)" : "");
	} else {
		bool slow = s->sync_us > SLOW_SYNC_US;
		findings_add(out,
			s->sync_us > VERY_SLOW_SYNC_US ? FINDING_ERROR
			: slow			       ? FINDING_WARNING
						       : FINDING_OK,
			"%llu.%llu ms, the median of %u", (unsigned long long)(s->sync_us / 1000),
			(unsigned long long)(s->sync_us / 100 % 10), s->syncs);
		if (slow)
			findings_mend(out,
				"Each batch of mail waits for one: use a disk of its own, or one whose cache "
				"survives a power cut.");
	}
}

void check_certificates(const struct facts *f, struct names *n, struct findings *out)
{
	(void)f, (void)n;
	findings_add(out, FINDING_UNKNOWN, "this version has no TLS: there is no certificate, and nothing was checked");
}
