/* queue/spool/files.h: the calls on files that the spool makes, as a table, so that a test can fail or record each one.
 * Plumbing.
 *
 * Each returns what the system call returns, with a negative errno value instead of -1. Names are relative to the open
 * directory `dir`. Everything below queue/spool goes through such a table: the order of calls is what keeps the
 * mail. */
#ifndef QUEUE_SPOOL_FILES_H
#define QUEUE_SPOOL_FILES_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct files {
	int (*open)(void *arg, int dir, const char *name, int flags, mode_t mode); /* O_CLOEXEC is added */
	int (*close)(void *arg, int fd);
	ssize_t (*pread)(void *arg, int fd, void *p, size_t n, off_t at);
	ssize_t (*pwritev)(void *arg, int fd, const struct iovec *iov, int count, off_t at);
	int (*datasync)(void *arg, int fd); /* a file's bytes and size */
	int (*sync)(void *arg, int fd);	    /* a directory's entries */
	int (*rename)(void *arg, int dir, const char *from, const char *to);
	int (*unlink)(void *arg, int dir, const char *name);
	int (*mkdir)(void *arg, int dir, const char *name, mode_t mode);
	void *arg;
};

extern const struct files files_system;

/* Reads `n` bytes or up to the file's end: how many came, or negative. Interrupted and short calls are gone on with. */
ssize_t files_read(const struct files *f, int fd, void *p, size_t n, uint64_t at);
/* Writes all of it: 0 or negative (then some of it may be written). `iov` is used up. */
int files_write(const struct files *f, int fd, struct iovec *iov, size_t count, uint64_t at);
/* The file's size, or negative. Not a call that can lose mail, so not in the table. */
int64_t files_size(int fd);

#endif
