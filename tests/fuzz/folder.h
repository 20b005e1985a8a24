/* tests/fuzz/folder.h: a folder of the program's own, for targets whose input are files. Plumbing. */
#ifndef TESTS_FUZZ_FOLDER_H
#define TESTS_FUZZ_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include "queue/spool/files.h"
#include "tests/fuzz/fuzz.h"

static char fuzz_folder_path[64];

static inline int fuzz_no_sync(void *arg, int fd)
{
	(void)arg;
	(void)fd;
	return 0;
}

/* The system's calls; nothing is made durable. */
static inline struct files fuzz_files(void)
{
	struct files f = files_system;
	f.datasync = fuzz_no_sync;
	f.sync = fuzz_no_sync;
	return f;
}

static inline int fuzz_unlink(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline void fuzz_folder_gone(void)
{
	nftw(fuzz_folder_path, fuzz_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

/* Its descriptor. Made at the first call, gone at the program's end. */
static inline int fuzz_folder(void)
{
	static int fd = -1;
	if (fd >= 0)
		return fd;
	/* in memory, where there is some */
	snprintf(fuzz_folder_path, sizeof fuzz_folder_path, "%s/fuzz.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	MUST(mkdtemp(fuzz_folder_path) != NULL);
	fd = open(fuzz_folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(fd >= 0 && atexit(fuzz_folder_gone) == 0);
	return fd;
}

static inline void fuzz_write(int folder, const char *name, const void *p, size_t n)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && pwrite(fd, p, n, 0) == (ssize_t)n);
	close(fd);
}

static inline void fuzz_put64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static inline uint64_t fuzz_get64(const uint8_t *p)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

#endif
