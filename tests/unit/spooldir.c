/* tests/unit/spooldir.c: plumbing. */
#include "tests/unit/spooldir.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void spooldir_make(struct spooldir *d)
{
	strcpy(d->path, "/tmp/relay64-test-XXXXXX");
	if (mkdtemp(d->path) == NULL)
		abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void spooldir_remove(struct spooldir *d)
{
	nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static unsigned counted;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)st;
	(void)at;
	counted += type == FTW_F;
	return 0;
}

unsigned spooldir_bodies(const struct spooldir *d)
{
	char path[128];
	snprintf(path, sizeof path, "%s/body", d->path);
	counted = 0;
	nftw(path, count_one, 16, FTW_PHYS);
	return counted;
}

static uint8_t *read_all(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		return NULL;
	fseek(f, 0, SEEK_END);
	*n = (size_t)ftell(f);
	rewind(f);
	uint8_t *all = malloc(*n + 1);
	if (all == NULL || fread(all, 1, *n, f) != *n)
		abort();
	fclose(f);
	return all;
}

uint8_t *spooldir_read_body(const struct spooldir *d, uint64_t id, size_t *n)
{
	char name[LAYOUT_BODY_NAME], path[128];
	snprintf(path, sizeof path, "%s/body/%s", d->path, layout_body_name(id, name));
	return read_all(path, n);
}

void spooldir_damage(const struct spooldir *d, const char *name, long at)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", d->path, name);
	FILE *f = fopen(path, "r+b");
	if (f == NULL || fseek(f, at, at < 0 ? SEEK_END : SEEK_SET) != 0)
		abort();
	int c = getc(f);
	fseek(f, -1, SEEK_CUR);
	putc(c ^ 4, f);
	if (c == EOF || fclose(f) != 0)
		abort();
}

bool spooldir_find(const struct spooldir *d, const char *folder, const char *text, char name[128], long *at)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", d->path, folder);
	DIR *dir = opendir(path);
	bool found = false;
	for (struct dirent *e; !found && dir != NULL && (e = readdir(dir)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s/%s", d->path, folder, e->d_name);
		size_t n;
		uint8_t *all = e->d_type == DT_REG ? read_all(path, &n) : NULL;
		uint8_t *hit = all != NULL ? memmem(all, n, text, strlen(text)) : NULL;
		if (hit != NULL) {
			found = true;
			snprintf(name, 128, "%.40s/%.80s", folder, e->d_name);
			*at = hit - all;
		}
		free(all);
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

/* ---- faults ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	int error;
	unsigned after, times, seen;
} faults[FAULT_CALLS];
static const char *only_on;

void faults_on(const char *thread)
{
	pthread_mutex_lock(&lock);
	only_on = thread;
	pthread_mutex_unlock(&lock);
}

void faults_set(enum fault_call call, int error, unsigned after, unsigned times)
{
	pthread_mutex_lock(&lock);
	faults[call].error = error;
	faults[call].after = after;
	faults[call].times = times;
	faults[call].seen = 0;
	pthread_mutex_unlock(&lock);
}

void faults_clear(void)
{
	faults_on(NULL);
	for (unsigned i = 0; i < FAULT_CALLS; i++)
		faults_set(i, 0, 0, 0);
}

unsigned faults_seen(enum fault_call call)
{
	pthread_mutex_lock(&lock);
	unsigned seen = faults[call].seen;
	pthread_mutex_unlock(&lock);
	return seen;
}

/* The error for this call; 0: let it be made. */
static int hit(enum fault_call call)
{
	int error = 0;
	char name[16];
	pthread_getname_np(pthread_self(), name, sizeof name);
	pthread_mutex_lock(&lock);
	if (faults[call].times > 0 && (only_on == NULL || strcmp(only_on, name) == 0)) {
		if (faults[call].after > 0) {
			faults[call].after--;
		} else {
			faults[call].times--;
			faults[call].seen++;
			error = -faults[call].error;
		}
	}
	pthread_mutex_unlock(&lock);
	return error;
}

static int open_file(void *arg, int dir, const char *name, int flags, mode_t mode)
{
	int err = flags & O_CREAT ? hit(FAULT_OPEN) : 0;
	return err != 0 ? err : files_system.open(arg, dir, name, flags, mode);
}

static int close_file(void *arg, int fd)
{
	return files_system.close(arg, fd);
}

static ssize_t read_file(void *arg, int fd, void *p, size_t n, off_t at)
{
	return files_system.pread(arg, fd, p, n, at);
}

static ssize_t write_file(void *arg, int fd, const struct iovec *iov, int count, off_t at)
{
	int err = hit(FAULT_WRITE);
	return err != 0 ? err : files_system.pwritev(arg, fd, iov, count, at);
}

static int datasync_file(void *arg, int fd)
{
	int err = hit(FAULT_DATASYNC);
	return err != 0 ? err : files_system.datasync(arg, fd);
}

static int sync_file(void *arg, int fd)
{
	int err = hit(FAULT_SYNC);
	return err != 0 ? err : files_system.sync(arg, fd);
}

static int rename_file(void *arg, int dir, const char *from, const char *to)
{
	return files_system.rename(arg, dir, from, to);
}

static int unlink_file(void *arg, int dir, const char *name)
{
	return files_system.unlink(arg, dir, name);
}

static int make_dir(void *arg, int dir, const char *name, mode_t mode)
{
	return files_system.mkdir(arg, dir, name, mode);
}

const struct files faulty_files = {
	.open = open_file,
	.close = close_file,
	.pread = read_file,
	.pwritev = write_file,
	.datasync = datasync_file,
	.sync = sync_file,
	.rename = rename_file,
	.unlink = unlink_file,
	.mkdir = make_dir,
};
