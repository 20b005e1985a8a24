/* queue/spool/files.c: plumbing. */
#include "queue/spool/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int sys_open(void *arg, int dir, const char *name, int flags, mode_t mode)
{
	(void)arg;
	int fd = openat(dir, name, flags | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

static int sys_close(void *arg, int fd)
{
	(void)arg;
	return close(fd) < 0 ? -errno : 0;
}

static ssize_t sys_pread(void *arg, int fd, void *p, size_t n, off_t at)
{
	(void)arg;
	ssize_t got = pread(fd, p, n, at);
	return got < 0 ? -errno : got;
}

static ssize_t sys_pwritev(void *arg, int fd, const struct iovec *iov, int count, off_t at)
{
	(void)arg;
	ssize_t put = pwritev(fd, iov, count, at);
	return put < 0 ? -errno : put;
}

static int sys_datasync(void *arg, int fd)
{
	(void)arg;
	return fdatasync(fd) < 0 ? -errno : 0;
}

static int sys_sync(void *arg, int fd)
{
	(void)arg;
	return fsync(fd) < 0 ? -errno : 0;
}

static int sys_rename(void *arg, int dir, const char *from, const char *to)
{
	(void)arg;
	return renameat(dir, from, dir, to) < 0 ? -errno : 0;
}

static int sys_unlink(void *arg, int dir, const char *name)
{
	(void)arg;
	return unlinkat(dir, name, 0) < 0 ? -errno : 0;
}

static int sys_mkdir(void *arg, int dir, const char *name, mode_t mode)
{
	(void)arg;
	return mkdirat(dir, name, mode) < 0 ? -errno : 0;
}

const struct files files_system = {
	.open = sys_open,
	.close = sys_close,
	.pread = sys_pread,
	.pwritev = sys_pwritev,
	.datasync = sys_datasync,
	.sync = sys_sync,
	.rename = sys_rename,
	.unlink = sys_unlink,
	.mkdir = sys_mkdir,
};

ssize_t files_read(const struct files *f, int fd, void *p, size_t n, uint64_t at)
{
	size_t got = 0;
	while (got < n) {
		ssize_t one = f->pread(f->arg, fd, (uint8_t *)p + got, n - got, (off_t)(at + got));
		if (one == -EINTR)
			continue;
		if (one < 0)
			return one;
		if (one == 0)
			break;
		got += (size_t)one;
	}
	return (ssize_t)got;
}

int files_write(const struct files *f, int fd, struct iovec *iov, size_t count, uint64_t at)
{
	while (count) {
		if (iov->iov_len == 0) {
			iov++;
			count--;
			continue;
		}
		int some = count > IOV_MAX ? IOV_MAX : (int)count;
		ssize_t put = f->pwritev(f->arg, fd, iov, some, (off_t)at);
		if (put == -EINTR)
			continue;
		if (put <= 0)
			return put ? (int)put : -EIO;
		at += (uint64_t)put;
		for (size_t left = (size_t)put; left;) {
			size_t step = left < iov->iov_len ? left : iov->iov_len;
			iov->iov_base = (uint8_t *)iov->iov_base + step;
			iov->iov_len -= step;
			left -= step;
			if (iov->iov_len == 0) {
				iov++;
				count--;
			}
		}
	}
	return 0;
}

int64_t files_size(int fd)
{
	struct stat st;
	return fstat(fd, &st) < 0 ? -errno : st.st_size;
}
