/* queue/spool/sidestate.c: plumbing. */
#include "queue/spool/sidestate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <xxhash.h>

enum { MAGIC = 0x72363473, HEADER = 24, PATH = 64 };

static int path_of(char out[PATH], const char *name, const char *suffix)
{
	int n = snprintf(out, PATH, "state/%s%s", name, suffix);
	return n > 0 && n < PATH ? 0 : -ENAMETOOLONG;
}

static int take(int fd, const struct files *f, uint32_t version, struct buf *out)
{
	uint8_t head[HEADER];
	struct reader r;
	ssize_t n = files_read(f, fd, head, sizeof head, 0);
	if (n != (ssize_t)sizeof head)
		return n < 0 ? (int)n : -EBADMSG;
	reader_init(&r, head, sizeof head);
	bool known = reader_u32(&r) == MAGIC && reader_u32(&r) == version;
	uint64_t size = reader_u64(&r), sum = reader_u64(&r);
	if (!known || size > SIDESTATE_MAX)
		return -EBADMSG;
	uint8_t *to = buf_room(out, (size_t)size + 1);
	if (to == NULL)
		return -ENOMEM;
	n = files_read(f, fd, to, (size_t)size + 1, HEADER);
	if (n < 0)
		return (int)n;
	if ((uint64_t)n != size || XXH3_64bits(to, (size_t)size) != sum)
		return -EBADMSG;
	buf_grow(out, (size_t)size);
	return 0;
}

int sidestate_read(const struct files *files, int spool, const char *name, uint32_t version, struct buf *out)
{
	char path[PATH];
	int err = path_of(path, name, "");
	int fd = err ? err : files->open(files->arg, spool, path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	err = take(fd, files, version, out);
	files->close(files->arg, fd);
	return err;
}

static int fill(int fd, const struct files *f, uint32_t version, const void *p, size_t n)
{
	struct buf head;
	buf_init(&head, HEADER);
	int err = buf_append_u32(&head, MAGIC);
	err = err ? err : buf_append_u32(&head, version);
	err = err ? err : buf_append_u64(&head, n);
	err = err ? err : buf_append_u64(&head, XXH3_64bits(n ? p : "", n));
	struct iovec iov[] = {{head.data, head.len}, {(void *)(uintptr_t)p, n}};
	err = err ? err : files_write(f, fd, iov, n ? 2 : 1, 0);
	buf_fini(&head);
	return err ? err : f->datasync(f->arg, fd);
}

static int sync_folder(const struct files *f, int spool)
{
	int fd = f->open(f->arg, spool, "state", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	int err = f->sync(f->arg, fd);
	f->close(f->arg, fd);
	return err;
}

int sidestate_write(const struct files *files, int spool, const char *name, uint32_t version, const void *p, size_t n)
{
	char path[PATH], beside[PATH];
	int err = n > SIDESTATE_MAX ? -E2BIG : path_of(path, name, "");
	err = err ? err : path_of(beside, name, ".new");
	int fd = err ? err : files->open(files->arg, spool, beside, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return fd;
	err = fill(fd, files, version, p, n);
	files->close(files->arg, fd);
	if (err == 0)
		err = files->rename(files->arg, spool, beside, path);
	if (err != 0) {
		files->unlink(files->arg, spool, beside);
		return err;
	}
	return sync_folder(files, spool);
}

void sidestate_fini(struct sidestate *s)
{
	buf_fini(&s->content);
	buf_fini(&s->writing);
}
